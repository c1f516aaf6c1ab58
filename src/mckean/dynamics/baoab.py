"""Particles with velocities: Leimkuhler and Matthews' splitting of the underdamped Langevin equation.

    B:  dv = −∂_xE dt + b dt + Σ_kσ_k∘dB⁰_k       A:  dx = v dt       O:  dv = −γv dt + √(2γ/β) dB_i

A step of length h is B, A for h/2, O for h, A, B for h/2. A and O are exact, as is B where b = 0 and no σ_k depends on
v; else B is Heun's step, with x and the environment's velocity held still. In a field of stiffness ω² the positions
of its invariant law have the exact variance 1/βω² at any stable h < 2/ω, the velocities (1 − h²ω²/4)/β.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean import interactions
from mckean.checks import require, traced
from mckean.dynamics._increments import Increments, increments
from mckean.dynamics.particles import begin_particles, inspect_sums, with_positions
from mckean.dynamics.scheme import AbstractScheme, Course, Stepper, require_same_space
from mckean.faults import Fault, Status, sound, status
from mckean.measures import AbstractMeasure, Density, Particles
from mckean.models import Equation, Model, RandomForce, Schedule, Thermostat, differs, drift_at, initial
from mckean.models.velocities import Drag
from mckean.paths import Brownian
from mckean.spaces import TangentBundle

# Of so many points the drift and the fields are asked whether they move positions.
_FEW = 16


class BAOAB(AbstractScheme):
    """Leimkuhler and Matthews' splitting for particles with velocities: kick, drift, thermostat, drift, kick.

        v ← v + (h/2)f(x),   x ← x + (h/2)v,   v ← e^{−γh}v + √((1 − e^{−2γh})/β) ξ,   then x and v once more

    The weak order is 2 if no common field depends on the velocity, else 1. In the invariant law harmonic positions
    have their exact variance, and at high friction averages of positions err by O(h⁴). A step is stable for h < 2/ω,
    ω² the largest stiffness, at any friction. It costs two forces.

    **Raises:** `ValueError`, at the begin of a run, for a model without velocities, an own noise that is no
    `Thermostat`, a drift or a common noise that moves positions, and a common noise in Itô form if the two forms
    differ. `RunError` where those of a schedule, or of a label of a population, move positions in the run.

    **Source:** Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34; J. Chem. Phys. 138 (2013) 174102.
    """

    moves: ClassVar[str] = "Particles"

    @property
    def order(self) -> int:
        return 2

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Particles)

    def begin(self, equation: Equation, measure: Particles, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        require_newtonian(model, "BAOAB")
        begun = begin_particles(self, equation, measure, dt)
        return Stepper(self, begun.equation, begun.dt, _watched(equation, measure))

    def advance(
        self, begun: Stepper, measure: Particles, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Particles, Status]:
        h, course = begun.dt, begun.during(index)
        noise, found = increments(begun.at(index), measure, path, index, h), sound(h.dtype)
        if begun.shared:
            moves = _moves_of_positions(course(0.5 * h), measure).values()
            size = jnp.max(jnp.stack([jnp.max(jnp.abs(move)) for move in moves]))
            found = status(Fault.SIDEWAYS, size > 0, size)
        return step(course, measure, noise, h), found

    def inspect(self, begun: Stepper, measure: Particles) -> Status:
        return inspect_sums(begun.equation, measure)


def step(course: Course, mu: Particles, noise: Increments, h: Float[Array, ""]) -> Particles:
    """The particles after B, A for h/2, O for h, A, B for h/2, driven by the increments of a time h.

    Each kick has the model of its end of the step, the thermostat that of the middle.
    """
    space, bath = mu.space, course(0.5 * h).noise
    assert isinstance(space, TangentBundle)
    half = None if noise.common is None else 0.5 * noise.common
    x, v = space.position(mu.positions), space.velocity(mu.positions)
    v = _kick(course(jnp.zeros_like(h)), mu, x, v, half, 0.5 * h)
    x = x + 0.5 * h * v
    if isinstance(bath, Thermostat) and noise.own is not None:
        kept, variance = ornstein_uhlenbeck(bath, h)
        v = kept * v + jnp.sqrt(variance / h) * noise.own
    x = space.base.retract(x + 0.5 * h * v)
    return with_positions(mu, space.join(x, _kick(course(h), mu, x, v, half, 0.5 * h)))


def acceleration(model: Model, rho: Particles | Density, points: interactions.Points) -> Float[Array, "n d"]:
    """−∇V(x) − ∇W_s*ρ(x) at positions, or on the nodes of a grid of them."""
    x = interactions.at(points, rho)
    energy, total = model.confinement.confinement, jnp.zeros_like(x)
    if energy is not None:
        total = total - jax.vmap(jax.grad(energy))(x)
    if model.interaction is not None:
        total = total + interactions.force(model.interaction, rho, points)
    return total


def ornstein_uhlenbeck(noise: Thermostat, h: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """e^{−γh}, by which a thermostat shrinks velocities in a time h, and the variance (1 − e^{−2γh})/β that it adds."""
    turned = noise.friction.astype(h.dtype) * h
    return jnp.exp(-turned), -jnp.expm1(-2 * turned) / noise.beta.astype(h.dtype)


def require_newtonian(model: Model, name: str) -> None:
    """Raise `ValueError` unless a model has velocities, a thermostat or no own noise, and Stratonovich fields."""
    require(
        isinstance(model.space, TangentBundle),
        f"the scheme {name} moves positions with velocities, which points of {model.space} have not: underdamped(…) "
        "makes a model that has.",
    )
    require(
        model.noise is None or isinstance(model.noise, Thermostat),
        f"the scheme {name} takes a Thermostat or no noise of the particles' own: others are for diffrax's solvers.",
    )
    for part in model.common:
        require(
            not differs(part, "stratonovich"),
            f"the scheme {name} takes a common noise in the sense of Stratonovich, but the model's is meant in that of "
            'Itô: mckean.convert(model, "stratonovich") gives the same equation in the other calculus.',
        )


def _moves_of_positions(model: Model, mu: Particles) -> dict[str, Array]:
    """How the drift and the common noise move the positions of a few particles, where they may."""
    z, moves = mu.positions[:_FEW], {}
    if model.drift is not None and not isinstance(model.drift, Drag | interactions.VelocityAlignment):
        moves["drift"] = drift_at(model.drift, z, mu)
    if not all(isinstance(part, RandomForce) for part in model.common):
        unit = np.random.default_rng(0).normal(size=model.motions(mu))
        moves["common noise"] = model.common_displacement(z, mu, jnp.asarray(unit, z.dtype))
    return {name: jnp.broadcast_to(move, z.shape)[:, : z.shape[1] // 2] for name, move in moves.items()}


def _watched(equation: Equation, mu: Particles) -> bool:
    """Whether each step looks for moves of positions: they may come later, or be unknown in a run that is traced.

    **Raises** `ValueError` for those that are there.
    """
    moves = _moves_of_positions(initial(equation), mu)
    for name, part in moves.items():
        require(
            traced(part) or not np.any(np.asarray(part)),
            f"the scheme BAOAB moves positions by their velocities alone, but the model's {name} moves them too: its "
            "first d components must be 0.",
        )
    return bool(moves) and (isinstance(equation, Schedule) or any(traced(part) for part in moves.values()))


def _kick(
    model: Model, mu: Particles, x: Float[Array, "n d"], v: Float[Array, "n d"], dB: Array | None, h: Float[Array, ""]
) -> Float[Array, "n d"]:
    """The velocities after B for a time h, in which the environment moves by dB."""
    space = mu.space
    assert isinstance(space, TangentBundle)
    pushed = v + h * acceleration(model, Particles(space.base, x, mu.weights, mu.mesh), x)

    def others(v: Array) -> Array:
        """b h + Σ_kσ_k dB_k."""
        now = with_positions(mu, space.join(x, v))
        move = h * drift_at(model.drift, now.positions, now)
        return space.velocity(move if dB is None else move + model.common_displacement(now.positions, now, dB))

    if model.drift is None and dB is None:
        return pushed
    first = others(v)
    if model.drift is None and all(part.ito_is_stratonovich for part in model.common):
        # Nothing depends on the velocities, which alone are moved.
        return pushed + first
    return pushed + 0.5 * (first + others(pushed + first))
