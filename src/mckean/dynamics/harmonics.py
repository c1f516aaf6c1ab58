"""Densities on spheres: harmonics in space, exponential Runge–Kutta of order 4 in time.

    ∂_tρ = −∇·(ρ b[ρ]) + β⁻¹Δρ − Σ_k ∇·(ρσ_k[ρ]) ∘ dB⁰_k/dt,   b = the tangent part of −∇V − ∇W_s*ρ + extra drift.

The unknowns are the coefficients of ρ in harmonics of degree l ≤ L, for which β⁻¹Δ is −l(l + d − 2)/β and is integrated
exactly. The rest is formed at the nodes of a grid of degree 3L/2, on which ∫ρ v·∇Y is exact for v of degree L and a
harmonic Y of degree L. The degree 0 does not move: mass is exact.

The environment is made piecewise linear, which gives the Stratonovich integral (Wong and Zakai): over a step its
velocity Σ_kσ_kΔB_k/dt joins the drift. Where five standard deviations of it are beyond the stability of the method at
degree L, the step is cut into equal parts with this velocity.
"""

from typing import Any, ClassVar, NamedTuple, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require, require_tolerance, traced
from mckean.dynamics import exponential
from mckean.dynamics._increments import common_increment
from mckean.dynamics.scheme import (
    AbstractScheme,
    Stepper,
    require_same_space,
    require_stratonovich,
    step_length,
    undershoot,
    with_unit_mass,
)
from mckean.dynamics.spectral import in_parts, parts_under, with_values
from mckean.dynamics.survey import require_functions
from mckean.faults import Fault, Status, sound, status
from mckean.measures import AbstractMeasure, Density
from mckean.models import AbstractNoise, Equation, Model, Schedule, Thermal, initial
from mckean.paths import Brownian
from mckean.spaces import AbstractSphericalGrid, ZonalGrid

# How far a velocity may point across the meridians of a zonal grid, relative to its size.
_ZONAL = 1e-6


class Harmonics(AbstractScheme):
    """Harmonics in space, ETDRK4 in time, for densities on a sphere: order 4 in time without common noise.

        ∂_tρ = −∇·(ρb[ρ]) + β⁻¹Δρ − Σ_k ∇·(ρσ_k[ρ])∘dB⁰_k/dt

    Mass is exact, and so is the heat flow, e^{−l(l + d − 2)t/β} for each degree l. The transport is explicit: with too
    long a step the state becomes non-finite, and the run ends. Positivity is not kept, but monitored. The strong order
    under a common noise is 1 if its fields commute, else 1/2.

    **Arguments:**

    - `negativity`: how far below 0 the density may fall, relative to its maximum. Beyond that the run ends, as the
      degree is too low. Default: 10⁻³.

    **Raises:** `ValueError`, at the begin of a run, for another measure or space, an own noise that is not `Thermal`, a
    common noise in Itô form if the two forms differ, and on a zonal grid for a common noise, for a velocity that points
    across the meridians, and for a degree beyond the precision of the measure. `RunError` where the velocity of a
    schedule comes to point across them later.
    """

    moves: ClassVar[str] = "Density on a grid of a sphere"
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
        return isinstance(measure, Density) and isinstance(measure.grid, AbstractSphericalGrid)

    def begin(self, equation: Equation, measure: Density, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        require(
            model.noise is None or isinstance(model.noise, Thermal),
            f"the own noise of a density on a sphere is Thermal(beta), but the model has {type(model.noise).__name__}.",
        )
        require_stratonovich(model)
        require_functions(model, measure, measure.grid)
        watched = False
        if isinstance(measure.grid, ZonalGrid):
            _require_precision(measure)
            watched = _require_zonal(model, measure) or isinstance(equation, Schedule)
        step, parts = step_length(measure, dt), _count_parts(model, measure, dt)
        # Where the temperature may change each step has weights of its own.
        weights = eqx.filter_jit(_weights)(model, measure, step / parts) if isinstance(equation, Model) else None
        return Stepper(self, equation, step, _Shared(parts, traced(parts), weights, watched))

    def advance(
        self, begun: Stepper, measure: Density, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Density, Status]:
        dt, shared, grid, course = begun.dt, begun.shared, _grid(measure), begun.during(index)
        model = course(0.5 * dt)
        if isinstance(begun.equation, Schedule):
            # A noise may grow, and a run that goes on is the run.
            shared = shared._replace(parts=_count_parts(model, measure, dt), bounded=True)
        part = dt / shared.parts
        weights = _weights(model, measure, part) if shared.weights is None else shared.weights
        # Products of three functions of degree L are integrated exactly there.
        fine, frozen = grid.of_degree((3 * grid.degree + 1) // 2), []
        if model.common:
            increment = common_increment(model, measure, path, index, dt)
            frozen = [(noise, b / dt) for noise, b in model.common_parts(measure, increment)]
        still = _velocity([part for part in frozen if not part[0].depends_on_measure], fine, measure)
        moving = [part for part in frozen if part[0].depends_on_measure]

        def move(k, u):
            def rate(share, u):
                stage = course((k + share) * part)
                now, rho = with_values(measure, grid.synthesise(u)), fine.synthesise(u)
                v = stage.velocity(fine, now) + still + _velocity(moving, fine, now)
                found = -fine.divergence(rho.reshape(-1, 1) * v, grid.degree)
                if shared.weights is not None:
                    return found
                return found + (_temperature(stage) - _temperature(model)) * _laplacian(measure) * u

            return exponential.step(u, rate, weights)

        u, found = in_parts(move, grid.analyse(measure.values), shared.parts, shared.bounded), sound(dt.dtype)
        if shared.watched:
            off, size = _across(model, measure)
            found = status(Fault.ACROSS, off > _zonal(dt.dtype) * size, off / jnp.where(size > 0, size, 1.0))
        return with_unit_mass(measure, grid.synthesise(u)), found

    def inspect(self, begun: Stepper, measure: Density) -> Status:
        return undershoot(measure, self.negativity)


class _Shared(NamedTuple):
    """What all steps share.

    `parts`: of a step; `bounded`: whether their number is traced, with a bound; `weights`: a part's, where all have
    one; `watched`: whether each step looks for a velocity across the meridians, as it cannot be known from the begin.
    """

    parts: int | Int[Array, ""]
    bounded: bool
    weights: dict[str, Array] | None
    watched: bool


def _grid(measure: Density) -> AbstractSphericalGrid:
    """The grid of a measure that `accepts` has let in."""
    return cast(AbstractSphericalGrid, measure.grid)


def _count_parts(model: Model, measure: Density, dt: float | Array) -> int | Int[Array, ""]:
    """In how many parts a step is stable for the velocity that the environment gives it."""
    degree = _grid(measure).degree
    return parts_under(list(model.common), measure, dt, float(degree * (degree + measure.domain.dim - 2)))


def _temperature(model: Model) -> Any:
    return 0.0 if model.noise is None else 1 / model.beta


def _laplacian(measure: Density) -> Array:
    """Δ on the coefficients, −l(l + d − 2)."""
    degrees = _grid(measure).degrees(_grid(measure).degree)
    return jnp.asarray(-degrees * (degrees + measure.domain.dim - 2.0), measure.values.dtype)


def _weights(model: Model, measure: Density, dt: Array) -> dict[str, Array]:
    return exponential.weights(_temperature(model) * _laplacian(measure) * dt, dt)


def _velocity(parts: list[tuple[AbstractNoise, Array]], grid: AbstractSphericalGrid, mu: Density) -> Array:
    """The velocity of parts of the environment at the nodes of a grid."""
    zero = jnp.zeros((), mu.values.dtype)
    return sum((noise.displacement(grid, mu, rate) for noise, rate in parts), zero)


def _require_precision(measure: Density) -> None:
    """Raise `ValueError` where rounding, which harmonics of a high degree carry to the poles, is all of the density.

    At a node that stands for a share s of the sphere they are up to s^{−1/2} times the constant one.
    """
    grid = measure.grid
    share = float(np.min(grid.cell_volume)) / grid.space.volume
    require(
        jnp.finfo(measure.values.dtype).eps < np.sqrt(share),
        f"degree {grid.shape[0] - 1} on S^{grid.space.dim - 1} is beyond the precision of {measure.values.dtype}: "
        "rounding is larger than the density at the poles; take a lower degree, or double precision.",
    )


def _require_zonal(model: Model, measure: Density) -> bool:
    """Raise `ValueError` for a model that does not keep a density zonal; True where that is not known yet."""
    require(
        not model.common,
        "a common noise turns the axis of a zonal density: take a grid of S¹ or S², or particles.",
    )
    off, size = eqx.filter_jit(_across)(model, measure)
    require(
        traced(off) or off <= _zonal(off.dtype) * size,
        "on a zonal grid the velocity must be zonal, too, but this model's points across the meridians: V, W and b may "
        "depend on ⟨e, x⟩ and ⟨x, y⟩ alone; else take a grid of S¹ or S², or particles.",
    )
    return traced(off)


def _across(model: Model, measure: Density) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The largest part of the velocity across the meridians at the nodes, and the largest of all."""
    grid = cast(ZonalGrid, measure.grid)
    v, axis = model.velocity(grid, measure), jnp.asarray(grid.axis, measure.values.dtype)
    x = grid.nodes.astype(v.dtype)
    across = x - (x @ axis)[:, None] * axis
    across = across / jnp.linalg.norm(across, axis=1, keepdims=True)
    off = v - (v @ axis)[:, None] * axis - jnp.sum(v * across, axis=1, keepdims=True) * across
    return jnp.max(jnp.abs(off)), jnp.max(jnp.abs(v))


def _zonal(dtype) -> float:
    """How much of a velocity may point across the meridians."""
    return max(_ZONAL, 100 * float(jnp.finfo(dtype).eps))
