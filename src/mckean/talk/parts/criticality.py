"""Part of chapter *gibbs*: E r² at the transition, in powers of 1/√N."""

import math

from mckean.catalogue.oscillators import mean_square_order
from mckean.statistics import Estimate
from mckean.talk.claims import Claim, Rival

# With u = sN^{−1/4} the weight u e^{−Nu²/4}I_0(u)^N is s e^{−s⁴/64}(1 + ε s⁶/576 + ε²(s¹²/2·576² − 11s⁸/49152) + …),
# ε = 1/√N, and moments of e^{−s⁴/64} are Gamma functions: the coefficients of √N E r² in powers of ε.
_LAPLACE = (
    2 / math.sqrt(math.pi),
    1 / 3 - 16 / (9 * math.pi),
    (128 / (81 * math.pi) - 47 / 216) / math.sqrt(math.pi),
)
_NEXT = -7 / 135 + 7178 / (18225 * math.pi) - 1024 / (729 * math.pi**2)
"""The coefficient after these."""
_SOURCE = "Laplace's method with log I₀(u) = u²/4 − u⁴/64 + u⁶/576 − 11u⁸/49152 + …"


def critical_claims(particles: int, sizes: dict[int, Estimate]) -> list[Claim]:
    large = 10**6
    scaled = math.sqrt(large) * mean_square_order(large, 2.0, 1.0)
    claims = [
        Claim(
            statement="At the transition $\\sqrt N\\,E\\,r^2$ has the expansion above: what is left at $N = 10^6$ "
            "after two terms, times N",
            predicted=_LAPLACE[2],
            measured=large * (scaled - _LAPLACE[0] - _LAPLACE[1] / math.sqrt(large)),
            tolerance=2 * abs(_NEXT) / math.sqrt(large),
            origin="twice the next term of the expansion",
            excludes=Rival("the expansion ends before this term", 0.0),
            reference=_SOURCE,
        )
    ]
    start = mean_square_order(particles, 2.0, 1.0)
    for n, found in sorted(sizes.items()):
        root = math.sqrt(n)
        claims.append(
            Claim(
                statement="At the transition Hamiltonian Monte Carlo finds the $\\sqrt N\\,E\\,r^2$ of the expansion, "
                f"N = {n}",
                predicted=_LAPLACE[0] + _LAPLACE[1] / root + _LAPLACE[2] / n,
                measured=found.map(lambda v, root=root: root * v, lambda v, root=root: root),
                tolerance=2 * abs(_NEXT) / root**3,
                origin="twice the next term of the expansion",
                excludes=Rival(f"E r² of order 1/N, from N = {particles} on", start * particles / root),
                reference=_SOURCE,
            )
        )
    return claims
