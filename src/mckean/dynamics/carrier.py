"""One carrier for all that moves together: several measures, and what is accumulated along them.

A ledger, a pair of solutions, a coupling, a solution with its tangents: each is a `Carrier` with a rule for one step,
a function of the steppers of its measures. All else (what is checked, planned, weighed and watched) is forwarded here,
once, to the schemes that move the measures.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import ArrayLike, Int

from mckean.checks import require
from mckean.dynamics.scheme import AbstractScheme, Stepper, step_length
from mckean.faults import Status
from mckean.measures import AbstractMeasure
from mckean.models import Equation, with_sums_of
from mckean.paths import Brownian
from mckean.spaces import AbstractSpace


class Carrier(AbstractMeasure):
    """Measures that move together, a tuple, and `sums`, a pytree of what is accumulated along them.

    As a measure it is the first of them.
    """

    measures: Any
    sums: Any = ()

    @property
    def domain(self) -> AbstractSpace:
        return self.measures[0].domain

    def integrate(self, phi: Callable) -> Any:
        """∫φ dμ of the first measure."""
        return self.measures[0].integrate(phi)


def require_coupling(state: Any, number: int) -> None:
    """**Raises** `ValueError` unless a state is that of a coupling of so many measures."""
    require(
        isinstance(state, Carrier) and len(state.measures) >= number,
        f"this is asked of {number} measures that move together, as the state of a coupling has them, not of a "
        f"{type(state).__name__}.",
    )


Rule = Callable[[Stepper, Carrier, Brownian | None, Any], tuple[Carrier, Status]]
"""One step: the carrier's stepper, whose `shared` are the steppers of its measures; the carrier; path; index."""


class CarrierScheme(AbstractScheme):
    """The scheme of a carrier: each measure has a scheme of its own, and a rule says how they step together.

    **Arguments:**

    - `schemes`: one for each measure.
    - `rule`: see `Rule`.
    - `bare`: a function of the equation that returns that of the schemes. Default: None, the same.

    **Raises:** `ValueError`, when it begins, for what the schemes refuse.
    """

    moves: ClassVar[str] = "a Carrier"
    schemes: tuple[AbstractScheme, ...]
    rule: Rule
    bare: Callable[[Any], Equation]

    def __init__(self, schemes: Sequence[AbstractScheme], rule: Rule, bare: Callable[[Any], Equation] | None = None):
        self.schemes, self.rule = tuple(schemes), rule
        self.bare = _itself if bare is None else bare

    @property
    def order(self) -> int:
        return min(scheme.order for scheme in self.schemes)

    @property
    def pressure(self) -> bool:
        return all(scheme.pressure for scheme in self.schemes)

    def accepts(self, measure: AbstractMeasure) -> bool:
        return (
            isinstance(measure, Carrier)
            and len(measure.measures) == len(self.schemes)
            and all(scheme.accepts(one) for scheme, one in zip(self.schemes, measure.measures, strict=True))
        )

    def begin(self, equation: Equation, measure: Carrier, dt: float) -> Stepper:
        require(self.accepts(measure), f"the carrier does not hold what its {len(self.schemes)} schemes move.")
        bare = self.bare(equation)
        steppers = tuple(
            scheme.begin(bare, one, dt) for scheme, one in zip(self.schemes, measure.measures, strict=True)
        )
        return Stepper(self, with_sums_of(equation, steppers[0].equation), step_length(measure, dt), steppers)

    def advance(
        self, begun: Stepper, measure: Carrier, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Carrier, Status]:
        return self.rule(begun, measure, path, index)

    def inspect(self, begun: Stepper, measure: Carrier) -> Status:
        first, *others = (stepper.inspect(one) for stepper, one in zip(begun.shared, measure.measures, strict=True))
        for other in others:
            first = first.then(other)
        return first


def _itself(equation: Equation) -> Equation:
    return equation


def together(
    begun: Stepper, state: Carrier, path: Brownian | None, index: Int[ArrayLike, ""]
) -> tuple[Carrier, Status]:
    """The rule by which each of the measures goes its own way, on one path."""
    moves = [stepper.step(one, path, index) for stepper, one in zip(begun.shared, state.measures, strict=True)]
    found = moves[0][1]
    for _, other in moves[1:]:
        found = found.then(other)
    return eqx.tree_at(lambda c: tuple(c.measures), state, tuple(one for one, _ in moves)), found
