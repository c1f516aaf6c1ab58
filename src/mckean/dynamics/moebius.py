"""Isotropic common noise on the sphere: its flow over a step is a Möbius map, taken exactly.

The fields P_x e_k, k = 1 … d, are conformal, and the flow of √κ P_x∘dB along a straight piece of B, √κ dB = s e with
|e| = 1, is

    x ↦ (x + (sinh s + (cosh s − 1)⟨x, e⟩) e) / (cosh s + sinh s ⟨x, e⟩),

which keeps |x| = 1 and every cross-ratio (1 − R_ij)(1 − R_kl)/((1 − R_ik)(1 − R_jl)), R_ij = ⟨x_i, x_j⟩, as a group of
maps does. The Stratonovich form of P_x∘dB is the Itô equation with the drift −½κ(d − 1)x.
"""

from typing import ClassVar, cast

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require
from mckean.dynamics._increments import Increments, common_increment
from mckean.dynamics.particles import begin_particles, inspect_sums, solve, with_positions
from mckean.dynamics.scheme import AbstractScheme, Stepper
from mckean.faults import Status, sound
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Equation, Isotropic, initial
from mckean.paths import Brownian
from mckean.spaces import Sphere


def moebius(x: Float[Array, "n d"], v: Float[Array, " d"]) -> Float[Array, "n d"]:
    """The Möbius map of the module with s e = v, on unit vectors x, shape (n, d)."""
    square = jnp.sum(v * v)
    moving = square > 0
    s = jnp.sqrt(jnp.where(moving, square, 1.0))
    e = jnp.where(moving, 1 / s, 0.0) * v
    # What the step before has rounded away from |x| = 1 is mended on the way in, where it costs no pass of its own.
    scale = jax.lax.rsqrt((x * x) @ jnp.ones(x.shape[1], x.dtype))
    c = scale * (x @ e)
    near, far = jnp.maximum(1 + c, 0), jnp.maximum(1 - c, 0)
    # cosh and sinh over e^s, so that no step is too long; never 0, so that −e stays where it is.
    tail = jnp.maximum(jnp.exp(-2 * s), jnp.finfo(x.dtype).tiny)
    below = near + far * tail
    across = 2 * jnp.exp(-s) / below
    along = (near - far * tail) / below - c * across
    return jnp.where(moving, across * scale, 1.0)[:, None] * x + jnp.where(moving, along, 0.0)[:, None] * e


class Moebius(AbstractScheme):
    """Möbius maps for a common isotropic noise √κ P_x dB on the sphere, between two half steps of the drift.

        x ↦ (x + (sinh s + (cosh s − 1)⟨x, e⟩) e)/(cosh s + sinh s ⟨x, e⟩),   √κ ΔB = s e,   |e| = 1

    The drift moves by Heun's method. For Itô noise (the toy Transformer of the talk) √κ is taken at the begin of the
    step, for Stratonovich noise as the mean of both ends. The noise keeps norms and cross-ratios to rounding, at any
    dt. The weak order is 1. The strong order is 1/2, as no Lévy area is drawn.

    **Raises:** `ValueError`, at the begin of a run, for another space, and for a noise that is not one common
    `Isotropic`.
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
        require(isinstance(model.space, Sphere), f"Möbius maps move particles on a sphere, not on {model.space}.")
        isotropic = len(model.common) == 1 and isinstance(model.common[0], Isotropic)
        require(
            isotropic and model.noise is None,
            "the flow of a noise is Möbius if it is isotropic, common to all particles and the only one: "
            "Model(sphere, common=Isotropic(amplitude)).",
        )
        return begin_particles(self, equation, measure, dt)

    def advance(
        self, begun: Stepper, measure: Particles, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Particles, Status]:
        half = 0.5 * begun.dt
        model = begun.at(index, half)
        dB = common_increment(model, measure, path, index, begun.dt)

        def drift(mu: Particles, after: Array) -> Particles:
            if not model.has_velocity:
                return mu
            still = Increments(None, None)
            return with_positions(mu, solve(diffrax.Heun(), begun.during(index, after), mu, still, half))

        noise = cast(Isotropic, model.common[0])
        middle = _map(noise, drift(measure, jnp.zeros_like(half)), dB)
        return drift(middle, half), sound(half.dtype)

    def inspect(self, begun: Stepper, measure: Particles) -> Status:
        return inspect_sums(begun.equation, measure)


def _map(noise: Isotropic, mu: Particles, dB: Float[Array, " d"]) -> Particles:
    amplitude = noise.at(mu)
    new = with_positions(mu, moebius(mu.positions, amplitude * dB))
    if noise.calculus == "ito":
        return new
    mean = 0.5 * (amplitude + noise.at(new))
    return with_positions(mu, moebius(mu.positions, mean * dB))
