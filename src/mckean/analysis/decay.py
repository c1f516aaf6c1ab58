"""Rates of return to equilibrium, measured along a flow.

A gradient flow has dF/dt = −D, and where D ≥ 2λ(F − F*), the Polyak–Łojasiewicz inequality, Grönwall's lemma gives
F − F* ≤ e^{−2λt}(F(0) − F*); with it W_2²(μ, μ*) ≤ (2/λ)(F − F*) (Otto and Villani, J. Funct. Anal. 173, 2000).
Rates are of the quantity itself: 2λ for F − F* and for D, λ for W_2.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from mckean.checks import require
from mckean.dynamics import evolve
from mckean.measures import AbstractMeasure
from mckean.models import Model
from mckean.models.energy import dissipation, free_energy
from mckean.transport import wasserstein


@dataclass(frozen=True)
class ExponentialRate:
    """A rate γ of e^{−γt}, per time, with the interval [low, high] in which it lies."""

    value: float
    low: float
    high: float

    def holds(self, rate: float) -> bool:
        """Whether the rate lies in the interval."""
        return self.low <= rate <= self.high


def rate(times: Any, values: Any) -> ExponentialRate:
    """γ of values ∝ e^{−γt}, by least squares of their logarithm along time.

    One curve, shape (k,): the window is cut in three; γ is the slope of the last part, and the interval γ ± the change
    of slope from the second part to the third. That holds the final rate where each part brings the slope at least
    half of the way nearer to it, as a sum of exponentials does once the parts are longer than log 2/(γ₂ − γ₁).
    Replicas, shape (r, k): γ is the slope of the logarithm of their mean, the interval four standard errors, by leaving
    out one replica at a time.

    **Arguments:** `times`: shape (k,), increasing; `values`: positive.
    **Raises** `ValueError` for values that are not positive (below rounding there is nothing to fit: shorten the
    window), for fewer than six times and, for replicas, fewer than two.
    """
    times, values = np.asarray(times, np.float64), np.asarray(values, np.float64)
    require(values.shape[-1:] == times.shape, f"{times.size} times need as many values, not shape {values.shape}.")
    require(times.size >= 6, "a rate of decay needs at least six times.")
    require(bool(np.all(np.diff(times) > 0)), "the times of a decay must increase.")
    if values.ndim == 2:
        return _over_replicas(times, values)
    require(bool(np.all(values > 0)), "a rate of decay needs positive values: shorten the window, or mend F*.")
    _, middle, last = (_slope(t, v) for t, v in zip(np.array_split(times, 3), np.array_split(values, 3), strict=True))
    drift = abs(last - middle)
    return ExponentialRate(last, last - drift, last + drift)


def _slope(times: np.ndarray, values: np.ndarray) -> float:
    centred = times - times.mean()
    return float(-(centred @ np.log(values)) / (centred @ centred))


def _over_replicas(times: np.ndarray, values: np.ndarray) -> ExponentialRate:
    r = values.shape[0]
    require(r >= 2, "a standard error needs at least two replicas.")
    total = values.sum(0)
    require(bool(np.all(total > 0)), "a rate of decay needs positive means: shorten the window.")
    left_out = np.array([_slope(times, (total - v) / (r - 1)) for v in values])
    stderr = math.sqrt((r - 1) / r * np.sum((left_out - left_out.mean()) ** 2))
    value = _slope(times, total)
    return ExponentialRate(value, value - 4 * stderr, value + 4 * stderr)


@dataclass(frozen=True)
class Decay:
    """F − F*, D and W_2(μ_t, μ*) along a flow, shape (k,) each; W_2 is None where no exact distance is at hand."""

    times: np.ndarray
    gap: np.ndarray
    dissipation: np.ndarray
    distance: np.ndarray | None

    @cached_property
    def inequality(self) -> float:
        """inf over the records of D/2(F − F*): no λ of a Polyak–Łojasiewicz inequality is larger; per time."""
        return float(np.min(self.dissipation / (2 * self.gap)))

    def rates(self, begin: float = 0.0, end: float = math.inf) -> dict[str, ExponentialRate]:
        """The rates of the three within [begin, end]."""
        inside = (self.times >= begin) & (self.times <= end)
        curves = {"gap": self.gap, "dissipation": self.dissipation, "distance": self.distance}
        return {name: rate(self.times[inside], y[inside]) for name, y in curves.items() if y is not None}


def decay(
    model: Model, mu: AbstractMeasure, equilibrium: AbstractMeasure, *, until: float, dt: float, every: int = 1, **how
) -> Decay:
    """F − F*, D and W_2 to the equilibrium along the flow from μ, at the start and after each `every` steps.

    **Arguments:** `mu`, `equilibrium`: both a `Density` on one grid, or both `Gaussian`; F* is the free energy of the
    equilibrium, which should be that of the scheme: what a grid misplaces shows as a floor of F − F*. `until`, `dt`,
    and `how`, such as `scheme`: as for `evolve`.
    **Raises** `ValueError` as `evolve` does, where the measures are not of one kind, and where F falls to F* or below,
    as it does when the equilibrium is not the state of least free energy or the run goes on to rounding.
    """
    alike = type(mu) is type(equilibrium) and getattr(mu, "grid", None) == getattr(equilibrium, "grid", None)
    require(alike, "a decay compares two measures of one kind: two densities on one grid, or two Gaussians.")
    run = evolve(model, mu, until=until, dt=dt, every=every, observe=_OBSERVE, **how)
    gap = np.asarray(run.observed["energy"], np.float64) - float(free_energy(model, equilibrium))
    least = int(np.argmin(gap))
    require(
        gap[least] > 0,
        f"F − F* is {gap[least]:.3g} at t = {float(run.times[least]):g}: the equilibrium is not the state of least "
        "free energy of the scheme, or the run goes on to rounding.",
    )
    return Decay(np.asarray(run.times), gap, np.asarray(run.observed["dissipation"]), _distances(run, equilibrium))


def _itself(model: Model, mu: AbstractMeasure) -> AbstractMeasure:
    return mu


_OBSERVE = {"energy": free_energy, "dissipation": dissipation, "state": _itself}


def _distances(run, equilibrium: AbstractMeasure) -> np.ndarray | None:
    if equilibrium.domain.dim > 1 and hasattr(equilibrium, "grid"):
        return None
    states = run.observed["state"]
    at = lambda i: jax.tree.map(lambda a: a[i], states)  # noqa: E731
    return np.array([wasserstein(at(i), equilibrium) for i in range(len(run.times))])
