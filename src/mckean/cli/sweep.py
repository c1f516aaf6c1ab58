"""`mckean sweep`: another worker for a sweep that was begun in Python."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mckean.cli.shell import FAILS, HOLDS, INTERRUPTED, configure, integer, refuse, require_device


def sweep(
    target: str,
    folder: Path,
    *,
    workers: Annotated[int, Parameter(converter=integer)] = 1,
    retry: Annotated[bool, Parameter(negative="")] = False,
    cache: bool = True,
) -> int:
    """Run cells of a sweep until all have ended, beside whoever else does. Ctrl-C loses the cell under way alone.

    The exit status is 1 if a cell failed.

    Args:
        target: The function of the sweep, as FILE.py:NAME or MODULE:NAME.
        folder: That of the sweep, which `mckean.sweep` has begun.
        workers: How many processes.
        retry: Run cells that failed again, with the function as it is now.
        cache: Keep compiled programs in your cache folder, so that the next run starts sooner.
    """
    configure(cache)
    from mckean.sweeps import join

    try:
        require_device()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            data = join(target, folder, workers=workers, retry=retry, progress=True)
    except (ValueError, OSError) as error:
        return refuse(error)
    except KeyboardInterrupt as stop:
        refuse(stop or "stopped.")
        return INTERRUPTED
    for warning in said:
        print(warning.message, file=sys.stderr)
    failed = int((data["failure"] != "").sum())
    print(f"{data['failure'].size - failed} of {data['failure'].size} cells are done in '{folder}'.")
    return FAILS if failed else HOLDS
