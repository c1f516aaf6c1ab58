"""Gaussian measures: the closed moment equations of linear–quadratic models.

Where the drift is affine in x, b(x, μ) = b(m, μ) + J(x − m), a Gaussian law stays Gaussian:

    m′ = b(m, μ),   Σ′ = JΣ + ΣJᵀ + (2/β) I.
"""

from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require, traced
from mckean.dynamics.particles import Solver, check_solver, ode_order
from mckean.dynamics.scheme import AbstractScheme, require_same_space
from mckean.measures import AbstractMeasure, Gaussian
from mckean.models import Model, Thermal
from mckean.paths import Brownian


class Moments(AbstractScheme):
    """Mean and covariance of a linear–quadratic model, by a diffrax solver of ordinary differential equations.

    **Arguments:** `solver`: an explicit diffrax solver; order 5 by default.
    **Raises** `ValueError`, when used, for a model whose drift is not affine, or whose noise depends on the state.
    """

    moves: ClassVar[str] = "Gaussian"
    solver: Solver = eqx.field(default_factory=diffrax.Dopri5)

    @property
    def order(self) -> int:
        return ode_order(self.solver)

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Gaussian)

    def check(self, model: Model, measure: Gaussian, dt: float) -> None:
        require_same_space(model, measure)
        check_solver(self.solver)
        require(
            self.solver.term_structure is diffrax.AbstractTerm,
            f"moments follow an ordinary differential equation; the solver {type(self.solver).__name__} needs a noise.",
        )
        require(
            model.noise is None or isinstance(model.noise, Thermal),
            "a Gaussian law stays Gaussian under thermal noise only, not under a noise that depends on the state.",
        )
        _require_affine(model, measure)

    def prepare(self, model: Model, measure: Gaussian, dt: Float[Array, ""]) -> None:
        return None

    def step(
        self,
        model: Model,
        measure: Gaussian,
        prepared: None,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Gaussian:
        term = diffrax.ODETerm(lambda t, y, args: _rates(model, measure, *y))
        y0, zero = (measure.mean, measure.covariance), jnp.zeros((), dt.dtype)
        y1, *_ = self.solver.step(term, zero, dt, y0, None, self.solver.init(term, zero, dt, y0, None), False)
        covariance = 0.5 * (y1[1] + y1[1].T)
        return eqx.tree_at(lambda g: (g.mean, g.covariance), measure, (y1[0], covariance))


def _rates(model: Model, like: Gaussian, mean: Array, covariance: Array) -> tuple[Array, Array]:
    mu = eqx.tree_at(lambda g: (g.mean, g.covariance), like, (mean, covariance))
    drift = lambda x: model.drift(mu, x[None])[0]  # noqa: E731
    spread = jax.jacfwd(drift)(mean) @ covariance
    thermal = 2 / model.beta * jnp.eye(mean.shape[0], dtype=mean.dtype)
    return drift(mean), spread + spread.T + thermal


def _require_affine(model: Model, measure: Gaussian) -> None:
    """Compare the drift with its linearisation at points a standard deviation (or 1) away."""
    away = np.random.default_rng(0).normal(size=(8, measure.mean.shape[0]))
    value, affine = _linearised(model, measure, jnp.asarray(away, measure.mean.dtype))
    if traced(value):
        return
    tolerance = 1e5 * float(jnp.finfo(value.dtype).eps) * (float(jnp.max(jnp.abs(value))) + 1)
    require(
        bool(jnp.all(jnp.abs(value - affine) <= tolerance)),
        "the moments of this model do not close: its drift is not affine in x. Use particles or a density.",
    )


@eqx.filter_jit
def _linearised(model: Model, measure: Gaussian, away: Float[Array, "n d"]) -> tuple[Array, Array]:
    """The drift at points so many standard deviations (and ones) away from the mean, and what it is if it is affine."""
    drift = lambda x: model.drift(measure, x[None])[0]  # noqa: E731
    away = away * (jnp.sqrt(jnp.trace(measure.covariance)) + 1)
    affine = drift(measure.mean) + away @ jax.jacfwd(drift)(measure.mean).T
    return jax.vmap(drift)(measure.mean + away), affine
