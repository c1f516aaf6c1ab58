"""Populations: one scheme for the measure of every label, all stepping together."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, Int

from mckean.checks import require
from mckean.dynamics.scheme import AbstractScheme, Stepper, step_length
from mckean.dynamics.splitting import Splitting
from mckean.faults import Status
from mckean.measures import AbstractMeasure, Family
from mckean.models import Equation, coupled, of_label, population_of
from mckean.models.population import index_of_label, over_labels
from mckean.paths import Brownian


class FamilyScheme(AbstractScheme):
    """The scheme of a family: the measure of each label moves by one scheme, with all labels at its stages.

    **Arguments:**

    - `scheme`: what moves each measure.

    **Raises:** `ValueError`, when it begins, for a family of another size than the population, for densities on a phase
    grid, and what the scheme refuses for the first label.
    """

    moves: ClassVar[str] = "a Family"
    scheme: AbstractScheme

    @property
    def order(self) -> int:
        return self.scheme.order

    @property
    def pressure(self) -> bool:
        return self.scheme.pressure

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Family) and self.scheme.accepts(measure.member(0))

    def begin(self, equation: Equation, measure: Family, dt: float) -> Stepper:
        population = population_of(equation)
        if population is None:
            raise ValueError("a Family is moved by a Population, a model for each label.")
        m = population.labels.shape[0]
        require(m == measure.size, f"the population has {m} labels, but the family has {measure.size}.")
        require(
            not isinstance(self.scheme, Splitting),
            "densities with velocities are not moved label by label: take particles, Family.split(cloud, m).",
        )
        self.scheme.begin(population.initial, measure.member(0), dt)
        return Stepper(self, equation, step_length(measure, dt), _begin(self.scheme, equation, measure, dt))

    def advance(
        self, begun: Stepper, measure: Family, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Family, Status]:
        def one(stepper, mu):
            return coupled(stepper, begun.equation).step(mu, None if path is None else _own(path), index)

        members, found = over_labels(one, begun.shared, measure.members)
        return eqx.tree_at(lambda f: f.members, measure, members), _worst(found)

    def inspect(self, begun: Stepper, measure: Family) -> Status:
        one = lambda stepper, mu: coupled(stepper, begun.equation).inspect(mu)  # noqa: E731
        return _worst(over_labels(one, begun.shared, measure.members))


@eqx.filter_jit
def _begin(scheme: AbstractScheme, equation: Equation, family: Family, dt: float) -> Stepper:
    """The steppers of all labels, as one."""
    one = lambda weight, mu: coupled(scheme.begin(of_label(equation, weight), mu, dt), None)  # noqa: E731
    return over_labels(one, family.weights, family.members)


def _own(path: Brownian) -> Brownian:
    """The motions of the particles of one label."""
    key = path.idiosyncratic.key
    return eqx.tree_at(lambda p: p.idiosyncratic.key, path, jax.random.fold_in(key, index_of_label()))


def _worst(found: Status) -> Status:
    """Of the statuses of the labels one that is bad, if any is."""
    return jax.tree.map(lambda leaf: leaf[jnp.argmax(found.code)], found)
