"""Chapter: the fluctuations of the empirical measure are a martingale with a known bracket, of order 1/N."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from mckean import catalogue, observables
from mckean.couplings import ito_decomposition
from mckean.dynamics import evolve
from mckean.measures import VonMises
from mckean.models import langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import average, combine, join, log_slope, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series


@dataclass(frozen=True)
class Config:
    strength: float = 1.5
    beta: float = 1.0
    sizes: tuple[int, ...] = (64, 256, 1024, 4096, 16384)
    particles: int = 1 << 20
    """In all runs of one N together, so that small N have many replicas."""
    until: float = 1.0
    dt: float = 0.004

    def replicas(self, size: int) -> int:
        """How many runs there are of N = `size` particles."""
        return min(self.particles // size, 4096)


def _phi(x):
    return jnp.cos(x[0])


_OBSERVE = {"phi": observables.ito(_phi)}
_REFERENCE = "Sznitman, Topics in propagation of chaos (1991); talk, slide 'martingale part', with its dt restored"


def _decompositions(config: Config, model, law, key, size: int, replicas: int):
    def run(k):
        start, noise = jax.random.split(k)
        cloud = law.sample(start, size)
        return evolve(
            model, cloud, until=config.until, dt=config.dt, path=Brownian(noise), observe=_OBSERVE, every=1
        )  # fmt: skip

    return ito_decomposition(replicate(run, key, replicas), "phi")


def run(config: Config, key, progress) -> Result:
    entry = catalogue.kuramoto(config.strength, config.beta)
    law = VonMises(Torus(1), 0.0, 1.0)
    runs = {}
    for i, size in enumerate(config.sizes):
        runs[size] = _decompositions(
            config, entry.model, law, jax.random.fold_in(key, size), size, config.replicas(size)
        )
        progress((i + 1) / (len(config.sizes) + 1))
    cold_model = langevin(entry.model.space, interaction=entry.model.interaction, beta=np.inf)
    cold = _decompositions(config, cold_model, law, jax.random.fold_in(key, 1), config.sizes[0], 2)
    return Result(_claims(config, runs, cold), [_figure(config, runs, cold)])


def _claims(config: Config, runs, cold) -> list[Claim]:
    sizes = np.array(config.sizes)
    predicted = {n: runs[n].whole.predicted[:, -1] for n in sizes}
    realised = {n: runs[n].whole.realised[:, -1] for n in sizes}
    # Beside the prediction along the same path the difference has the least noise; each replica counts alike.
    gaps = [average((realised[n] - predicted[n]) / predicted[n].mean()) for n in sizes]
    squares = [average(runs[n].whole.path[:, -1] ** 2 / predicted[n].mean()) for n in sizes]
    weights = np.array([config.replicas(n) for n in sizes], float)
    weights /= weights.sum()
    # Itô–Taylor: a step's (ΔM)² exceeds its bracket, relatively, by at most (3/2)(2/β)dt + 2K dt for φ = cos.
    bias = (3 / config.beta + 2 * config.strength) * config.dt
    half = "noise of half the strength, 1/βN for 2/βN"
    # Without noise ΔM is the second-order remainder ½φ″b²dt² of a step, |φ″| ≤ 1 and |b| ≤ K.
    remainder = 0.5 * config.strength**2 * config.dt * config.until
    return [
        Claim(
            statement=(
                "The sum of squares of the steps of $\\langle\\mu^N, \\cos\\rangle$, less their drift, is the bracket "
                "$\\frac{2}{\\beta N}\\int\\langle\\mu^N, \\sin^2\\rangle dt$: relative difference"
            ),
            predicted=0.0,
            measured=combine(weights, join(gaps)),
            tolerance=bias,
            origin="Itô–Taylor remainder (3/β + 2K) dt of a step",
            excludes=Rival(half, -0.5),
            reference=_REFERENCE,
        ),
        Claim(
            statement="The variance of the martingale at the end is the mean of its bracket: quotient",
            predicted=1.0,
            measured=combine(weights, join(squares)),
            tolerance=bias,
            origin="Itô–Taylor remainder (3/β + 2K) dt of a step",
            excludes=Rival(half, 0.5),
            reference=_REFERENCE,
        ),
        Claim(
            statement="The bracket falls as $N^s$; s",
            predicted=-1.0,
            measured=log_slope(sizes, join(average(realised[n]) for n in sizes)),
            tolerance=float(np.log1p(2 / sizes[0]) / np.log(sizes[-1] / sizes[0])),
            origin="the law of one of N particles: cos 2x is moved by K·Cov of modes, 2/N of the bracket at most",
            excludes=Rival("order 1/2", -0.5),
            reference=_REFERENCE,
        ),
        Claim(
            statement=f"Without noise there is no martingale part: its largest value for N = {sizes[0]}",
            predicted=0.0,
            measured=float(np.abs(cold.whole.path).max()),
            tolerance=remainder,
            origin="Taylor remainder ½K²T dt of Euler's scheme",
            excludes=Rival("the standard deviation at β = 1", float(np.sqrt(predicted[sizes[0]].mean()))),
            reference=_REFERENCE,
        ),
    ]


def _figure(config: Config, runs, cold) -> Figure:
    sizes = np.array(config.sizes)
    realised = [average(runs[n].whole.realised[:, -1]) for n in sizes]
    predicted = np.array([runs[n].whole.predicted[:, -1].mean() for n in sizes])
    brackets = [
        Series(sizes, predicted, "predicted"),
        Series(sizes, [e.value for e in realised], "realised", [e.stderr for e in realised], "points"),
    ]
    shown = [sizes[0], sizes[len(sizes) // 2], sizes[-1]]
    paths = [Series(runs[n].times, runs[n].whole.path[0], f"N = {n}") for n in shown]
    paths.append(Series(cold.times, cold.whole.path[0], "β = ∞", kind="dashed"))
    caption = (
        "Left: the bracket of the martingale part of ⟨μᴺ, cos⟩ at the final time falls as 1/N. Right: one path of the "
        "martingale part for three N; it vanishes as N grows, and is absent without noise."
    )
    panels = [
        Panel("number of particles N", "bracket at time T", brackets, xscale="log", yscale="log"),
        Panel("time t", "martingale part of ⟨μᴺ, cos⟩", paths),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="fluctuations",
    title="Fluctuations of the empirical measure",
    statement=(
        "For $dX_i = -\\nabla V(X_i)\\,dt - \\frac1N\\sum_j \\nabla W(X_i - X_j)\\,dt + \\sqrt{2/\\beta}\\,dB_i$ and "
        "a test function $\\varphi$, Itô's formula gives $$d\\langle\\mu^N_t,\\varphi\\rangle = \\langle\\mu^N_t, "
        "\\beta^{-1}\\Delta\\varphi - \\nabla\\varphi\\cdot(\\nabla V + \\nabla W*\\mu^N_t)\\rangle\\,dt + dM^N_t, "
        "\\qquad d\\langle M^N\\rangle_t = \\frac{2}{\\beta N}\\langle\\mu^N_t, |\\nabla\\varphi|^2\\rangle\\,dt.$$ "
        "The drift closes on the empirical measure; the noise enters only through a martingale whose bracket is of "
        "order $1/N$. So the limit is deterministic: the McKean–Vlasov equation."
    ),
    what=lambda c: (
        f"Noisy Kuramoto with K = {c.strength:g}, β = {c.beta:g}, φ = cos, from a von Mises law; N from {c.sizes[0]} "
        f"to {c.sizes[-1]}, {c.replicas(c.sizes[0])} to {c.replicas(c.sizes[-1])} replicas, Euler's scheme with "
        f"dt = {c.dt:g} up to T = {c.until:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(sizes=(64, 512, 4096), particles=1 << 16, dt=0.005),
    references=(
        "A.-S. Sznitman, Topics in propagation of chaos, École d'Été de Saint-Flour XIX, 1991.",
        "H. Koubbi, Interacting particle systems: idiosyncratic noise, common noise, and mean-field limits (talk).",
    ),
)
