"""The equation of steady states, and Newton's method for it, without a matrix where there are many nodes.

A steady state of a gradient flow with temperature is a fixed point of the effective potential u = V + W_s*ρ,

    u = S(u),   S(u) = V + W_s*ρ(u),   ρ(u) = e^{−βu}/∫e^{−βu},

and S is smoothing: DS(u)h = −βW_s*(ρ(h − ⟨h⟩_ρ)), so that I − DS is the identity and a compact operator. Where V does
not depend on x_j, a moved state is a state, and ∂_ju is in the kernel of I − DS. Newton's equations are bordered: with
the orthonormal t_j that span the ∂_ju, (I − DS)δ + Σc_jt_j = −r and ⟨t_j, δ⟩ = 0, where all c_j are 0 at a solution.

With a drift b that need not be a gradient S is another map, that of `_currents`.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require, require_finite
from mckean.interactions.kernels import FourierSeries
from mckean.measures import Density
from mckean.models import Model, energy
from mckean.phases import _currents as currents
from mckean.phases import _law as law
from mckean.phases import _spheres as spheres
from mckean.spaces import AbstractGrid, AbstractSphericalGrid, FourierGrid, TangentBundle, calculus

# The most nodes for which a matrix is formed: its factors cost less than what solves without it.
DENSE = 128
_STEPS = 25
# A mode of W of this share of the largest one is not to be missed.
_COARSE = 0.01


def require_states(model: Model, grid: AbstractGrid) -> None:
    """**Raises** `ValueError` for a model whose states are not those of a potential on this grid, and says why."""
    require(
        isinstance(grid, AbstractGrid), f"steady states live on a grid such as Torus(1).grid(128), not on {grid!r}."
    )
    require(
        not isinstance(model.space, TangentBundle),
        "the steady states of a model with velocities are those of langevin(…), with normal velocities: find these.",
    )
    require(grid.space == model.space, f"the model lives on {model.space}, but the grid is one of {grid.space}.")
    require(len(grid.shape) <= 2, "steady states are found in dimensions 1 and 2.")
    require(
        jnp.result_type(float) == jnp.float64,
        "steady states are solved to more digits than single precision has: jax.config.update('jax_enable_x64', True).",
    )
    require(
        model.drift is None or (isinstance(grid, FourierGrid) and model.internal is None),
        "a drift b need not be a gradient: its steady states are those of a torus and a temperature; elsewhere write "
        "the force as a potential V or W where it is one.",
        see="A drift has steady states on a torus",
    )
    require(
        model.internal is None or model.noise is None,
        "steady states are those of a temperature or of an internal energy, not of both: leave one out.",
    )
    require(not model.common, "with a common noise the law given the environment has no steady state: leave it out.")
    if model.internal is None:
        require(
            model.noise is not None and np.isfinite(float(model.beta)), "without a temperature there is no e^{−βu}."
        )
    else:
        flat = not isinstance(grid, AbstractSphericalGrid)
        require(flat, "with an internal energy steady states are those of a torus or a box, not of a sphere.")
    if model.confinement is not None:
        require_finite("V at the nodes", jax.vmap(model.confinement)(grid.nodes))
    if isinstance(grid, AbstractSphericalGrid):
        spheres.require_zonal(model, grid)
    tail, shape = kernel_tail(model, grid)
    require(
        tail <= _COARSE,
        f"a grid of {grid.shape} nodes is too coarse for W: a mode that it does not have is {tail:.2g} of the largest; "
        f"take {shape} nodes or more.",
    )


def require_entropy(model: Model, what: str) -> None:
    """**Raises** `ValueError` for an internal energy, whose states are not smooth at the end of their support."""
    require(model.internal is None, f"{what} is for the entropy of a noise, not for an internal energy.")


def require_energy(model: Model, what: str) -> None:
    """**Raises** `ValueError` for a drift, with which F is no energy of the flow, and for an internal energy."""
    require(model.drift is None, f"{what} is one of a free energy, which a model with a drift b does not have.")
    require_entropy(model, what)


def kernel_tail(model: Model, grid: AbstractGrid) -> tuple[float, tuple[int, ...]]:
    """The largest |Ŵ(k)| of a mode that the grid of a torus or of a sphere does not have over the largest of all, and
    the shape of the coarsest grid that has all modes of weight."""
    if isinstance(grid, AbstractSphericalGrid):
        return spheres.kernel_tail(model, grid, _COARSE)
    flat = law.density(model, grid, jnp.zeros(grid.shape))
    series = None if model.interaction is None else model.interaction.between(flat)
    if not (isinstance(grid, FourierGrid) and isinstance(series, FourierSeries)):
        return 0.0, grid.shape
    modes, size = np.abs(np.asarray(series.modes)), np.abs(np.asarray(series.coefficients, np.float64))
    size = np.where(np.all(modes == 0, axis=1), 0.0, size)
    if not size.max() > 0:
        return 0.0, grid.shape
    beyond = np.any(2 * modes >= np.asarray(grid.shape), axis=1)
    heavy = modes[size > _COARSE * size.max()]
    return float(size[beyond].max(initial=0.0) / size.max()), tuple(int(k) for k in 2 * heavy.max(axis=0) + 1)


def uniform(grid: AbstractGrid) -> np.ndarray:
    """The uniform density, in the grid's shape."""
    flat = np.ones(grid.shape)
    return flat / np.sum(flat * grid.cell_volume)


def volumes(grid: AbstractGrid) -> np.ndarray:
    """What the nodes stand for, shape (size,)."""
    return np.broadcast_to(grid.cell_volume, grid.shape).ravel()


def image(model: Model, grid: AbstractGrid, u: Float[Array, "..."], axes: tuple[int, ...] = ()) -> Float[Array, "..."]:
    """S(u) = V + W_s*ρ(u); with a drift that of `_currents`, in the frame that moves along the axes."""
    if model.drift is not None:
        assert isinstance(grid, FourierGrid), "required before"
        return currents.image(model, grid, u, axes)
    return energy.potential(model, law.density(model, grid, u))


def potential(model: Model, rho: Density) -> Float[Array, "..."]:
    """An effective potential to start from, that of ρ where ρ is a state."""
    if model.drift is not None:
        return currents.effective_potential(model, rho)
    return energy.potential(model, rho).astype(float)


def symmetric_axes(model: Model, grid: AbstractGrid) -> tuple[int, ...]:
    """The axes along which a state may be moved: those of a torus on which V does not depend, and on a sphere those of
    the rotations that keep V."""
    if isinstance(grid, AbstractSphericalGrid):
        return spheres.symmetric_axes(model, grid)
    if not isinstance(grid, FourierGrid):
        return ()
    moving = tuple(range(len(grid.shape))) if model.drift is None else currents.symmetric_axes(model, grid)
    if model.confinement is None:
        return moving
    values = np.asarray(jax.vmap(model.confinement)(grid.nodes)).reshape(grid.shape)
    flat = 1e-12 * max(np.ptp(values), 1e-300)
    return tuple(i for i in moving if np.ptp(values, axis=i).max() <= flat)


@eqx.filter_jit
def tangents(grid: AbstractGrid, u: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, "k n"]:
    """Orthonormal vectors that span the ∂_ju, zero in the place of one that depends on those before it."""
    if not axes:
        return jnp.zeros((0, u.size), u.dtype)
    if isinstance(grid, AbstractSphericalGrid):
        slopes = spheres.slopes(grid, u)[np.asarray(axes)]
    else:
        assert isinstance(grid, FourierGrid), "a box has no symmetric axes"
        slopes = calculus.gradient(grid, u).T[np.asarray(axes)]
    least = 1e-7 * (jnp.max(jnp.abs(u - u.mean())) + 1e-12) * np.sqrt(u.size)
    found: list[Array] = []
    for slope in slopes:
        rest = slope - sum(((t @ slope) * t for t in found), jnp.zeros_like(slope))
        size = jnp.linalg.norm(rest)
        # A state that is nearly uniform has a slope of rounding.
        found.append(jnp.where(size > jnp.maximum(least, 1e-9), rest / jnp.where(size > 0, size, 1.0), 0.0))
    return jnp.stack(found)


def bordered(
    operator: Any, columns: Float[Array, "k n"], rows: Float[Array, "k n"], corner: Float[Array, "k k"], right
):
    """x and c with A x + Σc_jb_j = f and ⟨r_j, x⟩ + Σ_i corner_ji c_i = g_j.

    **Arguments:** `operator`: A, linear, on vectors; `right`: (f, g).
    """
    f, g = right
    n, k = f.size, len(columns)
    if n <= DENSE:
        matrix = jax.vmap(operator, out_axes=1)(jnp.eye(n, dtype=f.dtype))
        whole = jnp.block([[matrix, columns.T], [rows, corner]]) if k else matrix
        x = jnp.linalg.solve(whole, jnp.concatenate([f, g]))
        return x[:n], x[n:]

    def act(x):
        y, c = x
        return operator(y) + c @ columns, rows @ y + corner @ c

    return jax.scipy.sparse.linalg.gmres(
        act, (f, g), tol=1e-13, atol=0.0, restart=60, maxiter=6, solve_method="incremental"
    )[0]


def keep(residual: Array, log_density: Array, delta: Array) -> Array:
    """A step, or none where the residual is rounding: near a branch point a singular matrix would magnify that."""
    rounding = 64 * jnp.finfo(delta.dtype).eps * (1 + jnp.max(jnp.abs(log_density)))
    return jnp.where(residual > rounding, delta, 0.0)


def empty_rows(rows: Float[Array, "k n"]) -> Float[Array, "k k"]:
    """1 on the diagonal where a row is zero, so that its c is 0 and the bordered matrix is regular."""
    return jnp.diag(jnp.where(jnp.sum(rows**2, axis=1) > 0, 0.0, 1.0).astype(rows.dtype))


@eqx.filter_jit
def residual(model: Model, grid: AbstractGrid, u: Float[Array, "..."], axes: tuple[int, ...] = ()) -> Float[Array, ""]:
    """β max|u − S(u)|, the error of log ρ; with an internal energy in units of U′(max ρ)."""
    return law.stiffness(model, grid, u) * jnp.max(jnp.abs(u - image(model, grid, u, axes)))


@eqx.filter_jit
def newton(model: Model, grid: AbstractGrid, u: Float[Array, "..."], axes: tuple[int, ...], known: Any = None):
    """Newton's method from u: the last u and its residual.

    `known`: the Fourier moduli of states that are known, which it is kept away from by deflation (Farrell, Birkisson
    and Funke, SIAM J. Sci. Comput. 37, 2015): the step δ is taken 1/(1 − M′δ/M) times, M = Π_k(1 + 1/η_k), where η_k is
    the squared distance of the moduli, which no translation and no reflection changes.
    """
    shape = u.shape

    def step(state):
        u, before, _, count = state
        value, linear = jax.linearize(lambda v: image(model, grid, v.reshape(shape), axes).ravel(), u)
        t = tangents(grid, u.reshape(shape), axes)
        off = value - u
        delta = bordered(lambda h: h - linear(h), t, t, empty_rows(t), (off, jnp.zeros(len(t), u.dtype)))[0]
        if known is not None:
            log_m, rate = jax.jvp(lambda v: _repulsion(model, grid, v.reshape(shape), known), (u,), (delta,))
            del log_m
            scale = 1 / (1 - rate)
            delta = delta * jnp.clip(jnp.where(jnp.isfinite(scale), scale, 1.0), -5.0, 5.0)
        # A step larger than the potential itself is no step of Newton's.
        reach = jnp.max(jnp.abs(delta))
        beta = law.stiffness(model, grid, u.reshape(shape))
        most = 2 * (jnp.max(jnp.abs(u - u.mean())) + 1 / beta)
        now = beta * jnp.max(jnp.abs(off))
        length = jnp.minimum(1.0, most / jnp.maximum(reach, jnp.finfo(u.dtype).tiny))
        return u + keep(now, beta * u, length * delta), now, before, count + 1

    def go_on(state):
        _, now, before, count = state
        # At the level of rounding the residual falls no further.
        return (count < _STEPS) & ((now > 1e-9) | (now < 0.25 * before)) & jnp.isfinite(now)

    big = jnp.asarray(jnp.finfo(u.dtype).max, u.dtype)
    start = (u.ravel(), big / 10, big, 0)
    end = jax.lax.while_loop(go_on, step, start)[0].reshape(shape)
    return end, residual(model, grid, end, axes)


def moduli(grid: AbstractGrid, rho: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, " m"]:
    """What no translation along the axes and no reflection changes, |ρ̂_k|², and for all rotations of S² their sum over
    each degree; without axes, ρ itself."""
    if not axes:
        weights = volumes(grid) * np.sum(volumes(grid))
        return rho.ravel() * jnp.asarray(np.sqrt(weights), rho.dtype)
    if isinstance(grid, AbstractSphericalGrid):
        return spheres.moduli(grid, rho, axes)
    coefficients = jnp.fft.rfftn(rho) * grid.cell_volume
    return (jnp.abs(coefficients) ** 2).ravel()


def _repulsion(model: Model, grid: AbstractGrid, u: Array, known: tuple[Array, tuple[int, ...]]) -> Array:
    """log M."""
    others, axes = known
    own = moduli(grid, law.density(model, grid, u).values, axes)
    return jnp.sum(jnp.log1p(1 / jnp.sum((own - others) ** 2, axis=1)))


@eqx.filter_jit
def descend(model: Model, grid: AbstractGrid, u: Float[Array, "..."], most: int):
    """Picard's iteration u + a(S(u) − u), a halved until F falls, which it does for a small a:

    dF = −aβ Var_ρ(S(u) − u), and with an internal energy w in the place of βρ.
    """

    def value(u):
        return energy.free_energy(model, law.density(model, grid, u))

    def step(state):
        u, f, a, count, _ = state
        off = image(model, grid, u) - u

        def shorter(trial):
            a, _, _ = trial
            a = a / 2
            return a, u + a * off, value(u + a * off)

        a = jnp.minimum(1.0, 2 * a)
        rounding = 1e-13 * (jnp.abs(f) + 1)
        trial = jax.lax.while_loop(
            lambda t: (t[2] > f + rounding) & (t[0] > 1e-6), shorter, (a, u + a * off, value(u + a * off))
        )
        return trial[1], trial[2], trial[0], count + 1, law.stiffness(model, grid, u) * jnp.max(jnp.abs(off))

    go_on = lambda s: (s[3] < most) & (s[4] > 1e-3)  # noqa: E731
    return jax.lax.while_loop(go_on, step, (u, value(u), jnp.ones((), u.dtype), 0, jnp.asarray(jnp.inf, u.dtype)))[0]
