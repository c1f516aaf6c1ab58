"""Whether a model's functions are what a run takes them for: looked at once before it, and now and then on the way."""

from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from mckean import interactions
from mckean.checks import require_entries, require_same, traced
from mckean.faults import Fault, Status, status
from mckean.interactions import Points
from mckean.interactions.kernels import FourierSeries
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Model, Multiplicative, drift_at
from mckean.spaces import Torus

# Of so many points W is asked for between them and others.
_PAIRS = 4096


def require_functions(model: Model, measure: AbstractMeasure, points: Points) -> None:
    """Raise `ValueError` for functions that are not finite at the initial state, or not periodic on a torus.

    V, W between some of the points, and the drift are looked at, with the place of the first point where one is not
    finite; b and σ, with the measure as it is, are compared at points of a torus that are a side apart.
    """
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
    for name, values in found["shifted"].items():
        require_same(name, cast(Torus, model.space).lengths, np.asarray(values))


@eqx.filter_jit
def _survey(model: Model, mu: AbstractMeasure, points: Points) -> dict[str, Any]:
    x = interactions.at(points, mu)
    bad = {
        "the confinement V": ~confined(model, x),
        "the interaction W between two points": ~interacting(model, x),
        "the drift −∇V − ∇W*μ + b": ~jnp.all(jnp.isfinite(model.velocity(points, mu)), axis=1),
    }
    fields, shifted = point_fields(model, mu), {}
    if isinstance(model.space, Torus):
        sides = np.asarray(model.space.lengths)
        y = np.random.default_rng(0).uniform(-0.5, 0.5, (32, sides.size)) * sides
        lattice = jnp.asarray(np.concatenate([y[None], y + np.diag(sides)[:, None]]), x.dtype)
        shifted = {name: jnp.stack([field(y) for y in lattice]) for name, field in fields.items()}
    return {"bad": bad, "shifted": shifted}


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


def confined(model: Model, x: Float[Array, "n d"]) -> Bool[Array, " n"]:
    """Where V is finite."""
    if model.confinement is None:
        return jnp.ones(x.shape[0], bool)
    return jnp.isfinite(jax.vmap(model.confinement)(x))


def interacting(model: Model, x: Float[Array, "n d"]) -> Bool[Array, " m"]:
    """Where W is finite, from some of the points to three others; a series of Fourier is finite everywhere."""
    x, n = x[:_PAIRS], min(x.shape[0], _PAIRS)
    fine = jnp.ones(n, bool)
    if model.interaction is None or isinstance(model.interaction.kernel, FourierSeries):
        return fine
    value = jax.vmap(model.interaction.kernel.value)
    for shift in sorted({1, n // 3, n // 2}):
        other = jnp.roll(x, shift, 0)
        z = model.space.displacement(x, other) if isinstance(model.space, Torus) else x - other
        fine = fine & jnp.isfinite(value(z))
    return fine


def inspect_potentials(model: Model, measure: Particles) -> Status:
    """Whether V and W are finite where the particles are: the share of those where they are not."""
    x = measure.positions
    lost = jnp.maximum(jnp.mean(~confined(model, x)), jnp.mean(~interacting(model, x))).astype(x.dtype)
    return status(Fault.UNDEFINED, ~(lost <= 0), lost)
