"""Part of the chapter on coupling: two systems in one environment, two atoms, and reflection, which lets pairs meet."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from mckean import catalogue
from mckean.couplings import coupling_distance, lipschitz, reflection_coupling
from mckean.environments import separation
from mckean.measures import Gaussian, Particles
from mckean.models import Additive, Model, langevin
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate, average, log_slope, replicate
from mckean.talk.claims import Claim, Figure, Panel, Series

_WELL_BETA, _WELL_STRENGTH = 2.0, 0.5
_COMMON = 0.7


@dataclass(frozen=True)
class Meetings:
    """How much is run: pairs on the circle; particles, replicas, end and step of the wells; samples of two atoms."""

    pairs: int = 20_000
    particles: int = 100
    replicas: int = 64
    until: float = 4.0
    dt: float = 0.01
    atoms: tuple[int, ...] = (64, 256, 1024, 4096, 16384)
    samples: int = 1000


def _well(common=(), beta: float = _WELL_BETA) -> Model:
    well = catalogue.desai_zwanzig(_WELL_STRENGTH, _WELL_BETA).model
    return langevin(well.space, well.confinement, well.interaction, beta, common)


# Particles in one environment and nothing else.


def in_one_environment(config: Meetings, key) -> list[Claim]:
    """Without noise of their own both clouds solve the limit's equation: their start bounds their distance."""
    model = _well(Additive(_COMMON), float("inf"))
    runs = replicate(eqx.Partial(_two_clouds, model=model, config=config), key, config.replicas)
    confining, acting = lipschitz(model, runs["lower"].min(), runs["upper"].max())
    rate = confining + 2 * acting
    distance = runs["distance"]
    ratio = distance / distance[:, :1] * np.exp(-rate * runs["times"])
    return [
        Claim(
            statement="common noise alone: distance of two clouds over e^{Lt} times the first, all t, environments",
            predicted=1.0,
            measured=float(ratio[:, 1:].max()),
            tolerance=config.dt * rate,
            origin="one step of the scheme",
            reference="Dobrushin 1979",
            relation="at most",
        )
    ]


def _two_clouds(key, model: Model, config: Meetings):
    cloud, moved, noise = jax.random.split(key, 3)
    first = Gaussian(0.0, 0.5).sample(cloud, config.particles)
    shift = 0.1 * jax.random.normal(moved, first.positions.shape)
    second = eqx.tree_at(lambda p: p.positions, first, first.positions + shift)
    box = lambda model, pair: (pair.measures[0].positions.min(), pair.measures[0].positions.max())  # noqa: E731
    run = separation(
        model, first, second, until=config.until, dt=config.dt, path=Brownian(noise), every=10, observe={"box": box}
    )
    lower, upper = run.observed["box"]
    return {"times": run.times, "distance": run.observed["distance"], "lower": lower, "upper": upper}


# Two atoms.


def two_atoms(config: Meetings, key) -> tuple[list[Claim], Panel]:
    """W_2 of N fair coins and their law is |K/N − 1/2|^{1/2}, of order N^{−1/4}; W_1 is its square, N^{−1/2}."""
    sizes = np.array(config.atoms)
    second = [_atom_distance(jax.random.fold_in(key, n), n, config.samples) for n in config.atoms]
    measured = Estimate(*(np.array(v) for v in zip(*((e.value, e.stderr) for e in second), strict=True)))
    exact = np.array([_atom_mean(n) for n in config.atoms])
    limit = special.gamma(0.75) / (2**0.25 * np.sqrt(np.pi))
    slope = log_slope(sizes, measured)
    predicted = log_slope(sizes, Estimate(exact, exact)).value
    reference = "E|K/N − 1/2|^{1/2}, K binomial; its limit N^{−1/4} Γ(3/4)/(2^{1/4}√π)"
    claims = [
        Claim(
            statement="exponent of N in E W₂ for two atoms",
            predicted=-0.25,
            measured=slope.value,
            stderr=slope.stderr,
            tolerance=float(abs(predicted + 0.25)),
            origin="what finite N leaves, from the binomial sum",
            reference=reference,
        ),
        Claim(
            statement="N^{1/4} E W₂ for two atoms, largest N",
            predicted=float(limit),
            measured=float(measured.value[-1] * sizes[-1] ** 0.25),
            stderr=float(measured.stderr[-1] * sizes[-1] ** 0.25),
            tolerance=float(abs(exact[-1] * sizes[-1] ** 0.25 - limit)),
            origin="what finite N leaves, from the binomial sum",
            reference=reference,
        ),
    ]
    series = [
        Series(sizes, measured.value, "measured, two atoms", measured.stderr, "points"),
        Series(sizes, exact, r"binomial sum, $\sim N^{-1/4}$"),
        Series(sizes, exact[0] * np.sqrt(sizes[0] / sizes), r"$N^{-1/2}$", kind="dashed"),
    ]
    return claims, Panel("number of particles N", r"$E\,W_2$ (length)", series, xscale="log", yscale="log")


def _atom_distance(key, n: int, samples: int) -> Estimate:
    """E W_2 by the quantiles: sorted points against half of them at either atom."""
    points = np.sort(np.asarray(jax.random.bernoulli(key, 0.5, (samples, n)), float), axis=1)
    return average(np.sqrt(np.mean((points - (np.arange(n) >= n / 2)) ** 2, axis=1)))


def _atom_mean(n: int) -> float:
    k = np.arange(n + 1)
    return float(stats.binom.pmf(k, n, 0.5) @ np.sqrt(np.abs(k / n - 0.5)))


# Reflection.


def reflection(config: Meetings, key) -> tuple[list[Claim], list[Panel]]:
    """Antipodes of the circle, which a synchronous coupling keeps apart for ever; and two systems in two wells."""
    circle, wells = jax.random.split(key)
    claims, panel = _antipodes(config, circle)
    more, panels = _wells(config, wells)
    return claims + more, [panel, *panels]


def _beside(couple, model: Model, first: Particles, second: Particles, until: float, dt: float, key) -> dict:
    observe = {"gap": coupling_distance}
    run = couple(model, first, second, until=until, dt=dt, path=Brownian(key), observe=observe, every=10)
    return {"times": run.times, **run.observed["gap"]}


def _antipodes(config: Meetings, key) -> tuple[list[Claim], Panel]:
    """dX = √2 dB on the circle: |X − Y| is a Brownian motion of variance 8t on (0, 2π), killed at both ends."""
    circle, until = Torus(1), 2.0
    at = lambda x: Particles(circle, jnp.full((config.pairs, 1), x))  # noqa: E731
    run = _beside(reflection_coupling, langevin(circle), at(0.0), at(np.pi), until, 0.02, key)
    odd = np.arange(1, 60, 2)
    exact = np.exp(-np.outer(run["times"][1:], odd**2)) @ (4 / (np.pi * odd) * np.sin(odd * np.pi / 2))
    apart = np.asarray(run["apart"])[1:]
    middle = len(exact) // 2
    predicted = float(exact[middle])
    claim = Claim(
        statement=f"reflection from antipodes of the circle: pairs not met at t = {run['times'][1:][middle]:.2g}",
        predicted=predicted,
        measured=float(apart[middle]),
        stderr=float(np.sqrt(predicted * (1 - predicted) / config.pairs)),
        origin="exact at the times of the grid; binomial error",
        reference="(4/πk) sin(kπ/2) e^{−k²t}, summed over odd k",
    )
    series = [
        Series(run["times"][1:], apart, "reflection", kind="points"),
        Series(run["times"][1:], exact, "exact"),
        Series(run["times"][1:], np.ones_like(exact), "synchronous", kind="dashed"),
    ]
    return [claim], Panel("time t", "fraction of pairs apart, circle", series)


def _wells(config: Meetings, key) -> tuple[list[Claim], list[Panel]]:
    """On the line one noise keeps the order of ordered systems: it is optimal for W_1, and nobody meets."""
    runs = {}
    for name, couple in (("synchronous", separation), ("reflection", reflection_coupling)):
        one = eqx.Partial(_two_wells, model=_well(), couple=couple, config=config)
        runs[name] = replicate(one, key, config.replicas)
    times = runs["reflection"]["times"][0]
    mean = {name: average(run["mean"]) for name, run in runs.items()}
    apart = {name: average(run["apart"]) for name, run in runs.items()}
    start, grown = mean["synchronous"].value[0], mean["synchronous"].value.max()
    excess = average(runs["reflection"]["mean"][:, -1] - runs["synchronous"]["mean"][:, -1])
    half = len(times) // 2
    decay = average(runs["reflection"]["apart"][:, -1] - runs["reflection"]["apart"][:, half])
    reference = "Eberle 2016"
    claims = [
        Claim(
            statement="double well: fraction apart at T, synchronous",
            predicted=1.0,
            measured=float(apart["synchronous"].value[-1]),
            origin="strictly ordered systems stay so",
            reference="comparison of ordered systems",
        ),
        Claim(
            statement="double well: largest mean distance over that at the start, synchronous",
            predicted=1.0,
            measured=float(grown / start),
            origin="deterministic: −V″ > 0 at the barrier",
            reference=reference,
            relation="at least",
        ),
        Claim(
            statement="double well: fraction apart at T less that at T/2, reflection",
            predicted=0.0,
            measured=float(decay.value),
            stderr=float(decay.stderr),
            origin="statistical error only",
            reference=reference,
            relation="at most",
        ),
        Claim(
            statement="double well: mean distance at T, reflection less synchronous",
            predicted=0.0,
            measured=float(excess.value),
            stderr=float(excess.stderr),
            origin="synchronous is optimal for W₁ between ordered systems on the line",
            reference="E|X − Y| = E Y − E X ≤ W₁",
            relation="at least",
        ),
    ]
    panel = lambda label, seen, scale: Panel(  # noqa: E731
        "time t", label, [Series(times, e.value, name, e.stderr) for name, e in seen.items()], yscale=scale
    )
    return claims, [panel("fraction of pairs apart, wells", apart, "log"),
                    panel("mean |X − Y| (length), wells", mean, "linear")]  # fmt: skip


def _two_wells(key, model: Model, couple, config: Meetings) -> dict:
    """Either side of the barrier, a tenth away."""
    at = lambda x: Particles(Euclidean(1), jnp.full((config.particles, 1), x))  # noqa: E731
    return _beside(couple, model, at(-0.1), at(0.1), config.until, config.dt, key)


def run_meetings(config: Meetings, key) -> tuple[list[Claim], list[Figure]]:
    """The claims and figures of this part."""
    environment, atoms, mirror = jax.random.split(key, 3)
    coins, panel = two_atoms(config, atoms)
    claims, panels = reflection(config, mirror)
    figures = [
        Figure(
            "Reflection coupling. Left: Brownian motions that start at antipodes of the circle meet; driven by one "
            "noise they never do. Middle and right: two systems in the double well, from either side of its barrier: "
            "reflection lets particles meet, one noise keeps their order, and that is optimal for the mean distance.",
            panels,
        ),
        Figure("Where the root of N is not the rate: W₂ between N samples of two atoms and their law.", [panel]),
    ]
    return in_one_environment(config, environment) + coins + claims, figures
