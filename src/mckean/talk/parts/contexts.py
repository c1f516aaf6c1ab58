"""Part of chapter *collapse*: how long many tokens need, by the length of the context and the temperature."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import root_scalar

from mckean import observables
from mckean.catalogue.equiangular import high_dimension, passage_time
from mckean.dynamics import evolve
from mckean.measures import Particles
from mckean.models import Model
from mckean.models.heads import Heads
from mckean.paths import Brownian, Record
from mckean.spaces import Sphere
from mckean.statistics import average, combine, join, replicate
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_PAPER = "Koubbi, Geshkovski and Rigollet, arXiv 2604.01978"


@dataclass(frozen=True)
class Contexts:
    """Numbers of tokens, which start orthonormal, their dimensions and inverse temperatures."""

    sizes: tuple[int, ...] = (4, 16, 64)
    dims: tuple[int, ...] = (64, 256)
    betas: tuple[float, ...] = (0.0, 2.0, 3.0, 4.0)
    environments: int = 40
    until: float = 10.0
    steps: int = 150

    @classmethod
    def quick(cls) -> "Contexts":
        return cls((8, 32), (64, 192), (0.0, 2.0, 3.5), environments=32, until=8.0, steps=107)


def run_contexts(config: Contexts, key, progress: Callable[[float], None]) -> tuple[list[Claim], Figure]:
    seen = {}
    for i, n in enumerate(config.sizes, 1):
        for dim in (dim for dim in config.dims if n <= dim):
            one = partial(_context, config=config, n=n, dim=dim)
            seen[n, dim] = replicate(one, jax.random.fold_in(key, 10_000 * n + dim), config.environments, batch=4)
        progress(i / len(config.sizes))
    return _claims(config, seen), _figure(config, seen)


def _context(key, config: Contexts, n: int, dim: int):
    """The mean overlap of n tokens that start orthonormal, at each step, for each β.

    It is the mean over an environment and its opposite: they cost one draw, and what is odd in it is gone.
    """
    space, start = Sphere(dim), Particles(Sphere(dim), jnp.eye(n, dim))
    observe = {"m": observables.mean_overlap}
    dt = config.until / config.steps
    settings = {"until": config.until, "dt": dt, "observe": observe, "every": 1}
    record = Brownian(key).environment.record(config.steps, dt, dim**2).increments

    def one(beta, sign):
        path = Brownian(key, Record(sign * record, dt))
        return evolve(Model(space, common=Heads(beta)), start, path=path, **settings).observed["m"]

    both = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(jnp.asarray(config.betas), jnp.asarray([1.0, -1.0]))
    return jnp.mean(both, axis=1)


def _half_time(n: int, beta: float) -> float:
    """The time from orthogonal tokens to overlaps ½ as d → ∞."""
    return passage_time(high_dimension(n, beta).model, 0.0, 0.5)


def _claims(config: Contexts, seen) -> list[Claim]:
    times = np.linspace(0, config.until, config.steps + 1)
    low, high = min(config.dims), max(config.dims)
    claims = []
    for n in config.sizes:
        for i, beta in enumerate(config.betas):
            half = _half_time(n, beta)
            if (n, low) not in seen or half > config.until:
                continue
            at = join(average([np.interp(half, times, m) for m in seen[n, dim][:, i]]) for dim in (low, high))
            claims.append(
                Claim(
                    statement=(
                        rf"The mean overlap of $n={n}$ orthonormal tokens, $\beta={beta:g}$, tends as $d\to\infty$ "
                        rf"to the law of equal overlaps, in the same steps, at $t={half:.3g}$, where that is near ½"
                    ),
                    predicted=float(np.interp(half, times, _equal(config, n, beta))),
                    measured=combine(np.array([-low, high]) / (high - low), at),
                    tolerance=(8 * half) ** 2 / (low * high) / 4,
                    origin="order 1/d² after extrapolation, by variance and bias of the logit, both at most 4t/d",
                    excludes=Rival("half of E_A, a clock of half the pace", _overlap_at(n, beta, 0.5 * half)),
                    reference=_PAPER,
                )
            )
    return claims


def _equal(config: Contexts, n: int, beta: float) -> np.ndarray:
    """Equal overlaps γ along steps of length h as d → ∞, γ ← (γ + hS)/(1 + hP).

    S and P are ⟨m_1, m_2⟩ and |m_1|² of the softmax's barycentres, which give p to a token itself and q to another.
    """
    h, gamma, found = config.until / config.steps, 0.0, [0.0]
    for _ in range(config.steps):
        p = 1 / (1 + (n - 1) * np.exp(-beta * (1 - gamma)))
        q = (1 - p) / (n - 1)
        own, other = p**2 + (n - 1) * q**2, 2 * p * q + (n - 2) * q**2
        gamma = (gamma + h * (other + gamma * (1 - other))) / (1 + h * (own + gamma * (1 - own)))
        found.append(gamma)
    return np.array(found)


def _overlap_at(n: int, beta: float, t: float) -> float:
    """The overlap at a time before ½ is reached, by the law of equal overlaps."""
    model = high_dimension(n, beta).model
    return root_scalar(lambda overlap: passage_time(model, 0.0, overlap) - t, bracket=(1e-9, 0.5), xtol=1e-6).root


def _figure(config: Contexts, seen) -> Figure:
    times = np.linspace(0, config.until, config.steps + 1)
    betas = np.linspace(0, max(config.betas), 40)
    panels = []
    for dim in config.dims:
        curves = []
        for n in (n for n in config.sizes if (n, dim) in seen):
            passages = np.stack([_passages(times, m) for m in np.moveaxis(seen[n, dim], 1, 0)], axis=1)
            there = np.all(np.isfinite(passages), axis=0)
            half = average(passages[:, there])
            curves.append(Series(np.asarray(config.betas)[there], half.value, f"n = {n}", half.stderr, "points"))
        for n in (n for n in config.sizes if (n, dim) in seen):
            label = r"$d\to\infty$" if n == config.sizes[0] else ""
            curves.append(Series(betas, [_half_time(n, beta) for beta in betas], label, kind="dashed"))
        axes = (r"inverse temperature $\beta$", "time to mean overlap ½")
        panels.append(Panel(*axes, curves, f"d = {dim}", yscale="log"))
    caption = (
        "The time in which n orthonormal tokens come to a mean overlap of one half, against the law of equal overlaps: "
        "about log(n − 1) as long as e^β is below n, and longer where a token mostly listens to itself. A long context "
        "outweighs a low temperature. Points are left out where a run did not get there."
    )
    return Figure(caption, panels)


def _passages(times, means):
    """The first time with a mean overlap ≥ ½, for each run; NaN where there is none."""
    reached = means >= 0.5
    first = np.argmax(reached, axis=1)
    return np.where(reached.any(axis=1), times[first], np.nan)
