"""Part of chapter *toy*: the two readings of √κ P_x dB, in the sense of Itô and in that of Stratonovich."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue import expected_overlap, toy_pair, toy_transformer
from mckean.catalogue.transformer import stratonovich_drift
from mckean.dynamics import Moebius, evolve
from mckean.measures import Particles
from mckean.models import Calculus
from mckean.paths import Brownian
from mckean.statistics import average, replicate
from mckean.talk.claims import Claim, Panel, Rival, Series

_READINGS: tuple[Calculus, ...] = ("ito", "stratonovich")
_NAMES = {"ito": "Itô", "stratonovich": "Stratonovich"}


@dataclass(frozen=True)
class Readings:
    """Two orthogonal tokens of S^{d−1}, where κ changes most with the tokens, and α = 1."""

    dim: int = 3
    until: float = 6.0
    steps: int = 300
    replicas: int = 2**15

    @classmethod
    def quick(cls) -> "Readings":
        return cls(replicas=2**12)


def run_readings(config: Readings, key) -> tuple[list[Claim], Panel]:
    seen = replicate(eqx.Partial(_both, config=config), key, config.replicas, config.replicas // 4)
    times = np.linspace(0, config.until, config.steps + 1)
    laws = {name: expected_overlap(toy_pair(config.dim, 1.0, name).model, 0.0, times[::10]) for name in _READINGS}
    return [*_mean_claims(config, seen, laws), _drift_claim(config, seen)], _panel(config, seen, times, laws)


def _both(key, config: Readings):
    """R along both readings in one environment, and what log(1 − R) does beyond Itô's drift and its martingale."""
    path, dt = Brownian(key), config.until / config.steps

    def one(calculus: Calculus):
        model = toy_transformer(config.dim, calculus=calculus).model
        start = Particles(model.space, jnp.eye(2, config.dim))
        observe = {"x": lambda model, mu: mu.positions}
        settings = {"until": config.until, "dt": dt, "path": path, "observe": observe, "every": 1}
        x = evolve(model, start, scheme=Moebius(), **settings).observed["x"]
        draw = lambda step: path.environment.increment(step, jnp.asarray(dt), (config.dim,), x.dtype)  # noqa: E731
        noise = jnp.sum((x[:, 0] + x[:, 1])[:-1] * jax.vmap(draw)(jnp.arange(config.steps)), axis=1)
        gap, r = 0.5 * jnp.sum((x[:, 0] - x[:, 1]) ** 2, axis=1), jnp.sum(x[:, 0] * x[:, 1], axis=1)
        kappa = (0.5 * (1 + r) / config.dim)[:-1]
        fall = jnp.log(gap[-1] / gap[0]) + jnp.sum((config.dim - 1) * kappa * dt + jnp.sqrt(kappa) * noise)
        more = dt * jnp.sum(stratonovich_drift(r, 1 / config.dim)[:-1] / gap[:-1])
        return {"R": r, "fall": -fall, "more": more}

    return {calculus: one(calculus) for calculus in _READINGS}


def _mean_claims(config: Readings, seen, laws) -> list[Claim]:
    dt = config.until / config.steps
    return [
        Claim(
            statement=(
                rf"Read in the sense of {_NAMES[name]}, the toy Transformer brings two orthogonal tokens of "
                rf"$S^{{{config.dim - 1}}}$ to the mean overlap of Kolmogorov's equation in that sense, at "
                rf"$\alpha t={config.until:g}$"
            ),
            predicted=float(laws[name][-1]),
            measured=average(seen[name]["R"][:, -1]),
            tolerance=dt * float(laws[name][-1]),
            origin="weak order 1: αdt of the growth",
            excludes=Rival(f"the reading of {_NAMES[other]}", float(laws[other][-1])),
            reference="Itô's formula",
        )
        for name, other in (_READINGS, _READINGS[::-1])
    ]


def _drift_claim(config: Readings, seen) -> Claim:
    part = seen["stratonovich"]
    expected = float(np.mean(part["more"]))
    residual = average(part["fall"] - part["more"])
    return Claim(
        statement=(
            r"In the sense of Stratonovich $\log(1-R)$ falls by $E\int\frac c4(1-R^2)dt$ more than in that of Itô, "
            r"$c=\alpha/d$: the difference of both sides"
        ),
        predicted=0.0,
        measured=residual,
        tolerance=config.until / config.steps * expected,
        origin="weak order 1: αdt of it",
        from_run=True,
        excludes=Rival("no further drift, as in Itô's sense", -expected),
        reference="Itô's formula; the slide has Stratonovich's symbol with Itô's drift",
    )


def _panel(config: Readings, seen, times, laws) -> Panel:
    series, every = [], slice(None, None, config.steps // 15)
    for name in _READINGS:
        mean = average(seen[name]["R"])
        series.append(Series(times[::10], laws[name], f"{_NAMES[name]}, Kolmogorov's equation", kind="dashed"))
        series.append(Series(times[every], mean.value[every], f"{_NAMES[name]}, tokens", mean.stderr[every], "points"))
    return Panel(r"time $\alpha t$", "mean overlap of two tokens", series, f"two readings, d = {config.dim}")
