"""What a prediction and a duration look like."""

import math

from mckean.digits import number

_RELATIONS = {"equal": "=", "at most": "≤", "at least": "≥", "unequal": "≠"}


def prediction(value: float, relation: str) -> str:
    """The relation and the number: ≤ 0.5; the mere dash where nothing is predicted."""
    return number(value) if math.isnan(value) else f"{_RELATIONS[relation]} {number(value)}"


def duration(seconds: float) -> str:
    """Seconds in words: 4.2 s, 3 min 12 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
