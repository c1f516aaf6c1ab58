"""The Hessian of the free energy at a steady state, and how a state is stable.

On h = δρ with ∫h = 0 the second variation of βF is ∫h²/ρ + β∬hW_sh. In g = h/√ρ this is ⟨g, (1 + C)g⟩, C = β√ρW_s√ρ, on
what is orthogonal to √ρ: the identity and a compact operator. As the flow is −M(1/ρ + βW_s)h/β with a positive M, the
number of negative eigenvalues of 1 + C there is the number of unstable directions (Sylvester's law of inertia).

Where W_s = Σ_ka_k cos q_k·(x − y) has m modes on the grid, C = BAB^T with 2m columns B = √ρ(cos q_k·x, sin q_k·x). With
the projection P away from √ρ and the translations, the eigenvalues of PCP other than 0 are those of G^{1/2}AG^{1/2},
G = (PB)^TPB: a matrix of 2m rows, whatever the number of nodes, which counts every one with its multiplicity.

With an internal energy the second variation is ∫U″(ρ)h² + ∬hW_sh for h on the support: the same with w = 1/U″(ρ), 0 off
the support, in the place of βρ. A motion of the edge is among these h. There ρ = (U′)⁻¹ of the distance s, ρ ~
s^{1/(m−1)}, so that h = ∂ρ has U″h² ~ s^{(2−m)/(m−1)}, whose integral is finite for all m > 1. Mass that leaves the
support costs u − λ > 0 in the first order. In a cell that the edge cuts w is its mean. Between the parts of a support
no mass moves: there the form counts directions that the flow does not have.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.interactions.kernels import FourierSeries
from mckean.measures import Density
from mckean.models import Model, energy
from mckean.phases import _equation as equation
from mckean.phases import _law as law
from mckean.spaces import AbstractGrid, FourierGrid, calculus

# Where the directions go that are left out.
_FAR = 100.0
# How many of the least curvatures are given at least.
FEW = 8
# The most columns of B, and of its entries.
_COLUMNS, _ENTRIES = 600, 2e7
# The most nodes for which the matrix of 1 + C is formed where W has no series.
_DENSE = 600


@dataclass(frozen=True, eq=False)
class Hessian:
    """1 + C on the complement of √ρ and of the state's translations, in g of plain norm Σg² = 1.

    **Attributes:**

    - `values`: the least eigenvalues, increasing: `FEW`, and more where more are not positive.
    - `vectors`: an eigenvector g for each eigenvalue in `inside`, shape (n, r).
    - `inside`: these eigenvalues, increasing. On what is orthogonal to all `vectors` 1 + C is 1 where `complete`.
    - `complete`: whether it is.
    - `left`: orthonormal √ρ and translations, shape (k, n).
    """

    values: np.ndarray
    vectors: np.ndarray
    inside: np.ndarray
    complete: bool
    left: np.ndarray

    def project(self, g: np.ndarray) -> np.ndarray:
        """g without its part along √ρ and the translations; columns, shape (n, m)."""
        return g - self.left.T @ (self.left @ g)


def curvatures(model: Model, rho: Density, moves: np.ndarray) -> np.ndarray:
    """The least eigenvalues of 1 + C on the complement of √ρ and of the state's translations, increasing: `FEW`, and
    more where more are not positive. `moves`: the translations of u, as `tangents` gives them."""
    return hessian(model, rho, moves).values


def hessian(model: Model, rho: Density, moves: np.ndarray) -> Hessian:
    """The `Hessian` at a steady state. `moves`: the translations of u, as `tangents` gives them."""
    grid = rho.grid
    left = _directions(model, rho, moves)
    most = grid.size - 1 - len(moves)
    columns = _columns(model, rho)
    if columns is not None:
        inside, vectors = _by_modes(*columns, left)
    elif grid.size <= _DENSE:
        inside, vectors = _all(model, rho, left)
    else:
        return _least(model, rho, left, most)
    # On what the modes of W do not reach, 1 + C is 1.
    values = np.sort(np.concatenate([inside, np.ones(max(min(FEW, most - len(inside)), 0))]))
    few = max(min(FEW, most), int(np.sum(values <= 0)) + 1)
    return Hessian(values[:few], vectors, inside, True, left)


def zero_modes(values: np.ndarray, zero: float) -> int:
    """How many curvatures are zero up to rounding."""
    return int(np.sum(np.abs(values) <= zero))


def root_of_weight(model: Model, rho: Density) -> np.ndarray:
    """√w at the nodes, w = 1/Φ″(ρ) times the volume of a cell, shape (n,); √(βρ) for the entropy."""
    return np.sqrt((np.asarray(law.mean_weight(model, rho), np.float64) * rho.grid.cell_volume).ravel())


def root_of_mass(rho: Density) -> np.ndarray:
    """√ρ at the nodes, of plain norm 1, shape (n,)."""
    return np.sqrt((np.asarray(rho.values, np.float64) * rho.grid.cell_volume).ravel())


def _directions(model: Model, rho: Density, tangents: np.ndarray) -> np.ndarray:
    """√w and the translations h = ∂_jρ = −w∂_ju as g = h/√w, orthonormal."""
    root = root_of_weight(model, rho)
    found = [root / np.linalg.norm(root)]
    for row in tangents * root:
        rest = row - sum((b @ row) * b for b in found)
        size = np.linalg.norm(rest)
        if size > 1e-10:
            found.append(rest / size)
    return np.stack(found)


def _columns(model: Model, rho: Density) -> tuple[np.ndarray, np.ndarray] | None:
    """B, shape (n, 2m), and the diagonal of A; None where W has no series, or one of too many modes."""
    if model.interaction is None:
        return np.zeros((rho.grid.size, 0)), np.zeros(0)
    series, grid = model.interaction.between(rho), rho.grid
    if not (isinstance(grid, FourierGrid) and isinstance(series, FourierSeries)):
        return None
    modes = np.asarray(series.modes)
    seen = np.all(2 * np.abs(modes) < np.asarray(grid.shape), axis=1) & np.any(modes != 0, axis=1)
    number = 2 * int(seen.sum())
    if number > _COLUMNS or number * grid.size > _ENTRIES:
        return None
    turns = [np.outer(np.arange(n) / n, k) for n, k in zip(grid.shape, modes[seen].T, strict=True)]
    phase = 2 * np.pi * (turns[0] if len(turns) == 1 else turns[0][:, None] + turns[1]).reshape(grid.size, -1)
    root = root_of_weight(model, rho)
    weights = np.asarray(series.coefficients, np.float64)[seen]
    return root[:, None] * np.concatenate([np.cos(phase), np.sin(phase)], axis=1), np.tile(weights, 2)


def _by_modes(columns: np.ndarray, weights: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inside = columns - left.T @ (left @ columns)
    if 2 * len(weights) > len(columns):
        # As large a matrix on the nodes is one decomposition instead of two.
        return _away(np.eye(len(columns)) + (inside * weights) @ inside.T, left)
    sizes, turn = np.linalg.eigh(inside.T @ inside)
    large = sizes > 1e-13 * max(sizes.max(initial=0.0), 1e-300)
    root = turn[:, large] * np.sqrt(sizes[large])
    values, vectors = np.linalg.eigh(root.T @ (weights[:, None] * root))
    return 1 + values, inside @ (turn[:, large] / np.sqrt(sizes[large]) @ vectors)


def projected(model: Model, rho: Density, left: Any) -> Any:
    """g ↦ P(1 + C)Pg + (1 − P)g, P the projection away from the directions."""
    grid = rho.grid
    root = jnp.sqrt(calculus.masses(grid, law.mean_weight(model, rho)).ravel())
    # From g to the change of a density, h = g√w for g = h/√w; the norm of g is plain.
    to_change = root / jnp.asarray(equation.volumes(grid), root.dtype)

    def act(g):
        inside = g - left.T @ (left @ g)
        out = inside + root * paired(model, grid, to_change * inside)
        return out - left.T @ (left @ out) + left.T @ (left @ g)

    return act


def paired(model: Model, grid: AbstractGrid, h: Any) -> Any:
    """W_s*h for a change h of a density, flattened."""
    # The energies are linear in ρ, up to V; a density of mass 1 is added as theirs has to be one.
    base = jnp.asarray(equation.uniform(grid), h.dtype)
    of = lambda values: energy.potential(model, Density(grid, values))  # noqa: E731
    return jax.jvp(of, (base,), (h.reshape(grid.shape),))[1].ravel()


def _all(model: Model, rho: Density, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _away(np.asarray(_matrix(model, rho, jnp.asarray(left, rho.values.dtype))), left)


def _away(matrix: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors without the directions that are left out."""
    values, vectors = np.linalg.eigh(matrix + _FAR * left.T @ left)
    keep = np.sum((left @ vectors) ** 2, axis=0) < 0.5
    return values[keep], vectors[:, keep]


@eqx.filter_jit
def _matrix(model: Model, rho: Density, left: Any) -> Any:
    act = projected(model, rho, left)
    # One column after the other: XLA cannot lay out the transforms of all for a product with a transpose.
    matrix = jax.lax.map(act, jnp.eye(rho.values.size, dtype=rho.values.dtype))
    return 0.5 * (matrix + matrix.T)


def _least(model: Model, rho: Density, left: np.ndarray, most: int) -> Hessian:
    """By LOBPCG, whose block holds a degenerate eigenvalue as often as it counts (Knyazev, SIAM J. Sci. Comput. 23,
    2001)."""
    from scipy.sparse.linalg import lobpcg

    n, few = rho.values.size, min(FEW, most)
    kept = jnp.asarray(left, rho.values.dtype)
    away = lambda g: _FAR * left.T @ (left @ g)  # noqa: E731
    act = lambda g: np.asarray(_apply(model, rho, kept, jnp.asarray(g.reshape(n, -1)))) + away(g)  # noqa: E731
    while True:
        # Some more than are asked for, so that the last ones converge as well.
        start = np.random.default_rng(0).normal(size=(n, min(few + 4, n // 6)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            values, vectors = lobpcg(act, start, largest=False, tol=1e-7, maxiter=200)  # pyright: ignore[reportArgumentType]
        off = np.linalg.norm(act(vectors) - vectors * values, axis=0)
        if np.any(off[values < 0.5] > 1e-4):
            raise RuntimeError(f"the least curvatures were not found: an eigenvector is {off.max():.1g} off.")
        if values[few - 1] > 0 or few >= most or few + 4 >= n // 6:
            order = np.argsort(values)[: max(few, int(np.sum(values <= 0)) + 1)]
            return Hessian(values[order], vectors[:, order], values[order], False, left)
        few = min(2 * few, most)


@eqx.filter_jit
def _apply(model: Model, rho: Density, left: Any, g: Any) -> Any:
    # A block at a time: LOBPCG has several blocks of the same shape.
    return jax.lax.map(projected(model, rho, left), g.T).T
