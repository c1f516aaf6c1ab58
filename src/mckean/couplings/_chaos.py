"""Correlation functions of exchangeable particles: how far k of N are from independence, seen by observables.

The joint cumulant of f_1(X_1), …, f_k(X_k), at different particles, vanishes where these are independent:

    k = 2: Cov(f_1(X_1), f_2(X_2)),   k = 3: E[f_1f_2f_3] − ΣE[f_af_b]E[f_c] + 2E[f_1]E[f_2]E[f_3].

For a mean-field system with smooth interaction it is of order N^{1−k} (Duerinckx, Probab. Theory Relat. Fields 179,
2021). Expectations at different particles are averages over all k-tuples of different particles of a run, by Möbius
inversion from its power sums, and over runs; what the products of the latter leave in bias, 1/r, the jackknife removes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require
from mckean.dynamics import evolve
from mckean.measures import AbstractLaw, Particles
from mckean.measures.convert import require_law
from mckean.models import Equation, Model, initial, require_equation
from mckean.paths import Brownian
from mckean.statistics import Jackknife, Rate, fit_rate, jackknife, largest, samples


def chaos_rate(
    model: Equation,
    law: AbstractLaw,
    functions: Callable | Sequence[Callable],
    *,
    sizes: Sequence[int],
    until: float,
    dt: float,
    replicas: int,
    key: PRNGKeyArray,
    every: int | None = None,
    scheme: Any = None,
    batch: int | None = None,
    progress: bool = False,
) -> Rate:
    """The exponent in N of the joint cumulant of f_1(X_1), …, f_k(X_k): in theory 1 − k for particles that interact.

        k = 2: Cov(f_1(X_1), f_2(X_2)),   k = 3: E[f_1f_2f_3] − ΣE[f_af_b]E[f_c] + 2E[f_1]E[f_2]E[f_3]

    **Arguments:**

    - `model`: the N particles; without a common noise.
    - `law`: of the independent particles at time 0.
    - `functions`: f_1, …, f_k, k = 2 or 3, real functions of a point, shape (d,). A single function f stands for f, f.
    - `sizes`: the ladder of N, each k at least.
    - `every`: steps between records: the `largest` |cumulant| over the records counts. Default: None, only the end.
    - `until`, `dt`, `scheme`: as for `evolve`.
    - `replicas`, `key`, `batch`, `progress`: as for `samples`.

    **Returns:** a `Rate`.

    **Raises:** `ValueError` for another number of functions, fewer particles than functions, a common noise (particles
    become independent only given the environment), a cumulant that is not above its noise, and as `evolve` does.

    **Source:** Duerinckx, Probab. Theory Relat. Fields 179 (2021).
    """
    require_law(law)
    require_equation(model)
    functions = _check_functions(functions, min(sizes, default=0))
    require(
        not initial(model).common,
        "with a common noise particles are independent given the environment only: their correlations do not vanish.",
    )
    observe = {"means": eqx.Partial(distinct_means, functions=functions)}
    run = eqx.Partial(
        run_from_law, model=model, law=law, observe=observe, until=until, dt=dt, every=every, scheme=scheme
    )  # fmt: skip
    means = samples(run, sizes, key, replicas, batch, progress)["means"]
    return fit_rate(sizes, largest(joint_cumulant, means).map(np.abs))


def joint_cumulant(means: Any) -> Jackknife:
    """The joint cumulant of k functions from the `distinct_means` of replicas.

        k = 2: E[f_1f_2] − E[f_1]E[f_2],   k = 3: E[f_1f_2f_3] − ΣE[f_af_b]E[f_c] + 2E[f_1]E[f_2]E[f_3]

    Its bias is 0 for k = 2, and of order 1/r² for k = 3.

    **Arguments:**

    - `means`: shape (r, …, 2^k − 1), k = 2 or 3, the replicas along the leading axis.

    **Returns:** a `Jackknife` of shape (…).

    **Raises:** `ValueError` for a last axis of another length than 3 or 7.
    """
    require(np.ndim(means) >= 2, "the means of replicas are an array of shape (r, …, 2^k − 1).")
    k = {3: 2, 7: 3}.get(np.shape(means)[-1])
    require(k is not None, f"means over pairs and triples are 3 and 7 numbers, not {np.shape(means)[-1]}.")
    items = tuple(range(k or 0))
    return jackknife(means).map(lambda m: _cumulant(lambda block: m[..., _place(block)], items))


def distinct_means(model: Model, mu: Particles, *, functions: tuple[Callable, ...]) -> Float[Array, " m"]:
    """Observable: the mean of Π_{a∈S} f_a(x_{i_a}) over different particles i_a, for each set S of the k functions.

    Sets come in the order of their binary numbers: {1}, {2}, {1, 2}, {3}, … The cost is O(n).

    **Arguments:**

    - `model`: not used.
    - `mu`: k particles at least.
    - `functions`: f_1, …, f_k, real functions of a point, shape (d,).

    **Returns:** an array of shape (2^k − 1,).

    **Raises:** `ValueError` for another measure, no function, and more functions than particles.
    """
    require(isinstance(mu, Particles), f"different particles are those of a cloud, not of a {type(mu).__name__}.")
    n, k = len(mu.positions), len(functions)
    require(1 <= k <= n, f"{k} functions need at least one particle each, and one function, but there are {n}.")
    values = [jax.vmap(f)(mu.positions) for f in functions]
    sums = {block: jnp.sum(math.prod(values[a] for a in block)) for block in _sets(k)}
    return jnp.stack([_over_distinct(sums.__getitem__, block) / math.perm(n, len(block)) for block in _sets(k)])


def run_from_law(n: int, key: PRNGKeyArray, *, model, law, observe, until, dt, every, scheme) -> Any:
    """The observables of a run from n independent particles, after time 0, at which they are independent."""
    start, noise = jax.random.split(key)
    cloud, path = law.sample(start, n), Brownian(noise)
    run = evolve(model, cloud, until=until, dt=dt, path=path, observe=observe, every=every, scheme=scheme)
    return {name: values[1:] for name, values in run.observed.items()}


def _check_functions(functions: Any, smallest: int) -> tuple[Callable, ...]:
    functions = (functions, functions) if callable(functions) else tuple(functions)
    k = len(functions)
    require(k in (2, 3) and all(map(callable, functions)), f"correlations are of 2 or 3 functions, not of {k}.")
    require(smallest >= k, f"the marginal of {k} particles needs as many: the smallest size is {smallest}.")
    return functions


def _cumulant(moment: Callable, items: tuple[int, ...]) -> Any:
    """Σ over partitions π of the items of (−1)^{|π|−1}(|π|−1)! Π_B moment(B)."""
    return sum(_sign(len(p)) * math.prod(moment(block) for block in p) for p in _partitions(items))


def _over_distinct(power_sum: Callable, items: tuple[int, ...]) -> Any:
    """The sum over different indices: Σ over partitions of Π_B (−1)^{|B|−1}(|B|−1)! power_sum(B)."""
    return sum(math.prod(_sign(len(block)) * power_sum(block) for block in p) for p in _partitions(items))


def _sign(m: int) -> int:
    return (-1) ** (m - 1) * math.factorial(m - 1)


def _sets(k: int) -> Iterator[tuple[int, ...]]:
    for mask in range(1, 2**k):
        yield tuple(a for a in range(k) if mask >> a & 1)


def _place(block: tuple[int, ...]) -> int:
    return sum(1 << a for a in block) - 1


def _partitions(items: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
    if not items:
        yield []
        return
    for partition in _partitions(items[1:]):
        yield [items[:1], *partition]
        for i, block in enumerate(partition):
            yield [*partition[:i], items[:1] + block, *partition[i + 1 :]]
