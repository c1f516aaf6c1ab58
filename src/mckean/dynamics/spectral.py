"""Densities on the torus: Fourier pseudo-spectral in space, exponential Runge–Kutta of order 4 in time.

    ∂_tρ = −∇·(ρ b[ρ]) + ½ Σ_ij ∂_i∂_j (a_ij[ρ] ρ) − Σ_k ∇·(ρσ_k[ρ]) ∘ dB⁰_k/dt,
    b = −∇V − ∇W_s*ρ + extra drift,   a = σσᵀ (2/β for thermal noise), B⁰ the environment.

Products are formed on a grid 3/2 times as fine, so that quadratic aliasing does not reach the modes that are kept.
The constant part of the diffusion is integrated exactly (ETDRK4: Cox and Matthews, J. Comput. Phys. 176, 2002, eqs.
26–29), so that a stationary state of the semi-discrete equation is one of the scheme. The zero mode does not move:
mass is exact.

The environment is made piecewise linear, which gives the Stratonovich integral (Wong and Zakai): over a step its
velocity Σ_kσ_kΔB_k/dt joins the drift. Where each of its components is independent of its own coordinate (an additive
noise, waves along the axes), the step has its exact flow instead, which shifts lines of nodes along themselves by FFT:
the L² norm is kept, and no step is too long for it. An additive noise shifts by half before the step and by half after
it. Waves along the axes shift before every other step, one axis after the other, and after the steps between, in the
reverse order. Half before and half after would be of weak order 1 there: with A the generator of a wave and L that of
the rest, the same increment on both sides adds −(dt/8)[A, [A, L]] to the generator of the mean. The mean of two such
steps in turn is a product of semigroups that reads the same in both directions, and has weak order 2. Strong order 1
where the fields commute, else 1/2, as no Lévy area is drawn.

Where the diffusion depends on time or on the point, D_0 is a constant of each step (a temperature of its middle), and
the rest of the diffusion is explicit.

The velocity v of a step turns a mode q by v·q dt, |v| ~ √(λ/dt), λ the largest eigenvalue of Σ_kσ_kσ_kᵀ. Runge and
Kutta's method is stable up to √8. Where 5√(λdt)|q| is more, five standard deviations at the highest mode, the step is
cut into equal parts, all with this velocity: they follow the same equation, so that no order changes.
"""

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple, cast

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float, Int

from mckean import collectives
from mckean.checks import require, require_tolerance, traced, under_transformation
from mckean.dynamics import exponential
from mckean.dynamics._increments import common_increment
from mckean.dynamics.scheme import (
    AbstractScheme,
    Course,
    Stepper,
    require_same_space,
    require_stratonovich,
    step_length,
    undershoot,
    with_unit_mass,
)
from mckean.dynamics.survey import require_functions
from mckean.faults import Status, sound
from mckean.measures import AbstractMeasure, Density
from mckean.models import AbstractNoise, Equation, Model, Schedule, Thermal, differs, initial
from mckean.paths import Brownian
from mckean.spaces import FourierGrid, calculus, slabs

# What a derivative backwards keeps grows with the bound of a loop.
_MOST_PARTS = 256
# Standard deviations of a velocity, and how far Runge and Kutta's method of order 4 is stable on the imaginary axis.
_DEVIATIONS, _STABLE = 5.0, math.sqrt(8.0)


class Spectral(AbstractScheme):
    """Fourier pseudo-spectral in space, ETDRK4 in time, for densities on a torus: order 4 in time without common noise.

        ∂_tρ = −∇·(ρb[ρ]) + ½ Σ_ij ∂_i∂_j(a_ij[ρ]ρ) − Σ_k ∇·(ρσ_k[ρ])∘dB⁰_k/dt,   a = σσᵀ

    Products are dealiased, and mass is exact. The nonlinear part is explicit: with too long a step the state becomes
    non-finite, and the run ends. Positivity is not kept, but monitored. Smooth densities stay positive up to the error
    of the scheme.

    The strong order under a common noise is 1 if the fields commute, else 1/2. Waves along the axes have weak order 2.
    A common noise that is not shifted exactly is a velocity that is held over a step. The step is made in so many equal
    parts that the method is stable for it, also where it is five standard deviations large. In a transformation of
    yours that traces the noise their number is traced, too, and 256 is the largest: a run that needs more ends as one
    that is not finite.

    **Arguments:**

    - `negativity`: how far below 0 the density may fall, relative to its maximum. Beyond that the run ends, as the grid
      is too coarse. Default: 10⁻³.

    **Raises:** `ValueError`, at the begin of a run, for another measure or space, and an own noise in Stratonovich form
    or a common noise in Itô form if the two forms differ.
    """

    moves: ClassVar[str] = "Density on a Fourier grid"
    negativity: float = eqx.field(static=True, default=1e-3)

    def __check_init__(self):
        require_tolerance("negativity", self.negativity)

    @property
    def order(self) -> int:
        return 4

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Density) and isinstance(measure.grid, FourierGrid)

    def begin(self, equation: Equation, measure: Density, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        require(
            model.noise is None or not differs(model.noise, "ito"),
            "the Fokker–Planck equation is written for an own noise in the sense of Itô, but the model's is meant in "
            'that of Stratonovich: mckean.convert(model, "ito") says the same.',
        )
        require_stratonovich(model)
        require_functions(model, measure, measure.grid)
        step, parts = step_length(measure, dt), count_parts(model, measure, dt)
        # Where the diffusion is not constant each step has weights of its own.
        constant = isinstance(equation, Model) and (model.noise is None or isinstance(model.noise, Thermal))
        weights = eqx.filter_jit(_weights)(model, measure, step / parts) if constant else None
        return Stepper(self, equation, step, _Shared(parts, traced(parts), weights))

    def advance(
        self, begun: Stepper, measure: Density, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Density, Status]:
        dt, shared, course = begun.dt, begun.shared, begun.during(index)
        model = course(0.5 * dt)
        if isinstance(begun.equation, Schedule):
            # A noise may grow, and a run that goes on is the run.
            shared = shared._replace(parts=count_parts(model, measure, dt), bounded=True)
        c = _weights(model, measure, dt / shared.parts) if shared.weights is None else shared.weights
        if not model.common:
            return with_unit_mass(measure, _in_parts(shared, course, dt, measure, c, None)), sound(dt.dtype)
        parts = model.common_parts(measure, common_increment(model, measure, path, index, dt))
        shears = [(noise, b) for noise, b in parts if noise.is_shear]
        shift = _whole_shift(measure, shears)
        before = 0.5 if all(noise.additive for noise, _ in shears) else (jnp.asarray(index) + 1) % 2
        middle = _shift(measure, shift, before, forward=True)
        frozen = _Frozen([(noise, b / dt) for noise, b in parts if not noise.is_shear])
        middle = with_values(middle, _in_parts(shared, course, dt, middle, c, frozen))
        moved = _shift(middle, shift, 1 - before, forward=False)
        return with_unit_mass(measure, moved.values), sound(dt.dtype)

    def inspect(self, begun: Stepper, measure: Density) -> Status:
        return undershoot(measure, self.negativity)


class _Shared(NamedTuple):
    """The number of parts of a step; whether it is traced, with a bound; a part's weights where all have one."""

    parts: int | Int[Array, ""]
    bounded: bool
    weights: dict[str, Array] | None


def _in_parts(
    shared: _Shared, course: Course, dt: Array, measure: Density, c: dict[str, Any], frozen: "_Frozen | None"
) -> Array:
    """The values after the parts of a step, with the environment's velocity held still."""
    grid, still = _grid(measure), None
    if frozen is not None:
        fine = _fine(grid)
        still = frozen.still(Density(fine, calculus.interpolate(grid, measure.values, fine)))
    fixed, part = shared.weights is not None, dt / shared.parts

    def move(k, values):
        stage = lambda share: course((k + share) * part)  # noqa: E731
        return _deterministic(stage, with_values(measure, values), c, fixed, frozen, still)

    return in_parts(move, measure.values, shared.parts, shared.bounded)


def in_parts(move: Callable[[Any, Array], Array], values: Array, parts: int | Int[Array, ""], bounded: bool) -> Array:
    """The values after so many moves, each given its number; NaN where their traced number is beyond its bound."""
    if isinstance(parts, int):
        return move(0, values) if parts == 1 else jax.lax.fori_loop(0, parts, move, values)
    if not bounded:
        return jax.lax.fori_loop(0, parts, move, values)
    go_on, one = lambda s: s[0] < parts, lambda s: (s[0] + 1, move(s[0], s[1]))
    start = (jnp.zeros_like(parts), values)
    end = eqxi.while_loop(go_on, one, start, max_steps=_MOST_PARTS, kind="bounded")[1]
    return jnp.where(parts <= _MOST_PARTS, end, jnp.nan)


def _deterministic(
    stage: Course, measure: Density, c: dict[str, Any], fixed: bool, frozen: "_Frozen | None", still: Array | None
) -> Array:
    """The values after a part of a step by ETDRK4.

    `stage`: the model at a share of the part; `fixed`: whether all of the own noise is in the weights.
    """
    grid, d0 = _grid(measure), None if fixed else c["diffusion"]
    rate = lambda share, u: _explicit_rate(stage(share), grid, u, d0, frozen, still)  # noqa: E731
    u1 = exponential.step(calculus.analyse(grid, measure.values), rate, c)
    return calculus.synthesise(grid, u1)


class _Frozen:
    """The velocity of parts of the environment over a step."""

    def __init__(self, parts: list[tuple[AbstractNoise, Array]]):
        self.fixed = [part for part in parts if not part[0].depends_on_measure]
        self.moving = [part for part in parts if part[0].depends_on_measure]

    def still(self, density: Density) -> Array:
        """What does not depend on the density, at the nodes, shape (size, d)."""
        return _velocity(self.fixed, density)

    def __call__(self, density: Density, still: Array) -> Array:
        return still + _velocity(self.moving, density)


def _velocity(parts: list[tuple[AbstractNoise, Array]], density: Density) -> Array:
    zero = jnp.zeros((), density.values.dtype)
    return sum((noise.displacement(density.grid, density, rate) for noise, rate in parts), zero)


def _whole_shift(density: Density, parts: list[tuple[AbstractNoise, Array]]) -> list[Array] | None:
    """The shift along each axis over a step, broadcast over that axis; None for no such noise."""
    if not parts:
        return None
    grid = _grid(density)
    d = len(grid.shape)
    move = _velocity(parts, density)
    move = jnp.broadcast_to(move, (grid.size, d)).reshape(*grid.shape, d)
    first = [jax.lax.slice_in_dim(move[..., axis], 0, 1, axis=axis) for axis in range(1, d)]
    top = move[:1, ..., 0] if grid.mesh is None else slabs.first_row(move[..., 0], grid.mesh)
    return [top, *first]


def _shift(density: Density, shift: list[Array] | None, share: float | Array, forward: bool) -> Density:
    """ρ moved by a share of the shift, along one axis after the other."""
    if shift is None:
        return density
    grid, rho = _grid(density), density.values
    for axis in range(rho.ndim) if forward else reversed(range(rho.ndim)):
        rho = calculus.shift(grid, rho, axis, share * shift[axis])
    return with_values(density, rho)


def with_values(density: Density, values: Array) -> Density:
    return eqx.tree_at(lambda m: m.values, density, values)


def count_parts(model: Model, measure: Density, dt: float | Array) -> int | Int[Array, ""]:
    """In how many parts a step is stable for the velocity that the environment gives it; traced where that is.

    Transport by v shifts the spectrum along the imaginary axis by sup|v| |q| at most, where v has no divergence.
    """
    frozen = [part for part in model.common if not part.is_shear]
    square = sum((np.pi * n / side) ** 2 for n, side in zip(measure.grid.shape, measure.grid.sides, strict=True))
    return parts_under(frozen, measure, dt, square)


def parts_under(
    frozen: list[AbstractNoise], measure: Density, dt: float | Array, square: float
) -> int | Int[Array, ""]:
    """`count_parts` for noises that are held still, and −Δ up to `square`."""
    if not frozen:
        return 1
    # Also inside a transformation, where only some values are traced.
    with jax.ensure_compile_time_eval():
        parts = jnp.ceil(_DEVIATIONS * jnp.sqrt(_spread(frozen, measure) * square * dt) / _STABLE)
        parts = jnp.maximum(parts, 1).astype(jnp.result_type(int))
    # An array, so that no other intensity compiles anew, but where a number is what a derivative needs.
    return int(parts) if under_transformation() and not traced(parts) else parts


@eqx.filter_jit
def _spread(frozen: list[AbstractNoise], measure: Density) -> Float[Array, ""]:
    nodes = measure.grid.nodes.astype(measure.values.dtype)
    # The largest sum of absolute values in a row bounds the largest eigenvalue, and is it for a multiple of I.
    return jnp.asarray(sum(jnp.max(jnp.sum(jnp.abs(part.diffusion(nodes, measure)), axis=2)) for part in frozen))


def _grid(measure: Density) -> FourierGrid:
    """The grid of a measure that `accepts` has let in."""
    return cast(FourierGrid, measure.grid)


def _weights(model: Model, measure: Density, dt: Float[Array, ""]) -> dict[str, Array]:
    grid = _grid(measure)
    diffusion = _constant_diffusion(model, measure)
    z = -diffusion * dt * collectives.spread(jnp.asarray(grid.square_wavenumbers, measure.values.dtype), grid.mesh)
    return {"diffusion": diffusion, **exponential.weights(z, dt)}


def _constant_diffusion(model: Model, measure: Density) -> Array:
    """D_0 of the part D_0Δ that is integrated exactly; for a state-dependent noise the largest |½a| (Frobenius)."""
    if model.noise is None or isinstance(model.noise, Thermal):
        return jnp.asarray(1 / model.beta, measure.values.dtype)
    return 0.5 * jnp.sqrt(jnp.max(jnp.sum(_covariance(model.noise, measure) ** 2, axis=(1, 2))))


def _covariance(noise: AbstractNoise, measure: Density) -> Float[Array, "m d d"]:
    sigma = noise.matrix(measure.grid.nodes.astype(measure.values.dtype), measure)
    return jnp.einsum("mik,mjk->mij", sigma, sigma)


def _fine(grid: FourierGrid) -> FourierGrid:
    return FourierGrid(grid.space, tuple(2 * ((3 * n + 3) // 4) for n in grid.shape), grid.mesh)


def _explicit_rate(
    model: Model,
    grid: FourierGrid,
    u: Complex[Array, "..."],
    diffusion: Array | None,
    frozen: _Frozen | None,
    still: Array | None,
) -> Complex[Array, "..."]:
    """Fourier coefficients of everything but D_0Δρ; of the transport alone where there is no D_0."""
    fine, d = _fine(grid), len(grid.shape)
    rho = calculus.synthesise(grid, u, fine)
    density = Density(fine, rho)
    q = [jnp.asarray(k, rho.dtype) for k in grid.wavenumbers]

    def back(field: Float[Array, "size k"]) -> Complex[Array, "..."]:
        """The coefficients of ρ times a field, its components leading."""
        product = field.T.reshape(-1, *fine.shape) * rho
        return calculus.analyse(fine, product, grid)

    drift = model.velocity(fine, density)
    flux = back(drift if frozen is None or still is None else drift + frozen(density, still))
    rate = -_total(1j * q[i] * flux[i] for i in range(d))
    if model.noise is None or diffusion is None:
        return rate
    if isinstance(model.noise, Thermal):
        square = jnp.asarray(grid.square_wavenumbers, rho.dtype)
        return rate - (1 / jnp.asarray(model.beta, rho.dtype) - diffusion) * square * u
    excess = 0.5 * _covariance(model.noise, density) - diffusion * jnp.eye(d, dtype=rho.dtype)
    stress = back(excess.reshape(-1, d * d))
    return rate - _total(q[i] * q[j] * stress[d * i + j] for i in range(d) for j in range(d))


def _total(terms: Iterable[Array]) -> Array:
    return functools.reduce(jnp.add, terms)
