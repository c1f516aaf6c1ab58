"""The flow linearised about a steady state, whatever its drift: rates, and where a pair of them begins to turn.

    ∂_th = Ah,   A = DR(ρ),   R(ρ) = −∇·(ρ(−∇V − ∇W_s*ρ + b[ρ])) + β⁻¹Δρ + ΔP(ρ),

on h with ∫h = 0. For a gradient flow the rates are real. A drift may make them complex: where the real part of a pair
λ ± iω passes zero, ω ≠ 0, a periodic solution of the frequency ω leaves the state (Hopf).
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from mckean.checks import number, require
from mckean.measures import Density
from mckean.models import Model, Thermal, require_model
from mckean.phases._family import family
from mckean.spaces import FourierGrid, calculus

# The most nodes: the rates are those of a matrix.
_MOST = 600
# How fast a steady state may move, as a share of the rate at which its slowest wave diffuses.
_STILL = 1e-6
# Frequencies that are rounding, as a share of the largest rate; and what is left of a growth at its zero.
_REAL, _LEFT = 1e-10, 1e-8


def growth_rates(model: Model, density: Density) -> Complex[np.ndarray, " k"]:
    """The rates at which perturbations of a steady state on a torus grow, also where the drift is no gradient.

        ∂_th = −∇·(h v[ρ] + ρ Dv[ρ]h) + β⁻¹Δh + Δ(P′(ρ)h),   v = −∇V − ∇W_s*ρ + b[ρ],   ∫h = 0

    **Arguments:**

    - `model`: on a torus, with a `Thermal` noise.
    - `density`: a steady state, on a grid of at most 600 nodes, such as the uniform density where nothing depends on
      the place. It is not solved for.

    **Returns:** the rates λ of e^{λt}, complex, shape (size − 1,), per time, those that grow fastest first. A state
    with moved copies has a rate 0 for each direction of them.

    **Raises:** `ValueError` for another model or density, and for a density that moves, with its speed.
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
    rate, matrix = _linearised(model, grid, rho)
    slowest = min((2 * np.pi / side) ** 2 for side in grid.sides) / float(model.beta)
    speed = float(jnp.max(jnp.abs(rate)) / jnp.max(rho))
    require(
        speed <= _STILL * slowest,
        f"the density is no steady state: it moves at {speed:.2g} of its maximum per unit of time.",
    )
    # On what has no mass, by an orthonormal basis of it: a reflection takes the constant to the first axis.
    n = grid.size
    v = np.full(n, 1 / np.sqrt(n))
    v[0] += 1.0
    turn = np.eye(n) - 2 * np.outer(v, v) / (v @ v)
    rates = np.linalg.eigvals((turn @ np.asarray(matrix) @ turn)[1:, 1:]).astype(complex)
    # The two of a pair have one real part up to rounding.
    return rates[np.lexsort((-np.imag(rates), -np.real(rates)))]


def hopf_point(
    model_of: Callable[[Any], Model] | tuple[Model, str],
    density: Density | Callable[[float], Density],
    within: tuple[float, float],
) -> tuple[float, float]:
    """The parameter at which a steady state begins to turn, and the frequency: Re λ = 0 for a pair λ, Im λ = ω ≠ 0.

    **Arguments:**

    - `model_of`: the model for a parameter, or a model and the name of a leaf, as for `continuation`.
    - `density`: the steady state, one for all parameters, as the uniform density, or a function of the parameter.
    - `within`: two parameters. Of the pairs of complex rates the one that grows fastest decays at one of them and grows
      at the other.

    **Returns:** the parameter, to the rounding of the rates, and ω > 0, per time, whichever way the solution turns.

    **Raises:** `ValueError` as `growth_rates` does, and where no pair passes zero between the two.
    """
    from scipy.optimize import brentq

    low, high = (number("an end of the parameter", end) for end in within)
    require(low < high, f"a parameter lies between two, not in [{low:g}, {high:g}].")
    of = family(model_of)
    state: Any = density if callable(density) else lambda p: density
    fastest = functools.cache(lambda p: _fastest_pair(growth_rates(of(p), state(p))))
    ends = [fastest(p).real for p in (low, high)]
    require(
        ends[0] * ends[1] < 0,
        f"no pair of complex rates passes zero: the fastest grows at {ends[0]:.3g} and {ends[1]:.3g} at the two ends.",
    )
    root: Any = brentq(lambda p: fastest(p).real, low, high, xtol=1e-13 * max(abs(low), abs(high)))
    pair = fastest(root)
    require(
        abs(pair.real) <= _LEFT * max(map(abs, ends)),
        f"a pair of complex rates becomes real near {root:.6g} before it passes zero: take a narrower interval.",
    )
    return float(root), float(pair.imag)


def _fastest_pair(rates: np.ndarray) -> complex:
    """The rate of largest real part among those that turn; decay without end where none does."""
    turning = rates[np.imag(rates) > _REAL * np.abs(rates).max()]
    return complex(turning[0]) if turning.size else complex(-np.abs(rates).max(), 0.0)


@eqx.filter_jit
def _linearised(model: Model, grid: FourierGrid, rho: Array) -> tuple[Array, Array]:
    """R(ρ), and A, whose columns are the images of the nodes' own vectors."""

    def rate(values):
        transport = calculus.divergence(grid, values.reshape(-1, 1) * model.velocity(grid, Density(grid, values)))
        fluid = 0.0 if model.internal is None else model.internal.pressure(values)
        return calculus.fourier_multiplier(grid, values / model.beta + fluid, -grid.square_wavenumbers) - transport

    value, linear = jax.linearize(rate, rho)
    # One column after the other: XLA cannot lay out the transforms of all for a product with a transpose.
    columns = jax.lax.map(lambda h: linear(h.reshape(grid.shape)).ravel(), jnp.eye(grid.size, dtype=rho.dtype))
    return value, columns.T
