"""Numbers as a reader wants them: as many digits as the standard error warrants."""

import math

_RELATIONS = {"equal": "=", "at most": "≤", "at least": "≥"}

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 6) -> str:
    """`value` to some significant digits; a power of ten is written out, and a dash is not a number."""
    value = float(value)
    if not math.isfinite(value):
        return "—" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return _minus(mantissa) + (_power(int(exponent)) if exponent else "")


def prediction(value: float, relation: str) -> str:
    """The relation and the number: ≤ 0.5; the mere dash where nothing is predicted."""
    return number(value) if math.isnan(value) else f"{_RELATIONS[relation]} {number(value)}"


def measurement(value: float, stderr: float) -> str:
    """`value ± stderr`, both to the second significant digit of the standard error."""
    value, stderr = float(value), float(stderr)
    if math.isnan(value) or stderr <= 0:
        return number(value)
    if not (math.isfinite(value) and math.isfinite(stderr)):
        return f"{number(value)} ± {number(stderr)}"
    exponent = _exponent(max(abs(value), stderr))
    # Powers of ten only where plain digits would be unreadable, the same power for both numbers.
    exponent = 0 if -4 < exponent < 6 else exponent
    scaled, error = value / 10.0**exponent, stderr / 10.0**exponent
    places = min(max(1 - _exponent(error), 0), 15)
    pair = f"{_minus(f'{scaled:.{places}f}')} ± {error:.{places}f}"
    return f"({pair}){_power(exponent)}" if exponent else pair


def duration(seconds: float) -> str:
    """Seconds in words: 4.2 s, 3 min 12 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _exponent(value: float) -> int:
    """The decimal exponent of a positive number."""
    return math.floor(math.log10(value)) if value > 0 else 0


def _power(exponent: int) -> str:
    return "×10" + str(exponent).translate(_RAISED)


def _minus(digits: str) -> str:
    return digits.replace("-", "−")
