"""Part of chapter *metastability*: two clusters that do not see each other exchange mass until one is left.

With W = −(κ/2)((1 − |x|)_+)² on the circle, β = 1, and clusters at 0 and π of masses m_1 + m_2 = 1, each is at rest in
its half, ρ = a_ie^{−u}, u = W*ρ. Between their centres ρe^{u} goes from a_1 to a_2, and the current is constant:
j = (a_1 − a_2)/R, R = ∫_0^π e^u dx. Both ways about the circle lead from one to the other:

    dm_1/dt = −2(a_1 − a_2)/R.

A heavier cluster has a deeper well, and a smaller a: it grows. Between the clusters u = 0, and the mass there, 2πa at
most, is in neither: m_1 may be off by as much. The frozen densities are solved by NumPy.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from mckean.catalogue import circle
from mckean.dynamics import Spectral, evolve
from mckean.measures import Density
from mckean.spaces import Torus
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_REFERENCE = "Kramers 1940, with the potential of the clusters themselves"


@dataclass(frozen=True)
class Ripening:
    """κ, the first m_1, the end, the step and the steps between records; the nodes, and the modes of W."""

    strength: float = 52.0
    mass: float = 0.55
    until: float = 60.0
    dt: float = 0.005
    every: int = 1000
    nodes: int = 128
    modes: int = 24

    @property
    def weights(self) -> np.ndarray:
        return np.asarray(circle.bounded_confidence_weights(1.0, self.modes))


@dataclass(frozen=True)
class Frozen:
    """Two clusters at rest in their halves: ρ, dm_1/dt, and the most mass that is in no cluster."""

    density: np.ndarray
    rate: float
    between: float


def frozen(config: Ripening, mass: float) -> Frozen:
    """The clusters of masses m and 1 − m, by damped iteration."""
    n = config.nodes
    x = 2 * np.pi * np.arange(n) / n
    spacing = 2 * np.pi / n
    # The halves share the nodes at ±π/2.
    half = np.where(np.isclose(np.cos(x), 0.0), 0.5, (np.cos(x) > 0).astype(float))
    waves = np.cos(np.outer(np.arange(1, config.modes + 1), x))
    rho = np.exp(8 * np.cos(2 * x))
    for _ in range(3000):
        moments = waves @ rho / rho.sum()
        # The mean of W makes u 0 where no cluster is seen.
        u = -config.strength * (1 / (6 * np.pi) + config.weights * moments @ waves)
        weight = np.exp(-u)
        first, second = mass / (weight * half).sum(), (1 - mass) / (weight * (1 - half)).sum()
        new = weight * (first * half + second * (1 - half))
        new, old = new / spacing, rho / rho.sum() / spacing
        rho = 0.5 * (new + old)
        if np.abs(new - old).max() < 1e-13:
            break
    # Nodes from 0 to π, by the trapezoidal rule, which is exact for a smooth even function.
    resistance = np.exp(u).sum() * spacing / 2
    a, b = first / spacing, second / spacing
    return Frozen(rho, -2 * (a - b) / resistance, 2 * np.pi * max(a, b))


def run_ripening(config: Ripening) -> tuple[list[Claim], Figure]:
    """The claims and the figure of this part."""
    from scipy.integrate import solve_ivp

    start = frozen(config, config.mass)
    grid = Torus(1).grid(config.nodes)
    model = circle.on_circle(jnp.asarray(config.weights), config.strength, 1.0)
    x = np.asarray(grid.nodes)[:, 0]
    half = jnp.asarray(np.where(np.isclose(np.cos(x), 0.0), 0.5, (np.cos(x) > 0).astype(float)))
    observe = {"mass": lambda m, mu: jnp.sum(mu.values * half) * grid.cell_volume}
    run = evolve(
        model, Density(grid, jnp.asarray(start.density)), until=config.until, dt=config.dt, scheme=Spectral(),
        observe=observe, every=config.every,
    )  # fmt: skip
    times, masses = np.asarray(run.times), np.asarray(run.observed["mass"])
    rate = lambda t, m: [frozen(config, float(m[0])).rate]  # noqa: E731
    law = solve_ivp(rate, (0.0, config.until), [config.mass], t_eval=times, rtol=1e-7).y[0]
    gained = masses[-1] - masses[0]
    near = [np.log(frozen(config, config.mass + shift).rate) for shift in (-1e-3, 1e-3)]
    claim = Claim(
        statement="Clusters that do not see each other exchange mass, and the heavier one grows: "
        "$\\dot m_1 = -2(a_1 - a_2)/R$, where $\\rho = a_ie^{-u}$ near the cluster $i$ and $R = \\int_0^\\pi e^u$: "
        f"what it gains up to $t = {config.until:g}$, over the law's",
        predicted=1.0,
        measured=float(gained / (law[-1] - config.mass)),
        tolerance=float(start.between * (near[1] - near[0]) / 2e-3),
        origin="the mass between the clusters, which is in neither, times the change of the law's log rate with mass",
        excludes=Rival("a current on one side of the circle alone", 0.5),
        reference=_REFERENCE,
    )
    panel = Panel("time t", "mass of the heavier cluster", [
        Series(times, masses, "the equation of the law", kind="points"), Series(times, law, "exchange of mass"),
    ])  # fmt: skip
    caption = (
        "Coarsening of localised clusters: two of them out of each other's reach, and the mass of the heavier one. The "
        "line is the exchange by a constant current over the potential of the clusters."
    )
    return [claim], Figure(caption, [panel])
