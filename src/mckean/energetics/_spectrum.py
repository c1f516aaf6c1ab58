"""The spectrum of the flow that is linearised about an equilibrium."""

import itertools

import numpy as np
from jaxtyping import Float

from mckean.checks import require
from mckean.energetics._inequalities import require_gradient
from mckean.interactions.kernels import FourierSeries
from mckean.interactions.sums.convolution import stencil
from mckean.measures import Density
from mckean.models import Model, require_model
from mckean.spaces import AbstractGrid, FourierGrid

# The most nodes: the spectrum is that of a matrix.
_MOST = 2100
# A density that is smaller than this share of its largest value at the walls does not see them.
_WALLS = 1e-12
# Nodes of a difference.
_WIDTH = 11


def relaxation(model: Model, equilibrium: Density) -> Float[np.ndarray, " k"]:
    """The rates of the flow linearised about an equilibrium π on a line or a torus, in increasing order; per time.

    With ρ = π(1 + h)

        ∂_t h = −KAh,   K = −π⁻¹∇·(π∇·),   A = β⁻¹ + W_s*(π·),

    where K and A are symmetric in L²(π). The rates are those of K^{1/2}AK^{1/2}: real, and negative where π is
    unstable. The first is the spectral gap, or 0 and the next one the gap where π has moved copies. K = B*B with B =
    √π∇π^{−1/2}, spectrally on a torus, and on a box at whose walls π is nothing; on another box by differences across
    the faces, of order 2 in h, with the mean of π.

    **Arguments:**

    - `model`: a gradient flow with a thermal noise, without an internal energy.
    - `equilibrium`: π, a positive density of at most 2100 nodes, on a box of the line or on a torus in dimension 1, 2.

    **Returns:** the rates, shape (k,).

    **Raises:** `ValueError` for other densities, an internal energy, and a model that is no gradient flow.
    """
    require_model(model)
    require_gradient(model)
    known = isinstance(equilibrium, Density) and (
        equilibrium.domain.dim == 1 or (equilibrium.domain.dim == 2 and isinstance(equilibrium.grid, FourierGrid))
    )
    require(known, "this needs a density on the line, or on a torus of dimension 1 or 2.")
    grid = equilibrium.grid
    require(grid.size <= _MOST, f"the spectrum of {grid.size} nodes takes too long: take at most {_MOST}.")
    require(model.internal is None, "the linearisation is for the entropy of a noise, not for an internal energy.")
    pi = np.asarray(equilibrium.values, np.float64)
    require(bool(np.all(pi > 0)), "a linearisation needs a positive density: take a smaller box.")
    sizes, turn = np.linalg.eigh(sum(b.T @ b for b in _slopes(grid, pi)))
    # K is 0 on constants, and on nothing else.
    root = turn[:, 1:] * np.sqrt(np.maximum(sizes[1:], 0.0))
    weight = np.sqrt(pi.ravel())
    inner = np.eye(grid.size) / float(model.beta)
    inner = inner + grid.cell_volume * weight[:, None] * _pair_energies(model, equilibrium) * weight
    rates = root.T @ inner @ root
    return np.linalg.eigvalsh(0.5 * (rates + rates.T))


def _slopes(grid: AbstractGrid, pi: np.ndarray) -> list[np.ndarray]:
    """√π∂_jπ^{−1/2}."""
    root = np.sqrt(pi.ravel())
    if isinstance(grid, FourierGrid):
        parts = [_derivatives(n, side) for n, side in zip(grid.shape, grid.sides, strict=True)]
        if len(parts) == 2:
            one, other = (np.eye(n) for n in grid.shape)
            parts = [[np.kron(part, other) for part in parts[0]], [np.kron(one, part) for part in parts[1]]]
        return [root[:, None] * part / root for part in itertools.chain(*parts)]
    h, n = grid.spacing[0], pi.size
    if max(pi[0], pi[-1]) > _WALLS * pi.max() or n < _WIDTH:
        faces = np.sqrt([0.5 * (a + b) for a, b in itertools.pairwise(pi)])
        return [faces[:, None] * np.diff(np.eye(n), axis=0) / h / root]
    # g = √πh is nothing at the walls, and as good as periodic: √π∂π^{−1/2} = ∂ − ½(log π)′.
    slope, *last = _derivatives(n, n * h)
    return [slope - np.diag(0.5 * _difference(np.log(pi)) / h), *last]


def _derivatives(n: int, side: float) -> list[np.ndarray]:
    """∂ of the trigonometric interpolant, shape (n, n). It takes the last wave of an even number of nodes to 0, of
    which −∂² has the square of the wave number: a second matrix for that."""
    q = 2 * np.pi / side * np.fft.fftfreq(n, 1 / n)
    derivative = np.fft.ifft(1j * q[:, None] * np.fft.fft(np.eye(n), axis=0), axis=0).real
    if n % 2:
        return [derivative]
    last = (-1.0) ** np.arange(n)
    return [derivative, np.pi / side * np.outer(last, last)]


def _difference(values: np.ndarray) -> np.ndarray:
    """The derivative times h, by polynomials through `_WIDTH` neighbours."""
    n, half = values.size, _WIDTH // 2
    first = np.clip(np.arange(n) - half, 0, n - _WIDTH)
    powers = np.arange(_WIDTH)
    # Row i: the weights of the derivative at the place i of the neighbours.
    table = np.arange(_WIDTH) - np.arange(_WIDTH)[:, None]
    unit = (powers == 1).astype(float)
    weights = np.stack([np.linalg.solve(np.vander(row, increasing=True).T.astype(float), unit) for row in table])
    return np.sum(weights[np.arange(n) - first] * values[first[:, None] + powers], axis=1)


def _pair_energies(model: Model, equilibrium: Density) -> np.ndarray:
    """W_s(x_i − x_j), shape (n, n): on a torus by the modes that the grid has, on a box as its cells see it."""
    grid, n = equilibrium.grid, equilibrium.grid.size
    if model.interaction is None:
        return np.zeros((n, n))
    index = np.stack(np.unravel_index(np.arange(n), grid.shape))
    apart = index[:, :, None] - index[:, None]
    if not isinstance(grid, FourierGrid):
        return np.asarray(stencil(model.interaction.kernel, grid, float))[tuple(apart % (2 * n))]
    series = model.interaction.between(equilibrium)
    assert isinstance(series, FourierSeries), "a kernel on a torus has a series"
    modes = np.asarray(series.modes)
    seen = np.all(2 * np.abs(modes) < np.asarray(grid.shape), axis=1)
    turns = (index / np.asarray(grid.shape)[:, None]).T @ modes[seen].T
    values = (np.cos(2 * np.pi * turns) @ np.asarray(series.coefficients, np.float64)[seen]).reshape(grid.shape)
    return values[tuple(part % size for part, size in zip(apart, grid.shape, strict=True))]
