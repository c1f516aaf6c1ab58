"""Part of chapter *gradient_flow*: constants of decay that hold for all measures, tried at the worst of them."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue import ornstein_uhlenbeck
from mckean.energetics import adversary, holley_stroock, log_sobolev_bounds, relaxation
from mckean.interactions import kernels
from mckean.measures import Density, Gaussian
from mckean.models import Model, langevin, potentials
from mckean.spaces import Euclidean
from mckean.talk.claims import Claim, Rival

_STIFFNESS, _STRENGTH, _BETA, _WAVE = 1.0, 0.5, 2.0, 0.4
_REACH, _CELLS = 5.0, 60
_CONVEX = "Carrillo, McCann and Villani, Rev. Mat. Iberoamericana 19 (2003)"
_PERTURBED = "Holley and Stroock, J. Stat. Phys. 46 (1987)"
_HARDY = "Bobkov and Götze, J. Funct. Anal. 163 (1999); Barthe and Roberto, Studia Math. 159 (2003)"


class _Wavy(eqx.Module):
    """V = ax²/2 + b sin 3x, one program for all b."""

    wave: Float[Array, ""]

    def __call__(self, x):
        return 0.5 * _STIFFNESS * x[0] ** 2 + self.wave * jnp.sin(3 * x[0])


def inequality_claims() -> list[Claim]:
    """An adversary looks for the measure at which D/2(F − F*) is least: among Gaussians, and among densities."""
    return [*_convex_claims(), *_perturbed_claims(), *_line_claims()]


def _model(strength: float, wave: float) -> Model:
    return langevin(Euclidean(1), _Wavy(jnp.asarray(wave)), kernels.Quadratic(strength), _BETA)


def _bump(place: float) -> Density:
    grid = Euclidean(1).grid(_CELLS, -_REACH, _REACH)
    return Density.from_law(grid, Gaussian(place, 0.3))


def _convex_claims() -> list[Claim]:
    width = 1 / (_BETA * (_STIFFNESS + _STRENGTH))
    rival = Rival("the rate a + c of what moves relative to the centre", _STIFFNESS + _STRENGTH)
    linear = ornstein_uhlenbeck(_STIFFNESS, _STRENGTH, _BETA).model
    found, _ = adversary(linear, Gaussian(0.7, 0.4), Gaussian(0.0, width))
    start = _bump(1.0)
    still = Density.from_law(start.grid, Gaussian(0.0, width))
    least, _ = adversary(_model(_STRENGTH, 0.0), start, still)
    return [
        Claim(
            statement="Among Gaussians $D \\ge 2\\lambda(F - F^*)$ with attraction holds for $\\lambda = a$, and for "
            "no larger one: the least quotient",
            predicted=_STIFFNESS,
            measured=found,
            tolerance=1e-6,
            origin="a minimum is flat: the square of what an ascent leaves, and rounding",
            excludes=rival,
            reference=_CONVEX,
        ),
        Claim(
            statement="Among all densities no adversary gets below $\\lambda = a$ either, and one comes to it: the "
            "least quotient",
            predicted=_STIFFNESS,
            measured=least,
            tolerance=_STIFFNESS * start.grid.spacing[0] ** 2 / (8 * width),
            origin="ρ at the faces by the mean of two cells, h²/8v of it",
            excludes=rival,
            reference=_CONVEX,
        ),
    ]


def _perturbed_claims() -> list[Claim]:
    """V = x²/2 + b sin 3x: above Holley and Stroock's constant, below that near the equilibrium and the convex part's.

    The first is known to be a bound of the constant from below, the gap from above, and what an adversary finds, too.
    """
    start, confined = _bump(1.0), _Wavy(jnp.asarray(_WAVE))
    still = Density.from_function(start.grid, lambda x: jnp.exp(-_BETA * confined(x)))
    alone = langevin(Euclidean(1), confined, beta=_BETA)
    bound = holley_stroock(alone, potentials.Quadratic(_STIFFNESS), -_REACH, _REACH)
    gap = float(relaxation(alone, still)[0])
    found, _ = adversary(_model(0.0, _WAVE), start, still)
    return [
        Claim(
            statement="A wave on a convex potential costs a factor $e^{-\\beta\\,\\mathrm{osc}}$ at most: the least "
            "quotient that an adversary finds",
            predicted=bound,
            measured=found,
            excludes=Rival("the constant of the convex part alone", _STIFFNESS),
            reference=_PERTURBED,
            relation="at least",
        ),
        Claim(
            statement="With a wave the worst measure is far from equilibrium: the least quotient, below the gap",
            predicted=gap,
            measured=found,
            excludes=Rival("the gap is the constant for all measures", gap),
            reference=_PERTURBED,
            relation="at most",
        ),
    ]


def _line_claims() -> list[Claim]:
    """The two criteria of Muckenhoupt's kind for N(0, 1), beside their suprema by quadrature."""
    reach, cells = 7.0, 1000
    still = Density.from_law(Euclidean(1).grid(cells, -reach, reach), Gaussian(0.0, 1.0))
    low, high = log_sobolev_bounds(still)
    share = (2 * reach / cells) ** 2
    origin = "masses and resistances of cells by their middles, h²x²/24 of them, at the place x ≤ 3 of the supremum"
    return [
        Claim(
            statement="The log-Sobolev constant of $N(0, 1)$, which is 1, has the lower bound $1/2B$",
            predicted=1 / (2 * _criterion(math.e**2)),
            measured=low,
            tolerance=share,
            origin=origin,
            excludes=Rival("e in the place of e²", 1 / (2 * _criterion(math.e))),
            reference=_HARDY,
        ),
        Claim(
            statement="It has the upper bound $2/b$",
            predicted=2 / _criterion(0.5),
            measured=high,
            tolerance=2 * share,
            origin=origin,
            excludes=Rival("2 in the place of ½", 2 / _criterion(2.0)),
            reference=_HARDY,
        ),
    ]


def _criterion(factor: float) -> float:
    """sup over x > 0 of q log(1 + factor/q) ∫_0^x dy/φ(y), q = 1 − Φ(x); the integral is π erfi(x/√2)."""
    from scipy.special import erfi, ndtr

    x = np.linspace(0, 6, 60_001)[1:]
    q = ndtr(-x)
    return float(np.max(q * np.log1p(factor / q) * np.pi * erfi(x / math.sqrt(2))))
