"""Calls as a user makes them: in a process without the checks of types that the tests put on every function.

What a call did is one of: `right`, with whether every number of its result is finite; `refused`, in one sentence;
`inside`, an error that is not the library's own, or that comes with a page.
"""

import importlib
import json
import linecache
import subprocess
import sys
import time

# What the library raises itself: the last two are those of a run.
OWN = ("ValueError", "TypeError", "RuntimeError", "RunError", "KeyError")
LONGEST = 400


def outcomes(module: str, *names: str) -> dict[str, dict]:
    """What became of each call in `CALLS` of a module of the tests, by its name."""
    command = [sys.executable, "-m", "outside", module, *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=__file__.rpartition("/")[0], check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def outcome(call) -> dict:
    start = time.perf_counter()
    try:
        made = {"kind": "right", "finite": finite(call())}
    except Exception as error:
        made = {"kind": "refused" if own(error) else "inside", "error": type(error).__name__, "said": str(error)[:1000]}
    return made | {"seconds": round(time.perf_counter() - start, 2)}


def own(error: Exception) -> bool:
    """Whether an error was raised by the library's own code, in one sentence."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    where, said = trace.tb_frame.f_code.co_filename, str(error)
    raised = "/mckean/" in where and linecache.getline(where, trace.tb_lineno).strip().startswith("raise ")
    return raised and type(error).__name__ in OWN and "\n" not in said and 10 < len(said) < LONGEST


def finite(result) -> bool:
    import jax
    import numpy as np

    leaves = [leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, jax.Array | np.ndarray | float)]
    numbers = [np.asarray(leaf) for leaf in leaves if not str(getattr(leaf, "dtype", "")).startswith("key")]
    return all(np.isfinite(leaf).all() for leaf in numbers if leaf.dtype.kind in "fc")


if __name__ == "__main__":
    import mckean.cache

    mckean.cache.enable()
    calls = importlib.import_module(sys.argv[1]).CALLS
    print(json.dumps({name: outcome(call) for name, call in calls.items() if not sys.argv[2:] or name in sys.argv[2:]}))
