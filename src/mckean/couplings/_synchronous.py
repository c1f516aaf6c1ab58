"""Synchronous coupling: N particles beside N copies of McKean's process, driven by the same noises.

    dX_i = b(X_i, μ^N_X) dt + √(2/β) dB_i,   dY_i = b(Y_i, μ_t) dt + √(2/β) dB_i,   X_i(0) = Y_i(0) iid of law μ_0,

and, where the noise is common, with the same environment for both. μ_t is the law of Y (given the environment), from
the PDE or SPDE (a density) or the moment equations (a Gaussian), stepped along. With F(μ, x) what of the drift depends
on the measure, −∇W_s*μ(x) and the drift that is no gradient, that of X_i − Y_i is −∇V(X_i) + ∇V(Y_i) plus

    F(μ_X, X_i) − F(μ_X, Y_i)   +   F(μ_X, Y_i) − F(μ_Y, Y_i)   +   F(μ_Y, Y_i) − F(μ_t, Y_i),

how the field varies in space, how it varies with the measure, and the sampling error of N independent copies
(Sznitman, Topics in propagation of chaos, 1991). An additive common noise cancels as the particles' own does; one that
depends on the state adds Σ_k(σ_k(X_i, μ_X) − σ_k(Y_i, μ_t)) dB⁰_k, which is no drift and is not among the terms.
"""

from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean import interactions
from mckean.checks import require
from mckean.dynamics import (
    Carrier,
    CarrierScheme,
    Observables,
    ParticleScheme,
    Scheme,
    Stepper,
    Trajectory,
    evolve,
    increments,
    require_coupling,
    scheme_for,
)
from mckean.dynamics.particles import solve, with_positions
from mckean.faults import Status
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles
from mckean.measures.convert import require_particles
from mckean.models import Equation, Model
from mckean.models.model import drift_at
from mckean.paths import Brownian


class CoupledMeasures(NamedTuple):
    """The measures of a coupling: the particles X, the copies Y, and the law that moves the copies."""

    particles: Particles
    copies: Particles
    law: Density | Gaussian


def coupled(law: Density | Gaussian, particles: Particles, copies: Particles | None = None) -> Carrier:
    """The start of a coupling; copies are by default where the particles are.

    **Raises:** `ValueError` for particles with weights, in another number, or on another space.
    """
    copies = particles if copies is None else copies
    require_alike(particles, copies)
    require(particles.space == law.domain, f"particles on {particles.space} cannot follow a law on {law.domain}.")
    return Carrier(CoupledMeasures(particles, copies, law))


def require_alike(first: Particles, second: Particles) -> None:
    """Raise `ValueError` unless each particle of one cloud can be coupled with one of the other."""
    for cloud in (first, second):
        require_particles("a coupling of noises", cloud)
        require(cloud.weights is None, "a coupling is of particles of equal weight.")
    require(first.space == second.space, f"particles on {first.space} are not coupled with some on {second.space}.")
    n, m = first.n, second.n
    require(n == m, f"each particle has one copy, but there are {n} particles and {m} copies.")


def synchronous_coupling(
    model: Equation,
    law: Density | Gaussian,
    particles: Particles,
    copies: Particles | None = None,
    *,
    until: float,
    dt: float,
    start: float = 0.0,
    path: Brownian | None = None,
    scheme: Scheme | None = None,
    observe: Observables | None = None,
    every: int | None = None,
) -> Trajectory[Carrier]:
    """N particles X and N copies Y of McKean's process with the same noise, by Euler's scheme.

        dX_i = b(X_i, μ^N_X) dt + σ dB_i,   dY_i = b(Y_i, μ_t) dt + σ dB_i

    A common noise is the same for both. μ_t is the law of Y, given the environment, and is computed along with them. In
    each step the law of its start acts on the copies.

    **Arguments:**

    - `model`: any model or schedule.
    - `law`: μ_0, a `Density` or a `Gaussian`.
    - `particles`: X(0).
    - `copies`: Y(0), N as well. Default: None, X(0).
    - `scheme`: the scheme of the law, such as `FluxLimited()`. Default: None, that of `evolve`.
    - `observe`: functions of (model, state) by name, where `state.measures` has the fields `particles`, `copies` and
      `law`: for instance `coupling_terms`, `coupling_distance`, `visited`.
    - `until`, `dt`, `start`, `path`, `every`: as for `evolve`.

    **Returns:** the run. `final.measures` has the three at the end.

    **Raises:** `ValueError` for particles with weights, in another number, or on another space, and as `evolve` does.

    **Source:** Sznitman, Topics in propagation of chaos (1991).
    """
    state = coupled(law, particles, copies)
    schemes = (ParticleScheme(), ParticleScheme(), scheme_for(model, law, scheme))
    return evolve(
        model, state, until=until, dt=dt, start=start, path=path, scheme=CarrierScheme(schemes, _couple),
        observe=observe, every=every,
    )  # fmt: skip


def _couple(begun: Stepper, state: Carrier, path: Brownian | None, index: Int[ArrayLike, ""]) -> tuple[Carrier, Status]:
    (particles, copies, law), (own, _, mean_field) = state.measures, begun.shared
    noise = increments(begun.at(index), particles, path, index, begun.dt)
    x = solve(diffrax.Euler(), own.during(index), particles, noise, begun.dt)
    y = solve(diffrax.Euler(), mean_field.during(index), copies, noise, begun.dt, law=law)
    law, found = mean_field.step(law, path, index)
    return Carrier(CoupledMeasures(with_positions(particles, x), with_positions(copies, y), law)), found


def coupling_terms(model: Model, state: Carrier) -> dict[str, Float[Array, ""]]:
    """Observable: mean squares over i of the coupling error |X_i − Y_i| and of the parts of the drift of X_i − Y_i.

        F(μ_X, X_i) − F(μ_X, Y_i)   +   F(μ_X, Y_i) − F(μ_Y, Y_i)   +   F(μ_Y, Y_i) − F(μ_t, Y_i)

    F is the part of the drift that depends on the measure. The three terms are its variation in space, its variation
    with the measure, and the sampling error of N independent copies.

    **Arguments:**

    - `model`: on a torus or R^d.
    - `state`: the particles X, their copies Y, and the law μ_t.

    **Returns:** `error`, `confinement`, `space`, `measure`, `sampling`, each (1/N)Σ_i|·|².

    **Source:** Sznitman, Topics in propagation of chaos (1991).
    """
    require_coupling(state, 3)
    x, y, law = state.measures
    square = lambda v: jnp.mean(jnp.sum(v**2, axis=-1))  # noqa: E731
    field = lambda mu, at: _acting(model, mu, at.positions)  # noqa: E731
    return {
        "error": square(state.domain.displacement(x.positions, y.positions)),
        "confinement": square(_confinement(model, x) - _confinement(model, y)),
        "space": square(field(x, x) - field(x, y)),
        "measure": square(field(x, y) - field(y, y)),
        "sampling": square(field(y, y) - field(law, y)),
    }


def _acting(model: Model, mu: AbstractMeasure, points: Float[Array, "n d"]) -> Float[Array, "n d"]:
    own = drift_at(model.drift, points, mu)
    return own if model.interaction is None else own + interactions.force(model.interaction, mu, points)


def _confinement(model: Model, at: Particles) -> Float[Array, "n d"]:
    if model.confinement is None:
        return jnp.zeros_like(at.positions)
    return -jax.vmap(jax.grad(model.confinement))(at.positions)
