"""Constants of decay that are known before a run: spectral gaps, Polyak–Łojasiewicz and log-Sobolev constants.

Conventions: PL: D ≥ 2λ(F − F*), λ per time. Log-Sobolev: ∫|∇log(ρ/π)|²ρ ≥ 2κ∫ρ log(ρ/π), κ per length². Poincaré:
∫|∇f|²π ≥ γ Var_π f, γ per length². Without interaction λ = κ/β, and near equilibrium F − F* decays at twice the
spectral gap γ/β ≥ κ/β.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require, require_finite
from mckean.interactions.kernels import FourierSeries
from mckean.measures import Density
from mckean.models import Model, require_model
from mckean.models.potentials import as_potential
from mckean.spaces import Euclidean, TangentBundle, Torus

_POINTS = {1: 2001, 2: 65, 3: 17}


def convexity(model: Model, lower: float, upper: float) -> float:
    """λ = a + min(w, 0) such that F is λ-convex along geodesics; per time.

    It is a lower bound of the Polyak–Łojasiewicz constant, in D ≥ 2λ(F − F*).

    If D²V ≥ a and D²W_s ≥ w, the second derivative of F along a geodesic with velocity v is at least a∫|v|²dμ +
    (w/2)∬|v(x) − v(y)|²dμdμ, plus a term of the entropy that is not negative. As ½∬|v(x) − v(y)|² lies between 0 and
    ∫|v|², λ = a + min(w, 0). The same holds for D²H_N, so that the Gibbs measure of N particles has the log-Sobolev
    constant βλ for every N. Without V the centre of mass stays, ∫v dμ = 0, and λ = w among the measures with one
    centre. On the line geodesics keep the order of points: a W that is convex on each side of 0, such as −log|z|, is
    enough. An internal energy sρ^m adds nothing negative for m ≥ 1 − 1/d (McCann).

    **Arguments:**

    - `model`: a gradient flow on R^d, d ≤ 3, with an additive noise of its own.
    - `lower`, `upper`: the box [lower, upper]^d, length. D²V is examined on a grid of it, and D²W on the differences.

    **Returns:** λ > 0.

    **Raises:** `ValueError` on a space that is not R^d, for a drift that is no gradient or a noise that depends on the
    state, and for λ ≤ 0: then there is no bound.

    **Source:** Carrillo, McCann and Villani, Rev. Mat. Iberoamericana 19 (2003); Bakry and Émery (1985).
    """
    require_model(model)
    require_gradient(model)
    require(isinstance(model.space, Euclidean), "convexity along geodesics is for R^d: a torus has no convex V.")
    require(lower < upper, "the box needs lower < upper.")
    span = upper - lower
    a = 0.0 if model.confinement is None else _least_hessian(model.confinement, model.space.dim, lower, upper)
    w = 0.0 if model.interaction is None else _least_hessian(model.interaction.kernel, model.space.dim, -span, span)
    bound = w if model.confinement is None else a + min(w, 0.0)
    require(
        bound > 0,
        f"no convexity: D²V ≥ {a:.4g} and D²W ≥ {w:.4g} on this box do not give a positive constant.",
    )
    return bound


def require_gradient(model: Model) -> None:
    """**Raises** `ValueError` where the free energy need not fall: a drift, a common noise, one that is not thermal."""
    require(
        not isinstance(model.space, TangentBundle),
        "with velocities a law does not descend its free energy as steeply as it can: energy_balance serves there.",
    )
    require(model.drift is None and not model.common, "the free energy decays for gradients without common noise only.")
    _ = model.beta


def _least_hessian(function: Callable, dim: int, lower: float, upper: float) -> float:
    """The least eigenvalue of the Hessian over a grid without the centre of the box, where W may have a kink."""
    axis = np.linspace(lower, upper, _POINTS[dim] + 1)
    points = jnp.asarray(np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), axis=-1).reshape(-1, dim), float)
    least = jnp.asarray(np.linalg.eigvalsh(_at_points(jax.hessian(_plain(function)), points)).min())
    require_finite("the Hessian on this box", least)
    return float(least)


def holley_stroock(model: Model, convex: Callable | None, lower: float = 0.0, upper: float = 0.0) -> float:
    """λ = (κ₀/β) e^{−β(osc B + osc W)} for V = V₀ + B and a W of positive type; per time.

    It is a lower bound of the Polyak–Łojasiewicz constant, in D ≥ 2λ(F − F*). If ½∬W dμdμ is convex in μ (all Fourier
    coefficients of W ≥ 0, or no W), then with μ̂ ∝ e^{−β(V + W*μ)}

        F(μ) − F* ≤ β⁻¹ H(μ|μ̂),   D(μ) = β⁻² ∫|∇log(ρ/ρ̂)|² dμ,

    so that the log-Sobolev constant of every μ̂ is enough (Nitanda, Wu and Suzuki 2022; Chizat, arXiv 2202.01009). By
    Holley and Stroock it is κ₀e^{−β osc}, with κ₀ that of the reference: βa if D²V₀ ≥ a; on a torus, with V₀ = 0, that
    of the uniform measure, (2π/L)² for the longest side L.

    **Arguments:**

    - `model`: a gradient flow with a thermal noise of its own.
    - `convex`: V₀, a function of a point, shape (d,); None on a torus.
    - `lower`, `upper`: the box on R^d, length. D²V₀ and B = V − V₀ are examined on a grid of it. A torus needs none.

    **Returns:** λ.

    **Raises:** `ValueError` without noise, for a V₀ that is not convex, and for a W that is not known to be of positive
    type.

    **Source:** Holley and Stroock, J. Stat. Phys. 46 (1987).
    """
    require_model(model)
    require_gradient(model)
    require(math.isfinite(float(model.beta)), "a perturbed log-Sobolev inequality needs a noise.")
    space, beta = model.space, float(model.beta)
    kernel = None if model.interaction is None else model.interaction.kernel
    positive = kernel is None or (isinstance(kernel, FourierSeries) and bool(jnp.all(kernel.coefficients >= 0)))
    require(positive, "½∬W is not known to be convex: only series with coefficients ≥ 0, or no W, are of this kind.")
    if isinstance(space, Torus):
        require(convex is None, "on a torus the reference is the uniform measure: V₀ is None.")
        reference, box = (2 * math.pi / max(space.lengths)) ** 2, [(0.0, side) for side in space.lengths]
    else:
        require(convex is not None and lower < upper, "on R^d a convex V₀ and a box with lower < upper are needed.")
        least = _least_hessian(as_potential(convex, space), space.dim, lower, upper)
        require(least > 0, f"V₀ is not uniformly convex on this box: D²V₀ ≥ {least:.4g}.")
        reference, box = beta * least, [(lower, upper)] * space.dim
    bounded = lambda x: _value(model.confinement, x) - _value(convex, x)  # noqa: E731
    oscillation = _oscillation(bounded, box) + (0.0 if kernel is None else _oscillation(kernel, box))
    return reference / beta * math.exp(-beta * oscillation)


def _plain(function: Callable) -> Callable:
    """A plain function: JAX cannot hash a module that holds arrays."""
    return lambda x: function(x) + 0.0


def _at_points(function: Callable, points: Float[Array, "n d"]) -> np.ndarray:
    """The function of a point at many of them, compiled as one."""
    return np.asarray(jax.jit(jax.vmap(function))(points))


def _value(function: Callable | None, x):
    return jnp.zeros((), x.dtype) if function is None else function(x)


def _oscillation(function: Callable, box: list[tuple[float, float]]) -> float:
    axes = [np.linspace(*side, _POINTS[len(box)]) for side in box]
    points = jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(box)), float)
    return float(np.ptp(_at_points(_plain(function), points)))


def poincare_bounds(density: Density) -> tuple[float, float]:
    """Bounds of the Poincaré constant γ of a density on a box of the line, 1/4B ≤ γ ≤ 2/B; per length².

        B = max over the two sides of the median m of sup_{x > m} π([x, ∞)) ∫_m^x dy/π(y),   Muckenhoupt's criterion

    **Arguments:**

    - `density`: π, positive, on a box of the line.

    **Returns:** the lower and the upper bound.

    **Raises:** `ValueError` for another space, or a density that is not positive.

    **Source:** Muckenhoupt, Studia Math. 44 (1972); the constants, Miclo, Bull. Sci. Math. 123 (1999).
    """
    b = _criterion(density, lambda tail: tail)
    return 1 / (4 * b), 2 / b


def log_sobolev_bounds(density: Density) -> tuple[float, float]:
    """Bounds of the log-Sobolev constant κ of a density on a box of the line, 1/2B ≤ κ ≤ 2/b; per length².

    B is that of `poincare_bounds` with π([x, ∞)) log(1 + e²/π([x, ∞))) in the place of the tail π([x, ∞)), and b with
    π([x, ∞)) log(1 + 1/2π([x, ∞))): then b ≤ 2/κ ≤ 4B.

    **Arguments:**

    - `density`: π, positive, on a box of the line.

    **Returns:** the lower and the upper bound.

    **Raises:** `ValueError` for another space, or a density that is not positive.

    **Source:** Bobkov and Götze, J. Funct. Anal. 163 (1999); the constants, Barthe and Roberto, Studia Math. 159
    (2003).
    """
    above = _criterion(density, lambda tail: tail * np.log1p(math.e**2 / tail))
    below = _criterion(density, lambda tail: tail * np.log1p(0.5 / tail))
    return 1 / (2 * above), 2 / below


def _criterion(density: Density, weight: Callable) -> float:
    line = isinstance(density, Density) and isinstance(density.domain, Euclidean) and density.domain.dim == 1
    require(line, "these criteria are for a density on a box of the line.")
    pi, h = np.asarray(density.values, np.float64), density.grid.spacing[0]
    require(bool(np.all(pi > 0)), "these criteria need a positive density: take a smaller box.")
    return max(_one_side(pi, h, weight), _one_side(pi[::-1], h, weight))


def _one_side(pi: np.ndarray, h: float, weight: Callable) -> float:
    """sup over the right ends x of cells beyond the median, π constant on cells."""
    masses = pi * h / np.sum(pi * h)
    edges = np.concatenate([[0.0], np.cumsum(masses)])
    cell = int(np.searchsorted(edges, 0.5, side="right")) - 1
    part = (edges[cell + 1] - 0.5) / masses[cell]
    resistance = np.concatenate([[part], np.ones(pi.size - cell - 1)]) * h**2 / masses[cell:]
    # Summed from the end: 1 − F would lose the tail to rounding.
    tails = np.cumsum(masses[::-1])[::-1][cell + 1 :]
    return float(np.max(weight(tails) * np.cumsum(resistance)[: tails.size]))
