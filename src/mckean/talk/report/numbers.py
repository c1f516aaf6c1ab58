"""What a prediction, a band and a duration look like."""

import math

from mckean.digits import number
from mckean.talk.claims import Claim

_RELATIONS = {"equal": "=", "at most": "≤", "at least": "≥", "unequal": "="}


def prediction(claim: Claim) -> str:
    """The relation and the number: ≤ 0.5; the mere dash where nothing is predicted. A control says what is false."""
    value = number(claim.predicted)
    return value if math.isnan(claim.predicted) else f"{_RELATIONS[claim.relation]} {value}"


def band(low: float, high: float) -> str:
    """An interval, its ends to three digits of its width: [0.482, 0.517]; a narrow one as 3 ± 1×10⁻⁷."""
    width = high - low
    if width == 0:
        return "the measured value alone"
    if not math.isfinite(width):
        return f"[{number(low)}, {number(high)}]"
    largest = max(abs(low), abs(high))
    digits = 3 + max(0, math.floor(math.log10(largest)) - math.floor(math.log10(width)))
    if digits > 8:
        return f"{number((low + high) / 2)} ± {number(width / 2, 2)}"
    return f"[{number(low, digits)}, {number(high, digits)}]"


def strain(share: float) -> str:
    """A share of the band in two decimals: 0.87; what is beyond 100 counts as infinite."""
    return "∞" if share > 100 else f"{share:.2f}"


def duration(seconds: float) -> str:
    """Seconds in words: 4.2 s, 42 s, 3 min 12 s, 2 h 5 min."""
    if round(seconds) < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{round(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
