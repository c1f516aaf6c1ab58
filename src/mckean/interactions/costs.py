"""What the parts of a sum cost: the constants of the estimates that `choose` compares.

An estimate is the amount of each kind of work times its unit here, added up. Only ratios matter for a choice. They were
measured on a machine of two x86 cores with jax 0.10.1; `python -m benchmarks costs` measures them again, on the machine
at hand, and prints the numbers to put here.
"""

from typing import NamedTuple


class Unit(NamedTuple):
    """A kind of work.

    **Arguments:**

    - `seconds`: what one piece of it takes.
    - `piece`: what a piece is.
    """

    seconds: float
    piece: str


Work = dict[Unit, float]
"""How many pieces of each kind of work there are."""

PAIR_SINGLE = Unit(2e-11, "an operation of the pair function, for a pair and a component, in single precision")
PAIR_DOUBLE = Unit(4.2e-11, "an operation of the pair function, for a pair and a component, in double precision")
DIRECT_CALL = Unit(1e-4, "a sum over all pairs, apart from its pairs")

MODE = Unit(4e-9, "a mode at a point")
MODES_CALL = Unit(1e-4, "a sum mode by mode, apart from its modes")

MOMENT = Unit(2e-8, "a moment of a point")

NUFFT_WEIGHT = Unit(1e-9, "a node of the fine grid that a point is spread to or gathered from, for each transform")
NUFFT_POINT = Unit(1.5e-8, "a point, for each transform")
NUFFT_MODE = Unit(1e-9, "a node of the fine grid times the logarithm of their number, for each transform")
NUFFT_CALL = Unit(1.2e-3, "a sum by transforms, apart from its points and modes")

CELLS = tuple(
    Unit(seconds, f"a candidate of a point in dimension {dim}, its cut-off and the cells looked through for it")
    for dim, seconds in ((1, 7e-9), (2, 7e-8), (3, 2e-7))
)

FMM_POINT = Unit(4e-7, "a point that is put into the tree")
FMM_MOMENT = Unit(2e-9, "a coefficient of an expansion at a point")
FMM_FLOP_SINGLE = Unit(1e-11, "an operation of the products between boxes, in single precision")
FMM_FLOP_DOUBLE = Unit(2e-11, "an operation of the products between boxes, in double precision")
FMM_VALUE = Unit(2e-8, "a value of the kernel at a pair of nodes")
FMM_CUBE = Unit(8e-9, "an operation of the decomposition into principal combinations")
FMM_MATRIX = Unit(5e-9, "an entry of the matrices that act between boxes of a level")
FMM_CALL = Unit(1e-2, "a sum by a tree, apart from the rest")
FMM_PAIRS = (1.5, 1.5, 3.0)
"""What a pair of leaves that touch costs over a pair of the direct sum, by dimension; without a unit."""

FEW_PAIRS = 1 << 22
"""Up to so many pairs all are taken in a run: a plan takes a second or so, and does not pay for itself."""
FEWEST_PAIRS = 1 << 16
"""Up to so many pairs no other sum costs less."""
SLOW = 0.1
"""From so many seconds a step on, all pairs are not taken in silence where no other sum meets the tolerance."""


def seconds(work: Work) -> float:
    """What some work takes, roughly; in seconds."""
    return sum(unit.seconds * amount for unit, amount in work.items())


def together(*works: Work) -> Work:
    """All pieces of several lists of work."""
    total: Work = {}
    for work in works:
        for unit, amount in work.items():
            total[unit] = total.get(unit, 0.0) + amount
    return total
