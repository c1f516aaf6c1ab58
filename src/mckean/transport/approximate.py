"""Distances beyond the exact ones: Sinkhorn's divergence, and averages over lines. Each says how far it may be off."""

import functools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from mckean.checks import require, require_key, traced
from mckean.measures import AbstractMeasure, Density, Particles
from mckean.spaces import AbstractGrid, AbstractSpace, AbstractSphericalGrid, Euclidean, FourierGrid, Torus, ZonalGrid
from mckean.statistics import Estimate
from mckean.transport.bounds import sharp_bounds, soft_upper
from mckean.transport.line import on_line
from mckean.transport.quantiles import quantiles

_ITERATIONS = 5000
# Clouds beyond this have their costs computed as they are used, this many rows at a time.
_BATCH = 2048
# The potential of an atom without mass, where no other goes; times 0 it is 0.
_FAR = -1e30


@dataclass(frozen=True)
class Approximation:
    """A distance with an estimate of its bias, in the unit of the coordinates.

    **Attributes:**

    - `value`: the distance.
    - `error`: a bias, or a bound of it.
    """

    value: float
    error: float

    def __float__(self) -> float:
        return self.value


def sinkhorn(mu: AbstractMeasure, nu: AbstractMeasure, epsilon: float | None = None) -> Approximation:
    """Sinkhorn's divergence √S_ε(μ, ν), which tends to W_2(μ, ν) as ε → 0, on any space and in any dimension.

        S_ε(μ, ν) = T_ε(μ, ν) − ½T_ε(μ, μ) − ½T_ε(ν, ν),   T_ε = min over couplings of ∫d² dπ + ε H(π | μ⊗ν).

    S_ε ≥ 0, and it is zero only for μ = ν. For smooth densities S_ε = W_2² + O(ε²): between two on one grid of n nodes
    the error is estimated as |S_{2ε} − S_ε|/3, carried over to the root. An iteration costs n^{1+1/d}.

    Clouds follow no such law. Their potentials bound W_2 from below, their couplings from above.
    The error is the distance to the further bound: W_2 is no further off, but for rounding, and mostly much nearer. An
    iteration costs n². Other densities are taken as atoms at their nodes.

    **Arguments:**

    - `mu`, `nu`: particles or densities on one space, where d is the geodesic distance. A density on a sphere counts as
      its nodes with their masses.
    - `epsilon`: ε > 0, length². Default: a twentieth of the mean d² between the two.

    **Returns:** an `Approximation`; its `error` is an estimate of the bias between densities on one grid, and a
    bound of it else.

    **Raises:** `ValueError` for ε ≤ 0, different spaces, other measures, and under a JAX transformation;
    `RuntimeError`, with the residual and the iterations, if the iteration does not converge.

    **Source:** Feydy et al., AISTATS 2019; Chizat et al., NeurIPS 2020, for the bias; computed by OTT-JAX.
    """
    _check(mu, nu)
    require(epsilon is None or 0 < epsilon < math.inf, f"the regularisation must be positive, not {epsilon!r}.")
    if epsilon is None:
        epsilon = _mean_cost(mu, nu) / 20
    if epsilon == 0.0:
        return Approximation(0.0, 0.0)
    solve = _solver(mu, nu)
    square, bounds = solve(epsilon)
    near = math.sqrt(square)
    if bounds is None:
        return Approximation(near, abs(math.sqrt(solve(2 * epsilon)[0]) - near) / 3)
    low, high = (math.sqrt(max(bound, 0.0)) for bound in bounds)
    return Approximation(near, max(near - low, high - near))


def sliced(
    mu: AbstractMeasure, nu: AbstractMeasure, key: PRNGKeyArray, p: float | int = 2, directions: int = 256
) -> Estimate:
    """The sliced distance SW_p = (E_θ W_p^p(θ♯μ, θ♯ν))^{1/p}, θ uniform on the unit sphere, for clouds of any size.

    It metrises the same convergence as W_p, and SW_2 ≤ W_2/√d. Each W_p on a line is exact; the error is that of the
    mean over directions. Densities are taken as atoms at their nodes.

    **Arguments:**

    - `mu`, `nu`: particles or densities on R^d.
    - `key`: a JAX key, for the directions.
    - `p`: any real number ≥ 1. Default: 2.
    - `directions`: the number of θ, at least 2. Default: 256.

    **Returns:** an `Estimate`.

    **Raises:** `ValueError` for measures on another space or of another form, p < 1, fewer than two directions, and
    under a JAX transformation.

    **Source:** Bonneel, Rabin, Peyré and Pfister, J. Math. Imaging Vis. 51 (2015).
    """
    _check(mu, nu)
    require(isinstance(mu.domain, Euclidean), f"lines for slices are those of R^d, but these are on {mu.domain}.")
    require(1 <= p < math.inf, f"the order p of a distance must be finite and at least 1, but {p!r} was given.")
    require(directions >= 2, f"an average over directions needs two of them, but {directions} were asked for.")
    (x, a), (y, b) = (_atoms(measure) for measure in (mu, nu))
    require_key(key)
    theta = np.asarray(jax.random.normal(key, (directions, mu.domain.dim), jnp.result_type(float)), np.float64)
    theta = theta / np.linalg.norm(theta, axis=1, keepdims=True)
    shadow = lambda z, weights: quantiles(Particles(Euclidean(1), z[:, None], weights))  # noqa: E731
    powers = np.array([on_line(shadow(x @ t, a), shadow(y @ t, b), p) ** p for t in theta])
    mean, spread = float(powers.mean()), float(powers.std(ddof=1)) / math.sqrt(directions)
    stderr = spread * mean ** (1 / p - 1) / p if mean > 0 else 0.0
    return Estimate(mean ** (1 / p), stderr, directions - 1)


def _check(mu: AbstractMeasure, nu: AbstractMeasure) -> None:
    require(not traced((mu, nu)), "a distance is computed on the host: call it outside jit, grad and vmap.")
    require(mu.domain == nu.domain, f"a distance needs one space, but these are on {mu.domain}, {nu.domain}.")
    for measure in (mu, nu):
        require(
            isinstance(measure, Particles | Density),
            f"this distance is between particles and densities, not a {type(measure).__name__}: sample it, or put it "
            "on a grid with Density.from_law.",
        )


def _atoms(mu: AbstractMeasure) -> tuple[np.ndarray, np.ndarray | None]:
    """Positions, and weights or None."""
    if isinstance(mu, Particles):
        return np.asarray(mu.positions, np.float64), None if mu.weights is None else np.asarray(mu.weights, np.float64)
    assert isinstance(mu, Density)
    require(
        not isinstance(mu.grid, ZonalGrid),
        "the nodes of a zonal density are no points: sample it, or take the grid of S².",
    )
    weights = np.maximum(np.asarray(mu.values, np.float64) * mu.grid.cell_volume, 0).ravel()
    positive = weights > 0
    return np.asarray(mu.grid.nodes, np.float64)[positive], weights[positive] / weights.sum()


def _mean_cost(mu: AbstractMeasure, nu: AbstractMeasure) -> float:
    """The mean of d² over up to 512 atoms of each, taken evenly, by their weights."""
    (x, a), (y, b) = (_atoms(measure) for measure in (mu, nu))
    (x, a), (y, b) = (_thin(*pair) for pair in ((x, a), (y, b)))
    square = mu.domain.distance(jnp.asarray(x)[:, None], jnp.asarray(y)[None]) ** 2
    return float(a @ np.asarray(square, np.float64) @ b)


def _thin(x: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    step = -(-len(x) // 512)
    weights = np.ones(len(x)) if weights is None else weights
    kept = weights[::step]
    return x[::step], kept / kept.sum()


def _solver(mu: AbstractMeasure, nu: AbstractMeasure) -> Callable[[float], tuple[float, tuple | None]]:
    """S_ε of ε, rounding below zero cut off, and bounds of W_2² between clouds."""
    # Along the axes of a box or a torus d² is a sum, and its kernel a product.
    if (
        isinstance(mu, Density)
        and isinstance(nu, Density)
        and mu.grid == nu.grid
        and not isinstance(mu.grid, AbstractSphericalGrid)
    ):
        where, (a, b) = mu.grid, (np.maximum(np.asarray(m.values, np.float64).ravel(), 0) for m in (mu, nu))
        points = tuple(jnp.asarray(axis, float) for axis in mu.grid.axes)
    else:
        (x, a), (y, b) = (_atoms(measure) for measure in (mu, nu))
        a, b = (np.ones(len(z)) if w is None else w for z, w in ((x, a), (y, b)))
        where, points = mu.domain, (jnp.asarray(x), jnp.asarray(y))
    tolerance = 1e-7 if jnp.result_type(float) == jnp.float64 else 1e-4
    run = _program(where, max(map(len, points)) > _BATCH, tolerance, _ITERATIONS)
    weights = jnp.asarray(a / a.sum()), jnp.asarray(b / b.sum())

    def solve(epsilon: float):
        value, bounds, converged, steps, errors = run(points, weights, epsilon)
        if not all(converged):
            residual = max(float(e[e >= 0][-1]) for e in map(np.asarray, errors))
            raise RuntimeError(
                f"Sinkhorn's iteration did not converge: the marginals are off by {residual:.3g} after "
                f"{max(map(int, steps))} iterations; take a larger epsilon than {epsilon:.3g}."
            )
        return max(float(value), 0.0), None if bounds is None else tuple(map(float, bounds))

    return solve


@functools.lru_cache(maxsize=16)
def _program(where: AbstractGrid | AbstractSpace, large: bool, tolerance: float, iterations: int) -> Callable:
    """S_ε of points, weights and ε; bounds of W_2²; of its three problems whether they converged, their iterations and
    histories of residuals."""
    with warnings.catch_warnings():
        # A part of it that is not used here says that it is no longer kept.
        warnings.simplefilter("ignore", DeprecationWarning)
        from ott.geometry import grid, pointcloud
        from ott.tools.sinkhorn_divergence import sinkhorn_divergence

    solve = {"threshold": tolerance, "max_iterations": iterations}
    if isinstance(where, AbstractGrid):
        lines = [Torus(1, L) if isinstance(where, FourierGrid) else Euclidean(1) for L in where.sides]
        options: dict[str, Any] = {"cost_fns": [_square_cost(line) for line in lines]}
    else:
        options = {"cost_fn": _square_cost(where), "batch_size": _BATCH if large else None}

    @jax.jit
    def run(points, weights, epsilon):
        kind, arguments = grid.Grid, (list(points),)
        if not isinstance(where, AbstractGrid):
            kind, arguments = pointcloud.PointCloud, points
        a, b = weights
        value, out = sinkhorn_divergence(kind, *arguments, a=a, b=b, epsilon=epsilon, solve_kwargs=solve, **options)
        bounds = None
        if not isinstance(where, AbstractGrid):
            (_, g), _, (_, own) = out.potentials
            bounds = _bounds(where, points, weights, g, own, epsilon)
        return value, bounds, out.converged, out.n_iters, out.errors

    return run


def _bounds(space: AbstractSpace, points, weights, g, own, epsilon) -> tuple[Array, Array]:
    """The better ones of the potential g, of its smooth form g − ε log b, and of that less ν's own, its bias."""
    known = weights[1] > 0
    smooth = jnp.where(known, g - epsilon * jnp.log(jnp.where(known, weights[1], 1)), _FAR)
    pairs = [sharp_bounds(space, points, weights, v) for v in (smooth, jnp.where(known, g - own, _FAR))]
    lower = jnp.maximum(pairs[0][0], pairs[1][0])
    upper = jnp.minimum(jnp.minimum(pairs[0][1], pairs[1][1]), soft_upper(space, points, weights, g, epsilon))
    return lower, upper


def _square_cost(space: AbstractSpace):
    """d² as OTT-JAX takes a cost."""
    from ott.geometry import costs

    if isinstance(space, Euclidean):
        return costs.SqEuclidean()

    @jax.tree_util.register_static
    class SquaredDistance(costs.CostFn):
        def __call__(self, x, y):
            return jnp.sum(space.displacement(x, y) ** 2)

    return SquaredDistance()
