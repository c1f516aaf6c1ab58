"""Part of chapter *metastability*: clusters of tokens that attend to each other, and the staircase of their energy."""

from dataclasses import dataclass
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
from diffrax import Heun

from mckean.catalogue import self_attention
from mckean.dynamics import evolve
from mckean.measures import Particles
from mckean.observables import attention_energy, clusters
from mckean.spaces import Sphere
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_METASTABLE = "Geshkovski, Koubbi, Polyanskiy and Rigollet, Dynamic metastability, arXiv 2410.06833"
# Groups of so many tokens about these angles, radians.
_SIZES, _PLACES = (16, 10, 8, 6), (0.0, 1.25, 3.0, 4.5)
_WIDTH, _NEAR = 0.15, 0.1


@dataclass(frozen=True)
class Staircase:
    """Tokens at β, up to a time, by steps, looked at now and then."""

    beta: float = 9.0
    until: float = 400.0
    dt: float = 0.05
    every: int = 10


def run_staircase(config: Staircase) -> tuple[list[Claim], Figure]:
    """Four groups: each collapses to a point, then the nearest ones meet, after times of order e^{β(1 − cos gap)}."""
    angles = np.concatenate([c + _WIDTH * np.linspace(-1, 1, n) for c, n in zip(_PLACES, _SIZES, strict=True)])
    tokens = Particles(Sphere(2), jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1)))
    model = self_attention(dim=2, beta=config.beta).model
    observe = {"energy": attention_energy(config.beta), "clusters": clusters(_NEAR)}
    run = evolve(model, tokens, until=config.until, dt=config.dt, scheme=Heun(), observe=observe, every=config.every)
    times, energy = np.asarray(run.times), np.asarray(run.observed["energy"])
    number, sizes = (np.asarray(run.observed["clusters"][name]) for name in ("number", "sizes"))
    return _claims(config, times, energy, number, sizes), _figure(config, times, energy, number, sizes)


def _claims(config: Staircase, times, energy, number, sizes) -> list[Claim]:
    # A quarter of the way to the first meeting: groups have collapsed, and the nearest two have hardly moved.
    start = int(np.flatnonzero(number == 4)[-1] / 4)
    level = _level(config, sizes[start])
    masses = np.array(_SIZES) / sum(_SIZES)
    first, even = (meeting_time(config, m) for m in (masses, np.full(4, 0.25)))
    seen = float(times[np.flatnonzero(number == 3)[0]])
    across = np.cos(np.subtract.outer(_PLACES, _PLACES)) - 1
    pairs = float(masses @ (np.exp(config.beta * across) * (1 - np.eye(4))) @ masses)
    return [
        Claim(
            statement="While four clusters last, the energy of their tokens is $\\frac1{2\\beta}\\sum_am_a^2$, as if "
            "each cluster were a point: $2\\beta E$",
            predicted=2 * config.beta * level,
            measured=2 * config.beta * float(energy[start]),
            tolerance=3 * pairs,
            origin="pairs of clusters, Σm_am_be^{β(R_ab − 1)}, which grow as the nearest two approach",
            excludes=Rival("one cluster", 1.0),
            reference=_METASTABLE,
        ),
        Claim(
            statement="The first two clusters meet, within 0.1, when points of their masses do: time",
            predicted=first,
            measured=seen,
            tolerance=config.every * config.dt + (config.beta * _WIDTH) ** 2 / 3,
            origin="time between looks; groups of width w e^{−t} pull β²w²e^{−2t}/3 more, each of two",
            excludes=Rival("each cluster has a quarter of the tokens", even),
            reference=_METASTABLE,
        ),
        Claim(
            statement="The energy never falls: its least change between looks",
            predicted=0.0,
            measured=float(np.diff(energy).min()),
            tolerance=1e-12,
            origin="rounding",
            relation="at least",
            excludes=Rival("a flow that lowers it by as much", float(-np.diff(energy).max())),
            reference=_METASTABLE,
        ),
    ]


def _level(config: Staircase, sizes) -> float:
    """Σm²/2β of the clusters that are there."""
    masses = np.asarray(sizes, float) / sum(_SIZES)
    return float(masses @ masses) / (2 * config.beta)


def meeting_time(config: Staircase, masses: np.ndarray) -> float:
    """When two of four points with masses first are within 0.1 of each other.

    φ_a′ = Σ_bm_be^{β cos(φ_b − φ_a)} sin(φ_b − φ_a)/Σ_bm_be^{β cos(φ_b − φ_a)}, by SciPy.
    """
    from scipy.integrate import solve_ivp

    def rate(_, phi):
        gap = phi[None] - phi[:, None]
        weight = masses * np.exp(config.beta * (np.cos(gap) - 1))
        return np.sum(weight * np.sin(gap), axis=1) / weight.sum(axis=1)

    def near(_, phi):
        places = sorted(map(float, phi))
        return min(b - a for a, b in pairwise(places)) - _NEAR

    near.terminal = True
    found = solve_ivp(rate, (0.0, 50 * config.until), np.array(_PLACES), events=near, rtol=1e-9, atol=1e-10)
    return float(found.t[-1])


def _figure(config: Staircase, times, energy, number, sizes) -> Figure:
    levels = np.array([_level(config, row) for row in sizes])
    panels = [
        Panel("time t", "2βE", [
            Series(times[1:], 2 * config.beta * energy[1:], "tokens"),
            Series(times[1:], 2 * config.beta * levels[1:], "$\\sum_a m_a^2$ of the clusters", kind="dashed"),
        ], xscale="log"),
        Panel("time t", "number of clusters", [Series(times[1:], number[1:], "tokens", kind="steps")], xscale="log"),
    ]  # fmt: skip
    caption = (
        f"{sum(_SIZES)} tokens on a circle, β = {config.beta:g}, without noise. The energy climbs a staircase: each "
        "step is a meeting of two clusters, and the next one takes $e^{\\beta(1-\\cos\\delta)}$ as long, δ the gap."
    )
    return Figure(caption, panels)
