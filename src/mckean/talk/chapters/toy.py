"""Chapter: the toy Transformer, tokens that a common isotropic noise draws together."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.catalogue import toy_transformer
from mckean.catalogue.transformer import half_collapse_time, logistic, overlap_bracket, overlap_drift
from mckean.dynamics import Moebius, evolve
from mckean.measures import Particles
from mckean.paths import Brownian
from mckean.statistics import Estimate, average, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series


@dataclass(frozen=True)
class Config:
    alpha: float = 1.0
    dims: tuple[int, ...] = (2, 3, 16, 256)
    tokens: int = 16
    wide: int = 32
    replicas: int = 256
    until: float = 2.0
    steps: int = 200


_PAPER = "Koubbi, Geshkovski and Rigollet, arXiv 2604.01978; the talk's bracket with its dt restored"


_OBSERVE = {"R": observables.overlaps(2), "kappa": observables.kappa, "m": observables.mean_overlap}


def _one(key, config: Config, dim: int, tokens: int, orthonormal: bool, until: float):
    start, noise = jax.random.split(key)
    model = toy_transformer(dim, config.alpha).model
    x = jnp.eye(tokens, dim) if orthonormal else model.space.uniform(start, tokens)
    settings = {"until": until, "dt": until / config.steps, "path": Brownian(noise), "observe": _OBSERVE, "every": 1}
    run = evolve(model, Particles(model.space, x), scheme=Moebius(), **settings)
    return {
        "R": run.observed["R"][:, 0, 1],
        "kappa": run.observed["kappa"],
        "m": run.observed["m"],
        "x": run.final.positions[0],
    }


def run(config: Config, key, progress) -> Result:
    runs = {}
    for i, dim in enumerate(config.dims):
        # At the same pace for all d: κ is about (α/d)/n, and R moves at κd.
        one = partial(_one, config=config, dim=dim, tokens=config.tokens, orthonormal=False, until=4 * config.until)
        runs[dim] = replicate(one, jax.random.fold_in(key, dim), config.replicas)
        progress((i + 1) / (len(config.dims) + 2))
    wide = {}
    time = 2 * half_collapse_time(config.wide, config.alpha)
    for dim in (config.wide, 8 * config.wide):
        one = partial(_one, config=config, dim=dim, tokens=config.wide, orthonormal=True, until=time)
        wide[dim] = replicate(one, jax.random.fold_in(key, 10**6 + dim), config.replicas // 2)
        progress((len(config.dims) + 1 + (dim > config.wide)) / (len(config.dims) + 2))
    claims = [claim for dim, seen in runs.items() for claim in _overlap_claims(config, dim, seen)]
    return Result([*claims, *_collapse_claims(config, wide, time)], [_figure(config, runs, wide, time)])


def _overlap_claims(config: Config, dim: int, seen) -> list[Claim]:
    dt = 4 * config.until / config.steps
    r, kappa = seen["R"], seen["kappa"]
    left = slice(None, -1)
    change = np.diff(r, axis=1)
    drift, bracket = overlap_drift(r, kappa, dim)[:, left] * dt, overlap_bracket(r, kappa)[:, left] * dt
    residual = average(np.sum(change - drift, axis=1))
    ratio = _ratio(np.sum((change - drift) ** 2, axis=1), np.sum(bracket, axis=1))
    spent = (dim - 1) * np.sum(0.5 * (kappa[:, 1:] + kappa[:, left]), axis=1) * dt
    balance = average(np.log((1 - r[:, -1]) / (1 - r[:, 0])) + spent)
    rate = config.alpha * dt
    size = float(np.mean(np.abs(r[:, -1] - r[:, 0])))
    uniform = average(dim * seen["x"][:, 0] ** 2)
    return [
        Claim(
            statement=f"d = {dim}: R₁₂(T) − R₁₂(0) − ∫κ(1 − R)(d − 2 − R)dt, in mean",
            predicted=0.0,
            measured=residual.value,
            stderr=residual.stderr,
            tolerance=rate * size,
            origin="weak order 1: αdt relatively",
            reference=_PAPER,
        ),
        Claim(
            statement=f"d = {dim}: realised over predicted bracket of R₁₂",
            predicted=1.0,
            measured=ratio.value,
            stderr=ratio.stderr,
            tolerance=4 * rate,
            origin="Itô–Taylor remainder, 4αdt relatively",
            reference=_PAPER,
        ),
        Claim(
            statement=f"d = {dim}: E log(1 − R(T))/(1 − R(0)) + (d − 1)E∫κ",
            predicted=0.0,
            measured=balance.value,
            stderr=balance.stderr,
            tolerance=rate * float(np.mean(spent)),
            origin="weak order 1: αdt relatively",
            reference=_PAPER,
        ),
        Claim(
            statement=f"d = {dim}: d·E(x₁·e)² of one token, uniform at all times",
            predicted=1.0,
            measured=uniform.value,
            stderr=uniform.stderr,
            origin="exact, as the noise is invariant under rotations",
            reference="talk, 'the law of X_i is uniform'",
        ),
    ]


def _ratio(numerator, denominator) -> Estimate:
    """Ratio of means, with its standard error to first order."""
    top, bottom = average(numerator), average(denominator)
    ratio = top.value / bottom.value
    residual = average((numerator - ratio * denominator) / bottom.value)
    return Estimate(ratio, residual.stderr)


def _collapse_claims(config: Config, wide, time: float) -> list[Claim]:
    low, high = sorted(wide)
    at = config.steps // 2
    predicted = _distinct(config, logistic(time / 2, 1 / config.wide, config.alpha))
    measured = {dim: average(seen["m"][:, at]) for dim, seen in wide.items()}
    bias = abs(measured[low].value - predicted) + 4 * measured[low].stderr
    return [
        Claim(
            statement=f"d = {high}: mean overlap at log(n − 1)/α from n = {config.wide} orthonormal tokens",
            predicted=float(predicted),
            measured=measured[high].value,
            stderr=measured[high].stderr,
            tolerance=float(2 * bias * low / high),
            origin=f"order 1/d: twice the difference measured for d = {low}, scaled",
            reference=_PAPER,
        ),
    ]


def _distinct(config: Config, m):
    """The mean overlap of distinct tokens where that of all pairs, |x̄|², is m."""
    return (config.wide * m - 1) / (config.wide - 1)


def _figure(config: Config, runs, wide, time: float) -> Figure:
    times = np.linspace(0, time, config.steps + 1)
    every = slice(None, None, config.steps // 20)
    law = _distinct(config, logistic(times, 1 / config.wide, config.alpha))
    collapse = [Series(times, law, r"logistic, $d\to\infty$", kind="dashed")]
    for dim in sorted(wide):
        mean = average(wide[dim]["m"])
        collapse.append(Series(times[every], mean.value[every], f"d = {dim}", mean.stderr[every], "points"))
    balance, spread = [], []
    for dim, seen in runs.items():
        spent = (dim - 1) * np.cumsum(seen["kappa"], axis=1) * (4 * config.until / config.steps)
        distance = average(np.log((1 - seen["R"]) / (1 - seen["R"][:, :1])))
        balance.append(Series(average(spent).value[every], distance.value[every], f"d = {dim}",
                              distance.stderr[every], "points"))  # fmt: skip
        counts, edges = np.histogram(seen["R"][:, -1], bins=12, range=(-1, 1), density=True)
        spread.append(Series(edges, np.append(counts, counts[-1]), f"d = {dim}", kind="steps"))
    largest = max(float(s.x[-1]) for s in balance)
    balance.append(Series([0, largest], [0, -largest], r"$-(d-1)\int\kappa$", kind="dashed"))
    caption = (
        "Left: mean overlap of tokens that start orthonormal, against the logistic law of d → ∞. Middle: the mean of "
        "log(1 − R₁₂) falls by (d − 1)∫κ in every dimension. Right: law of the overlap of two tokens at the end."
    )
    panels = [
        Panel("time t", "mean overlap of distinct tokens", collapse),
        Panel(r"$(d-1)\,E\int_0^t\kappa\,ds$", r"$E\log\,(1-R(t))/(1-R(0))$", balance),
        Panel(r"overlap $R_{12}$ at $t = T$", "probability density", spread),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="toy",
    title="The toy Transformer: tokens collapse in a common noise",
    statement=(
        "At initialisation all tokens of a layer share its random weights. In the limit of many layers, at infinite "
        "temperature, they follow $$dx_i = \\sqrt\\kappa\\,P_{x_i}dB - \\tfrac12\\kappa(d-1)x_i\\,dt,\\qquad "
        "\\kappa = \\frac\\alpha d|\\bar x|^2,$$ in the sense of Itô, with one motion $B$ for all. Each token alone "
        "diffuses over the sphere, and if it starts uniform it stays uniform; but the overlaps $R = \\langle x_i,x_j"
        "\\rangle$ obey $$dR = \\kappa(1-R)(d-2-R)\\,dt + \\sqrt\\kappa(1-R)(x_i+x_j)\\cdot dB,\\quad "
        "d\\langle R\\rangle = 2\\kappa(1-R)^2(1+R)\\,dt,$$ so that $E\\log(1-R)$ falls by $(d-1)E\\int\\kappa$: the "
        "tokens meet. As $d\\to\\infty$ the mean overlap is deterministic, $m' = \\alpha m(1-m)$. The step is a Möbius "
        "map, which keeps lengths and cross-ratios to rounding. (The slide has the Stratonovich symbol; in that "
        "reading $\\kappa$, which depends on all tokens, adds a drift.)"
    ),
    what=lambda c: (
        f"α = {c.alpha:g}; {c.tokens} uniform tokens for d = {', '.join(map(str, c.dims))} up to T = {4 * c.until:g}; "
        f"{c.wide} orthonormal tokens for d = {c.wide} and {8 * c.wide} up to twice log(n − 1)/α; {c.steps} steps, "
        f"{c.replicas} replicas."
    ),
    run=run,
    config=Config(replicas=2048, steps=400),
    quick=Config(),
    references=(
        "H. Koubbi, B. Geshkovski and P. Rigollet, Homogenized Transformers, arXiv 2604.01978.",
        "H. Koubbi, Interacting particle systems: idiosyncratic noise, common noise, and mean-field limits (talk).",
    ),
)
