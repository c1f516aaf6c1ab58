"""The moving frame of an additive common noise: there the path is a gradient flow, in a random landscape.

With y = x − σ₀(B⁰_t − B⁰_0), the law of dX_i = −∇V(X_i) dt − ∇W_s*μ(X_i) dt + √(2/β) dB_i + σ₀ dB⁰ solves

    ∂_tρ = ∇·(ρ∇δF_t),   F_t = ∫V(y + σ₀B⁰_t) dρ + ½∬W + β⁻¹∫ρ log ρ,

without a stochastic integral: interaction and entropy do not see the shift. Over a step the landscape is held where it
is half-way, V(· + σ₀B⁰_{t+dt/2}) with B⁰ the polygon; the law descends in it, and then the landscape moves on. So

    F(t) − F(0) = Σ [descent in a landscape that stands still]  +  Σ [∫V(y + s′) − V(y + s) dρ, the landscape's moves],

each as exact as F itself: the first is −∫D ds up to the scheme's error, the second is the work of the environment, with
no integral to be discretised (K. Sekimoto, Stochastic Energetics, 2010, splits heat and work so).
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require
from mckean.dynamics import AbstractScheme, evolve
from mckean.dynamics.evolve import scheme_for
from mckean.dynamics.particles import increments
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, dtype_of
from mckean.models import Model, Thermal, energy
from mckean.paths import Brownian
from mckean.spaces import AbstractSpace


class Descent(eqx.Module):
    """A run in the moving frame at the recorded times: arrays of shape (t,), or with leading axes of replicas.

    `change`: F(t) − F(0); `descent` and `work`: its two parts, from the landscape standing and moving; `dissipated`:
    ∫D ds; `shift`: s = σ₀B⁰, shape (t, d), length; `final`: the law in the moving frame, the law of x − s.
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
        """descent + ∫D ds: O(dt²) by trapezoidal sums where the scheme's order is 2 or more, else of its order."""
        return self.descent + self.dissipated


def moving_frame(
    model: Model,
    measure: Particles | Density | Gaussian,
    *,
    until: float,
    dt: float,
    start: float = 0.0,
    path: Brownian | None = None,
    scheme: AbstractScheme | None = None,
    every: int | None = None,
) -> Descent:
    """Run a model in the frame y = x − σ₀B⁰ of its additive common noise, as a gradient flow of V(· + σ₀B⁰_t).

    On the torus the law at the end, shifted by s, is to rounding that of `Spectral` in the laboratory: the two make the
    same Strang splitting. A box of R^d stays in place while the landscape moves, and must hold the law there.

    **Arguments:** as for `evolve`; `scheme`: one for the model without its environment.
    **Raises** `ValueError` for whatever `evolve` refuses, a common noise that is not additive, a drift that is no
    gradient, an own noise that is not thermal, and particles with a noise of their own, which do not descend.
    """
    require(
        all(part.additive for part in model.common),
        "the moving frame is that of an additive common noise: another one moves different points differently.",
    )
    require(model.drift is None, "in the moving frame a gradient flow descends, but this model has another drift.")
    require(
        model.noise is None or (isinstance(model.noise, Thermal) and not isinstance(measure, Particles)),
        "in the moving frame a law descends if its own noise is thermal, and particles if they have none of their own.",
    )
    run = evolve(
        model, Framed(measure), until=until, dt=dt, start=start, path=path,
        scheme=_InFrame(scheme_for(model, measure, scheme)), observe={"free": _free, "sums": _sums}, every=every,
    )  # fmt: skip
    free = run.observed["free"]
    return Descent(run.times, change=free - free[0], final=run.final.measure, **run.observed["sums"])


class Framed(AbstractMeasure):
    """A law in the moving frame, how far the frame has moved, and what the law has done."""

    measure: Particles | Density | Gaussian
    shift: Float[Array, " d"]
    descent: Float[Array, ""]
    work: Float[Array, ""]
    dissipated: Float[Array, ""]

    def __init__(self, measure: Particles | Density | Gaussian):
        dtype = dtype_of(measure)
        self.measure = measure
        self.shift = jnp.zeros(measure.domain.dim, dtype)
        self.descent = self.work = self.dissipated = jnp.zeros((), dtype)

    @property
    def domain(self) -> AbstractSpace:
        return self.measure.domain

    def integrate(self, phi) -> Any:
        """∫φ dμ, in the laboratory: φ at y + s."""
        return self.measure.integrate(lambda y: phi(y + self.shift))


def _free(model: Model, state: Framed) -> Float[Array, ""]:
    return energy.free_energy(_landscape(model, state.shift), state.measure)


def _sums(model: Model, state: Framed) -> dict[str, Array]:
    return {name: getattr(state, name) for name in ("shift", "descent", "work", "dissipated")}


class _Shifted(eqx.Module):
    """V(y + s)."""

    potential: Any
    shift: Float[Array, " d"]

    def __call__(self, y: Float[Array, " d"]) -> Float[Array, ""]:
        return self.potential(y + self.shift)


def _landscape(model: Model, shift: Float[Array, " d"]) -> Model:
    """The model in the moving frame, its landscape standing still and without its environment."""
    potential = None if model.confinement is None else _Shifted(model.confinement, shift)
    return eqx.tree_at(lambda m: (m.confinement, m.common), model, (potential, ()), is_leaf=lambda v: v is None)


class _InFrame(AbstractScheme):
    """The steps of a scheme in landscapes that stand still, with sums of what is descended and worked."""

    moves: ClassVar[str] = "Framed"
    inner: AbstractScheme

    @property
    def order(self) -> int:
        return self.inner.order

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Framed) and self.inner.accepts(measure.measure)

    def check(self, model: Model, measure: Framed, dt: float) -> None:
        self.inner.check(_landscape(model, measure.shift), measure.measure, dt)

    def planned(self, model: Model, measure: Framed) -> Model:
        return self.inner.planned(model, measure.measure)

    def prepare(self, model: Model, measure: Framed, dt: Float[Array, ""]) -> Any:
        return self.inner.prepare(model, measure.measure, dt)

    def complaints(self, model: Model, measure: Framed) -> dict[str, Float[Array, ""]]:
        return self.inner.complaints(_landscape(model, measure.shift), measure.measure)

    def step(
        self,
        model: Model,
        measure: Framed,
        prepared: Any,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Framed:
        before, s0 = measure.measure, measure.shift
        dB = increments(model, before, path, index, dt).common
        move = jnp.zeros_like(s0) if dB is None else model.common_displacement(before, jnp.zeros((1, s0.size)), dB)[0]
        still, s1 = _landscape(model, s0 + 0.5 * move), s0 + move
        after = self.inner.step(still, before, prepared, None, index, dt)
        confined = lambda mu, s: energy.confinement_energy(_landscape(model, s), mu)  # noqa: E731
        spent = 0.5 * dt * (energy.dissipation(still, before) + energy.dissipation(still, after))
        descent = energy.free_energy(still, after) - energy.free_energy(still, before)
        middle = s0 + 0.5 * move
        work = confined(before, middle) - confined(before, s0) + confined(after, s1) - confined(after, middle)
        sums = (measure.descent + descent, measure.work + work, measure.dissipated + spent)
        where = lambda m: (m.measure, m.shift, m.descent, m.work, m.dissipated)  # noqa: E731
        return eqx.tree_at(where, measure, (after, s1, *sums))
