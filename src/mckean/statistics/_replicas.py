"""Independent replicas of a run, by one compiled program and on every core."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from mckean.checks import require


def replicate(run: Callable[[PRNGKeyArray], Any], key: PRNGKeyArray, replicas: int, batch: int | None = None) -> Any:
    """`run(key)` for independent keys, by one compiled program: leaves gain a leading axis of length `replicas`.

    **Arguments:** `run`: a function of a key, traceable by JAX (a call of `evolve` is), returning arrays; an
    `equinox.Partial` of a module's function is compiled once for all values of its arrays; `batch`: how many replicas
    the program runs as one, all of them where nothing is said; it must divide `replicas`. Batches run side by side, one
    on each core: for a state that fills the cache, as a density on 64² nodes does, batches of 1 are the fastest.
    **Raises** `ValueError` if it does not.
    """
    batch = replicas if batch is None else batch
    require(replicas % batch == 0, f"the batch {batch} must divide the number of replicas, {replicas}.")
    keys = jax.random.split(key, replicas).reshape(-1, batch)
    one = lambda k: jax.tree.map(np.asarray, eqx.filter(_together(run, k), eqx.is_array))  # noqa: E731
    return jax.tree.map(lambda *a: np.concatenate(a), *side_by_side(one, list(keys)))


def side_by_side(function: Callable[[Any], Any], batches: Sequence[Any]) -> Iterator[Any]:
    """function(batch) for each batch, in order: the first alone, which compiles it, then as many as there are cores."""
    yield function(batches[0])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(function, batches[1:])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@eqx.filter_jit
def _together(run: Callable[[PRNGKeyArray], Any], keys: Key[Array, " r"]) -> Any:
    return eqx.filter_vmap(run)(keys)
