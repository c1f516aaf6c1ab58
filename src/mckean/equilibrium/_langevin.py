"""Means under the Gibbs measure from long runs of overdamped Langevin dynamics, their bias in dt measured and removed.

Euler's scheme has an invariant law of its own, whose means are those of π_N plus C dt + O(dt²) (Talay and Tubaro,
Stoch. Anal. Appl. 8, 1990). Two runs on one Brownian path, with steps dt and dt/2, tell m + C dt and m + C dt/2: twice
the second less the first is m + O(dt²) (Richardson). The common path takes most of the noise out of the difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from mckean.checks import require, require_key
from mckean.dynamics import evolve
from mckean.dynamics.gibbs import require_gibbs
from mckean.equilibrium._sampling import Observables
from mckean.measures import AbstractLaw
from mckean.measures.convert import require_law
from mckean.models import Model, require_model
from mckean.paths import Brownian
from mckean.statistics import Estimate, average, replicate


@dataclass(frozen=True)
class LangevinMeans:
    """Time means of Langevin runs, m(dt) = E φ + C dt + O(dt²), by the name of the observable φ.

    **Attributes:** an `Estimate` for each φ, and a number for each in the last.

    - `coarse`: m(dt).
    - `fine`: m(dt/2).
    - `extrapolated`: 2m(dt/2) − m(dt).
    - `bias`: C dt = 2(m(dt) − m(dt/2)).
    - `remainder`: bias²/|mean|, an estimate of the O(dt²) that is left, if the powers of dt go on as a geometric
      series.
    """

    coarse: Mapping[str, Estimate]
    fine: Mapping[str, Estimate]
    extrapolated: Mapping[str, Estimate]
    bias: Mapping[str, Estimate]
    remainder: Mapping[str, float]


def langevin_means(
    model: Model,
    law: AbstractLaw,
    n: int,
    observe: Observables,
    *,
    key: PRNGKeyArray,
    dt: float,
    until: float,
    discard: float,
    replicas: int = 32,
    every: int = 1,
) -> LangevinMeans:
    """Means under the Gibbs measure by long Langevin runs, without their bias C dt.

        E φ = 2 m(dt/2) − m(dt) + O(dt²),   m(dt) the mean over a run with the step dt

    Both runs take the same Brownian path, which takes most of the noise out of the difference.

    **Arguments:**

    - `model`: one whose Gibbs measure is known: a gradient drift and a thermal noise.
    - `law`: of the independent particles at time 0.
    - `n`: the number of particles.
    - `observe`: real scalar functions of (model, measure) by name.
    - `key`: for the starts and the noise.
    - `dt`: the larger of the two steps, time.
    - `until`: the end of each run, time.
    - `discard`: means are taken from this time on, when the start is forgotten; a multiple of `every`·dt.
    - `replicas`: the number of independent runs. Default: 32.
    - `every`: steps between records. Default: 1.

    **Returns:** the `LangevinMeans`.

    **Raises:** `ValueError` for a model whose Gibbs measure is not known, for times that are not such multiples, and as
    `evolve` does.

    **Source:** Talay and Tubaro, Stoch. Anal. Appl. 8 (1990).
    """
    require_model(model)
    require_gibbs(model)
    require_law(law)
    require(0 <= discard < until, f"the time thrown away lies between 0 and {until:g}, but {discard:g} was given.")
    one = eqx.Partial(_both, model=model, law=law, n=n, observe=dict(observe), until=until, dt=dt, every=every)
    require_key(key)
    runs = replicate(one, key, replicas)
    first = int(np.ceil(round(discard / (dt * every), 6)))
    means = {name: np.asarray(series, np.float64)[:, :, first:].mean(axis=2) for name, series in runs.items()}
    coarse, fine = ({name: average(m[:, i]) for name, m in means.items()} for i in (0, 1))
    extrapolated = {name: average(2 * m[:, 1] - m[:, 0]) for name, m in means.items()}
    bias = {name: average(2 * (m[:, 0] - m[:, 1])) for name, m in means.items()}
    remainder = {name: float(b.value**2 / abs(extrapolated[name].value)) for name, b in bias.items()}
    return LangevinMeans(coarse, fine, extrapolated, bias, remainder)


def _both(key: PRNGKeyArray, *, model, law, n, observe, until, dt, every) -> dict[str, Any]:
    """The records of both runs, shape (2, times), from the same particles and the same path."""
    start, noise = jax.random.split(key)
    cloud, path = law.sample(start, n), Brownian(noise)
    coarse, fine = (
        evolve(model, cloud, until=until, dt=dt / k, path=p, observe=observe, every=k * every).observed
        for k, p in ((1, path), (2, path.refine(2)))
    )
    return {name: jnp.stack([coarse[name], fine[name]]) for name in observe}
