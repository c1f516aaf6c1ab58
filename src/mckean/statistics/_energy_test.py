"""A two-sample test by the energy distance.

For samples x of size n and y of size m, and a distance δ, the energy distance

    E = 2 E δ(X, Y) − E δ(X, X′) − E δ(Y, Y′)

of the two empirical measures is compared with its values after the pooled points have been dealt out anew (Székely and
Rizzo, J. Statist. Plann. Inference 143, 2013). Under the null hypothesis all deals are alike, so that the p-value is
exact for any δ and any sample size: P(p ≤ a) ≤ a.
"""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean.checks import require, require_finite, require_key

# All distances are held: 128 MB in double precision.
_MOST = 4096


@dataclass(frozen=True)
class EnergyTest:
    """The test of the hypothesis that two samples have one law.

    **Attributes:**

    - `distance`: the energy distance E = 2 E δ(X, Y) − E δ(X, X′) − E δ(Y, Y′), in the unit of δ.
    - `p_value`: the share of permutations with as large an E.
    """

    distance: float
    p_value: float


def energy_test(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"],
    distance: Callable[[Array, Array], Array],
    *,
    key: PRNGKeyArray,
    permutations: int = 999,
) -> EnergyTest:
    """A test whether two independent samples have one law, by the energy distance.

        E = 2 E δ(X, Y) − E δ(X, X′) − E δ(Y, Y′),   δ = √distance

    E is compared with its values for permutations of all points; the p-value is exact for any sample size. Why the
    root: on the line, in R^d, on the circle and on spheres E is then zero for equal laws only. Without the root it does
    not see differences that are even under x ↦ −x on a sphere (Lyons, Ann. Probab. 41, 2013). On flat tori of dimension
    2 or more this is not known: some difference may not be seen. A small p-value is evidence against one law. A large
    one says only that samples of this size do not show a difference. A difference in the bulk is seen if it is larger
    than about 1/√n; one in rare tails is not.

    **Arguments:**

    - `x`, `y`: the samples, shapes (n, d) and (m, d), n, m ≥ 2; n + m ≤ 4096. Memory (n + m)².
    - `distance`: of points, from shapes (n, d) and (1, d) to (n,), such as `space.distance`.
    - `key`: for the permutations.
    - `permutations`: the number of permutations; p ≥ 1/(permutations + 1). Default: 999.

    **Returns:** an `EnergyTest`.

    **Raises:** `ValueError` for other shapes, too many points, no permutation.

    **Source:** Székely and Rizzo, J. Statist. Plann. Inference 143 (2013).
    """
    for sample in (x, y):
        ok = sample.ndim == 2 and sample.shape[1] == x.shape[-1] and sample.shape[0] >= 2
        require_finite("a point of a sample", sample)
        require(ok, f"two samples have shapes (n, d) and (m, d), n ≥ 2 and m ≥ 2, not {x.shape} and {y.shape}.")
    require_key(key)
    total = x.shape[0] + y.shape[0]
    require(total <= _MOST, f"the test holds the distances of all points, at most {_MOST} of them, not {total}.")
    require(permutations >= 1, "a p-value needs at least one permutation.")
    energies = np.asarray(_energies(distance, jnp.concatenate([x, y]), x.shape[0], key, permutations))
    require_finite("the energy distance", energies)
    observed = energies[0]
    # Ties up to rounding count against a difference.
    as_far = np.sum(energies[1:] >= observed - 1e-9 * np.abs(observed))
    return EnergyTest(float(observed), float((1 + as_far) / (1 + permutations)))


@eqx.filter_jit
def _energies(distance: Callable, points, n: int, key, permutations: int) -> Float[Array, " p"]:
    """−wᵀδw with w = 1/n on the first sample and −1/m on the second: as given, and for each deal."""
    total = points.shape[0]
    delta = jax.lax.map(lambda point: jnp.sqrt(distance(points, point[None])), points, batch_size=64)
    w = jnp.where(jnp.arange(total) < n, 1 / n, -1 / (total - n)).astype(points.dtype)
    deal = lambda k: -(v := jax.random.permutation(k, w)) @ (delta @ v)  # noqa: E731
    return jnp.append(-w @ (delta @ w), jax.lax.map(deal, jax.random.split(key, permutations), batch_size=64))
