"""Ensembles of environments: statistics over them, gathered batch by batch without the samples being kept.

Given the environment, N particles average themselves: what is left over environments does not shrink with N. The
standard errors here are those of independent environments, σ/√n, whatever is averaged inside each.

Moments about the mean are merged (Chan, Golub and LeVeque 1983; to fourth order Pébay, Sandia report 2008-6212): with
δ = m_b − m_a, n = n_a + n_b and M_p = Σ(x − m)^p,

    m = m_a + n_b δ/n,    M_2 = M_2a + M_2b + n_a n_b δ²/n,    and so on,

and the variance over environments has the standard error √((μ_4 − s⁴(n−3)/(n−1))/n), μ_4 = M_4/n.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, PRNGKeyArray

from mckean.checks import require, require_key
from mckean.faults import value_of, watch
from mckean.statistics import Estimate, side_by_side


@dataclass(frozen=True)
class Ensemble:
    """Mean and variance over n independent environments of a tree of real arrays.

    **Attributes:** all but the first are trees of that form.

    - `count`: n; `mean` and `variance` need two environments.
    - `centre`: the mean m.
    - `second`, `third`, `fourth`: the sums Σ(x − m)^p over environments, p = 2, 3, 4.
    """

    count: int
    centre: Any
    second: Any
    third: Any
    fourth: Any

    def __repr__(self) -> str:
        shown = f"mean={self.mean}, variance={self.variance}" if self.count > 1 else f"centre={self.centre}"
        return f"Ensemble(count={self.count}, {shown})"

    @property
    def mean(self) -> Any:
        """E over environments, an `Estimate` in each leaf's place."""
        scale = self._several() * (self.count - 1)
        return jax.tree.map(lambda m, s: Estimate(m, np.sqrt(s / scale), self.count - 1), self.centre, self.second)

    @property
    def variance(self) -> Any:
        """The unbiased variance over environments, an `Estimate` in each leaf's place.

        Its standard error is a fourth moment. With heavy tails both are too small until rare environments have
        occurred.
        """
        n = self._several()

        def one(second, fourth):
            variance = second / (n - 1)
            square = (fourth / n - variance**2 * (n - 3) / (n - 1)) / n
            return Estimate(variance, np.sqrt(np.maximum(square, 0.0)), n - 1)

        return jax.tree.map(one, self.second, self.fourth)

    def _several(self) -> int:
        require(self.count >= 2, "a standard error needs at least two environments.")
        return self.count


def ensemble(
    run: Callable[[PRNGKeyArray], Any], key: PRNGKeyArray, replicas: int, batch: int | None = None
) -> Ensemble:
    """Mean and variance of `run(key)` over independent environments, E f and Var f, with standard errors.

    Environment i has the key fold_in(key, i): the first environments do not change if there are more of them, or other
    batches. Memory is that of one batch on each core.

    **Arguments:**

    - `run`: a function of a key that JAX can trace, such as a call of `evolve` with `Brownian(key)`. It returns a tree
      of real arrays. An `equinox.Partial` of a module's function is compiled once for all values of its arrays.
    - `key`: of all environments.
    - `replicas`: the number of environments.
    - `batch`: how many of them run as one program, as for `replicate`; it divides `replicas`. Default: None, all.

    **Returns:** an `Ensemble`.

    **Raises:** `ValueError` if the batch does not divide the number, and for a result that is complex or not finite.
    """
    batch = replicas if batch is None else batch
    require(replicas >= 1 and batch >= 1, "an ensemble needs at least one environment, in batches of at least one.")
    require(replicas % batch == 0, f"the batch {batch} must divide the number of environments, {replicas}.")
    total = None
    require_key(key)
    one = lambda i: jax.tree.map(_check, eqx.filter(value_of(_batch(run, key, i)), eqx.is_array))  # noqa: E731
    for samples in side_by_side(one, list(jnp.arange(replicas).reshape(-1, batch))):
        part = gather(samples)
        total = part if total is None else merge(total, part)
    assert total is not None
    return total


def gather(samples: Any) -> Ensemble:
    """The statistics of samples that are at hand, a tree of arrays with the environments along the leading axis."""
    samples = jax.tree.map(lambda x: np.asarray(x, np.float64), samples)
    leaves = jax.tree.leaves(samples)
    counts = {x.shape[0] for x in leaves}
    require(len(counts) == 1, f"the samples of an ensemble must be equal in number, but they are {sorted(counts)}.")
    powers = [jax.tree.map(lambda x, p=p: np.sum((x - x.mean(axis=0)) ** p, axis=0), samples) for p in (2, 3, 4)]
    return Ensemble(counts.pop(), jax.tree.map(lambda x: x.mean(axis=0), samples), *powers)


def merge(a: Ensemble, b: Ensemble) -> Ensemble:
    """The statistics of two sets of environments together, none of which is in both."""
    n = a.count + b.count
    p, q = a.count / n, b.count / n

    def one(ma, a2, a3, a4, mb, b2, b3, b4):
        d = mb - ma
        pair = a.count * q * d**2
        third = a3 + b3 + pair * (p - q) * d + 3 * d * (p * b2 - q * a2)
        fourth = a4 + b4 + pair * (p * p - p * q + q * q) * d**2
        fourth = fourth + 6 * d**2 * (p * p * b2 + q * q * a2) + 4 * d * (p * b3 - q * a3)
        return ma + q * d, a2 + b2 + pair, third, fourth

    fields = [(e.centre, e.second, e.third, e.fourth) for e in (a, b)]
    treedef = jax.tree.structure(a.centre)
    columns = zip(*(jax.tree.leaves(tree) for field in fields for tree in field), strict=True)
    rows = zip(*(one(*column) for column in columns), strict=True)
    return Ensemble(n, *(jax.tree.unflatten(treedef, row) for row in rows))


def _check(values: Any) -> np.ndarray:
    values = np.asarray(values)
    require(
        not np.iscomplexobj(values), "statistics over environments are of real numbers: take real and imaginary part."
    )
    require(np.isfinite(values).all(), "an observable of the ensemble is not finite in some environment.")
    return values


@eqx.filter_jit
def _batch(run: Callable[[PRNGKeyArray], Any], key: PRNGKeyArray, indices: Int[jax.Array, " b"]) -> Any:
    return eqx.filter_vmap(watch(lambda i: run(jax.random.fold_in(key, i))))(indices)
