"""Does a dynamics leave a law invariant? Two tests that can say no.

Let X be distributed by the law, say by the Gibbs measure π_N, and φ_1 … φ_p be functions of the N particles.

- `invariance`: if the dynamics, as it is stepped, leaves the law invariant, then E[φ(X_t) − φ(X_0)] = 0. The changes
  are paired, so that a slow φ adds little noise.
- `stationarity`: if the equation does, then E[Lφ(X)] = 0 (Echeverría, Z. Wahrscheinlichkeitstheorie 61, 1982), with

    Lφ = b·∇φ + ½Σ_i tr(σσᵀ(x_i)∇²_{x_i}φ) + ½Σ_k (σ⁰_k·∇)²φ,   (σ⁰_k·∇)² the second derivative along the field, Itô.

  No step is taken, hence none is to blame. For π_N it is Stein's identity.

Both means are compared with 0 by Hotelling's T² = c m̄ᵀS⁻¹m̄ over c independent draws of X, with T²(c − p)/(p(c − 1))
distributed as F(p, c − p) where changes are Gaussian, and nearly so otherwise, by the central limit theorem. A p-value
is small with its own probability where the law is invariant; that it is not small shows no more than that these φ, in
this time and with so many draws, see no change: `resolution` says which change they would have seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray

from mckean.checks import require, require_key
from mckean.dynamics import Scheme, evolve, scheme_for
from mckean.equilibrium._sampling import Observables
from mckean.faults import value_of, watch
from mckean.measures import Particles
from mckean.models import Equation, Model, differs, require_model
from mckean.paths import Brownian
from mckean.spaces import Sphere
from mckean.statistics import Estimate, average

# Changes below this share of an observable's own spread are rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Invariance:
    """A test of the hypothesis that a law is invariant, by means that vanish if it is, one for each φ.

    **Attributes:**

    - `p_value`: by Hotelling's T² of all φ together.
    - `changes`: the means by the name of φ, an `Estimate` each: E[φ(X_t) − φ(X_0)] from `invariance`, E[Lφ(X)], per
      time, from `stationarity`.
    - `spread`: the standard deviation of each φ under the law.
    """

    p_value: float
    changes: Mapping[str, Estimate]
    spread: Mapping[str, float]

    @property
    def resolution(self) -> dict[str, float]:
        """Four standard errors of each mean in units of the spread of φ: the least change that φ alone sees."""
        return {name: 4 * float(e.stderr) / self.spread[name] for name, e in self.changes.items()}

    def rejects(self, level: float = 1e-3) -> bool:
        """Whether invariance is rejected; a law that is invariant is rejected with probability `level`.

        **Arguments:**

        - `level`: of the test. Default: 10⁻³.

        **Raises:** `ValueError` for a level that is not between 0 and 1.
        """
        require(0 < level < 1, f"a level lies between 0 and 1, but {level} was given.")
        return self.p_value < level


def invariance(
    model: Model,
    clouds: Float[Array, "c n d"],
    observe: Observables,
    *,
    dt: float,
    until: float,
    key: PRNGKeyArray,
    scheme: Scheme | None = None,
) -> Invariance:
    """A test whether the steps of a dynamics leave a law invariant: E[φ(X_t) − φ(X_0)] = 0 for each φ.

    All φ are tested together by Hotelling's T² = c m̄ᵀS⁻¹m̄, with m̄ and S the mean and the covariance of the c
    changes.

    **Arguments:**

    - `model`: the dynamics, with any drift and noise.
    - `clouds`: c independent draws of the n particles from the law, shape (c, n, d), such as `GibbsSample.positions[:,
      -1]`; ten at least for each φ.
    - `observe`: the φ, real scalar functions of (model, measure) by name.
    - `dt`: the step, time.
    - `until`: t. A bias is seen best after about the relaxation time of φ.
    - `key`: for the noise.
    - `scheme`: as for `evolve`.

    **Returns:** an `Invariance`.

    **Raises:** `ValueError` for fewer draws, and as `evolve` does.
    """
    _require_draws(model, clouds, observe)
    first = Particles(model.space, clouds[0])
    planned = scheme_for(model, first, scheme).begin(model, first, dt).equation
    require_key(key)
    keys, names = jax.random.split(key, clouds.shape[0]), tuple(observe)
    before, after = value_of(_run(planned, jnp.asarray(clouds), dict(observe), keys, (dt, until), scheme))
    before, after = _table(names, before), _table(names, after)
    return _judge(names, after - before, before)


def stationarity(model: Model, clouds: Float[Array, "c n d"], observe: Observables) -> Invariance:
    """A test whether the equation of N particles leaves a law invariant: E[Lφ(X)] = 0 for each φ, L the generator.

        Lφ = b·∇φ + ½Σ_i tr(σσᵀ(x_i)∇²_{x_i}φ) + ½Σ_k (σ⁰_k·∇)²φ

    It takes no time step. The cost for each cloud is one second derivative of φ for each Brownian motion: N·d, and
    those of the environment.

    **Arguments:**

    - `model`: the dynamics.
    - `clouds`: c independent draws of the n particles from the law, shape (c, n, d); ten at least for each φ.
    - `observe`: the φ, twice differentiable real functions of (model, measure) by name.

    **Returns:** an `Invariance`; its changes are per time.

    **Raises:** `ValueError` for fewer draws, on spheres, and for a noise in Stratonovich form if the two forms differ:
    `mckean.convert` gives the Itô form.

    **Source:** Echeverría, Z. Wahrscheinlichkeitstheorie 61 (1982).
    """
    require_model(model)
    _require_draws(model, clouds, observe)
    require(not isinstance(model.space, Sphere), "the generator is written for R^d and tori, not for a sphere.")
    for part in (*model.common, *(() if model.noise is None else (model.noise,))):
        require(not differs(part, "ito"), 'the generator is that of Itô: take mckean.convert(model, "ito").')
    values, slopes = _generator(model, jnp.asarray(clouds), dict(observe))
    names = tuple(observe)
    return _judge(names, _table(names, slopes), _table(names, values))


def _require_draws(model: Model, clouds: Float[Array, "c n d"], observe: Observables) -> None:
    require(len(observe) > 0, "a test of invariance needs at least one observable.")
    require(
        clouds.ndim == 3 and clouds.shape[0] >= 10 * len(observe),
        f"{len(observe)} observables need at least {10 * len(observe)} independent clouds, of shape (c, n, d), "
        f"but the shape is {clouds.shape}.",
    )


@eqx.filter_jit
def _run(model: Equation, clouds, observe: dict, keys: Key[Array, " c"], times: tuple[float, float], scheme) -> Any:
    def one(x, key):
        run = evolve(
            model, Particles(model.space, x), until=times[1], dt=times[0], path=Brownian(key), scheme=scheme,
            observe=observe,
        )  # fmt: skip
        return tuple({name: run.observed[name][i] for name in observe} for i in (0, -1))

    return jax.vmap(watch(one))(clouds, keys)


@eqx.filter_jit
def _generator(model: Model, clouds: Float[Array, "c n d"], observe: dict) -> Any:
    def one(x):
        f = lambda y: {name: g(model, Particles(model.space, y)) for name, g in observe.items()}  # noqa: E731
        return f(x), _apply_generator(model, f, x)

    return jax.lax.map(one, clouds, batch_size=64)


def _apply_generator(model: Model, f: Callable, x: Float[Array, "n d"]) -> dict[str, Float[Array, ""]]:
    """Lf at x, for all f as one."""
    cloud = Particles(model.space, x)
    n, d = x.shape
    sigma = jnp.zeros((n, d, 0), x.dtype) if model.noise is None else model.noise.matrix(x, cloud)
    own, common = n * sigma.shape[2], model.motions(cloud) if model.common else 0

    def curvature(k):
        """½ of the second derivative along the field of the motion k, of all particles' own and the environment's."""
        unit = jnp.zeros(own + common, x.dtype).at[k].set(1)
        direction = jnp.einsum("ndm,nm->nd", sigma, unit[:own].reshape(n, -1))
        if common:
            direction = direction + model.common_displacement(x, cloud, unit[own:])
        slope = lambda y: jax.jvp(f, (y,), (direction,))[1]  # noqa: E731
        return jax.tree.map(lambda second: 0.5 * second, jax.jvp(slope, (x,), (direction,))[1])

    first = jax.jvp(f, (x,), (model.velocity(x, cloud),))[1]
    second = jax.lax.map(curvature, jnp.arange(own + common))
    return jax.tree.map(lambda drift, terms: drift + jnp.sum(terms), first, second)


def _table(names: Sequence[str], values: Mapping[str, Any]) -> np.ndarray:
    """Columns of observables, shape (c, p), in the order of the names: JAX hands dicts back sorted."""
    for name, v in values.items():
        require(jnp.ndim(v) == 1 and not jnp.iscomplexobj(v), f"the observable {name!r} must be a real number.")
        require(np.isfinite(v).all(), f"the observable {name!r} is not finite after the run.")
    return np.stack([np.asarray(values[name], np.float64) for name in names], axis=1)


def _judge(names: tuple[str, ...], changes: np.ndarray, values: np.ndarray) -> Invariance:
    spread = values.std(axis=0, ddof=1)
    require(np.all(spread > 0), "an observable is the same for all clouds, and cannot tell laws apart.")
    means = {name: average(column) for name, column in zip(names, changes.T, strict=True)}
    return Invariance(hotelling(changes / spread), means, dict(zip(names, map(float, spread), strict=True)))


def hotelling(changes: Float[np.ndarray, "c p"]) -> float:
    """The p-value of a mean of 0, of c independent vectors; entries are in units of the size that matters.

    Directions that do not vary are held apart: where their change is rounding they say nothing, else it is certain.
    """
    from scipy.special import fdtrc

    c = changes.shape[0]
    mean = changes.mean(axis=0)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(changes, rowvar=False)))
    along, varying = mean @ axes, variances > _ROUNDING**2
    if np.any(np.abs(along[~varying]) > _ROUNDING):
        return 0.0
    p = int(varying.sum())
    if p == 0:
        return 1.0
    square = c * float(np.sum(along[varying] ** 2 / variances[varying]))
    return float(fdtrc(p, c - p, square * (c - p) / (p * (c - 1))))
