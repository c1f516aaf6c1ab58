"""Independent replicas of a run, by one compiled program and on every core."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from mckean.checks import require, require_key
from mckean.faults import value_of, watch


def replicate(run: Callable[[PRNGKeyArray], Any], key: PRNGKeyArray, replicas: int, batch: int | None = None) -> Any:
    """`run(key)` for independent keys, by one compiled program.

    **Arguments:**

    - `run`: a function of a key that JAX can trace, such as a call of `evolve`, with a tree of arrays as its result. An
      `equinox.Partial` of a module's function is compiled once for all values of its arrays.
    - `key`: split into one key for each replica.
    - `replicas`: how many.
    - `batch`: how many of them the program runs as one; it must divide `replicas`. All of them by default. Batches run
      side by side, one on each core, and devices take turns: for a state that fills the cache, such as a density on
      64² nodes, 1 is the fastest.

    **Returns:** the results as NumPy arrays, with a leading axis of length `replicas`.

    **Raises:** `ValueError` if the batch does not divide their number; `RunError` where a run of `evolve` fails.
    """
    require(replicas >= 1, f"there must be a replica at least, but {replicas} were asked for.")
    batch = replicas if batch is None else batch
    require(batch >= 1, f"a batch holds one replica at least, not {batch}.")
    require(replicas % batch == 0, f"the batch {batch} must divide the number of replicas, {replicas}.")
    require_key(key)
    keys = jax.random.split(key, replicas).reshape(-1, batch)
    one = lambda k: jax.tree.map(np.asarray, eqx.filter(value_of(_together(run, k)), eqx.is_array))  # noqa: E731
    return jax.tree.map(lambda *a: np.concatenate(a), *side_by_side(one, list(keys)))


def side_by_side(function: Callable[[Any], Any], batches: Sequence[Any]) -> Iterator[Any]:
    """function(batch) for each batch, on every core and every device.

    The first batch runs alone, as it compiles the function; the others run as many at a time as there are cores. The
    devices of this host take turns.

    **Arguments:**

    - `function`: of one batch.
    - `batches`: its arguments, one at least.

    **Returns:** an iterator over the results, in the order of the batches.
    """
    devices = jax.local_devices()

    def on_device(place: int) -> Any:
        with jax.default_device(devices[place % len(devices)]) if len(devices) > 1 else contextlib.nullcontext():
            return function(batches[place])

    yield on_device(0)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(on_device, range(1, len(batches)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@eqx.filter_jit
def _together(run: Callable[[PRNGKeyArray], Any], keys: Key[Array, " r"]) -> Any:
    return eqx.filter_vmap(watch(run))(keys)
