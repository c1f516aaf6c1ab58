"""Isotropic common noise on the sphere: its flow over a step is a Möbius map, taken exactly.

The fields P_x e_k, k = 1 … d, are conformal, and the flow of √κ P_x∘dB along a straight piece of B, √κ dB = s e with
|e| = 1, is

    x ↦ (x + (sinh s + (cosh s − 1)⟨x, e⟩) e) / (cosh s + sinh s ⟨x, e⟩),

which keeps |x| = 1 and every cross-ratio (1 − R_ij)(1 − R_kl)/((1 − R_ik)(1 − R_jl)), R_ij = ⟨x_i, x_j⟩, as a group of
maps does. The Stratonovich form of P_x∘dB is the Itô equation with the drift −½κ(d − 1)x. Lengths near x grow by the
factor 1/(cosh s + sinh s ⟨x, e⟩), so that a density becomes

    ρ′(y) = ρ(x(y)) (cosh s − sinh s ⟨y, e⟩)^{−(d−1)},   x(y) the map of −s e.
"""

from typing import ClassVar, cast

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require
from mckean.dynamics._increments import Increments, common_increment
from mckean.dynamics.harmonics import Harmonics
from mckean.dynamics.particles import begin_particles, inspect_sums, solve, with_positions
from mckean.dynamics.scheme import AbstractScheme, Stepper, require_motion, step_length, with_unit_mass
from mckean.faults import Status, sound
from mckean.measures import AbstractMeasure, Density, Particles
from mckean.models import Equation, Isotropic, Model, initial
from mckean.paths import Brownian
from mckean.spaces import AbstractSphericalGrid, CircleGrid, Sphere, SphereGrid


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


def carried(mu: Density, v: Float[Array, " d"]) -> Density:
    """The density after the Möbius map of the module with s e = v, at the nodes; its harmonics are taken anew there."""
    grid = cast(AbstractSphericalGrid, mu.grid)
    y = grid.nodes.astype(mu.values.dtype)
    s = jnp.sqrt(jnp.sum(v * v))
    # sinh s e, at s = 0 too.
    lean = y @ v * jnp.where(s > 0, jnp.sinh(s) / jnp.where(s > 0, s, 1.0), 1.0)
    values = grid.evaluate(grid.analyse(mu.values), moebius(y, -v)) / (jnp.cosh(s) - lean) ** (mu.domain.dim - 1)
    return with_unit_mass(mu, values.reshape(grid.shape))


class Moebius(AbstractScheme):
    """Möbius maps for a common isotropic noise √κ P_x dB on the sphere, between two half steps of the drift.

        x ↦ (x + (sinh s + (cosh s − 1)⟨x, e⟩) e)/(cosh s + sinh s ⟨x, e⟩),   √κ ΔB = s e,   |e| = 1

    The drift moves particles by Heun's method, and densities by `Harmonics`. For Itô noise (the toy Transformer of the
    talk) √κ is taken at the begin of the step, for Stratonovich noise as the mean of both ends. The noise keeps norms
    and cross-ratios to rounding, at any dt. The weak order is 1. The strong order is 1/2, as no Lévy area is drawn. A
    density on S¹ or S² is carried along the same maps, by their Jacobian, exactly but for the degree of its grid.

    **Raises:** `ValueError`, at the begin of a run, for another space, and for a noise that is not one common
    `Isotropic`.
    """

    moves: ClassVar[str] = "Particles, or a Density on S¹ or S²"

    @property
    def order(self) -> int:
        return 2

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Particles) or (
            isinstance(measure, Density) and isinstance(measure.grid, CircleGrid | SphereGrid)
        )

    def begin(self, equation: Equation, measure: Particles | Density, dt: float) -> Stepper:
        model = initial(equation)
        require(isinstance(model.space, Sphere), f"Möbius maps move particles on a sphere, not on {model.space}.")
        isotropic = len(model.common) == 1 and isinstance(model.common[0], Isotropic)
        require(
            isotropic and model.noise is None,
            "the flow of a noise is Möbius if it is isotropic, common to all particles and the only one: "
            "Model(sphere, common=Isotropic(amplitude)).",
        )
        if isinstance(measure, Particles):
            return begin_particles(self, equation, measure, dt)
        require(
            isinstance(equation, Model),
            "the flow of a density on a sphere by Möbius maps takes a model that does not depend on time: use "
            "Harmonics().",
        )
        require_motion(model, measure, dt)
        still = Harmonics().begin(_still(model), measure, 0.5 * dt)
        return Stepper(self, equation, step_length(measure, dt), still)

    def advance(
        self, begun: Stepper, measure: Particles | Density, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Particles | Density, Status]:
        half = 0.5 * begun.dt
        model = begun.at(index, half)
        dB = common_increment(model, measure, path, index, begun.dt)

        def drift(mu, after: Array):
            if not model.has_velocity:
                return mu
            if isinstance(mu, Density):
                return begun.shared.step(mu, None, 0)[0]
            still = Increments(None, None)
            return with_positions(mu, solve(diffrax.Heun(), begun.during(index, after), mu, still, half))

        noise = cast(Isotropic, model.common[0])
        middle = _map(noise, drift(measure, jnp.zeros_like(half)), dB)
        return drift(middle, half), sound(half.dtype)

    def inspect(self, begun: Stepper, measure: Particles | Density) -> Status:
        if isinstance(measure, Density):
            return begun.shared.inspect(measure)
        return inspect_sums(begun.equation, measure)


def _still(model: Model) -> Model:
    return eqx.tree_at(lambda m: m.common, model, ())


def _map(noise: Isotropic, mu: Particles | Density, dB: Float[Array, " d"]) -> Particles | Density:
    amplitude = noise.at(mu)
    new = _moved(mu, amplitude * dB)
    if noise.calculus == "ito":
        return new
    return _moved(mu, 0.5 * (amplitude + noise.at(new)) * dB)


def _moved(mu: Particles | Density, v: Float[Array, " d"]) -> Particles | Density:
    return carried(mu, v) if isinstance(mu, Density) else with_positions(mu, moebius(mu.positions, v))
