"""The chapter on common noise rejects brackets that theory does not allow: it is judged on made-up runs."""

import numpy as np
import pytest

from mckean.couplings._decomposition import ItoDecomposition, Martingale
from mckean.talk.chapters.common_noise import CHAPTER, Run, judge

_CONFIG = CHAPTER.quick
_REPLICAS, _STEPS = 192, 128
_SECOND, _SQUARES = 0.25, 1.3


def _martingale(rng, bracket: float) -> Martingale:
    """A Brownian motion of this bracket at the end, in steps."""
    moves = np.sqrt(bracket / _STEPS) * rng.standard_normal((_REPLICAS, _STEPS))
    sums = lambda steps: np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))  # noqa: E731
    predicted = np.full(moves.shape, bracket / _STEPS)
    return Martingale(sums(moves), sums(moves**2), sums(predicted))


def _runs(power: float) -> dict:
    """Runs whose common bracket falls as N^power."""
    rng, runs = np.random.default_rng(0), {}
    for kind in ("own", "common", "both"):
        runs[kind] = {}
        for n in _CONFIG.sizes:
            own, common = _martingale(rng, 1.5 / n), _martingale(rng, 0.4 * n**power)
            whole = common if kind == "common" else own
            parts = ItoDecomposition(np.linspace(0, 1, _STEPS + 1), np.zeros_like(own.path), whole, own, common)
            runs[kind][n] = Run(parts, np.full(_REPLICAS, 0.4 * _SQUARES * n**power), np.full(_REPLICAS, _SECOND))
    return runs


def test_brackets_as_theory_has_them_hold():
    assert all(claim.verdict == "holds" for claim in judge(_CONFIG, _runs(0.0)))


@pytest.mark.parametrize("power", [-1.0, -0.5])
def test_a_common_bracket_that_falls_is_seen(power):
    """It averages out, and its exponent says so, though its realised value is what the run predicts."""
    broken = [claim.statement for claim in judge(_CONFIG, _runs(power)) if claim.verdict != "holds"]
    assert len(broken) == 2
    assert all("does not fall" in statement for statement in broken)
