"""Numbers as a reader wants them: as many digits as the standard error warrants."""

import math

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 6) -> str:
    """`value` to some significant digits; a power of ten is written out, and a dash is not a number."""
    value = float(value)
    if not math.isfinite(value):
        return "—" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return _minus(mantissa) + (_power(int(exponent)) if exponent else "")


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


def _exponent(value: float) -> int:
    """The decimal exponent of a positive number."""
    return math.floor(math.log10(value)) if value > 0 else 0


def _power(exponent: int) -> str:
    return "×10" + str(exponent).translate(_RAISED)


def _minus(digits: str) -> str:
    return digits.replace("-", "−")
