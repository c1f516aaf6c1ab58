"""The minimising movements of Jordan, Kinderlehrer and Otto as a scheme."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require, require_finite, require_tolerance, traced
from mckean.dynamics.jko import dual, gaussian, quantiles
from mckean.dynamics.moments import require_affine
from mckean.dynamics.scheme import AbstractScheme, Stepper, require_same_space, step_length
from mckean.dynamics.volumes import inspect_walls
from mckean.faults import Fault, Status, sound, status
from mckean.measures import AbstractMeasure, Density, Gaussian, dtype_of
from mckean.measures.lagrangian import Lagrangian
from mckean.models import Equation, Model, Thermal, initial
from mckean.models.energy import free_energy
from mckean.models.internal import PorousMedium
from mckean.paths import Brownian
from mckean.spaces import BoxGrid


class JKO(AbstractScheme):
    """The minimising movement μ_{n+1} = argmin over μ of F(μ) + W₂²(μ, μ_n)/2τ, τ = dt, of order 1.

    It is the implicit Euler method for the gradient flow of F in the Wasserstein metric. An F that depends on time is
    that of the end of the step. The class of the measure
    decides how the minimiser is found:

    - `Gaussian`: in closed form, for linear–quadratic models in any d.
    - `Lagrangian`: on the line, without a grid, by Newton's method with exact transport. V, W, entropy and any U.
    - `Density`: on a box of any d, by ascent in the dual. V, entropy or a porous medium, W at the old density.

    A density that vanishes on a part of the box is the hard case of the ascent: under a porous medium it may not find
    the minimiser where a step moves mass by much of the support's size. Take more cells, a shorter step, or on the line
    a `Lagrangian`.

    Derivatives of a step, in both modes, are those of the minimiser, by implicit differentiation: as exact as it is.

    Each step checks that F(μ_{n+1}) + W₂²/2τ ≤ F(μ_n) up to rounding. If it fails, or the minimiser is not found, the
    run ends and the error states the number.

    **Arguments:**

    - `edge_tolerance`: the mass that may be at the walls of a box; with more the run ends, as the box is too small for
      R^d. `math.inf` gives walls that reflect. Default: 10⁻⁶.

    **Raises:** `ValueError`, at the begin of a run, for another class of measure or space; for a drift or a noise that
    gives no gradient flow (not thermal, or common); for a functional that is not bounded below together with W₂²/2τ,
    with the place; and, for a `Lagrangian`, for a singular W.

    **Source:** Jordan, Kinderlehrer and Otto, SIAM J. Math. Anal. 29 (1998).
    """

    moves: ClassVar[str] = "a Gaussian, a Lagrangian measure on the line, or a Density on a box"
    edge_tolerance: float = eqx.field(static=True, default=1e-6)

    def __check_init__(self):
        require_tolerance("edge_tolerance", self.edge_tolerance)

    @property
    def order(self) -> int:
        return 1

    @property
    def pressure(self) -> bool:
        return True

    def accepts(self, measure: AbstractMeasure) -> bool:
        if isinstance(measure, Density):
            return isinstance(measure.grid, BoxGrid)
        return isinstance(measure, Gaussian | Lagrangian)

    def begin(self, equation: Equation, measure: Gaussian | Lagrangian | Density, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        require(
            model.drift is None and not model.common and (model.noise is None or isinstance(model.noise, Thermal)),
            "a minimising movement needs a gradient flow: V, W, thermal noise and U, no further drift and no common "
            "noise.",
        )
        if isinstance(measure, Gaussian):
            _check_gaussian(model, measure, dt)
        elif isinstance(measure, Density):
            _check_density(model, measure)
        else:
            _check_lagrangian(model, measure, dt)
        return Stepper(self, equation, step_length(measure, dt))

    def advance(
        self, begun: Stepper, measure: Any, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Any, Status]:
        new, residual, _, excess = minimise(begun.at(index, begun.dt), measure, begun.dt)
        found = status(Fault.MINIMISER, ~(residual <= 1), residual)
        return new, found.then(status(Fault.ASCENT, ~(excess <= 0), excess))

    def inspect(self, begun: Stepper, measure: Any) -> Status:
        if isinstance(measure, Density):
            return inspect_walls(measure, self.edge_tolerance)
        return sound(begun.dt.dtype)


def minimise(
    model: Model, mu: Gaussian | Lagrangian | Density, tau: Float[Array, ""]
) -> tuple[Gaussian | Lagrangian | Density, Float[Array, ""], Int[Array, ""], Float[Array, ""]]:
    """The minimiser; its residual over what is allowed; iterations; F(μ⁺) + W₂²/2τ − F(μ) beyond rounding, energy."""
    if isinstance(mu, Gaussian):
        state, rise = gaussian.move(model, mu, tau)
        return state, jnp.zeros_like(rise), jnp.asarray(1), rise - _rounding(state, jnp.zeros_like(rise))
    if isinstance(mu, Density):
        found = dual.solve(model, mu, tau)
        state = eqx.tree_at(lambda m: m.values, mu, found.values)
    else:
        found = quantiles.solve(model, mu, tau)
        state = eqx.tree_at(lambda m: m.ends, mu, found.ends)
    size = jnp.abs(free_energy(model, mu))
    return state, found.residual, found.iterations, found.rise - _rounding(mu, size)


def _rounding(mu: AbstractMeasure, size: Array) -> Array:
    return 1e4 * jnp.finfo(dtype_of(mu)).eps * (1 + size)


def _check_gaussian(model: Model, measure: Gaussian, dt: float) -> None:
    require(model.internal is None, "a Gaussian stays Gaussian under entropy, not under an internal energy.")
    require_affine(model, measure)
    for curvatures, where in zip(
        gaussian.curvature(model, measure), ("the mean", "the deviations from the mean"), strict=True
    ):
        if not traced(curvatures):
            least = float(jnp.min(curvatures))
            require(
                1 + dt * least > 0,
                f"the functional is not bounded below: in {where} its curvature is {least:.3g} and 1/τ = {1 / dt:.3g}; "
                "take a shorter step.",
            )


def _check_lagrangian(model: Model, measure: Lagrangian, dt: float) -> None:
    require(
        model.interaction is None or not model.interaction.kernel.singular,
        "cells on the line take a W that is finite at 0; a singular one has no such quadrature.",
    )
    confinement = model.confinement
    if confinement is None or traced((model, measure)):
        return
    centre, reach = 0.5 * (measure.ends[0] + measure.ends[-1]), measure.ends[-1] - measure.ends[0]
    away = jnp.asarray([side * 10.0**k for k in range(1, 5) for side in (-1, 1)], centre.dtype)
    cost = jax.vmap(lambda r: confinement((centre + r)[None]) + r**2 / (2 * dt))(reach * away)
    low = confinement(centre[None])
    for r, value in zip(reach * away, cost, strict=True):
        require(
            math.isfinite(float(value)) and value >= low,
            f"the functional is not bounded below: V + |x − y|²/2τ falls to {float(value):.3g} at x = "
            f"{float(centre + r):.3g}; take a shorter step, or another V.",
        )


def _check_density(model: Model, measure: Density) -> None:
    require(
        (model.noise is None) == isinstance(model.internal, PorousMedium)
        and (model.internal is None or isinstance(model.internal, PorousMedium)),
        "a density on a box moves under entropy or under a porous medium, one of the two: a measure without either "
        "concentrates, and both have no conjugate in closed form.",
    )
    if model.confinement is not None and not traced((model, measure)):
        values = jax.vmap(model.confinement)(measure.grid.nodes.astype(measure.values.dtype))
        require_finite("the confinement on the grid", values)
