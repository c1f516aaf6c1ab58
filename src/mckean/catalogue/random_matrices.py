"""The log gas on the line, V(x) = ax²/2 and W(z) = −c log|z|: Dyson's Brownian motion in the mean-field normalisation.

Without noise the equilibrium of N particles is at the zeros of the Hermite polynomial H_N times √(c/aN), where
a x_i = (c/N) Σ_{j≠i} 1/(x_i − x_j) (Stieltjes), the Hessian of H_N there has the eigenvalues a, 2a, …, Na (Calogero,
Lett. Nuovo Cimento 19, 1977), and the limit is the semicircle (2/πR²)√(R² − x²), R² = 2c/a (Wigner; Rogers and Shi,
Probab. Theory Relat. Fields 95, 1993). W = ax²/2 − c log|x| without V is the same about a fixed centre of mass.
"""

import math
from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions import kernels
from mckean.measures import Density, Particles
from mckean.models import Model, energy, langevin, potentials
from mckean.spaces import AbstractGrid, Euclidean

_STIELTJES = "Szegő, Orthogonal polynomials, section 6.7"
_WIGNER = "Rogers and Shi, Probab. Theory Relat. Fields 95 (1993)"
_TEN = 10


def radius(stiffness: float, strength: float) -> float:
    """R = √(2c/a), length."""
    return math.sqrt(2 * strength / stiffness)


def semicircle(grid: AbstractGrid, stiffness: float, strength: float) -> Density:
    """(2/πR²)√(R² − x²) as its exact masses in the cells of a grid of the line."""
    reach, (h,) = radius(stiffness, strength), grid.spacing
    edges = np.append(grid.axes[0] - h / 2, grid.axes[0][-1] + h / 2)
    s = np.clip(edges / reach, -1, 1)
    below = 0.5 + (s * np.sqrt(1 - s**2) + np.arcsin(s)) / math.pi
    return Density(grid, jnp.asarray(np.diff(below) / h))


def equilibrium(n: int, stiffness: float, strength: float) -> Float[np.ndarray, "n 1"]:
    """The positions of N particles at rest, without noise, in order; length."""
    from scipy.special import roots_hermite

    return (roots_hermite(n)[0] * math.sqrt(strength / (stiffness * n)))[:, None]


def mean_square(stiffness: float, strength: float, beta: float, n: int | None = None) -> float:
    """E (1/N)Σx_i² = (c(1 − 1/N) + 2/β)/2a, stationary, exactly at any N, infinite where not given; length²."""
    return (strength * (1 - (1 / n if n else 0.0)) + 2 / beta) / (2 * stiffness)


def least_energy(stiffness: float, strength: float, n: int | None = None) -> float:
    """The least energy per particle without noise: 3c/8 − (c/2) log(R/2); of N particles by the discriminant of H_N.

    ∏_{i<j}(z_i − z_j)² = 2^{−N(N−1)/2} ∏_k k^k; energy.
    """
    if n is None:
        return 3 * strength / 8 - strength / 2 * math.log(radius(stiffness, strength) / 2)
    k = np.arange(1, n + 1)
    logs = float(np.sum(k * np.log(k))) - n * (n - 1) / 2 * math.log(2)
    logs += n * (n - 1) * 0.5 * math.log(strength / (stiffness * n))
    return strength * (n - 1) / (4 * n) - strength * logs / (2 * n**2)


def log_gas(stiffness: float = 1.0, strength: float = 1.0, beta: float = math.inf) -> Entry:
    """The log gas on the line: dX_i = −aX_i dt + (c/N) Σ_{j≠i} dt/(X_i − X_j) + √(2/β) dB_i.

    Particles do not meet for βc ≥ N.

    **Arguments:**

    - `stiffness`: a > 0, energy per length². Default: 1.
    - `strength`: c > 0, energy. Default: 1.
    - `beta`: β > 0, 1/energy. Default: infinite, no noise.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Rogers and Shi, Probab. Theory Relat. Fields 95 (1993).
    """
    require(
        stiffness > 0 and strength > 0 and beta > 0,
        f"this model needs a, c, β > 0, but a = {stiffness:g}, c = {strength:g}, β = {beta:g}.",
    )
    model = langevin(Euclidean(1), potentials.Quadratic(stiffness), kernels.PowerLaw(-strength, 0.0), beta=beta)
    cold = langevin(Euclidean(1), potentials.Quadratic(stiffness), kernels.PowerLaw(-strength, 0.0), beta=math.inf)
    at = partial(equilibrium, _TEN, stiffness, strength)
    facts = {
        "radius": Fact("R = √(2c/a)", radius(stiffness, strength), _WIGNER),
        "largest force": Fact(
            "the largest force on ten particles at the zeros of H_10 is 0", 0.0, _STIELTJES,
            lambda: float(jnp.max(jnp.abs(_force(cold, jnp.asarray(at()))))), 1e-11 * math.sqrt(stiffness * strength),
        ),
        "least energy of ten": Fact(
            "H_N/N at the zeros of H_10", least_energy(stiffness, strength, _TEN), _STIELTJES,
            lambda: float(energy.energy(cold, Particles(cold.space, jnp.asarray(at())))), 1e-12 * strength * _TEN,
        ),
        "least energy": Fact(
            "3c/8 − (c/2) log(R/2)", least_energy(stiffness, strength), _WIGNER,
            lambda: _on_grid(cold, stiffness, strength), 1e-4 * strength,
        ),
        "stiffest rate of ten": Fact(
            "Na, the largest eigenvalue of the Hessian of H_N", _TEN * stiffness, "Calogero, Nuovo Cimento 19 (1977)",
            lambda: float(_rates(stiffness, strength)[-1]), 1e-10 * _TEN * stiffness,
        ),
        "Polyak–Łojasiewicz constant": Fact(
            "a, the least eigenvalue: W is convex where particles keep their order", stiffness, _WIGNER,
            lambda: float(_rates(stiffness, strength)[0]), 1e-10 * _TEN * stiffness,
        ),
        "mean square": Fact("(c + 2/β)/2a", mean_square(stiffness, strength, beta), _WIGNER),
    }  # fmt: skip
    return Entry(model, facts)


def _force(model: Model, x):
    return model.velocity(x, Particles(model.space, x))[:, 0]


@cache
def _rates(stiffness: float, strength: float) -> np.ndarray:
    """The eigenvalues of the Hessian of H_10 at rest, from the model's own force, in increasing order."""
    model = langevin(Euclidean(1), potentials.Quadratic(stiffness), kernels.PowerLaw(-strength, 0.0), beta=math.inf)
    x = jnp.asarray(equilibrium(_TEN, stiffness, strength)[:, 0])
    jacobian = jax.jit(jax.jacfwd(lambda y: _force(model, y[:, None])))(x)
    return np.linalg.eigvalsh(-np.asarray(jacobian))


def _on_grid(model: Model, stiffness: float, strength: float) -> float:
    reach = 1.1 * radius(stiffness, strength)
    return float(
        eqx.filter_jit(energy.energy)(model, semicircle(Euclidean(1).grid(2000, -reach, reach), stiffness, strength))
    )
