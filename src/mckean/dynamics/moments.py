"""Gaussian measures: the closed moment equations of linear–quadratic models.

Where the drift is affine in x, b(x, μ) = b(m, μ) + J(x − m), a Gaussian law stays Gaussian:

    m′ = b(m, μ),   Σ′ = JΣ + ΣJᵀ + σσᵀ,   σσᵀ = (2/β) I for thermal noise.

With velocities the state is z = (x, v), and σσᵀ = 2γ/β in the block of the velocities.

So does the law given the environment where the fields of a common noise are affine: over a step their velocity
Σ_kσ_kΔB_k/dt joins the drift (Wong and Zakai), and an additive noise moves the mean alone, dm = b dt + σ₀dB⁰.
"""

from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require, traced
from mckean.dynamics._increments import increments
from mckean.dynamics.particles import Solver, both_ways, check_solver, ode_order
from mckean.dynamics.scheme import AbstractScheme, Stepper, require_same_space, require_stratonovich, step_length
from mckean.dynamics.survey import point_fields
from mckean.faults import Status, sound
from mckean.measures import AbstractMeasure, Gaussian
from mckean.models import Equation, Model, initial
from mckean.paths import Brownian


class Moments(AbstractScheme):
    """The moment equations of a linear–quadratic model, by a diffrax solver of ordinary differential equations.

        m′ = b(m, μ),   Σ′ = JΣ + ΣJᵀ + σσᵀ,   b(x, μ) = b(m, μ) + J(x − m)

    A common noise with affine fields joins b over each step as the velocity Σ_kσ_kΔB_k/dt (Wong and Zakai). An additive
    one moves the mean alone.

    **Arguments:**

    - `solver`: an explicit diffrax solver. Default: `diffrax.Dopri5()`, of order 5.

    **Raises:** `ValueError`, at the begin of a run, for a drift or a common noise that is not affine, an own noise that
    depends on the state, and a common noise in Itô form if the two forms differ.
    """

    moves: ClassVar[str] = "Gaussian"
    solver: Solver = eqx.field(default_factory=diffrax.Dopri5)

    @property
    def order(self) -> int:
        return ode_order(self.solver)

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Gaussian)

    def begin(self, equation: Equation, measure: Gaussian, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        check_solver(self.solver)
        require(
            self.solver.term_structure is diffrax.AbstractTerm,
            f"moments follow an ordinary differential equation; the solver {type(self.solver).__name__} needs a noise.",
        )
        require(
            model.noise is None or model.noise.additive,
            "a Gaussian law stays Gaussian under additive noise only, not under one of its own that depends on the "
            "state.",
        )
        require_stratonovich(model)
        point_fields(model, measure)
        require_affine(model, measure)
        return Stepper(self, equation, step_length(measure, dt))

    def advance(
        self, begun: Stepper, measure: Gaussian, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Gaussian, Status]:
        dt, course = begun.dt, begun.during(index)
        dB = increments(begun.at(index), measure, path, index, dt).common
        rate = None if dB is None else dB / dt
        term = diffrax.ODETerm(lambda t, y, args: _rates(course(t), measure, rate, *y))
        y0, zero = (measure.mean, measure.covariance), jnp.zeros((), dt.dtype)
        solver = both_ways(self.solver)
        y1, *_ = solver.step(term, zero, dt, y0, None, solver.init(term, zero, dt, y0, None), False)
        covariance = 0.5 * (y1[1] + y1[1].T)
        return eqx.tree_at(lambda g: (g.mean, g.covariance), measure, (y1[0], covariance)), sound(dt.dtype)

    def inspect(self, begun: Stepper, measure: Gaussian) -> Status:
        return sound(begun.dt.dtype)


def _rates(
    model: Model, like: Gaussian, environment: Array | None, mean: Array, covariance: Array
) -> tuple[Array, Array]:
    mu = eqx.tree_at(lambda g: (g.mean, g.covariance), like, (mean, covariance))
    drift = lambda x: _field(model, mu, environment, x)  # noqa: E731
    spread = jax.jacfwd(drift)(mean) @ covariance
    rate = spread + spread.T
    if model.noise is not None:
        sigma = model.noise.matrix(mean[None], mu)[0]
        rate = rate + sigma @ sigma.T
    return drift(mean), rate


def _field(model: Model, mu: Gaussian, environment: Array | None, x: Float[Array, " d"]) -> Float[Array, " d"]:
    """The drift with the environment's velocity."""
    drift = model.velocity(x[None], mu)[0]
    return drift if environment is None else drift + model.common_displacement(x[None], mu, environment)[0]


def require_affine(model: Model, measure: Gaussian) -> None:
    """Compare drift and fields with their linearisation at points a standard deviation (or 1) away."""
    away = jnp.asarray(np.random.default_rng(0).normal(size=(8, measure.mean.shape[0])), measure.mean.dtype)
    fields = [("drift", None)]
    if model.common:
        fields += [("common noise", unit) for unit in jnp.eye(model.motions(measure), dtype=away.dtype)]
    for name, unit in fields:
        value, affine = _linearise(model, measure, unit, away)
        if traced(value):
            return
        tolerance = 1e5 * float(jnp.finfo(value.dtype).eps) * (float(jnp.max(jnp.abs(value))) + 1)
        require(
            bool(jnp.all(jnp.abs(value - affine) <= tolerance)),
            f"the moments of this model do not close: its {name} is not affine in x. Use particles or a density.",
            see="Moments that do not close",
        )


@eqx.filter_jit
def _linearise(model: Model, measure: Gaussian, unit: Array | None, away: Float[Array, "n d"]) -> tuple[Array, Array]:
    """The field at points so many standard deviations (and ones) away from the mean, and what it is if it is affine."""
    field = lambda x: _field(model, measure, unit, x)  # noqa: E731
    away = away * (jnp.sqrt(jnp.trace(measure.covariance)) + 1)
    affine = field(measure.mean) + away @ jax.jacfwd(field)(measure.mean).T
    return jax.vmap(field)(measure.mean + away), affine
