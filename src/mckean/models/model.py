"""The one definition of a system, from which every level of description is computed."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean import interactions
from mckean.checks import calling, refusal, require, require_arguments, require_real, traced
from mckean.interactions import AbstractSum, Interaction
from mckean.interactions.functions import as_module
from mckean.interactions.kernels import AbstractKernel
from mckean.measures import AbstractMeasure
from mckean.models.internal import AbstractInternalEnergy
from mckean.models.noise import AbstractNoise, Additive, Thermal
from mckean.models.potentials import as_potential
from mckean.models.velocities import Drag, OneBodyEnergy, RandomForce, Thermostat, require_velocities
from mckean.spaces import AbstractSpace, Sphere, TangentBundle


class Model(eqx.Module):
    """An interacting particle system, and its mean-field limit:

        dX_i = (−∇V(X_i) − ∇W_s*μ(X_i) + b(X_i, μ)) dt + σ(X_i, μ) dB_i + Σ_k σ_k(X_i, μ) dB⁰_k.

    μ is the empirical measure, or the law of X given the environment B⁰, which is common to all particles. W_s is the
    even part of W. A model holds mathematics only: no time step, no number of particles, no grid and no key.

    On a `TangentBundle` the state is (x, v), V and W are of positions, and with the friction γ of a `Thermostat`, or 0,

        dx_i = v_i dt,   dv_i = (−∇V(x_i) − ∇W_s*μ(x_i) − γv_i) dt + b dt + σ dB_i + Σ_k σ_k dB⁰_k.

    **Arguments:**

    - `space`: where the particles live, such as `Torus(1)`.
    - `confinement`: V, a scalar function of a point (d,), energy. Default: None, V = 0.
    - `interaction`: W, a kernel, a scalar function of a displacement (d,), or what
      `interactions.place` makes of them, energy. Default: None, W = 0.
    - `drift`: b, length per time: a function of a point (d,) and the measure with values (d,), or a field such as
      `interactions.Attention`, which sees all points at once. It need not be a gradient. Default: None, b = 0.
    - `noise`: σ, the particles' own noise, such as `Thermal(beta)`. Default: None.
    - `common`: the σ_k, one noise or several, each with Brownian motions of its own. Default: none.
    - `internal`: U, an internal energy such as `PorousMedium`. It adds ΔP(ρ) to the equation of a density; particles
      cannot have it. Default: None.

    **Raises:** `ValueError` for a V or W that is not scalar, or is not periodic on a torus, and for a noise of another
    space. In a run: for a b of another shape.
    """

    space: AbstractSpace
    confinement: Any
    interaction: Interaction | None
    drift: Any
    noise: AbstractNoise | None
    common: tuple[AbstractNoise, ...]
    internal: AbstractInternalEnergy | None

    def __init__(
        self,
        space: AbstractSpace,
        *,
        confinement=None,
        interaction=None,
        drift=None,
        noise=None,
        common=(),
        internal=None,
    ):
        require(isinstance(space, AbstractSpace), f"a model lives on a space such as Torus(1), not on {space!r}.")
        common = (common,) if isinstance(common, AbstractNoise) else tuple(common or ())
        for part in (*common, *(() if noise is None else (noise,))):
            require(isinstance(part, AbstractNoise), f"a model's noise must be a noise, not {part!r}.")
            where = getattr(part, "space", space)
            require(where == space, f"the model lives on {space}, but its noise on {where}.")
            # Its tangent part depends on the point, and only for a multiple of the identity both calculi agree on it.
            even = not (isinstance(part, Additive) and isinstance(space, Sphere)) or part.amplitude.ndim == 0
            require(even, "on a sphere an additive noise is isotropic: give its amplitude as a number.")
        require_velocities(space, noise)
        self.space = space
        if isinstance(space, TangentBundle):
            self.confinement = OneBodyEnergy(space, confinement)
        else:
            self.confinement = None if confinement is None else as_potential(confinement, space)
        self.interaction = None if interaction is None else interactions.place(interaction, space)
        require(
            internal is None or isinstance(internal, AbstractInternalEnergy),
            f"an internal energy is one such as PorousMedium(2.0), not {internal!r}.",
        )
        require(drift is None or callable(drift), f"a drift must be a function b(x, mu), not {drift!r}.")
        if drift is not None:
            mend = "; one that depends on time is Schedule(lambda t: Model(…, drift=lambda x, mu: b(x, mu, t)))"
            see = "A drift is a function of a point and the measure"
            require_arguments("a drift b", drift, "x", "mu", mend=mend, see=see)
        self.drift = None if drift is None else as_module(drift)
        self.noise = noise
        self.common = common
        self.internal = internal

    def potential(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, " n"]:
        """V(x) + W_s*μ(x), energy; on a tangent bundle with ½|v|².

        **Arguments:**

        - `x`: points of shape (n, d), or a grid, which stands for its nodes.
        - `mu`: the measure that acts.

        **Returns:** an array of shape (n,).
        """
        points = interactions.at(x, mu)
        total = jnp.zeros(points.shape[:1], points.dtype)
        if self.confinement is not None:
            total = total + jax.vmap(self.confinement)(points)
        if self.interaction is not None:
            total = total + interactions.potential(self.interaction, mu, x)
        return total

    def force(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        """−∇V(x) − ∇W_s*μ(x), the force of the two energies, length per time; on a tangent bundle (−∇_xE, −v).

        **Arguments:**

        - `x`: points of shape (n, d), or a grid, which stands for its nodes.
        - `mu`: the measure that acts.

        **Returns:** an array of shape (n, d); on a sphere it need not be tangent.
        """
        points = interactions.at(x, mu)
        total = jnp.zeros_like(points)
        if self.confinement is not None:
            total = total - jax.vmap(jax.grad(self.confinement))(points)
        if self.interaction is not None:
            total = total + interactions.force(self.interaction, mu, x)
        return total

    def ambient_velocity(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        """−∇V(x) − ∇W_s*μ(x) + b(x, μ) as a field of R^d, of which `velocity` is the tangent part; length per time.

        **Arguments:**

        - `x`: points of shape (n, d), or a grid, which stands for its nodes.
        - `mu`: the measure that acts.

        **Returns:** an array of shape (n, d).
        """
        return self.response(self.force(x, mu)) + drift_at(self.drift, x, mu)

    def response(self, force: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """The velocity that a force causes: the force, as the mobility is 1; with velocities, by Hamilton and friction,

            (f_x, f_v) ↦ (−f_v, f_x + γf_v),   f_v = −v.

        Its product with the force, which is what it dissipates, is |f|², or γ|f_v|².

        **Arguments:**

        - `force`: shape (n, d), energy per length; on a tangent bundle (f_x, f_v).

        **Returns:** an array of shape (n, d), length per time.
        """
        if not isinstance(self.space, TangentBundle):
            return force
        f, g = self.space.position(force), self.space.velocity(force)
        damped = f + self.noise.friction.astype(g.dtype) * g if isinstance(self.noise, Thermostat) else f
        return self.space.join(-g, damped)

    def velocity(self, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        """The velocity without noise, −∇V(x) − ∇W_s*μ(x) + b(x, μ), tangent to the space; length per time.

        **Arguments:**

        - `x`: points of shape (n, d), or a grid, which stands for its nodes.
        - `mu`: the measure that acts.

        **Returns:** an array of shape (n, d).
        """
        return self.space.project(interactions.at(x, mu), self.ambient_velocity(x, mu))

    @property
    def has_velocity(self) -> bool:
        """Whether there is a V, a W or a b."""
        return any(part is not None for part in (self.confinement, self.interaction, self.drift))

    @property
    def has_noise(self) -> bool:
        """Whether there is a noise, own or common."""
        return self.noise is not None or bool(self.common)

    def motions(self, mu: AbstractMeasure) -> int:
        """How many Brownian motions the environment has: the fields of all parts of the common noise."""
        return sum(part.width(mu, self.space.dim) for part in self.common)

    def common_parts(self, mu: AbstractMeasure, dB: Float[Array, " m"]) -> list[tuple[AbstractNoise, Array]]:
        """Each part of the common noise with its own of the environment's increments."""
        ends = np.cumsum([part.width(mu, self.space.dim) for part in self.common])
        return list(zip(self.common, jnp.split(dB, ends[:-1]), strict=True))

    def common_displacement(
        self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]
    ) -> Float[Array, "n d"]:
        """Σ_k σ_k(x, μ) dB_k at points of shape (n, d), or on the nodes of a grid; length."""
        moves = [part.displacement(x, mu, increment) for part, increment in self.common_parts(mu, dB)]
        return self.space.project(interactions.at(x, mu), sum(moves, jnp.zeros((), dB.dtype)))

    @property
    def beta(self) -> Float[Array, ""] | float:
        """The inverse temperature β; infinite without noise of the particles' own.

        **Raises:** `ValueError` if that noise is not thermal.
        """
        if self.noise is None:
            return math.inf
        if not isinstance(self.noise, Thermal | Thermostat):
            raise ValueError("this model has no temperature: its noise depends on the state.")
        return self.noise.beta


def require_model(model: Any) -> None:
    """Raise `ValueError` for anything but a model."""
    if isinstance(model, Model):
        return
    held = see = ""
    if hasattr(model, "labels"):
        held = ", and this asks for one model: give the one of a label, population.model(a)"
    elif hasattr(type(model), "initial"):
        held = ", and this asks for a model that does not depend on time: give the one of a time, schedule.at(t)"
    elif hasattr(model, "model"):
        held = ", which holds facts beside its model: give its .model"
        see = "An entry of the catalogue is no model"
    elif callable(model):
        held = "; one that depends on time is Schedule(lambda t: langevin(…))"
    raise refusal(f"a model is Model(…) or langevin(…), not {type(model).__name__}{held}.", see)


def drift_at(drift: Any, x: interactions.Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
    """b(x, μ) at points; zero for None.

    **Arguments:**

    - `drift`: b, as `Model` takes it.
    - `x`: points of shape (n, d), or a grid, which stands for its nodes.
    - `mu`: the measure that acts.

    **Raises:** `ValueError` for a b of another shape.
    """
    points = interactions.at(x, mu)
    if drift is None:
        return jnp.zeros_like(points)
    if isinstance(drift, interactions.AbstractField):
        values = drift(x, mu)
    else:
        with calling("a drift b(x, mu)"):
            values = jax.vmap(lambda point: drift(point, mu))(points)
    if values.shape != points.shape:
        raise refusal(
            f"a drift must return shape {points.shape[1:]} for a point, not {values.shape[1:]}.",
            see="The shape of a drift",
        )
    return values


def langevin(
    space: AbstractSpace,
    confinement: Callable | None = None,
    interaction: AbstractKernel | Callable | Interaction | None = None,
    beta: float | int | Array = 1.0,
    common: AbstractNoise | Sequence[AbstractNoise] = (),
) -> Model:
    """Overdamped Langevin dynamics of a Hamiltonian: dX_i = −∇_{x_i}H_N dt + √(2/β) dB_i, that is

        dX_i = −∇V(X_i) dt − (1/N)Σ_j ∇W_s(X_i − X_j) dt + √(2/β) dB_i.

    **Arguments:**

    - `space`: where the particles live.
    - `confinement`: V, a scalar function of a point (d,), energy. Default: None, V = 0.
    - `interaction`: W, a kernel or a scalar function of a displacement (d,), energy. Default: None, W = 0.
    - `beta`: β > 0, 1/energy; `math.inf` for no noise of the particles' own. Default: 1.
    - `common`: a common noise or several, added to the right side. Default: none.

    **Returns:** a `Model`.

    **Raises:** `ValueError` for β ≤ 0, and for a V or W that is not scalar, or is not periodic on a torus.
    """
    require_real("the inverse temperature beta", beta)
    frozen = not traced(beta) and np.ndim(beta) == 0 and math.isinf(beta) and beta > 0
    noise = None if frozen else Thermal(beta)
    return Model(space, confinement=confinement, interaction=interaction, noise=noise, common=common)


def underdamped(
    space: AbstractSpace,
    confinement: Callable | None = None,
    interaction: AbstractKernel | Callable | Interaction | None = None,
    friction: float | int | Array = 1.0,
    beta: float | int | Array = 1.0,
    common: AbstractNoise | Sequence[AbstractNoise] = (),
) -> Model:
    """Underdamped Langevin dynamics of particles of unit mass, with velocities:

        dx_i = v_i dt,   dv_i = −∇V(x_i) dt − (1/N)Σ_j ∇W_s(x_i − x_j) dt − γv_i dt + √(2γ/β) dB_i + Σ_k σ_k(x_i) dB⁰_k.

    Its equilibrium is e^{−βH} with ½|v|² in H, at any γ. As γ → ∞, in the time t/γ, it becomes `langevin`.

    **Arguments:**

    - `space`: where the positions live, a torus or R^d. The model lives on its `TangentBundle`.
    - `confinement`: V, a scalar function of a position (d,), energy. Default: None, V = 0.
    - `interaction`: W, a kernel or a scalar function of a displacement (d,), energy. Default: None, W = 0.
    - `friction`: γ ≥ 0, 1/time; 0 for Newton's equations. Default: 1.
    - `beta`: β > 0, 1/energy; `math.inf` for friction without noise. Default: 1.
    - `common`: noises of the positions, which act as random forces. Default: none.

    **Returns:** a `Model` on `TangentBundle(space)`.

    **Raises:** `ValueError` for γ < 0, β ≤ 0, a sphere, and for a V or W that is not scalar, or is not periodic on a
    torus.
    """
    require_real("the inverse temperature beta", beta)
    require_real("the friction", friction)
    known = not traced((friction, beta)) and np.ndim(beta) == np.ndim(friction) == 0
    cold = known and math.isinf(beta) and beta > 0
    still = known and float(friction) == 0
    require(not known or friction >= 0, f"a friction is not negative, but {friction} was given.")
    noise = None if cold or still else Thermostat(friction, beta)
    drift = Drag(friction) if cold and not still else None
    parts = (common,) if isinstance(common, AbstractNoise) else tuple(common or ())
    forces = tuple(RandomForce(part) for part in parts)
    return Model(
        TangentBundle(space), confinement=confinement, interaction=interaction, drift=drift, noise=noise, common=forces
    )


def with_sum(model: Model, sum_: AbstractSum | None) -> Model:
    """The model with its interaction summed in a given way."""
    if model.interaction is None:
        return model
    return eqx.tree_at(lambda m: m.interaction, model, dataclasses.replace(model.interaction, sum=sum_))
