"""Desai–Zwanzig: the double well V(x) = x⁴/4 − x²/2 with attraction W(z) = θz²/2.

Stationary states are ρ_m ∝ exp(−β(V + θx²/2 − θmx)) with m = ∫xρ_m; the symmetric one is alone up to β_c, where
βθ∫x²ρ_0 = 1 (Desai and Zwanzig, J. Stat. Phys. 19, 1978; Dawson, J. Stat. Phys. 31, 1983; Shiino, Phys. Rev. A 36,
1987).
"""

import math
from functools import partial

import jax.numpy as jnp
import numpy as np

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions import kernels
from mckean.measures import Density
from mckean.models import Model, langevin, potentials
from mckean.spaces import Euclidean

_REFERENCE = "Dawson, J. Stat. Phys. 31 (1983)"
# The weight is below e^{−700} beyond |x| = 12 for β ≥ 0.2, and analytic: the rectangle rule converges geometrically.
_X = np.linspace(-12, 12, 4801)


def _moments(m: float, beta: float, theta: float) -> tuple[float, float]:
    """(∫x, ∫x²) under ρ_m."""
    exponent = -beta * (_X**4 / 4 - _X**2 / 2 + theta * _X**2 / 2 - theta * m * _X)
    weight = np.exp(exponent - exponent.max())
    weight /= weight.sum()
    return float(weight @ _X), float(weight @ _X**2)


def magnetisation(beta: float, theta: float) -> float:
    """The largest m ≥ 0 with m = ∫xρ_m; length."""
    from scipy.optimize import root_scalar

    if beta * theta * _moments(0.0, beta, theta)[1] <= 1:
        return 0.0
    # m ↦ ∫xρ_m − m is concave on m > 0 (Griffiths, Hurst and Sherman), hence one root above a small positive value.
    low = 1e-6
    excess = lambda m: _moments(m, beta, theta)[0] - m  # noqa: E731
    return float(root_scalar(excess, bracket=(low, 4.0), xtol=1e-14).root)


def critical_beta(theta: float) -> float:
    """β_c from βθ∫x²ρ_0 = 1; (Γ(1/4)/(2Γ(3/4)))² for θ = 1; 1/energy.

    **Arguments:**

    - `theta`: θ > 0, energy per length².

    **Raises:** `ValueError` for another θ, and for one whose β_c is not between 0.2 and 50.
    """
    from scipy.optimize import root_scalar

    require(theta > 0, f"this model is tabulated for θ > 0, but θ = {theta}.")
    if theta == 1:
        return (math.gamma(0.25) / (2 * math.gamma(0.75))) ** 2
    excess = lambda b: b * theta * _moments(0.0, b, theta)[1] - 1  # noqa: E731
    least, most = 0.2, 50.0
    known = excess(least) < 0 < excess(most)
    require(known, f"β_c is looked for between {least:g} and {most:g}, and for θ = {theta:g} it is not there.")
    return float(root_scalar(excess, bracket=(least, most), xtol=1e-13).root)


def pair_covariance(n: int, beta: float, theta: float) -> float:
    """E X_1X_2 of N particles under the Gibbs measure: ∫m(u)² w du/∫w du, w = z(u)^N e^{−Nβθu²/2}; length².

    e^{βθ(Σx)²/2N} is the average of e^{βθuΣx} over a Gaussian u of variance 1/Nβθ (Hubbard and Stratonovich). Given u
    the particles are independent, of density e^{−β(V + θx²/2 − θux)}/z(u) and mean m(u).

    **Arguments:**

    - `n`: N ≥ 2.
    - `beta`: β ≥ 0.2, 1/energy.
    - `theta`: θ > 0, energy per length².

    **Raises:** `ValueError` for other numbers.
    """
    require(n >= 2 and n == int(n), f"a pair is of two or more particles, not of {n}.")
    require(theta > 0 and beta >= 0.2, f"this model is tabulated for θ > 0 and β ≥ 0.2, not θ = {theta}, β = {beta}.")
    reach = 5 + 10 / math.sqrt(n * beta * theta)
    wide = np.linspace(-reach, reach, 401)
    logs, _ = _tilted(wide, n, beta, theta)
    # Below e^{−40} nothing counts; what does is narrow for many particles.
    reach = np.max(np.abs(wide[logs > logs.max() - 40])) + wide[1] - wide[0]
    logs, mean = _tilted(np.linspace(-reach, reach, 2001), n, beta, theta)
    weight = np.exp(logs - logs.max())
    return float(weight @ mean**2 / weight.sum())


def _tilted(u: np.ndarray, n: int, beta: float, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """log w(u) and m(u) of the auxiliary field u."""
    x = _X[::4]
    exponent = -beta * (x**4 / 4 - x**2 / 2 + theta * x**2 / 2 - theta * u[:, None] * x)
    top = exponent.max(axis=1, keepdims=True)
    weight = np.exp(exponent - top)
    z = weight.sum(axis=1)
    return n * (np.log(z) + top[:, 0] - beta * theta * u**2 / 2), weight @ x / z


def passage_time(beta: float, start: float = -1.0, end: float = 1.0) -> float:
    """The mean time in which one particle of the double well goes from `start` to `end` > `start`; time.

        E τ = β ∫_start^end e^{βV(y)} ∫_{−∞}^y e^{−βV(z)} dz dy

    One particle has no neighbours, so that θ does not matter.

    **Arguments:**

    - `beta`: β ≥ 0.2, 1/energy.
    - `start`, `end`: the two places, within ±3; length. Default: −1 and 1.

    **Raises:** `ValueError` for other numbers.

    **Source:** Hänggi, Talkner and Borkovec, Rev. Modern Phys. 62 (1990), eq. (7.10).
    """
    from scipy.integrate import cumulative_simpson

    right = beta >= 0.2 and -3 <= start < end <= 3
    require(right, f"a passage has β ≥ 0.2 and −3 ≤ start < end ≤ 3, but {beta}, {start} and {end} were given.")
    potential = lambda x: x**4 / 4 - x**2 / 2 + 0.25  # noqa: E731
    before = np.linspace(-6.0, start, 4801)
    within = np.linspace(start, end, 4801)
    below = cumulative_simpson(np.exp(-beta * potential(before)), x=before)[-1]
    inner = below + cumulative_simpson(np.exp(-beta * potential(within)), x=within, initial=0.0)
    return float(beta * cumulative_simpson(np.exp(beta * potential(within)) * inner, x=within)[-1])


def desai_zwanzig(theta: float = 1.0, beta: float = 3.0) -> Entry:
    """The Desai–Zwanzig model on the line: dX_i = (X_i − X_i³) dt − θ(X_i − X̄) dt + √(2/β) dB_i.

    **Arguments:**

    - `theta`: θ > 0, energy per length². Default: 1.
    - `beta`: β ≥ 0.2, 1/energy. Default: 3.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Desai and Zwanzig, J. Stat. Phys. 19 (1978); Dawson, J. Stat. Phys. 31 (1983).
    """
    if not (theta > 0 and beta >= 0.2):
        raise ValueError(f"this model is tabulated for θ > 0 and β ≥ 0.2, but θ = {theta:g}, β = {beta:g}.")
    model = langevin(Euclidean(1), potentials.DoubleWell(), kernels.Quadratic(theta), beta=beta)
    m = magnetisation(beta, theta)
    facts = {
        "magnetisation": Fact("m = ∫xρ_m", m, _REFERENCE, partial(_self_consistency, model, beta, theta), 1e-9),
        "critical beta": Fact("βθ∫x²ρ_0 = 1", critical_beta(theta), _REFERENCE),
        "second moment": Fact("∫x²ρ_m", _moments(m, beta, theta)[1], _REFERENCE),
    }
    return Entry(model, facts)


def stationary(beta: float, theta: float, cells: int = 600, reach: float = 6.0) -> Density:
    """ρ_m with m the magnetisation, on the box [−reach, reach]."""
    m = magnetisation(beta, theta)
    grid = Euclidean(1).grid(cells, -reach, reach)
    energy = lambda x: x[0] ** 4 / 4 - (1 - theta) * x[0] ** 2 / 2 - theta * m * x[0]  # noqa: E731
    low = min(float(energy(x)) for x in np.linspace(-3, 3, 601)[:, None])

    return Density.from_function(grid, lambda x: jnp.exp(-beta * (energy(x) - low)))


def _self_consistency(model: Model, beta: float, theta: float) -> float:
    """m from the interaction's force on a particle at the origin, θm, V having none there."""

    return float(model.velocity(jnp.zeros((1, 1)), stationary(beta, theta))[0, 0] / theta)
