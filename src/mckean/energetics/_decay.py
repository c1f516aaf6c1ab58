"""Rates of return to equilibrium, measured along a flow.

A gradient flow has dF/dt = −D, and where D ≥ 2λ(F − F*), the Polyak–Łojasiewicz inequality, Grönwall's lemma gives
F − F* ≤ e^{−2λt}(F(0) − F*); with it W_2²(μ, μ*) ≤ (2/λ)(F − F*) (Otto and Villani, J. Funct. Anal. 173, 2000).
Rates are of the quantity itself: 2λ for F − F* and for D, λ for W_2.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np

from mckean.checks import require
from mckean.dynamics import evolve
from mckean.measures import AbstractMeasure
from mckean.models import Model, require_model
from mckean.models.energy import dissipation, free_energy
from mckean.statistics import ExponentialRate, decay_rate
from mckean.transport import wasserstein


@dataclass(frozen=True)
class Decay:
    """F − F*, D and W_2(μ_t, μ*) along a flow.

    **Attributes:** each has shape (k,).

    - `times`: the times of the records; time.
    - `gap`: F − F*, energy.
    - `dissipation`: D, energy per time.
    - `distance`: W_2(μ_t, μ*), length; None for densities in dimension 2 or more, where it is not computed.
    """

    times: np.ndarray
    gap: np.ndarray
    dissipation: np.ndarray
    distance: np.ndarray | None

    @cached_property
    def inequality(self) -> float:
        """inf over the records of D/2(F − F*): no λ of a Polyak–Łojasiewicz inequality is larger; per time."""
        return float(np.min(self.dissipation / (2 * self.gap)))

    def rates(self, begin: float = 0.0, end: float = math.inf) -> dict[str, ExponentialRate]:
        """The rates γ of the decays e^{−γt} of F − F*, D and W_2 within a window; per time.

        **Arguments:**

        - `begin`, `end`: the window, time. Default: all records.

        **Returns:** an `ExponentialRate` for each of "gap", "dissipation" and, if it is not None, "distance".

        **Raises:** `ValueError` as `decay_rate` does.
        """
        inside = (self.times >= begin) & (self.times <= end)
        curves = {"gap": self.gap, "dissipation": self.dissipation, "distance": self.distance}
        return {name: decay_rate(self.times[inside], y[inside]) for name, y in curves.items() if y is not None}


def decay(
    model: Model,
    measure: AbstractMeasure,
    equilibrium: AbstractMeasure,
    *,
    until: float,
    dt: float,
    every: int = 1,
    **how,
) -> Decay:
    """F(μ_t) − F*, D(μ_t) and W_2(μ_t, μ*) along the flow to an equilibrium μ*, F* = F(μ*).

    If D ≥ 2λ(F − F*), then F − F* falls at least like e^{−2λt}, and W_2 like e^{−λt}.

    **Arguments:**

    - `model`: a gradient flow with a thermal noise.
    - `measure`: the initial measure, a `Density` or a `Gaussian`.
    - `equilibrium`: μ*, of the same class and on the same grid. It should be the equilibrium of the scheme: an error of
      it on the grid shows as a floor of F − F*.
    - `every`: steps between records. The start is recorded too. Default: 1.
    - `until`, `dt`, and others such as `scheme`: as for `evolve`.

    **Returns:** a `Decay`.

    **Raises:** `ValueError` as `evolve` does, for measures of different classes, and if F falls to F* or below: then
    the equilibrium is not the state of least free energy, or the run goes on to rounding.

    **Source:** Otto and Villani, J. Funct. Anal. 173 (2000).
    """
    require_model(model)
    alike = type(measure) is type(equilibrium) and getattr(measure, "grid", None) == getattr(equilibrium, "grid", None)
    require(alike, "a decay compares two measures of one kind: two densities on one grid, or two Gaussians.")
    run = evolve(model, measure, until=until, dt=dt, every=every, observe=_OBSERVE, **how)
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
