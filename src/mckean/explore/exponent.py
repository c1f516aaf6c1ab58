"""The growth of a small difference, measured as a run goes on: a second solution in the same environment.

After each stretch of time the difference is brought back to its first size, and the logarithm of its growth is kept
(Benettin, Galgani, Giorgilli and Strelcyn, Meccanica 15, 1980). The rate of growth is the top Lyapunov exponent λ.
"""

import math
from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.measures import AbstractMeasure, Density, Particles, dtype_of
from mckean.measures.norms import difference, inner
from mckean.spaces import BoxGrid, calculus
from mckean.statistics import Estimate, average

# Blocks are merged by pairs from twice this number on; their growths are then nearly independent.
_BLOCKS = 16
# A tenth of a relaxation time or so: shorter blocks would only be merged.
_BLOCK = 0.25


def beside(measure: AbstractMeasure, other: AbstractMeasure) -> AbstractMeasure:
    """A measure at a small distance from the first, towards the other."""
    return _closer(measure, other)[0]


@dataclass
class Separation:
    """The growth of the distance of a twin, in blocks of time."""

    length: float = _BLOCK
    growths: list[float] = field(default_factory=list)
    growth: float = 0.0
    time: float = 0.0

    def follow(self, measure: AbstractMeasure, twin: AbstractMeasure, time: float) -> AbstractMeasure:
        """The twin at its first distance again; `time` has passed since it was."""
        new, log = _closer(measure, twin)
        self._add(float(log), time)
        return new

    def _add(self, log: float, time: float) -> None:
        if not math.isfinite(log):
            return
        self.growth, self.time = self.growth + log, self.time + time
        if self.time < self.length:
            return
        # A block may be longer by a part of a frame.
        self.growths.append(self.growth / self.time)
        self.growth, self.time = 0.0, 0.0
        if len(self.growths) == 2 * _BLOCKS:
            self.growths = np.mean(np.reshape(self.growths, (_BLOCKS, 2)), axis=1).tolist()
            self.length *= 2

    @property
    def exponent(self) -> Estimate | None:
        """λ with its standard error from block to block, 1/time, of the later half; None with fewer than four blocks.

        In the earlier half the law may still be on its way.
        """
        late = self.growths[len(self.growths) // 2 :]
        return average(np.asarray(late)) if len(late) >= 4 else None


@eqx.filter_jit
def _closer(measure: AbstractMeasure, twin: AbstractMeasure) -> tuple[AbstractMeasure, Float[Array, ""]]:
    """The twin at distance √ε of the precision, and the logarithm of how far it was in this unit.

    The distance balances the two errors, of rounding and of what is not linear.
    """
    small = jnp.sqrt(jnp.finfo(dtype_of(measure)).eps)
    gap = difference(twin, measure)
    norm = jnp.sqrt(inner(measure, gap, gap))
    gap = jax.tree.map(lambda a: a * (small / norm), gap)
    return _moved(measure, gap), jnp.log(norm / small)


def _moved(measure: AbstractMeasure, gap: AbstractMeasure) -> AbstractMeasure:
    if isinstance(measure, Particles):
        moved = measure.space.retract(measure.positions + gap.positions)  # type: ignore[attr-defined]
        return eqx.tree_at(lambda m: m.positions, measure, moved)
    assert isinstance(measure, Density)
    values = measure.values + gap.values  # type: ignore[attr-defined]
    if isinstance(measure.grid, BoxGrid):
        # Far out, where there is nothing, the difference may be larger than the density.
        values = jnp.maximum(values, 0.0)
        values = values / calculus.integrate(measure.grid, values)
    return eqx.tree_at(lambda m: m.values, measure, values)
