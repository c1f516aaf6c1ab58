"""What a scheme is: numerics, without physics. It moves one form of measure by one step."""

import abc
import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require, traced
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of
from mckean.models import Isotropic, Model, differs
from mckean.paths import Brownian


class AbstractScheme(eqx.Module):
    """A one-step method for one form of measure.

    `moves` names the form. A scheme keeps nothing from step to step: what follows depends on the state, the path and
    the step's index alone, so that a run can be cut and gone on with anywhere. `pressure`: whether it knows what to do
    with a model's internal energy.
    """

    moves: ClassVar[str]
    pressure: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def order(self) -> int:
        """The order in time for smooth, noise-free dynamics; strong and weak orders under noise are the solver's."""

    @abc.abstractmethod
    def accepts(self, measure: AbstractMeasure) -> bool:
        """Whether the scheme moves measures of this form."""

    @abc.abstractmethod
    def check(self, model: Model, measure: AbstractMeasure, dt: float) -> None:
        """Raise `ValueError` where the model, the measure or the step is not for this scheme, before compilation."""

    def planned(self, model: Model, measure: AbstractMeasure) -> Model:
        """The model as the scheme evaluates it, with the numbers that it takes from a known measure."""
        return model

    @abc.abstractmethod
    def prepare(self, model: Model, measure: AbstractMeasure, dt: Float[Array, ""]) -> Any:
        """What the steps share, as a pytree: a function of the model, the grid and dt, not of the state."""

    @abc.abstractmethod
    def step(
        self,
        model: Model,
        measure: AbstractMeasure,
        prepared: Any,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> AbstractMeasure:
        """The measure one step later; the step covers [index·dt, (index+1)·dt]."""

    def complaints(self, model: Model, measure: AbstractMeasure) -> dict[str, Float[Array, ""]]:
        """What makes a finite state untrustworthy: sentences with a place `{:.3g}` for a number, positive where so."""
        return {}

    def diagnosis(self, model: Model, measure: AbstractMeasure, dt: Float[Array, ""]) -> str | None:
        """Why the step from a measure is not finite, where the scheme knows: it gives up by a state that is not."""
        return None


def require_same_space(model: Model, measure: AbstractMeasure) -> None:
    require(
        measure.domain == model.space,
        f"the model lives on {model.space}, but the measure on {measure.domain}.",
    )


def require_stratonovich(model: Model) -> None:
    """Raise `ValueError` unless the common noise can be taken as a velocity that is frozen over a step."""
    for part in model.common:
        require(
            not differs(part, "stratonovich"),
            "the stochastic Fokker–Planck equation is solved in the sense of Stratonovich, but the model's common "
            'noise is meant in that of Itô: mckean.convert(model, "stratonovich") says the same.',
        )


def require_finite_field(field: Callable[[], Array], what: str, positions: Array) -> None:
    """Evaluate a field at the initial state and refuse non-finite values, saying where the first is."""
    values = field()
    if traced(values):
        return
    values = np.asarray(values)
    bad = ~np.all(np.isfinite(values.reshape(values.shape[0], -1)), axis=1)
    if bad.any():
        index = int(np.argmax(bad))
        point = ", ".join(f"{c:.6g}" for c in np.asarray(positions)[index])
        raise ValueError(
            f"{what} is not finite at {int(bad.sum())} of the {bad.size} points of the initial state; "
            f"the first is ({point})."
        )


def require_motion(model: Model, measure: Particles, dt: float) -> None:
    """Raise `ValueError` where a noise with an amplitude of the measure is all that moves it, and that vanishes.

    As with x̄ = 0 in the toy Transformer: such a state never moves again. Up to rounding: a step that is lost in the
    digits of the positions is none.
    """
    parts = model.common
    if model.has_velocity or model.noise is not None or not parts:
        return
    if not all(isinstance(part, Isotropic) for part in parts):
        return
    amplitude = jnp.stack([part.amplitude(measure) for part in parts if isinstance(part, Isotropic)])
    lost = 8 * float(jnp.finfo(dtype_of(measure)).eps) * jnp.max(jnp.abs(measure.positions))
    require(
        jnp.any(jnp.abs(amplitude) * math.sqrt(dt) > lost),
        "the state is frozen for ever: the amplitude of the common noise is zero there, as κ is where the tokens' mean "
        "is 0, and nothing else moves them; start elsewhere.",
    )


def with_unit_mass(density: Density, values: Float[Array, "..."]) -> Density:
    """The density with new values, whose mass is 1 up to rounding.

    A step keeps mass up to a rounding that has a sign; measured against 1, and not against the step before, it does not
    add up over millions of steps.
    """
    return eqx.tree_at(lambda m: m.values, density, values / (jnp.sum(values) * density.grid.cell_volume))


evaluate_drift = eqx.filter_jit(lambda model, mu, x: model.velocity(mu, x))
"""The drift as one compiled call, for checks of the initial state."""

tree_finite = lambda tree: jnp.all(  # noqa: E731
    jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)])
)
"""Whether every floating leaf is finite."""
