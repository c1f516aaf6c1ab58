"""Isotropic common noise on the sphere: its flow over a step is a Möbius map, taken exactly.

The fields P_x e_k, k = 1 … d, are conformal, and the flow of √κ P_x∘dB along a straight piece of B, √κ dB = s e with
|e| = 1, is

    x ↦ (x + (sinh s + (cosh s − 1)⟨x, e⟩) e) / (cosh s + sinh s ⟨x, e⟩),

which keeps |x| = 1 and every cross-ratio (1 − R_ij)(1 − R_kl)/((1 − R_ik)(1 − R_jl)), R_ij = ⟨x_i, x_j⟩, as a group of
maps does. The Stratonovich form of P_x∘dB is the Itô equation with the drift −½κ(d − 1)x.
"""

from typing import cast

import diffrax
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require
from mckean.dynamics.particles import AbstractParticleScheme, Increments, advance, increments
from mckean.dynamics.scheme import evaluate_drift, require_finite_field, require_same_space
from mckean.measures import Particles
from mckean.models import Isotropic, Model
from mckean.paths import Brownian
from mckean.spaces import Sphere


def moebius(x: Float[Array, "n d"], v: Float[Array, " d"]) -> Float[Array, "n d"]:
    """The Möbius map of the module with s e = v, on unit vectors x, shape (n, d)."""
    square = jnp.sum(v * v)
    moving = square > 0
    s = jnp.sqrt(jnp.where(moving, square, 1.0))
    e = jnp.where(moving, 1 / s, 0.0) * v
    # 1 ± ⟨x, e⟩ as squares, which keep their digits near ±e; cosh and sinh over e^s, so that no step is too long.
    near, far = (0.5 * jnp.sum((x + sign * e) ** 2, axis=1, keepdims=True) for sign in (1, -1))
    tail = jnp.exp(-2 * s)
    below = near + far * tail
    across = x - (x @ e)[:, None] * e
    return jnp.where(moving, (2 * jnp.exp(-s) * across + (near - far * tail) * e) / below, x)


class Moebius(AbstractParticleScheme):
    """A Möbius map for the common noise of each step, between two half steps of the drift by Heun's method.

    For models on the sphere whose one noise is `Isotropic` and common. √κ is taken where the step begins for Itô noise
    (the toy Transformer of the talk), for Stratonovich noise as the mean of both ends. Norms and cross-ratios are kept
    by the noise to rounding, at any dt. Weak order 1; strong order 1/2, as no Lévy area is drawn.

    **Raises** `ValueError`, when used, for other spaces, and for other or further noise.
    """

    @property
    def order(self) -> int:
        return 2

    def check(self, model: Model, measure: Particles, dt: float) -> None:
        require_same_space(model, measure)
        require(isinstance(model.space, Sphere), f"Möbius maps move particles on a sphere, not on {model.space}.")
        isotropic = len(model.common) == 1 and isinstance(model.common[0], Isotropic)
        require(
            isotropic and model.noise is None,
            "the flow of a noise is Möbius if it is isotropic, common to all particles and the only one: "
            "Model(sphere, common=Isotropic(amplitude)).",
        )
        x = measure.positions
        require_finite_field(lambda: evaluate_drift(model, measure, x), "the drift −∇V − ∇W*μ + b", x)

    def step(
        self,
        model: Model,
        measure: Particles,
        prepared: None,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Particles:
        dB = increments(model, measure, path, index, dt).common
        assert dB is not None, "check has seen the noise"
        still = eqx.tree_at(lambda m: m.common, model, ())
        drifts = any(part is not None for part in (model.confinement, model.interaction, model.extra))

        def drifted(mu: Particles) -> Particles:
            if not drifts:
                return mu
            return _at(mu, advance(diffrax.Heun(), still, mu, Increments(None, None), 0.5 * dt))

        noise = cast(Isotropic, model.common[0])
        return drifted(_moved(noise, drifted(measure), dB))


def _moved(noise: Isotropic, mu: Particles, dB: Float[Array, " d"]) -> Particles:
    amplitude = noise.amplitude(mu)
    moved = _at(mu, mu.space.retract(moebius(mu.positions, amplitude * dB)))
    if noise.calculus == "ito":
        return moved
    mean = 0.5 * (amplitude + noise.amplitude(moved))
    return _at(mu, mu.space.retract(moebius(mu.positions, mean * dB)))


def _at(mu: Particles, positions: Float[Array, "n d"]) -> Particles:
    return eqx.tree_at(lambda p: p.positions, mu, positions)
