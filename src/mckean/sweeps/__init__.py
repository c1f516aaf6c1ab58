"""Sweeps: a function over a table of parameters, in a folder that any number of workers fill.

- How do I run a study of many parameters, and go on when it is stopped? `sweep`.
- … with processes in other shells or on other machines? The same call there; or `join`, and `mckean sweep`.
- … on a cluster? `submit`.
- What has a sweep given so far? `open_sweep`.
"""

from mckean.sweeps._sweep import join, open_sweep, submit, sweep

__all__ = ["join", "open_sweep", "submit", "sweep"]


def __dir__() -> list[str]:
    return __all__
