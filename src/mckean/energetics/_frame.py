"""The moving frame of an additive common noise: there the path is a gradient flow, in a random landscape.

With y = x − σ₀(B⁰_t − B⁰_0), the law of dX_i = −∇V(X_i) dt − ∇W_s*μ(X_i) dt + √(2/β) dB_i + σ₀ dB⁰ solves

    ∂_tρ = ∇·(ρ∇δF_t),   F_t = ∫V(y + σ₀B⁰_t) dρ + ½∬W + β⁻¹∫ρ log ρ,

without a stochastic integral: interaction and entropy do not see the shift. Over a step the landscape is held where it
is half-way, V(· + σ₀B⁰_{t+dt/2}) with B⁰ the polygon; the law descends in it, and then the landscape moves on. So

    F(t) − F(0) = Σ [descent in a landscape that stands still]  +  Σ [∫V(y + s′) − V(y + s) dρ, the landscape's moves],

each as exact as F itself: the first is −∫D ds up to the scheme's error, the second is the work of the environment, with
no integral to be discretised (K. Sekimoto, Stochastic Energetics, 2010, splits heat and work so).
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require
from mckean.dynamics import Carrier, CarrierScheme, Scheme, Stepper, evolve, increments, scheme_for
from mckean.faults import Status
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, dtype_of
from mckean.models import Model, Thermal, energy, require_model
from mckean.paths import Brownian


class Descent(eqx.Module):
    """A run in the frame that moves with an additive common noise: F(t) − F(0) = descent + work.

    **Attributes:** arrays have shape (t,), or replicas in front, shape (r, t).

    - `times`: the times of the records; time.
    - `shift`: s = σ₀B⁰, shape (t, d); length.
    - `change`: F(t) − F(0), energy per particle.
    - `descent`: the part of the change in a landscape that stands still, −∫D ds up to the scheme's error.
    - `work`: the part of the change from the motion of the landscape.
    - `dissipated`: ∫D ds, energy per particle.
    - `final`: the law in the moving frame, the law of x − s, at the end.
    """

    times: Float[Array | np.ndarray, "*r t"]
    shift: Float[Array | np.ndarray, "*r t d"]
    change: Float[Array | np.ndarray, "*r t"]
    descent: Float[Array | np.ndarray, "*r t"]
    work: Float[Array | np.ndarray, "*r t"]
    dissipated: Float[Array | np.ndarray, "*r t"]
    final: Particles | Density | Gaussian

    @property
    def residual(self) -> Float[Array | np.ndarray, "*r t"]:
        """descent + ∫D ds, energy per particle: O(dt²), or of the order of the scheme if that is 1."""
        return self.descent + self.dissipated


def moving_frame(
    model: Model,
    measure: Particles | Density | Gaussian,
    *,
    until: float,
    dt: float,
    start: float = 0.0,
    path: Brownian | None = None,
    scheme: Scheme | None = None,
    every: int | None = None,
) -> Descent:
    """Run a model in the frame y = x − σ₀B⁰ of its additive common noise, where it is a gradient flow.

        ∂_tρ = ∇·(ρ∇δF_t),   F_t = ∫V(y + σ₀B⁰_t) dρ + ½∬W + β⁻¹∫ρ log ρ

    On the torus the law at the end, shifted by s = σ₀B⁰, equals up to rounding that of `Spectral` in the fixed frame:
    both make the same Strang splitting. A box of R^d moves with the frame and must hold the law there.

    **Arguments:**

    - `model`: with an additive common noise, or none.
    - `measure`: a density or a Gaussian with a thermal noise, or particles without a noise of their own.
    - `until`, `dt`, `path`, `every`: as for `evolve`.
    - `start`: the initial time. Default: 0.
    - `scheme`: for the model without its environment. Default: None, that of `evolve`.

    **Returns:** a `Descent`.

    **Raises:** `ValueError` as `evolve` does, for a common noise that is not additive, a drift that is no gradient, an
    own noise that is not thermal, and particles with a noise of their own, which do not descend.

    **Source:** Sekimoto, Stochastic Energetics (2010), for heat and work.
    """
    require_model(model)
    require(
        all(part.additive for part in model.common),
        "the moving frame is that of an additive common noise: another one moves different points differently.",
    )
    require(model.drift is None, "in the moving frame a gradient flow descends, but this model has another drift.")
    require(
        model.noise is None or (isinstance(model.noise, Thermal) and not isinstance(measure, Particles)),
        "in the moving frame a law descends if its own noise is thermal, and particles if they have none of their own.",
    )
    inner = scheme_for(model, measure, scheme)
    run = evolve(
        model, Carrier((measure,), _start(measure)), until=until, dt=dt, start=start, path=path,
        scheme=CarrierScheme((inner,), _descend, bare=_without_environment),
        observe={"free": _free, "sums": _sums}, every=every,
    )  # fmt: skip
    free = run.observed["free"]
    return Descent(run.times, change=free - free[0], final=run.final.measures[0], **run.observed["sums"]._asdict())


class _Sums(NamedTuple):
    """How far the frame has moved, and what the law has done in it."""

    shift: Float[Array, " d"]
    descent: Float[Array, ""]
    work: Float[Array, ""]
    dissipated: Float[Array, ""]


def _start(measure: AbstractMeasure) -> _Sums:
    dtype = dtype_of(measure)
    zero = jnp.zeros((), dtype)
    return _Sums(jnp.zeros(measure.domain.dim, dtype), zero, zero, zero)


def _free(model: Model, state: Carrier) -> Float[Array, ""]:
    return energy.free_energy(_landscape(model, state.sums.shift), state.measures[0])


def _sums(model: Model, state: Carrier) -> _Sums:
    return state.sums


class _ShiftedPotential(eqx.Module):
    """V(y + s)."""

    potential: Any
    shift: Float[Array, " d"]

    def __call__(self, y: Float[Array, " d"]) -> Float[Array, ""]:
        return self.potential(y + self.shift)


def _without_environment(model: Model) -> Model:
    return eqx.tree_at(lambda m: m.common, model, ())


def _landscape(model: Model, shift: Float[Array, " d"]) -> Model:
    """The model in the moving frame, its landscape standing still and without its environment."""
    still = _without_environment(model)
    if model.confinement is None:
        return still
    return eqx.tree_at(lambda m: m.confinement, still, _ShiftedPotential(model.confinement, shift))


def _descend(
    begun: Stepper, state: Carrier, path: Brownian | None, index: Int[ArrayLike, ""]
) -> tuple[Carrier, Status]:
    """A step in a landscape that stands still half-way, with sums of what is descended and worked."""
    model, dt, sums = begun.at(index), begun.dt, state.sums
    (before,), s0 = state.measures, state.sums.shift
    dB = increments(model, before, path, index, dt).common
    move = (
        jnp.zeros_like(s0)
        if dB is None
        else model.common_displacement(jnp.zeros((1, s0.size), s0.dtype), before, dB)[0]
    )
    middle, s1 = s0 + 0.5 * move, s0 + move
    still = _landscape(model, middle)
    after, found = dataclasses.replace(begun.shared[0], equation=still).step(before, None, index)
    confinement = lambda mu, s: energy.confinement_energy(_landscape(model, s), mu)  # noqa: E731
    spent = 0.5 * dt * (energy.dissipation(still, before) + energy.dissipation(still, after))
    descent = energy.free_energy(still, after) - energy.free_energy(still, before)
    work = confinement(before, middle) - confinement(before, s0) + confinement(after, s1) - confinement(after, middle)
    return Carrier((after,), _Sums(s1, sums.descent + descent, sums.work + work, sums.dissipated + spent)), found
