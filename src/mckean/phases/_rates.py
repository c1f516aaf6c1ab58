"""The flow linearised about a steady state, whatever its drift: the rates at which perturbations grow.

    ∂_th = Ah,   A = DR(ρ),   R(ρ) = −∇·(ρ(−∇V − ∇W_s*ρ + b[ρ] − c)) + β⁻¹Δρ + ΔP(ρ),

on h with ∫h = 0, in the frame of the velocity c. For a gradient flow the rates are real. A drift may make them complex:
where the real part of a pair λ ± iω passes zero, ω ≠ 0, a solution that turns with the frequency ω leaves the state
(Hopf).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from mckean.checks import require
from mckean.measures import Density
from mckean.models import Model, Thermal, require_model
from mckean.phases import _currents as currents
from mckean.spaces import FourierGrid, Torus, calculus

# The most nodes: the rates are those of a matrix; and those on which a branch asks for them at each point.
_MOST, _COARSE = 600, 400
# How fast a steady state may move, as a share of the rate at which its slowest wave diffuses.
_STILL = 1e-6
# A density that varies by less, relative to itself, is uniform: it may be rounding that varies, and has no velocity.
_FLAT = 1e-8


def growth_rates(model: Model, density: Density) -> Complex[np.ndarray, " k"]:
    """The rates at which perturbations of a steady state on a torus grow, also where the drift is no gradient.

        ∂_th = −∇·(h(v[ρ] − c) + ρ Dv[ρ]h) + β⁻¹Δh + Δ(P′(ρ)h),   v = −∇V − ∇W_s*ρ + b[ρ],   ∫h = 0

    **Arguments:**

    - `model`: on a torus, with a `Thermal` noise.
    - `density`: a steady state, on a grid of at most 600 nodes, such as the uniform density where nothing depends on
      the place; or a wave that travels at a velocity c, where nothing but the law depends on the place. It is not
      solved for.

    **Returns:** the rates λ of e^{λt}, complex, shape (size − 1,), per time, those that grow fastest first, in the
    frame of the wave. A state with moved copies has a rate 0 for each direction of them.

    **Raises:** `ValueError` for another model or density, and for a density that changes, with its speed.
    """
    require_model(model)
    grid = density.grid if isinstance(density, Density) else None
    if not isinstance(grid, FourierGrid):
        raise ValueError("growth rates are those of a density on a torus, such as Torus(1).grid(64) has.")
    require(grid.space == model.space, f"the model lives on {model.space}, but the density on {grid.space}.")
    require(grid.size <= _MOST, f"the rates of {grid.size} nodes take too long: take at most {_MOST}.")
    require(isinstance(model.noise, Thermal), "growth rates are those of a law with a temperature: add Thermal noise.")
    require(not model.common, "with a common noise the law has no steady state: environments.lyapunov has its rates.")
    rho = density.values.astype(float)
    rate, velocity = (np.asarray(a) for a in _in_own_frame(model, grid, rho))
    if np.abs(velocity).max() > _STILL and len(currents.symmetric_axes(model, grid)) < len(grid.shape):
        velocity, rate = 0 * velocity, np.asarray(_linearised(model, grid, grid, rho, jnp.zeros(velocity.shape))[0])
    speed = float(np.max(np.abs(rate)) / np.max(np.asarray(rho)))
    require(
        speed <= _STILL * slowest(model, grid),
        f"the density is no steady state: it moves at {speed:.2g} of its maximum per unit of time.",
    )
    matrix = _linearised(model, grid, grid, rho, jnp.asarray(velocity))[1]
    return _sorted_rates(np.asarray(matrix))


def slowest(model: Model, grid: FourierGrid) -> float:
    """The rate at which the longest wave diffuses, (2π/L)²/β."""
    return min((2 * np.pi / side) ** 2 for side in grid.sides) / float(model.beta)


def rates_in_frame(model: Model, rho: Density, velocity: np.ndarray, moves: np.ndarray) -> Complex[np.ndarray, " k"]:
    """The rates without those of the state's own translations, on the longest waves where there are many nodes.

    `moves`: the translations of u, as `tangents` gives them: those of ρ are ρ times them.
    """
    grid = rho.grid
    assert isinstance(grid, FourierGrid), "required before"
    coarse = _coarse(grid)
    matrix = np.asarray(_linearised(model, grid, coarse, rho.values, jnp.asarray(velocity))[1])
    own = [np.asarray(calculus.interpolate(grid, rho.values * row.reshape(grid.shape), coarse)) for row in moves]
    basis = np.linalg.qr(np.stack([row.ravel() for row in own if np.any(row)], axis=1))[0] if np.any(moves) else None
    if basis is None:
        return _sorted_rates(matrix)
    # A − s r⊗r has the rates of A, but −s for the 0 of the eigenvector r (Wielandt).
    far = 4 * np.abs(matrix).sum(axis=0).max()
    return _sorted_rates(matrix - far * basis @ basis.T)[: -basis.shape[1]]


def _coarse(grid: FourierGrid) -> FourierGrid:
    """The grid, or one of at most 400 nodes, an odd number along each axis as their Nyquist modes have no rate."""
    if grid.size <= _COARSE:
        return grid
    most = int(_COARSE ** (1 / len(grid.shape)))
    space = grid.space
    assert isinstance(space, Torus), "a grid of waves is one of a torus"
    return space.grid(tuple(min(n, most - 1 + most % 2) for n in grid.shape))


def _sorted_rates(matrix: np.ndarray) -> Complex[np.ndarray, " k"]:
    # On what has no mass, by an orthonormal basis of it: a reflection takes the constant to the first axis.
    n = len(matrix)
    v = np.full(n, 1 / np.sqrt(n))
    v[0] += 1.0
    turn = np.eye(n) - 2 * np.outer(v, v) / (v @ v)
    rates = np.linalg.eigvals((turn @ matrix @ turn)[1:, 1:]).astype(complex)
    # The two of a pair have one real part up to rounding.
    return rates[np.lexsort((-np.imag(rates), -np.real(rates)))]


@eqx.filter_jit
def _in_own_frame(model: Model, grid: FourierGrid, rho: Array) -> tuple[Array, Array]:
    """R(ρ) + c·∇ρ and the c that makes it least."""
    rate, slope = _rate(model, grid, rho), calculus.gradient(grid, rho)
    gram = slope.T @ slope
    flat = jnp.trace(gram) <= jnp.sum((_FLAT * rho * 2 * jnp.pi / max(grid.sides)) ** 2)
    least = jnp.where(flat, 1.0, 1e-12 * jnp.trace(gram))
    c = jnp.where(flat, 0.0, -jnp.linalg.solve(gram + least * jnp.eye(len(gram)), slope.T @ rate.ravel()))
    return rate + (slope @ c).reshape(grid.shape), c


def _rate(model: Model, grid: FourierGrid, values: Array) -> Array:
    """R(ρ) at c = 0."""
    transport = calculus.divergence(grid, values.reshape(-1, 1) * model.velocity(grid, Density(grid, values)))
    fluid = 0.0 if model.internal is None else model.internal.pressure(values)
    return calculus.fourier_multiplier(grid, values / model.beta + fluid, -grid.square_wavenumbers) - transport


@eqx.filter_jit
def _linearised(model: Model, grid: FourierGrid, coarse: FourierGrid, rho: Array, c: Any) -> tuple[Array, Array]:
    """R(ρ), and A on the functions of a coarser grid: its columns are the images of the nodes' own vectors."""

    def rate(values):
        return _rate(model, grid, values) + (calculus.gradient(grid, values) @ c).reshape(grid.shape)

    value, linear = jax.linearize(rate, rho)
    onto = lambda h, old, new: h if old.shape == new.shape else calculus.interpolate(old, h, new)  # noqa: E731

    def column(h):
        return onto(linear(onto(h.reshape(coarse.shape), coarse, grid)), grid, coarse).ravel()

    # One column after the other: XLA cannot lay out the transforms of all for a product with a transpose.
    return value, jax.lax.map(column, jnp.eye(coarse.size, dtype=rho.dtype)).T
