"""The Hessian of the free energy at a steady state, and how a state is stable.

On h = δρ with ∫h = 0 the second variation of βF is ∫h²/ρ + β∬hW_sh. In g = h/√ρ this is ⟨g, (1 + C)g⟩, C = β√ρW_s√ρ, on
what is orthogonal to √ρ: the identity and a compact operator. As the flow is −M(1/ρ + βW_s)h/β with a positive M, the
number of negative eigenvalues of 1 + C there is the number of unstable directions (Sylvester's law of inertia).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.measures import Density
from mckean.models import Model, energy
from mckean.phases import _equation as equation
from mckean.spaces import AbstractGrid

# Where the directions go that are left out.
_FAR = 100.0
# How many of the least curvatures are given at least.
FEW = 8


def curvatures(model: Model, rho: Density, u: Any, axes: tuple[int, ...]) -> np.ndarray:
    """The least eigenvalues of 1 + C on the complement of √ρ and of the state's translations, increasing: `FEW`, and
    more where more are not positive."""
    grid = rho.grid
    most = grid.size - 1 - len(axes)
    found = np.asarray(_dense(model, rho, u, axes))[:most] if grid.size <= equation.DENSE else np.zeros(0)
    few = min(FEW, most)
    # All that are not positive, and some more.
    while few > len(found):
        found = _sparse(model, rho, u, axes, few)
        if found[-1] <= 0 and few < most:
            few = min(2 * few, most)
    return found[: max(min(FEW, most), int(np.sum(found <= 0)) + 1)]


def zero_modes(values: np.ndarray, zero: float) -> int:
    """How many curvatures are zero up to rounding."""
    return int(np.sum(np.abs(values) <= zero))


def _directions(grid: AbstractGrid, rho: Density, u: Any, axes: tuple[int, ...]) -> Any:
    """√ρ and the translations h = ∂_jρ ∝ −ρ∂_ju as g = h/√ρ, orthonormal; zero rows for what does not move."""
    root = jnp.sqrt(rho.values.ravel() * grid.cell_volume)
    moved = equation.tangents(grid, u, axes) * root
    basis = [root]
    for row in moved:
        rest = row - sum(((b @ row) * b for b in basis), jnp.zeros_like(row))
        size = jnp.linalg.norm(rest)
        basis.append(jnp.where(size > 1e-10, rest / jnp.where(size > 0, size, 1.0), 0.0))
    return root, jnp.stack(basis)


def _operator(model: Model, rho: Density, u: Any, axes: tuple[int, ...], away: float) -> Any:
    """g ↦ P(1 + C)Pg + away·(1 − P)g, P the projection away from the directions."""
    grid, beta = rho.grid, model.beta
    root, basis = _directions(grid, rho, u, axes)

    def paired(h):
        # The energies are linear in ρ, up to V; a density of mass 1 is added as theirs has to be one.
        base = jnp.full(grid.shape, 1 / np.prod(grid.sides), h.dtype)
        of = lambda values: energy.potential(model, Density(grid, values))  # noqa: E731
        return jax.jvp(of, (base,), (h.reshape(grid.shape),))[1].ravel()

    def act(g):
        inside = g - basis.T @ (basis @ g)
        out = inside + beta * root * paired(root * inside / grid.cell_volume)
        return out - basis.T @ (basis @ out) + away * (basis.T @ (basis @ g))

    return act


@eqx.filter_jit
def _dense(model: Model, rho: Density, u: Any, axes: tuple[int, ...]) -> Any:
    act = _operator(model, rho, u, axes, _FAR)
    # One column after the other: XLA cannot lay out the transforms of all for a product with a transpose.
    matrix = jax.lax.map(act, jnp.eye(rho.values.size, dtype=rho.values.dtype))
    return jnp.linalg.eigvalsh(0.5 * (matrix + matrix.T))


def _sparse(model: Model, rho: Density, u: Any, axes: tuple[int, ...], few: int) -> np.ndarray:
    from scipy.sparse.linalg import LinearOperator, eigsh

    act, n = _compiled(model, rho, u, axes), rho.values.size
    operator = LinearOperator((n, n), matvec=lambda g: np.asarray(act(jnp.asarray(g.ravel()))), dtype=np.float64)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).normal(size=n)
    return np.sort(eigsh(operator, few, which="SA", v0=start, tol=1e-10, ncv=60)[0])  # pyright: ignore[reportArgumentType]


def _compiled(model: Model, rho: Density, u: Any, axes: tuple[int, ...]) -> Any:
    return lambda g: _apply(model, rho, u, axes, g)


@eqx.filter_jit
def _apply(model: Model, rho: Density, u: Any, axes: tuple[int, ...], g: Any) -> Any:
    return _operator(model, rho, u, axes, _FAR)(g)
