"""The equation of steady states at one pair of parameters, with W as a matrix, so that many pairs make one program.

As u = S(u) = V + W_s*ρ(u) with ρ(u) = e^{−βu}/∫e^{−βu}, and C_ij = W_s(x_i, x_j) at the nodes, Newton's matrix is

    I − DS = I + β(C diag p − Cp⊗p),   p = ρ·(volume of a cell).

On a torus it has the translations t_j of a state in its kernel, and t_j⊗t_j is added: at a solution that moves nothing,
since F, which does not change along t_j, has no slope there.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mckean.measures import Density
from mckean.models import Model, energy
from mckean.phases import _equation as equation
from mckean.phases import _spheres as spheres
from mckean.spaces import AbstractGrid, FourierGrid, ZonalGrid

_STEPS = 12


class Cell(eqx.Module):
    """β, V and C at the n nodes of a grid, and the logarithms of the volumes of its cells."""

    beta: Float[Array, ""]
    own: Float[Array, " n"]
    pairs: Float[Array, "n n"]
    log_volume: Float[Array, " n"]

    def shares(self, u: Float[Array, " n"]) -> Float[Array, " n"]:
        """The mass of each node, p ∝ e^{−βu}."""
        return jax.nn.softmax(self.log_volume - self.beta * u)

    def potential(self, p: Float[Array, " n"]) -> Float[Array, " n"]:
        """V + W_s*ρ."""
        return self.own + self.pairs @ p

    def image(self, u: Float[Array, " n"]) -> Float[Array, " n"]:
        """S(u)."""
        return self.potential(self.shares(u))

    def residual(self, u: Float[Array, " n"]) -> Float[Array, ""]:
        """The error of log ρ."""
        return self.beta * jnp.max(jnp.abs(u - self.image(u)))

    def free_energy(self, u: Float[Array, " n"]) -> Float[Array, ""]:
        """F(ρ(u)), energy per particle."""
        p = self.shares(u)
        entropy = jnp.sum(jax.scipy.special.xlogy(p, p)) - p @ self.log_volume
        return 0.5 * p @ (self.own + self.potential(p)) + entropy / self.beta

    def slope(self, u: Float[Array, " n"]) -> Float[Array, "n n"]:
        """I − DS."""
        p = self.shares(u)
        columns = self.pairs * p
        return jnp.eye(u.size, dtype=u.dtype) + self.beta * (columns - jnp.outer(jnp.sum(columns, axis=1), p))


def cell(model: Model, grid: AbstractGrid) -> Cell:
    """The equation of a model on a grid: the energies are affine in ρ of mass 1, so that C is their derivative there.

    What a change of the mass itself would do is free, and chosen such that Cp is W_s*ρ, which F needs alone.
    """
    flat, volumes = jnp.asarray(equation.uniform(grid)), equation.volumes(grid)
    value, linear = jax.linearize(lambda values: energy.potential(model, Density(grid, values)).ravel(), flat)
    eye = jnp.eye(grid.size, dtype=flat.dtype).reshape(grid.size, *grid.shape)
    pairs = jax.vmap(linear, out_axes=1)(eye)
    own = jnp.zeros_like(value) if model.confinement is None else jax.vmap(model.confinement)(grid.nodes)
    off = value - own - pairs @ flat.ravel()
    return Cell(jnp.asarray(model.beta, flat.dtype), own, pairs / volumes + off[:, None], jnp.log(jnp.asarray(volumes)))


# One matrix after the other: two threads that factor batches of matrices of 64 rows or more at once wait for each other
# for ever (jaxlib 0.10.1), as chapters of the talk would that run side by side.
solve = jax.custom_batching.sequential_vmap(jnp.linalg.solve)
_cholesky = jax.custom_batching.sequential_vmap(jnp.linalg.cholesky)


@jax.custom_batching.sequential_vmap
def _solve_where(wanted: Bool[Array, ""], matrix: Array, right: Array) -> Array:
    # Systems side by side go on until the last has converged: the others are not factored again.
    return jax.lax.cond(wanted, lambda: jnp.linalg.solve(matrix, right), lambda: jnp.zeros_like(right))


def _translations(grid: AbstractGrid, u: Float[Array, " n"], axes: tuple[int, ...]) -> Float[Array, "k n"]:
    return equation.tangents(grid, u.reshape(grid.shape), axes)


def newton(at: Cell, grid: AbstractGrid, u: Float[Array, " n"], axes: tuple[int, ...]) -> Float[Array, " n"]:
    """Newton's method from u, with steps no larger than the potential itself."""

    def step(state):
        u, now, _, count = state
        off, t = at.image(u) - u, _translations(grid, u, axes)
        delta = _solve_where(go_on(state), at.slope(u) + t.T @ t, off)
        most = 2 * (jnp.max(jnp.abs(u - u.mean())) + 1 / at.beta)
        length = jnp.minimum(1.0, most / jnp.maximum(jnp.max(jnp.abs(delta)), jnp.finfo(u.dtype).tiny))
        u = u + equation.keep(at.beta * jnp.max(jnp.abs(off)), at.beta * u, length * delta)
        return u, at.residual(u), now, count + 1

    def go_on(state):
        _, now, before, count = state
        return (count < _STEPS) & ((now > 1e-9) | (now < 0.25 * before)) & jnp.isfinite(now)

    first = at.residual(u)
    return jax.lax.while_loop(go_on, step, (u, first, 16 * first + 1.0, 0))[0]


def descend(at: Cell, u: Float[Array, " n"], most: int) -> Float[Array, " n"]:
    """Picard's iteration u + a(S(u) − u); a step at which F does not fall is not taken, and a is halved."""

    def step(_, state):
        u, f, a = state
        there = u + a * (at.image(u) - u)
        new = at.free_energy(there)
        falls = new <= f + 1e-13 * (jnp.abs(f) + 1)
        u, f = jnp.where(falls, there, u), jnp.where(falls, new, f)
        return u, f, jnp.where(falls, jnp.minimum(1.0, 2 * a), a / 2)

    return jax.lax.fori_loop(0, most, step, (u, at.free_energy(u), jnp.ones((), u.dtype)))[0]


def hessian(at: Cell, grid: AbstractGrid, u: Float[Array, " n"], axes: tuple[int, ...]) -> Float[Array, "n n"]:
    """The Hessian of βF, 1 + β√p C√p, with 1 along √p and along the
    translations of the state."""
    root = jnp.sqrt(at.shares(u))
    basis = [root]
    for row in _translations(grid, u, axes) * root:
        rest = row - sum(((b @ row) * b for b in basis), jnp.zeros_like(row))
        size = jnp.linalg.norm(rest)
        basis.append(jnp.where(size > 1e-10, rest / jnp.where(size > 0, size, 1.0), 0.0))
    q = jnp.stack(basis, axis=1)
    matrix = jnp.eye(u.size, dtype=u.dtype) + at.beta * root[:, None] * at.pairs * root
    off = jnp.eye(u.size, dtype=u.dtype) - q @ q.T
    whole = off @ matrix @ off + q @ q.T
    return 0.5 * (whole + whole.T)


def stable(at: Cell, grid: AbstractGrid, u: Float[Array, " n"], axes: tuple[int, ...], zero: float) -> Bool[Array, ""]:
    """Whether no curvature is negative: whether Cholesky's factors exist."""
    matrix = hessian(at, grid, u, axes) + zero * jnp.eye(u.size, dtype=u.dtype)
    return jnp.all(jnp.isfinite(_cholesky(matrix)))


def order(grid: AbstractGrid, p: Float[Array, " n"]) -> Float[Array, ""]:
    """The largest modulus of a Fourier mode on a torus, and of a zonal mean on a sphere; on a box, the length of the
    mean."""
    if isinstance(grid, ZonalGrid):
        return jnp.abs(spheres.order(Density(grid, p / jnp.asarray(grid.cell_volume))))
    if isinstance(grid, FourierGrid):
        return jnp.max(jnp.abs(jnp.fft.rfftn(p.reshape(grid.shape))).ravel()[1:])
    return jnp.linalg.norm(p @ jnp.asarray(grid.nodes, p.dtype))


def start(at: Cell, law: Any) -> Float[Array, " n"]:
    """The effective potential that a density makes."""
    return at.potential(law.values.ravel() * jnp.exp(at.log_volume))
