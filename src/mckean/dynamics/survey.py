"""Whether a model's functions are what a run takes them for: looked at once before it, and now and then on the way."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from mckean import collectives, interactions
from mckean.checks import require_entries, require_same, traced
from mckean.dynamics.interruption import asked_to_stop
from mckean.faults import Fault, Status, status
from mckean.interactions import Points
from mckean.interactions.kernels import FourierSeries
from mckean.measures import AbstractMeasure, Particles, dtype_of
from mckean.models import Model, Multiplicative, Thermal, drift_at
from mckean.spaces import Torus

# Of so many points W is asked for between them and others.
_PAIRS = 4096
# So many particles tell how long steps are, and so many spacings of numbers make a step that is true to 2 %.
_SAMPLE = 256
_RESOLVED = 32


def require_functions(model: Model, measure: AbstractMeasure, points: Points) -> None:
    """Raise `ValueError` for functions that are not finite at the initial state, or not periodic on a torus.

    V, W and ∇W between some of the points, ∇V and b are looked at, with the place of the first point where one is not
    finite; b and σ, with the measure as it is, are compared at points of a torus that are a side apart.
    """
    # A callback in V or b that is interrupted would end as an error of XLA's.
    with asked_to_stop():
        found = _survey(model, measure, points)
    if traced(found):
        return
    places = points if isinstance(points, jax.Array) else points.nodes
    for name, bad in found["bad"].items():
        where = np.flatnonzero(bad)
        if where.size:
            point = ", ".join(f"{c:.6g}" for c in np.asarray(places)[where[0]])
            raise ValueError(
                f"{name} is not finite at {where.size} of the {np.size(bad)} points of the initial state; the first is "
                f"({point})."
            )
    if isinstance(model.space, Torus):
        for name, values in found["shifted"].items():
            require_same(name, model.space.lengths, np.asarray(values))


@eqx.filter_jit
def _survey(model: Model, mu: AbstractMeasure, points: Points) -> dict[str, Any]:
    x = interactions.at(points, mu)
    bad = {
        "the confinement V": ~confined(model, x),
        "the interaction W between two points": ~interacting(model, x, slopes=True),
        "the drift −∇V + b": ~_drifting(model, mu, x),
    }
    fields, shifted = point_fields(model, mu), {}
    if isinstance(model.space, Torus):
        sides = np.asarray(model.space.lengths)
        y = np.random.default_rng(0).uniform(-0.5, 0.5, (32, sides.size)) * sides
        lattice = jnp.asarray(np.concatenate([y[None], y + np.diag(sides)[:, None]]), x.dtype)
        shifted = {name: jnp.stack([field(y) for y in lattice]) for name, field in fields.items()}
    return {"bad": bad, "shifted": shifted}


def _drifting(model: Model, mu: AbstractMeasure, x: Float[Array, "n d"]) -> Bool[Array, " n"]:
    """Where −∇V + b is finite. The sum −∇W*μ is the run's own: to compile it here as well would take as long."""
    total = jnp.zeros_like(x)
    if model.confinement is not None:
        total = total - jax.vmap(jax.grad(model.confinement))(x)
    if not isinstance(model.drift, interactions.AbstractField):
        total = total + drift_at(model.drift, x, mu)
    return jnp.all(jnp.isfinite(total), axis=1)


def point_fields(model: Model, mu: AbstractMeasure) -> dict[str, Callable]:
    """b and σ at points, by name, where they are functions of one point; raises `ValueError` for an entry too many."""
    fields: dict[str, Callable] = {}
    if model.drift is not None and not isinstance(model.drift, interactions.AbstractField):
        require_entries("a drift b(x, mu)", lambda y: model.drift(y, mu), model.space.dim)
        fields["the drift b(x, mu)"] = lambda y: drift_at(model.drift, y, mu)
    for part in (*model.common, *(() if model.noise is None else (model.noise,))):
        if isinstance(part, Multiplicative):
            require_entries("sigma(x, mu)", lambda y, part=part: part.sigma(y, mu), model.space.dim)
            fields["the noise sigma(x, mu)"] = lambda y, part=part: part.matrix(y, mu)
    return fields


def warn_of_lost_steps(model: Model, measure: AbstractMeasure, dt: float, steps: int) -> None:
    """Say once where steps in single precision are near the spacing of its numbers, so that rounding decides them.

    A drift is rounded the same way at each step: of a step of r spacings a part 1/2r may be lost. A noise of a spacing
    or more makes rounding random, and is then kept, as is the drift beside it. Steps that do not add up to what is
    seen, as near a state of rest, lose nothing.
    """
    if not isinstance(measure, Particles) or traced((model, measure)) or dtype_of(measure) == jnp.float64:
        return
    x = collectives.known(measure.positions[:_SAMPLE])
    spacing = np.spacing(np.maximum(np.abs(x).max(axis=1), np.finfo(x.dtype).tiny)).astype(float)
    noise, quiet = model.noise, not model.common
    if isinstance(noise, Thermal):
        quiet = quiet and bool(np.median(math.sqrt(2 * dt / noise.beta) / spacing) < 1)
    if not quiet:
        return
    speed, spread = (collectives.known(a) for a in _moves(model, measure, jnp.asarray(x)))
    drift, noise = speed * dt / spacing, spread * math.sqrt(dt) / spacing
    lost = (drift < _RESOLVED) & (drift * steps >= _RESOLVED) & (noise < 1)
    lost |= (noise > 0) & (noise < 1) & (noise * math.sqrt(steps) >= 1)
    if np.mean(lost) > 0.5:
        size = max(float(np.median(speed[lost])) * dt, float(np.median(spread[lost])) * math.sqrt(dt))
        warnings.warn(
            f"steps of {size:.2g} are near the spacing of numbers in single precision, which is "
            f"{np.median(spacing[lost]):.2g} at |x| = {np.median(np.abs(x).max(axis=1)[lost]):.3g}, and rounding "
            "changes them: take a longer dt, positions in double precision, or coordinates nearer to 0.",
            RuntimeWarning,
            stacklevel=4,
        )


@eqx.filter_jit
def _moves(model: Model, mu: Particles, x: Float[Array, "n d"]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """The largest component of the velocity, and of the noise's standard deviation per √time, at points."""
    speed = jnp.max(jnp.abs(model.velocity(x, mu)), axis=1)
    if model.noise is None:
        return speed, jnp.zeros_like(speed)
    return speed, jnp.sqrt(jnp.max(jnp.sum(model.noise.matrix(x, mu) ** 2, axis=2), axis=1))


def confined(model: Model, x: Float[Array, "n d"]) -> Bool[Array, " n"]:
    """Where V is finite."""
    if model.confinement is None:
        return jnp.ones(x.shape[0], bool)
    return jnp.isfinite(jax.vmap(model.confinement)(x))


def interacting(model: Model, x: Float[Array, "n d"], slopes: bool = False) -> Bool[Array, " m"]:
    """Where W, and ∇W if asked for, is finite, from some of the points to three others; a Fourier series always is."""
    x, n = x[:_PAIRS], min(x.shape[0], _PAIRS)
    fine = jnp.ones(n, bool)
    if model.interaction is None or isinstance(model.interaction.kernel, FourierSeries):
        return fine
    kernel, space = model.interaction.kernel, model.interaction.space
    # The positions, where points have velocities.
    x = x[:, : space.dim]
    for shift in sorted({1, n // 3, n // 2}):
        other = jnp.roll(x, shift, 0)
        z = space.displacement(x, other) if isinstance(space, Torus) else x - other
        fine = fine & jnp.isfinite(jax.vmap(kernel.value)(z))
        if slopes:
            fine = fine & jnp.all(jnp.isfinite(jax.vmap(kernel.gradient)(z)), axis=1)
    return fine


def inspect_potentials(model: Model, measure: Particles) -> Status:
    """Whether V and W are finite where the particles are: the share of those where they are not."""
    x = measure.positions
    lost = jnp.maximum(jnp.mean(~confined(model, x)), jnp.mean(~interacting(model, x))).astype(x.dtype)
    return status(Fault.UNDEFINED, ~(lost <= 0), lost)
