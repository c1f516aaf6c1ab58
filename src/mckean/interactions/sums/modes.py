"""Fourier sums on the torus.

With z_k = ∫e^{−iq_k·y} dμ = C_k − iS_k and W_s(x) = Σ_k a_k cos(q_k·x),

    W_s*μ(x) = Σ_k a_k (C_k cos q_k·x + S_k sin q_k·x),   −∇W_s*μ(x) = Σ_k a_k q_k (C_k sin q_k·x − S_k cos q_k·x).

A measure is analysed into its modes once; the field is then synthesised at points or, by one FFT, on a grid.
"""

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Complex, Float, Int

from mckean import collectives
from mckean.faults import Status, sound
from mckean.interactions import costs
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.sums.sum import AbstractSum, Points
from mckean.interactions.trig import cos_sin_turns
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of, mesh_of
from mckean.spaces import AbstractGrid, FourierGrid, Torus, calculus

# Up to so many modes one fused pass over the particles beats blocks that stay in cache.
_FUSED = 4
_BLOCK = 4096


def _cos_sin(x: Float[Array, "n d"], series: FourierSeries) -> tuple[list[Array], list[Array]]:
    """cos and sin of q_k·x, a list over modes of arrays of shape (n,)."""
    turns = x * jnp.asarray(1 / np.asarray(series.sides), x.dtype)
    pairs = []
    for mode in series.modes:
        phase = sum(float(k) * turns[:, i] if k != 1 else turns[:, i] for i, k in enumerate(mode) if k)
        pairs.append(cos_sin_turns(phase + jnp.zeros(x.shape[:1], x.dtype)))
    return [c for c, _ in pairs], [s for _, s in pairs]


def _cos_sin_block(x: Float[Array, "n d"], series: FourierSeries) -> tuple[Float[Array, "n m"], Float[Array, "n m"]]:
    turns = x * jnp.asarray(1 / np.asarray(series.sides), x.dtype)
    modes = np.asarray(series.modes, float)
    phase = sum(turns[:, i, None] * jnp.asarray(modes[:, i], x.dtype) for i in range(x.shape[1]))
    return cos_sin_turns(phase)


def _in_blocks(function, arrays: tuple[Array, ...], reduce: bool):
    """`function` over blocks of rows, summed or concatenated; rows are padded with zeros."""
    n = arrays[0].shape[0]
    block = min(_BLOCK, n)
    tiles = tuple(
        jnp.pad(a, [(0, -n % block)] + [(0, 0)] * (a.ndim - 1)).reshape(-1, block, *a.shape[1:]) for a in arrays
    )
    if not reduce:
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:n], jax.lax.map(lambda t: function(*t), tiles))
    shapes = jax.eval_shape(function, *(a[0] for a in tiles))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    add = lambda total, tile: (jax.tree.map(jnp.add, total, function(*tile)), None)  # noqa: E731
    return jax.lax.scan(add, zeros, tiles)[0]


def analyse(mu: AbstractMeasure, series: FourierSeries) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """(C, S): the cosine and sine moments ∫cos(q_k·y)dμ and ∫sin(q_k·y)dμ of the series' modes."""
    if not isinstance(mu.domain, Torus) or mu.domain.lengths != series.sides:
        raise ValueError(
            f"a Fourier series on a torus of sides {series.sides} does not act for a measure on {mu.domain}."
        )
    if isinstance(mu, Density):
        z = density_modes(mu, series.modes)
        return z.real, -z.imag
    if not isinstance(mu, Particles):
        raise ValueError(f"a kernel on the torus acts for particles and densities, not for {type(mu).__name__}.")
    if mu.mesh is not None:
        return _analyse_spread(mu, series)
    if len(series.modes) <= _FUSED:
        c, s = _cos_sin(mu.positions, series)
        return jnp.stack([mu.mean(v) for v in c]), jnp.stack([mu.mean(v) for v in s])
    n = mu.n
    weights = jnp.full(n, 1 / n, mu.positions.dtype) if mu.weights is None else mu.weights
    block = lambda x, w: tuple(w @ v for v in _cos_sin_block(x, series))  # noqa: E731
    return _in_blocks(block, (mu.positions, weights), reduce=True)


def _analyse_spread(mu: Particles, series: FourierSeries) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """The moments of particles that are spread over devices, by one all-reduce."""
    few = len(series.modes) <= _FUSED

    def block(x, *weights):
        w = weights[0] if weights else jnp.ones(x.shape[:1], x.dtype)
        if few:
            return jnp.stack([jnp.stack([jnp.sum(w * v) for v in part]) for part in _cos_sin(x, series)])
        one = lambda x, w: jnp.stack([w @ v for v in _cos_sin_block(x, series)])  # noqa: E731
        return _in_blocks(one, (x, w), reduce=True)

    rows = (mu.positions,) if mu.weights is None else (mu.positions, mu.weights)
    assert mu.mesh is not None, "spread"
    c, s = collectives.total(block, mu.mesh, *rows, side_by_side=few)
    return (c / mu.n, s / mu.n) if mu.weights is None else (c, s)


class Modes(AbstractSum):
    """Σ_k a_k q_k (C_k sin q_k·x − S_k cos q_k·x), with the moments of μ: exact to rounding, O(n m) for m modes."""

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(kernel, FourierSeries):
            return "needs the Fourier series of the kernel on a torus"
        return (
            None
            if isinstance(mu, Particles | Density)
            else f"serves particles and densities, not a {type(mu).__name__}"
        )

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "Modes":
        return self

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        return sound(dtype_of(mu))

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        assert isinstance(kernel, FourierSeries), "refused before"
        return potential(mu, kernel, points)

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        assert isinstance(kernel, FourierSeries), "refused before"
        return force(mu, kernel, points)


def work(points: int, modes: int) -> costs.Work:
    """What a force at so many points consists of."""
    return {costs.MODE: points * modes, costs.MODES_CALL: 1}


def density_modes(mu: Density, modes) -> Complex[Array, " m"]:
    """∫ρe^{−iq_k·x}dx; a mode that the grid does not resolve counts as zero."""
    k = np.asarray(modes).reshape(len(modes), -1)
    return calculus.coefficients(cast(FourierGrid, mu.grid), mu.values, k) * mu.grid.cell_volume


def potential(mu: AbstractMeasure, series: FourierSeries, points) -> Float[Array, " m"]:
    """W_s*μ at points of shape (m, d), or on the nodes of a Fourier grid."""
    c, s = analyse(mu, series)
    if isinstance(points, FourierGrid) and _resolves(points, series, mu):
        return calculus.waves(points, _modes(series), series.coefficients.astype(c.dtype) * (c - 1j * s))
    points = points.nodes.astype(c.dtype) if isinstance(points, AbstractGrid) else points
    a = series.coefficients.astype(c.dtype)
    return synthesise(points, series, a * c, a * s, mesh_of(mu))


def force(mu: AbstractMeasure, series: FourierSeries, points) -> Float[Array, "m d"]:
    """−∇W_s*μ at points of shape (m, d), or on the nodes of a Fourier grid."""
    c, s = analyse(mu, series)
    q = series.wavenumbers
    if isinstance(points, FourierGrid) and _resolves(points, series, mu):
        field = series.coefficients.astype(c.dtype) * (c - 1j * s)
        parts = [jnp.asarray(multiplier, field.dtype) * field for multiplier in -1j * q.T]
        return jnp.stack([calculus.waves(points, _modes(series), part) for part in parts], axis=-1)
    points = points.nodes.astype(c.dtype) if isinstance(points, AbstractGrid) else points
    a = series.coefficients.astype(c.dtype)
    columns = [jnp.asarray(q[:, i], c.dtype) * a for i in range(q.shape[1])]
    if len(series.modes) <= _FUSED:
        return jnp.stack([synthesise(points, series, -w * s, w * c, mesh_of(mu)) for w in columns], axis=-1)
    cosine, sine = jnp.stack([-w * s for w in columns], axis=-1), jnp.stack([w * c for w in columns], axis=-1)
    return synthesise(points, series, cosine, sine, mesh_of(mu))


def synthesise(x: Float[Array, "n d"], series: FourierSeries, cosine, sine, mesh: Mesh | None) -> Array:
    """Σ_k cosine_k cos(q_k·x) + sine_k sin(q_k·x); coefficients of shape (m,) or (m, d)."""
    cosine, sine = cosine.astype(x.dtype), sine.astype(x.dtype)
    if len(series.modes) <= _FUSED and cosine.ndim == 1:
        c, s = _cos_sin(x, series)
        return sum(cosine[k] * c[k] + sine[k] * s[k] for k in range(len(c))) + jnp.zeros(x.shape[:1], x.dtype)

    def block(rows):
        c, s = _cos_sin_block(rows, series)
        return c @ cosine + s @ sine

    return collectives.row_by_row(lambda rows: _in_blocks(block, (rows,), reduce=False), mesh, x)


def _resolves(grid: FourierGrid, series: FourierSeries, mu: AbstractMeasure) -> bool:
    """Whether the field on the nodes is the FFT of its modes: a density brings no mode beyond its own grid's."""
    modes = np.abs(_modes(series))
    if isinstance(mu, Density):
        modes = modes[np.all(2 * modes < np.asarray(mu.grid.shape), axis=1)]
    return bool(np.all(2 * modes < np.asarray(grid.shape)))


def _modes(series: FourierSeries) -> Int[np.ndarray, "m d"]:
    return np.asarray(series.modes).reshape(len(series.modes), -1)
