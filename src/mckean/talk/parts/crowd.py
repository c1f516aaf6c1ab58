"""Part of chapter *summation*: a crowd that no sum over pairs could move, with a kernel of many modes."""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from diffrax import Heun

from mckean import observables
from mckean.dynamics import evolve
from mckean.interactions import certificate, place
from mckean.interactions.kernels import FourierSeries
from mckean.measures import Density, Particles, VonMises
from mckean.models import Model, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import Estimate, average, join, log_slope
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series
from mckean.transport import wasserstein

_SUMS = "Barnett, Magland and af Klinteberg 2019; Fong and Darve 2009"
_LIMIT = "propagation of chaos: Sznitman 1991; Cépa and Lépingle 2001"
_MODES, _REPULSION, _COLD = 1000, 1.0, 4.0
_FOLLOWED = (1, 2)
# Parts of the crowd: particles in one, and how many.
_PARTS = ((1, 250), (16, 12))
_CERTIFIED, _UNTIL = 1e-6, 1.0


@dataclass(frozen=True)
class Crowd:
    """A large cloud, smaller ones whose spread measures its error, and the nodes of the limit's density."""

    particles: int = 1_000_000
    replica: int = 62_500
    replicas: int = 16
    dt: float = 0.02
    nodes: int = 256

    @classmethod
    def quick(cls) -> "Crowd":
        return cls(particles=100_000, replica=12_500, dt=0.05)

    def what(self) -> str:
        return (
            f"{self.particles} particles on the circle with W = Σ cos(kx)/k, k ≤ {_MODES}, β = {_COLD:g}, Heun's "
            f"scheme with dt = {self.dt:g} up to T = {_UNTIL:g}, beside the spectral solver on {self.nodes} nodes and "
            f"{self.replicas} replicas of {self.replica} particles"
        )


def run_crowd(config: Crowd, key) -> tuple[list[Claim], Figure]:
    circle = Torus(1)
    model = langevin(circle, None, place(_logarithm(), circle, tolerance=_CERTIFIED), _COLD)
    law = VonMises(circle, 0.0, 1.0)
    start = Density.from_law(circle.grid(config.nodes), law)
    limit = _follow(model, start, None, config.dt)
    draws, noise, sample = jax.random.split(key, 3)
    # One draw for all clouds: the first is the crowd, the others are the replicas.
    count = config.particles + config.replicas * config.replica
    places = np.asarray(eqx.filter_jit(law.sample)(draws, count).positions)
    clouds = np.split(places, config.particles + config.replica * np.arange(config.replicas))
    paths = [Brownian(k) for k in jax.random.split(noise, len(clouds))]
    many, *few = [_follow(model, Particles(circle, x), path, config.dt) for x, path in zip(clouds, paths, strict=True)]
    claims = [
        *_mode_claims(config, limit, many, few, float(start.values.max())),
        _parts_claim(config, limit, many),
        _certificate_claim(config, model, many.final, sample),
    ]
    return claims, _figure(config, limit, many, few)


@dataclass(frozen=True)
class _Course:
    """Times, Re z_k along them for the modes that are followed, shape (t, modes), and the final measure."""

    times: np.ndarray
    modes: np.ndarray
    final: Any


def _follow(model: Model, measure: Particles | Density, path: Brownian | None, dt: float) -> _Course:
    times, modes, final = _evolve(model, measure, path, dt)
    return _Course(np.asarray(times), np.asarray(modes), final)


@eqx.filter_jit
def _evolve(model: Model, measure, path: Brownian | None, dt: float):
    run = evolve(
        model, measure, until=_UNTIL, dt=dt, path=path, scheme=None if path is None else Heun(),
        observe={"z": _real_modes}, every=max(1, round(0.1 / dt)),
    )  # fmt: skip
    return run.times, run.observed["z"], run.final


def _real_modes(model: Model, mu):
    return jnp.stack([observables.mode(k)(model, mu).real for k in _FOLLOWED])


def _logarithm() -> FourierSeries:
    """−log|2 sin(x/2)| = Σ_k cos(kx)/k, cut off at 1000 modes."""
    k = np.arange(1, _MODES + 1)
    return FourierSeries(k, _REPULSION / k)


def _spread(config: Crowd, few: list[_Course]) -> np.ndarray:
    """Standard errors of the crowd's modes: the replicas' spread about their own mean, by √N."""
    square = np.var([one.modes for one in few], axis=0, ddof=1)
    return np.sqrt(square * config.replica / config.particles)


def _mode_claims(config: Crowd, limit: _Course, many: _Course, few: list[_Course], peak: float) -> list[Claim]:
    """Modes of all clouds together, half way, where the second is still seen."""
    from scipy.special import ive

    claims, at = [], len(limit.times) // 2
    total = config.particles + config.replicas * config.replica
    spread = _spread(config, few)[at] * math.sqrt(config.particles / total)
    mean = (config.particles * many.modes[at] + config.replica * sum(one.modes[at] for one in few)) / total
    for i, k in enumerate(_FOLLOWED):
        rate = k**2 / _COLD + 0.5 * _REPULSION * k * 2 * math.pi * peak
        free = float(ive(k, 1.0) / ive(0, 1.0)) * math.exp(-(k**2) * limit.times[at] / _COLD)
        claims.append(
            Claim(
                statement=f"{total} particles with a kernel of {_MODES} modes follow the limit: "
                f"$\\mathrm{{Re}}\\,z_{k}$ at $t = {limit.times[at]:g}$",
                predicted=float(limit.modes[at, i]),
                measured=Estimate(float(mean[i]), float(spread[i]), config.replicas - 1),
                tolerance=(rate * config.dt) ** 2 / (6 * math.e) + 1 / config.replica,
                origin="Heun's error on a relaxation of rate λ, (λdt)²/6e, with λ = k²/β + kπ max ρ_0 = "
                f"{rate:.2g}; 1/N of the smaller clouds",
                excludes=Rival("no interaction", free),
                reference=_LIMIT,
            )
        )
    return claims


def _parts_claim(config: Crowd, limit: _Course, many: _Course) -> Claim:
    """W₁ of disjoint parts of the crowd to the limit: n of N particles are as n independent ones."""
    x, unit, start = np.asarray(many.final.positions), config.particles // 500, 0
    sizes, found = [], []
    for units, count in _PARTS:
        n = units * unit
        parts = x[start : start + n * count].reshape(count, n, 1)
        start += n * count
        distances = [wasserstein(Particles(Torus(1), jnp.asarray(part)), limit.final, p=1) for part in parts]
        sizes.append(n)
        found.append(average(distances))
    return Claim(
        statement=f"Parts of n of the {config.particles} particles come to the limit as $n^s$ in $W_1$: s, from n = "
        f"{sizes[0]} to {sizes[1]}",
        predicted=-0.5,
        measured=log_slope(sizes, join(found)),
        excludes=Rival("a law of one particle that is not the limit's", 0.0),
        reference=_LIMIT,
    )


def _certificate_claim(config: Crowd, model: Model, mu: Particles, key) -> Claim:
    assert model.interaction is not None, "given"
    found = certificate(model.interaction, mu, key, points=128)
    return Claim(
        statement=f"The certificate at T, N = {config.particles}, is at most what was asked for: error of the force "
        "over its size",
        predicted=_CERTIFIED,
        measured=found.error,
        origin=f"none: {found.sum}, asked for {_CERTIFIED:g} of the size of ∇W, which is larger than the force",
        excludes=Rival("a digit less than asked for", 10 * _CERTIFIED),
        reference=_SUMS,
        relation="at most",
    )


def _figure(config: Crowd, limit: _Course, many: _Course, few: list[_Course]) -> Figure:
    times, spread = limit.times, _spread(config, few)
    paths, deviations = [], []
    for i, k in enumerate(_FOLLOWED):
        paths.append(Series(times, many.modes[:, i], f"k = {k}, particles", kind="points"))
        paths.append(Series(times, limit.modes[:, i], f"k = {k}, limit", kind="dashed"))
        deviations.append(Series(times, many.modes[:, i] - limit.modes[:, i], f"k = {k}", spread[:, i]))
    caption = (
        f"{config.particles} particles that repel each other by {_MODES} Fourier modes of the logarithm, beside their "
        "limit. Left: the particles' histogram at the final time and the limit's density. Middle: Fourier modes along "
        "time. Right: particles minus limit, with the spread of replicas."
    )
    panels = [
        _histogram(limit.final, many.final),
        Panel("time t", "Re z_k (dimensionless)", paths),
        Panel("time t", "Re z_k, particles − limit (dimensionless)", deviations),
    ]
    return Figure(caption, panels)


def _histogram(limit: Density, cloud: Particles) -> Panel:
    side = limit.grid.sides[0]
    edges = np.linspace(0, side, 129)
    counts, _ = np.histogram(np.asarray(cloud.positions)[:, 0], edges, density=True)
    series = [
        Series(edges, np.append(counts, counts[-1]), f"N = {cloud.n}", kind="steps"),
        Series(limit.grid.axes[0], np.asarray(limit.values), "limit"),
    ]
    return Panel("position x (length)", "density (1/length)", series)
