"""Replicas over a ladder of N as one compiled program: from a conjectured exponent to an interval."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from mckean.checks import positive_integer, require, require_key
from mckean.faults import value_of, watch
from mckean.statistics._rates import Rate, fit_rate, jackknife, largest
from mckean.statistics._replicas import side_by_side

# Replicas of so many particles in all run as one: the state of a batch then stays in a core's cache.
_PARTICLES = 1 << 15
_SHARES = 16


def ladder(smallest: int, largest: int, rungs: int | None = None) -> tuple[int, ...]:
    """Numbers of particles in geometric progression, N_i = N_0 q^i up to rounding.

    **Arguments:**

    - `smallest`, `largest`: the ends, 1 ≤ smallest < largest.
    - `rungs`: how many numbers, 2 at least. Default: None, three or more, so that a bend can be seen, with q ≤ 4. The
      largest then costs up to three quarters of the whole.

    **Returns:** the numbers, increasing.

    **Raises:** `ValueError` for other ends, or one rung.
    """
    smallest, largest = (positive_integer("a rung of a ladder is a positive integer", n) for n in (smallest, largest))
    require(smallest < largest, f"a ladder rises from 1 or more, but {smallest} and {largest} were given.")
    if rungs is None:
        rungs = max(3, 1 + math.ceil(math.log(largest / smallest, 4) - 1e-9))
    require(rungs >= 2, f"a ladder has at least two rungs, not {rungs}.")
    return tuple(int(n) for n in np.unique(np.rint(np.geomspace(smallest, largest, rungs)).astype(int)))


def samples(
    run: Callable[[int, PRNGKeyArray], Any],
    sizes: Sequence[int],
    key: PRNGKeyArray,
    replicas: int = 64,
    batch: int | None = None,
    progress: bool = False,
) -> Any:
    """run(n, key) for each n of a ladder and independent keys, as one program.

    Each core calls the program for a part of the replicas, in batches. The result for one size does not depend on the
    other sizes.

    **Arguments:**

    - `run`: a function that JAX can trace, with a result of one shape for all n. By `equinox.Partial` of a module's
      function it is compiled once for all values of its arrays.
    - `sizes`: the ladder of n.
    - `key`: gives each size and replica a key of its own.
    - `replicas`: the number for each n. Default: 64.
    - `batch`: the most replicas that run as one. Default: None, as many as have 2¹⁵ particles together.
    - `progress`: whether to show a progress bar. Default: no.

    **Returns:** the results as NumPy arrays of shape (replicas, sizes, …).

    **Raises:** `ValueError` for sizes, replicas or a batch below 1.
    """
    require(len(sizes) >= 1, "a ladder is made of numbers of particles, but there is none.")
    sizes = tuple(positive_integer("a ladder is made of positive numbers of particles", n) for n in sizes)
    require(replicas >= 1, f"there must be a replica at least, but {replicas} were asked for.")
    require(batch is None or batch >= 1, f"a batch holds one replica at least, not {batch}.")
    require_key(key)
    share = divisor(replicas, max(1, -(-replicas // _SHARES)))
    batches = tuple(divisor(share, batch or max(1, _PARTICLES // n)) for n in sizes)
    keys = jnp.stack([jax.random.split(jax.random.fold_in(key, n), replicas) for n in sizes])
    shares = [keys[:, i : i + share] for i in range(0, replicas, share)]
    one = lambda k: jax.tree.map(np.asarray, value_of(_ladder(run, sizes, batches, k)))  # noqa: E731
    return jax.tree.map(lambda *a: np.concatenate(a), *_show(side_by_side(one, shares), len(shares), progress))


def study(
    run: Callable[[int, PRNGKeyArray], Any],
    sizes: Sequence[int],
    key: PRNGKeyArray,
    replicas: int = 64,
    root: float = 1,
    batch: int | None = None,
    progress: bool = False,
) -> Rate:
    """The exponent s of sup_t (E run(n, key))^{1/root} ∝ n^s, with its interval.

    **Arguments:**

    - `run`: returns a number ≥ 0, or numbers along times, shape (t,). Of these the `largest` mean counts, which is the
      uniform error over the times. For E sup_t return the supremum.
    - `root`: 2 for a root mean square, of a run that returns squares. Default: 1.
    - `sizes`, `key`, `replicas`, `batch`, `progress`: as for `samples`.

    **Returns:** a `Rate`, by `fit_rate`.

    **Raises:** `ValueError` for a result with more axes, and as `samples`, `largest` and `fit_rate` do.
    """
    require(0 < root < math.inf, f"the root of a mean is positive and finite, but {root!r} was given.")
    found = samples(run, sizes, key, replicas, batch, progress)
    require(
        found.ndim <= 3, f"a run returns a number, or numbers along times, not an array of shape {found.shape[2:]}."
    )
    along = found if found.ndim == 3 else found[..., None]
    return fit_rate(sizes, largest(lambda x: jackknife(x, root), along))


@eqx.filter_jit
def _ladder(run: Callable, sizes: tuple[int, ...], batches: tuple[int, ...], keys: Key[Array, "k r"]) -> Any:
    rungs = [
        jax.lax.map(watch(partial(run, n)), each, batch_size=batch)
        for n, batch, each in zip(sizes, batches, keys, strict=True)
    ]
    return jax.tree.map(lambda *a: jnp.stack(a, axis=1), *rungs)


def divisor(n: int, most: int) -> int:
    """The largest divisor of n that is at most `most`.

    **Arguments:**

    - `n`: a positive integer.
    - `most`: a positive integer.

    **Returns:** the divisor, 1 at least.

    **Raises:** `ValueError` for other numbers.
    """
    require(n >= 1 and most >= 1, f"a divisor is one of a positive integer, up to another, not {n} and {most}.")
    return max(d for d in range(1, min(n, most) + 1) if n % d == 0)


def _show(pieces, total: int, progress: bool) -> list:
    from rich.progress import track

    return list(track(pieces, "study", total=total, disable=not progress))
