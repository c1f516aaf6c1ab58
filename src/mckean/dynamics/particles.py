"""N particles: any diffrax solver that needs no Lévy area, driven by counter-based increments, then retracted."""

import dataclasses
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean import collectives, interactions
from mckean.checks import require
from mckean.dynamics._increments import Increments, increments
from mckean.dynamics.scheme import (
    AbstractScheme,
    Course,
    Stepper,
    require_motion,
    require_same_space,
    step_length,
)
from mckean.dynamics.survey import inspect_potentials, require_functions
from mckean.faults import Status, sound
from mckean.measures import AbstractMeasure, Particles, at_home
from mckean.models import Calculus, Equation, Model, Thermal, initial, with_planned_sums
from mckean.paths import Brownian

Solver = diffrax.AbstractSolver


def ode_order(solver: Solver) -> int:
    """The solver's order for ordinary differential equations; Milstein's methods are Euler's there."""
    if isinstance(solver, diffrax.ItoMilstein | diffrax.StratonovichMilstein):
        return 1
    order = solver.order(diffrax.ODETerm(lambda t, y, args: y))
    if order is None:
        raise ValueError(f"the solver {type(solver).__name__} declares no order.")
    return order


def both_ways(solver: Solver) -> Solver:
    """The solver in the form that can be differentiated forwards as well as backwards."""
    return solver if getattr(solver, "scan_kind", "") is not None else dataclasses.replace(solver, scan_kind="bounded")


def begin_particles(scheme: AbstractScheme, equation: Equation, measure: Particles, dt: float) -> Stepper:
    """The steps of a scheme of particles, with sums that are planned for the cloud.

    **Raises:** `ValueError` for a model of another space, a drift that is not finite at the particles, and a state that
    would never move.
    """
    require_same_space(initial(equation), measure)
    equation, here = with_planned_sums(equation, measure), at_home(measure)
    model = initial(equation)
    require_functions(model, here, here.positions)
    require_motion(model, here, dt)
    return Stepper(scheme, equation, step_length(measure, dt))


def inspect_sums(equation: Equation, measure: Particles) -> Status:
    """Whether the cloud has outgrown what the sum over the kernel was planned for, or left where V and W are finite.

    Where V and W depend on time their values tell, which become non-finite.
    """
    model = initial(equation)
    found = interactions.inspect(model.interaction, measure)
    if isinstance(model.drift, interactions.VelocityAlignment):
        found = found.then(interactions.inspect(model.drift.weight, measure))
    return found.then(inspect_potentials(equation, measure)) if isinstance(equation, Model) else found


def with_positions(particles: Particles, positions: Float[Array, "n d"]) -> Particles:
    """The particles elsewhere."""
    return eqx.tree_at(lambda p: p.positions, particles, collectives.spread(positions, particles.mesh))


class ParticleScheme(AbstractScheme):
    """A diffrax solver for N particles, dX_i = b(X_i, μ) dt + σ(X_i, μ) dB_i + Σ_k σ_k(X_i, μ) dB⁰_k, with retraction.

    Itô solvers take Itô noise, and Stratonovich solvers take Stratonovich noise. Both take additive noise. Solvers of
    ordinary differential equations take no noise. The strong order is 1 for additive noise. For noise that depends on
    the state it is 1/2 for `Euler`. For the others it is 1 if the noise of a particle is commutative (d = 1 with one
    Brownian motion, or σ diagonal with each entry a function of its own coordinate), else 1/2.

    **Arguments:**

    - `solver`: a diffrax solver. Default: `diffrax.Euler()`.

    **Raises:** `ValueError`, at the begin of a run, for a solver that needs a Lévy area, is implicit or wraps another,
    and for one whose calculus is not that of the noise.
    """

    moves: ClassVar[str] = "Particles"
    solver: Solver = eqx.field(default_factory=diffrax.Euler)

    @property
    def order(self) -> int:
        return ode_order(self.solver)

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Particles)

    def begin(self, equation: Equation, measure: Particles, dt: float) -> Stepper:
        check_solver(self.solver)
        check_calculus(self.solver, initial(equation))
        return begin_particles(self, equation, measure, dt)

    def advance(
        self, begun: Stepper, measure: Particles, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Particles, Status]:
        noise = increments(begun.at(index), measure, path, index, begun.dt)
        positions = solve(self.solver, begun.during(index), measure, noise, begun.dt)
        return with_positions(measure, positions), sound(begun.dt.dtype)

    def inspect(self, begun: Stepper, measure: Particles) -> Status:
        return inspect_sums(begun.equation, measure)


def displacement(model: Model, particles: Particles, noise: Increments, dt: Float[Array, ""]) -> Float[Array, "n d"]:
    """b dt + σ dB_i + Σ_k σ_k dB⁰_k, tangent to the space; length."""
    x = particles.positions
    move = dt * model.velocity(x, particles)
    if model.has_noise:
        move = move + _NoiseTerm(lambda t: model, lambda y: particles, noise).vf_prod(0.0, x, None, noise.own)
    return move


def solve(
    solver: Solver,
    course: Course,
    particles: Particles,
    noise: Increments,
    dt: Float[Array, ""],
    law: AbstractMeasure | None = None,
) -> Float[Array, "n d"]:
    """The positions after one step of the solver, retracted to the space.

    `course`: the model at the times of the solver's stages, which begin at 0. `law` is the measure that acts: None for
    the particles' own, which then moves with the stages; a given one (McKean's process) is frozen over the step.
    """

    def acting(y):
        return eqx.tree_at(lambda p: p.positions, particles, y) if law is None else law

    y0 = particles.positions
    if isinstance(solver, diffrax.ItoMilstein) and noise.own is not None:
        y1 = _one_by_one(solver, course(jnp.zeros_like(dt)), acting(y0), y0, noise, dt)
    else:
        drift = diffrax.ODETerm(lambda t, y, args: course(t).velocity(y, acting(y)))
        y1 = _solver_step(solver, drift, course, acting, y0, noise, dt)
    return particles.space.retract(y1)


def _solver_step(solver: Solver, drift: diffrax.ODETerm, course: Course, acting, y0, noise: Increments, dt) -> Array:
    still = noise.own is None and noise.common is None
    term = drift if still else diffrax.MultiTerm(drift, _NoiseTerm(course, acting, noise))
    zero, solver = jnp.zeros((), dt.dtype), both_ways(solver)
    y1, *_ = solver.step(term, zero, dt, y0, None, solver.init(term, zero, dt, y0, None), False)
    return y1


def _one_by_one(
    solver: Solver,
    model: Model,
    mu: AbstractMeasure,
    y0: Float[Array, "n d"],
    noise: Increments,
    dt: Float[Array, ""],
) -> Float[Array, "n d"]:
    """ItoMilstein with σ(·, μ) frozen over the step, as n systems of one particle.

    For the whole system it would form σ's derivative for every pair of increments, n³ entries. The drift, which it
    asks for at y0 alone, is evaluated for all particles at once. What is frozen away, the derivative of σ with
    respect to μ, enters a step as a mean of n independent terms of size dt: an error of order √(dt/n) in all, none
    where σ depends on x alone.
    """
    drift = model.velocity(y0, mu)

    def one(y, b, increment):
        still = diffrax.ODETerm(lambda t, y, args: b)
        alone = Increments(increment[None], None)
        return _solver_step(solver, still, lambda t: model, lambda y: mu, y[None], alone, dt)[0]

    # diffrax forms its identity matrix in the default precision, which would promote single precision to double.
    return jax.vmap(one)(y0, drift[:, None], noise.own).astype(y0.dtype)


class _NoiseTerm(diffrax.AbstractTerm):
    """σ(y, μ) dB + Σ_k σ_k(y, μ) dB⁰_k for a step whose increments are known.

    The control is the particles' own increments, of which Milstein's method takes products. The environment's share is
    a field of shape (n, d) from the start: a matrix of its m fields would take m times the memory.
    """

    course: Course = eqx.field(static=True)
    acting: Any = eqx.field(static=True)
    noise: Increments

    def vf(self, t, y, args):
        model, mu = self.course(t), self.acting(y)
        own = model.noise
        return None if own is None else _tangent(model, y, own.matrix(y, mu)), self._common(model, mu, y)

    def contr(self, t0, t1, **kwargs):
        return self.noise.own

    def prod(self, vf, control):
        # Which motions a noise has, and how they multiply its fields, does not depend on time.
        own, (sigma, common) = self.course(0.0).noise, vf
        return common + (0.0 if own is None else own.apply(sigma, control))

    def vf_prod(self, t, y, args, control):
        model, mu = self.course(t), self.acting(y)
        if isinstance(model.noise, Thermal):
            amplitude = model.noise.amplitude.astype(y.dtype)
            return self._common(model, mu, y) + model.space.project(y, amplitude * control)
        return self.prod(self.vf(t, y, args), control)

    def _common(self, model: Model, mu: AbstractMeasure, y: Array) -> Array:
        dB = self.noise.common
        return jnp.zeros((), y.dtype) if dB is None else model.common_displacement(y, mu, dB)


def _tangent(model: Model, y: Float[Array, "n d"], sigma: Float[Array, "n d m"]) -> Float[Array, "n d m"]:
    """Every column of σ projected onto the tangent space."""
    return jnp.moveaxis(model.space.project(y[:, None], jnp.moveaxis(sigma, 2, 1)), 1, 2)


_AREA = "needs a Lévy area, which these increments do not carry"
_REFUSED = (
    (lambda s: getattr(s, "minimal_levy_area", None) is not None, _AREA),
    (lambda s: isinstance(s, diffrax.AbstractImplicitSolver), "is implicit: its Jacobian is of size (nd)²"),
    (lambda s: isinstance(s, diffrax.AbstractWrappedSolver), "wraps another solver in steps of its own"),
    (lambda s: isinstance(s, diffrax.SemiImplicitEuler), "is for partitioned (position–momentum) systems"),
    (
        lambda s: isinstance(s, diffrax.LeapfrogMidpoint | diffrax.ReversibleHeun),
        "keeps a state from step to step",
    ),
)


def check_solver(solver: Solver) -> None:
    """Raise `ValueError` for a solver that one step and one increment cannot drive."""
    require(isinstance(solver, Solver), f"particles are moved by a diffrax solver, not by {solver!r}.")
    for refused, why in _REFUSED:
        if refused(solver):
            raise ValueError(
                f"the solver {type(solver).__name__} {why}; Euler, Heun and EulerHeun are among those that serve."
            )


def check_calculus(solver: Solver, model: Model) -> None:
    """Raise `ValueError` unless the solver converges to what the model's noise means, or neither is there."""
    name = type(solver).__name__
    if not model.has_noise:
        require(
            solver.term_structure is diffrax.AbstractTerm,
            f"the solver {name} needs a noise, but this model has none.",
        )
        return
    known: dict[Calculus, type] = {
        "ito": diffrax.AbstractItoSolver,
        "stratonovich": diffrax.AbstractStratonovichSolver,
    }
    own = [calculus for calculus, base in known.items() if isinstance(solver, base)]
    require(
        own,
        f"the solver {name} is for ordinary differential equations, but this model has noise.",
        see="A solver for noise",
    )
    for what, noise in (("noise", model.noise), *(("common noise", part) for part in model.common)):
        require(
            noise is None or noise.ito_is_stratonovich or noise.calculus in own,
            f"the solver {name} converges to the {own[0].title()} solution, but the model's {what} is meant in the "
            f'sense of {"" if noise is None else noise.calculus.title()}: mckean.convert(model, "{own[0]}") says the '
            "same in the other calculus.",
            see="Itô or Stratonovich",
        )
    require(
        not (model.common and isinstance(solver, diffrax.ItoMilstein | diffrax.StratonovichMilstein)),
        f"the solver {name} with a common noise {_AREA}; Euler, Heun and EulerHeun are among those that serve.",
    )
