"""The linearised equation along a solution, and how fast its solutions grow.

For the flow Φ of a scheme, environment included, η_{k+1} = DΦ_k(μ_k) η_k is carried beside μ_{k+1} = Φ_k(μ_k), and
brought back to norm 1 after every step; the logarithms add up. Over environments

    almost sure:   λ = lim (1/t) log‖η_t‖,                 the top Lyapunov exponent;
    mean square:   γ = lim (1/2t) log E‖η_t‖²  ≥ λ,        by Jensen's inequality;
    mean:          m = lim (1/t) log |E⟨η_t, η_0⟩|  ≤ γ.

They differ, and say different things: a solution goes back to a steady state where λ < 0, though E‖η_t‖² may grow by
environments that hardly ever come (Arnold, Random Dynamical Systems, 1998; Khasminskii, Stochastic Stability, 2012).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from mckean.checks import require
from mckean.dynamics import (
    AbstractScheme,
    Carrier,
    CarrierScheme,
    Scheme,
    Stepper,
    Trajectory,
    evolve,
    scheme_for,
)
from mckean.dynamics._evolve import forward_derivatives
from mckean.faults import Status
from mckean.measures import AbstractMeasure, dtype_of
from mckean.measures.norms import difference, inner
from mckean.models import Equation, Model
from mckean.paths import Brownian
from mckean.statistics import Estimate, average, replicate


class TangentSums(NamedTuple):
    """A tangent of norm 1, the tangent that it started from, and log‖η_t‖/‖η_0‖."""

    direction: Any
    first: Any
    log_norm: Float[Array, ""]


def tangent(measure: AbstractMeasure, towards: AbstractMeasure) -> Carrier:
    """A measure with the tangent η_0 = (towards − measure)/norm at it.

    **Raises:** `ValueError` for measures of different forms, or the same one.
    """
    gap = difference(towards, measure)
    norm = jnp.sqrt(inner(measure, gap, gap))
    require(norm > 0, "a tangent needs a direction: another measure than the one that it starts from.")
    direction = jax.tree.map(lambda x: x / norm, gap)
    return Carrier((measure,), TangentSums(direction, direction, jnp.zeros((), dtype_of(measure))))


def push(move: Callable, measure: AbstractMeasure, eta: Any) -> tuple[AbstractMeasure, Any, Status]:
    """`move` at μ, the measure's derivative in the direction η, a tree of μ's floating arrays, and the status."""
    moving, still = eqx.partition(measure, eqx.is_inexact_array)

    def arrays(moving):
        new, found = move(eqx.combine(moving, still))
        return eqx.filter(new, eqx.is_inexact_array), found

    new, derivative, found = jax.jvp(arrays, (moving,), (eta,), has_aux=True)
    return eqx.combine(new, still), derivative, found


def _grow(begun: Stepper, state: Carrier, path: Brownian | None, index: Int[ArrayLike, ""]) -> tuple[Carrier, Status]:
    """A step of the measure, and the derivative of this step, exactly, for the tangent."""
    (mu,), sums = state.measures, state.sums
    new, eta, found = push(lambda nu: begun.shared[0].step(nu, path, index), mu, sums.direction)
    norm = jnp.sqrt(inner(mu, eta, eta))
    direction = jax.tree.map(lambda x: x / norm, eta)
    return Carrier((new,), TangentSums(direction, sums.first, sums.log_norm + jnp.log(norm))), found


@dataclass(frozen=True)
class Growth:
    """The growth of a perturbation η over r environments.

    **Attributes:**

    - `times`: the times of the records, shape (t,); time.
    - `log_norm`: log‖η_t‖/‖η_0‖, shape (r, t).
    - `overlap`: ⟨η_t, η_0⟩/(‖η_t‖‖η_0‖), shape (r, t).
    """

    times: Float[np.ndarray, " t"]
    log_norm: Float[np.ndarray, "r t"]
    overlap: Float[np.ndarray, "r t"]

    def almost_sure(self, after: float = 0.0) -> Estimate:
        """λ = (1/(T − s)) E log(‖η_T‖/‖η_s‖), the top Lyapunov exponent; 1/time.

        **Arguments:**

        - `after`: s, time. T is the end. Default: 0.

        **Returns:** an `Estimate`.

        **Raises:** `ValueError` for s ≥ T.
        """
        begin = self._index(after)
        return average((self.log_norm[:, -1] - self.log_norm[:, begin]) / (self.times[-1] - self.times[begin]))

    def moment(self, power: float = 2.0, after: float = 0.0) -> Estimate:
        """(1/p(T − s)) log(E‖η_T‖^p/E‖η_s‖^p), for p = 2 the mean square rate γ; 1/time.

        The tails are heavy. As T grows, fewer and fewer environments carry the mean; the value and its standard error
        are too small if none of these has occurred. See `effective`, and keep T short or p small.

        **Arguments:**

        - `power`: p. Default: 2.
        - `after`: s, time. T is the end. Default: 0.

        **Returns:** an `Estimate`.

        **Raises:** `ValueError` for s ≥ T.
        """
        return self._logarithmic(np.exp(power * self._below_largest()), after, power)

    def mean(self, after: float = 0.0) -> Estimate:
        """m = (1/(T − s)) log(E⟨η_T, η_0⟩/E⟨η_s, η_0⟩), the rate of the mean; 1/time.

        It is exact at all times where η_0 is an eigenvector of the mean equation.

        **Arguments:**

        - `after`: s, time. T is the end. Default: 0.

        **Returns:** an `Estimate`.

        **Raises:** `ValueError` for s ≥ T, and where this mean is within 4 standard errors of zero: then it has no
        rate.
        """
        samples = self.overlap * np.exp(self._below_largest())
        level = average(samples[:, [self._index(after), -1]])
        require(
            np.all(level.value > 4 * level.stderr),
            "a mean over environments that is within 4 standard errors of zero has no rate: take a shorter time, or "
            "more environments.",
        )
        return self._logarithmic(samples, after, 1.0)

    def effective(self, power: float = 2.0) -> float:
        """(Σw)²/Σw² with w = ‖η_T‖^p: about how many environments carry the mean.

        **Arguments:**

        - `power`: p. Default: 2.
        """
        w = np.exp(power * (self.log_norm[:, -1] - self.log_norm[:, -1].max()))
        return float(w.sum() ** 2 / np.sum(w**2))

    def _index(self, after: float) -> int:
        begin = int(np.searchsorted(self.times, after - 1e-9 * self.times[-1]))
        require(begin < len(self.times) - 1, f"a rate is measured up to t = {self.times[-1]:g}, after t = {after:g}.")
        return begin

    def _below_largest(self) -> np.ndarray:
        """Logarithms below the largest of each time, which `_logarithmic` puts back."""
        return self.log_norm - self.log_norm.max(axis=0)

    def _logarithmic(self, samples: np.ndarray, after: float, power: float) -> Estimate:
        """(1/p(T − s)) log of the quotient of two means over environments, with its error to first order."""
        begin = self._index(after)
        pair = samples[:, [begin, -1]]
        level = average(pair)
        relative = pair / level.value
        span = power * (self.times[-1] - self.times[begin])
        scale = power * (self.log_norm[:, -1].max() - self.log_norm[:, begin].max())
        change = relative[:, 1] - relative[:, 0]
        error = average(change)
        # The logarithms bend: with gradient g, Hessian H and covariance C they add (3/2)⟨Cg, HCg⟩/s³.
        before, then = (np.cov(column, change)[0, 1] / len(change) for column in relative.T)
        bend = 1.5 * (before**2 - then**2) / error.stderr**3 if error.stderr > 0 else 0.0
        value = (np.log(level.value[1] / level.value[0]) + scale) / span
        return Estimate(value, error.stderr / span, error.freedom, error.skewness + bend)


def linearise(
    model: Equation,
    measure: AbstractMeasure,
    towards: AbstractMeasure,
    *,
    until: float,
    dt: float,
    path: Brownian | None = None,
    every: int | None = None,
    scheme: Scheme | None = None,
) -> Trajectory[Carrier]:
    """A solution and a small perturbation η of it, η_0 ∝ `towards` − `measure`, in one environment.

        μ_{k+1} = Φ_k(μ_k),   η_{k+1} = DΦ_k(μ_k) η_k,   Φ the scheme's step with its environment

    The records are `log_norm`, log‖η_t‖/‖η_0‖, and `overlap`, ⟨η_t, η_0⟩/(‖η_t‖‖η_0‖).

    **Arguments:**

    - `model`: any model or schedule.
    - `measure`: the solution at the start.
    - `towards`: another measure of its class, which gives the direction of the perturbation.
    - `until`, `dt`, `path`, `every`, `scheme`: as for `evolve`.

    **Returns:** the run.

    **Raises:** `ValueError` for measures of different classes, or equal ones, and as `evolve` does.
    """
    state, flow = tangent(measure, towards), _flow(scheme_for(model, measure, scheme))
    return evolve(model, state, until=until, dt=dt, path=path, scheme=flow, observe=_OBSERVE, every=every)


def growth(
    model: Equation,
    measure: AbstractMeasure,
    towards: AbstractMeasure,
    *,
    until: float,
    dt: float,
    key: PRNGKeyArray,
    replicas: int,
    every: int | None = None,
    scheme: Scheme | None = None,
    batch: int | None = None,
) -> Growth:
    """The growth of a small perturbation η of a solution, ‖η_t‖/‖η_0‖, in independent environments.

        μ_{k+1} = Φ_k(μ_k),   η_{k+1} = DΦ_k(μ_k) η_k,   Φ the scheme's step with its environment

    **Arguments:**

    - `model`: any model or schedule.
    - `measure`: the solution at the start, such as a steady state.
    - `towards`: another measure of its class; the perturbation is η_0 ∝ `towards` − `measure`.
    - `until`, `dt`, `every`, `scheme`: as for `evolve`.
    - `key`, `replicas`, `batch`: as for `replicate`.

    **Returns:** a `Growth`.

    **Raises:** `ValueError` for measures of different classes, or equal ones, and as `evolve` does.
    """
    flow = _flow(scheme_for(model, measure, scheme))
    state = tangent(measure, towards)
    # Refused, and planned, while the values are known.
    planned = flow.begin(model, state, dt).equation
    run = eqx.Partial(_follow, model=planned, state=state, flow=flow, until=until, dt=dt, every=every)
    with forward_derivatives():
        times, log_norm, overlap = replicate(run, key, replicas, batch)
    return Growth(times[0], log_norm, overlap)


def _flow(scheme: AbstractScheme) -> CarrierScheme:
    return CarrierScheme((scheme,), _grow)


def _follow(key: PRNGKeyArray, *, model: Equation, state: Carrier, flow: CarrierScheme, **times) -> tuple:
    run = evolve(model, state, path=Brownian(key), scheme=flow, observe=_OBSERVE, **times)
    return run.times, run.observed["log_norm"], run.observed["overlap"]


def _log_norm(model: Model, state: Carrier) -> Float[Array, ""]:
    return state.sums.log_norm


def _overlap(model: Model, state: Carrier) -> Float[Array, ""]:
    return inner(state.measures[0], state.sums.direction, state.sums.first)


_OBSERVE = {"log_norm": _log_norm, "overlap": _overlap}
