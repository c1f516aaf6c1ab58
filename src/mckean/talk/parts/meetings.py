"""Part of the chapter on coupling: two systems in one environment, and reflection, which lets pairs meet."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import catalogue
from mckean.couplings import coupling_distance, lipschitz, reflection_coupling
from mckean.environments import separation
from mckean.measures import Gaussian, Particles
from mckean.models import Additive, Model, langevin
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus
from mckean.statistics import average, binomial_interval, replicate
from mckean.talk.claims import LEVEL, Claim, Figure, Panel, Rival, Series

_WELL_BETA, _WELL_STRENGTH = 2.0, 0.5
_COMMON = 0.7
_EBERLE = "Eberle 2016"


@dataclass(frozen=True)
class Meetings:
    """How much is run: pairs on the circle; particles, replicas, end and step of the wells."""

    pairs: int = 20_000
    particles: int = 100
    replicas: int = 256
    until: float = 4.0
    dt: float = 0.01


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
    distance, times = runs["distance"], runs["times"][0]
    ratio = distance / distance[:, :1] * np.exp(-rate * times)
    # With noises of their own dX − dY = √(4/β)dB: from the same first distance they are apart by so much, at the least.
    apart = np.sqrt(1 + 4 * times / _WELL_BETA / np.mean(distance[:, 0] ** 2)) * np.exp(-rate * times)
    return [
        Claim(
            statement=(
                "With a common noise alone two clouds are apart by $e^{Lt}$ times their first distance at most, in "
                "each environment: largest quotient"
            ),
            predicted=1.0,
            measured=float(ratio[:, 1:].max()),
            tolerance=1e-12,
            origin="rounding: an Euler step multiplies distances by 1 + L dt at most, L over the region visited",
            excludes=Rival("independent noises of their own", float(apart[1:].max())),
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
    times = run["times"][1:]
    exact, slow = _unmet(times), _unmet(times / 2)
    apart = np.asarray(run["apart"])[1:]
    middle = len(exact) // 2
    claim = Claim(
        statement=f"From antipodes of the circle mirrored pairs meet: share not met at $t = {times[middle]:.2g}$",
        predicted=float(exact[middle]),
        measured=float(apart[middle]),
        interval=binomial_interval(round(float(apart[middle]) * config.pairs), config.pairs, 1 - LEVEL),
        excludes=Rival("independent noises", float(slow[middle])),
        reference="(4/πk) sin(kπ/2) e^{−k²t}, summed over odd k",
    )
    series = [
        Series(times, apart, "reflection", kind="points"),
        Series(times, exact, "exact"),
        Series(times, np.ones_like(exact), "synchronous", kind="dashed"),
    ]
    return [claim], Panel("time t", "fraction of pairs apart, circle", series)


def _unmet(times) -> np.ndarray:
    """P(τ > t) of a Brownian motion of variance 8t on (0, 2π) that is killed at both ends, from the middle."""
    odd = np.arange(1, 60, 2)
    return np.exp(-np.outer(times, odd**2)) @ (4 / (np.pi * odd) * np.sin(odd * np.pi / 2))


def _wells(config: Meetings, key) -> tuple[list[Claim], list[Panel]]:
    """On the line both couplings keep the order of ordered systems: E|X − Y| = E Y − E X, that of the two laws."""
    runs = {}
    for name, couple in (("synchronous", separation), ("reflection", reflection_coupling)):
        one = eqx.Partial(_two_wells, model=_well(), couple=couple, config=config)
        runs[name] = replicate(one, key, config.replicas)
    times = runs["reflection"]["times"][0]
    mean = {name: average(run["mean"]) for name, run in runs.items()}
    apart = {name: average(run["apart"]) for name, run in runs.items()}
    together = runs["synchronous"]["mean"]
    # At the barrier −V″ = 1; the spread 2t/β of the cloud ends the growth when 3·2t/β = 1.
    early, half = int(np.searchsorted(times, _WELL_BETA / 6)), len(times) // 2
    first, late = float(times[early]), int(np.searchsorted(times, 0.5))
    claims = [
        Claim(
            statement="In a double well one noise never lets pairs meet: share of pairs apart at the end",
            predicted=1.0,
            measured=float(apart["synchronous"].value[-1]),
            excludes=Rival("mirrored noises", float(apart["reflection"].value[-1])),
            reference="comparison of ordered systems",
        ),
        Claim(
            statement=f"At the barrier one noise drives pairs apart: mean distance at $t = {first:.2g}$ over the first",
            predicted=1.0,
            measured=average(together[:, early] / together[:, 0]),
            excludes=Rival("the curvature 2 of a minimum draws them together", float(np.exp(-2 * first))),
            reference=_EBERLE,
            relation="at least",
        ),
        Claim(
            statement="In a double well mirrored pairs go on meeting: share apart at the end less that half-way",
            predicted=0.0,
            measured=average(runs["reflection"]["apart"][:, -1] - runs["reflection"]["apart"][:, half]),
            excludes=Rival("no more meetings", 0.0),
            reference=_EBERLE,
            relation="at most",
        ),
        Claim(
            statement=(
                "On the line mirrored pairs keep their order, and have the mean distance of pairs with one noise: "
                f"difference at $t = {times[late]:.2g}$"
            ),
            predicted=0.0,
            measured=average(runs["reflection"]["mean"][:, late] - together[:, late]),
            excludes=Rival(
                "the mean distance falls with the share apart",
                float((apart["reflection"].value[late] - 1) * mean["synchronous"].value[late]),
            ),
            reference="E|X − Y| = E Y − E X = W₁ for ordered systems",
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
    """The claims and the figure of this part."""
    environment, mirror = jax.random.split(key)
    claims, panels = reflection(config, mirror)
    caption = (
        "Reflection coupling. Left: Brownian motions that start at antipodes of the circle meet; driven by one noise "
        "they never do. Middle and right: two systems in the double well, from either side of its barrier: reflection "
        "lets particles meet, and either coupling keeps their order, so that the mean distance is the same."
    )
    return in_one_environment(config, environment) + claims, [Figure(caption, panels)]
