"""Chapter: a common noise does not average out: its part of the martingale keeps its size as N grows."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from mckean import catalogue, observables
from mckean.couplings import ito_decomposition
from mckean.dynamics import evolve
from mckean.measures import Gaussian
from mckean.models import Multiplicative, langevin
from mckean.paths import Brownian
from mckean.statistics import Estimate, average, log_slope, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series


@dataclass(frozen=True)
class Config:
    strength: float = 1.0
    beta: float = 2.0
    common: float = 0.5
    sizes: tuple[int, ...] = (64, 256, 1024, 4096)
    replicas: int = 128
    until: float = 1.0
    dt: float = 0.01


def _phi(x):
    return x[0]


_OBSERVE = {"phi": observables.ito(_phi)}
_REFERENCE = "talk, slides 'common noise'; Itô's formula for ⟨μᴺ, φ⟩"
_KINDS = {"own": "own noise only", "common": "common noise only", "both": "both noises"}


def _model(config: Config, kind: str):
    beta = np.inf if kind == "common" else config.beta
    noise = () if kind == "own" else Multiplicative(_Field(config.common), "ito")
    well = catalogue.desai_zwanzig(config.strength, config.beta).model
    return langevin(well.space, confinement=well.confinement, interaction=well.interaction, beta=beta, common=noise)


@dataclass(frozen=True)
class _Field:
    """σ₀(1 + ½ cos x): equal where σ₀ is, so that equal models are compiled once."""

    amplitude: float

    def __call__(self, x, mu):
        return self.amplitude * (1 + 0.5 * jnp.cos(x[0]))


def _decomposition(config: Config, kind: str, key, size: int):
    model, law = _model(config, kind), Gaussian(0.5, 0.25)
    steps = round(config.until / config.dt)

    def run(k):
        start, noise = jax.random.split(k)
        path = Brownian(noise)
        cloud = law.sample(start, size)
        seen = evolve(model, cloud, until=config.until, dt=config.dt, path=path, observe=_OBSERVE, every=1)
        return seen, path.environment.record(steps, config.dt, model.motions(cloud)).increments

    trajectories, environments = replicate(run, key, config.replicas)
    return ito_decomposition(trajectories, "phi", environments)


def run(config: Config, key, progress) -> Result:
    runs = {kind: {} for kind in _KINDS}
    for i, kind in enumerate(_KINDS):
        for j, size in enumerate(config.sizes):
            spot = jax.random.fold_in(jax.random.fold_in(key, i), size)
            runs[kind][size] = _decomposition(config, kind, spot, size)
            progress((i * len(config.sizes) + j + 1) / (len(_KINDS) * len(config.sizes)))
    return Result(_claims(config, runs), [_figure(config, runs)])


def _brackets(runs, part: str) -> Estimate:
    """Mean realised bracket at the end for each N."""
    return average(np.stack([getattr(r, part).realised[:, -1] for r in runs.values()], axis=1))


def _ratio(runs, part: str) -> Estimate:
    """Realised over mean predicted bracket at the end, pooled over N."""
    martingales = [getattr(r, part) for r in runs.values()]
    return average(np.stack([m.realised[:, -1] / m.predicted[:, -1].mean() for m in martingales]).mean(axis=0))


def _claims(config: Config, runs) -> list[Claim]:
    sizes, both = np.array(config.sizes), runs["both"]
    whole = _ratio(runs["common"], "whole")
    slopes = {kind: log_slope(sizes, _brackets(runs[kind], "whole")) for kind in ("own", "common")}
    parts = {part: log_slope(sizes, _brackets(both, part)) for part in ("own", "common")}
    ratios = {part: _ratio(both, part) for part in ("own", "common")}
    spread = _variance_ratio(runs["common"][config.sizes[-1]])
    exact = "exact for every N and dt, as φ is linear and the scheme is Euler's; statistical error only"
    own = "what the predicted brackets themselves have"

    def claim(what: str, predicted: float, measured: Estimate, tolerance: float = 0.0, origin: str = exact) -> Claim:
        return Claim(
            statement=what,
            predicted=predicted,
            measured=measured.value,
            stderr=measured.stderr,
            tolerance=tolerance,
            origin=origin,
            reference=_REFERENCE,
        )

    return [
        claim("exponent of N in the bracket, own noise only", -1.0, slopes["own"]),
        claim("exponent of N in the bracket, common noise only", 0.0, slopes["common"], _trend(runs["common"]), own),
        claim("realised bracket over ∫⟨μᴺ, σφ′⟩² dt, common noise only, mean over N", 1.0, whole),
        claim(f"variance of the martingale over its bracket, common noise only, N = {sizes[-1]}", 1.0, spread),
        claim("both noises: exponent of N in the own part", -1.0, parts["own"]),
        claim("both noises: exponent of N in the common part", 0.0, parts["common"], _trend(both), own),
        claim("both noises: own part, realised over predicted, mean over N", 1.0, ratios["own"]),
        claim("both noises: common part, realised over predicted, mean over N", 1.0, ratios["common"]),
    ]


def _trend(runs) -> float:
    """The exponent of N in the predicted brackets of the common part: of order 1/N in the smallest systems."""
    sizes = np.log(list(runs))
    means = [np.log(r.common.predicted[:, -1].mean()) for r in runs.values()]
    return abs(float(np.polyfit(sizes, means, 1)[0]))


def _variance_ratio(decomposition) -> Estimate:
    whole = decomposition.whole
    return average(whole.path[:, -1] ** 2 / whole.predicted[:, -1].mean())


def _figure(config: Config, runs) -> Figure:
    sizes = np.array(config.sizes)
    panels = []
    for kind, parts in (("own", ("own",)), ("common", ("common",)), ("both", ("own", "common"))):
        series = []
        for part in parts:
            mean = _brackets(runs[kind], part)
            predicted = [getattr(r, part).predicted[:, -1].mean() for r in runs[kind].values()]
            series.append(Series(sizes, predicted, f"{part}, predicted"))
            series.append(Series(sizes, mean.value, f"{part}, realised", mean.stderr, "points"))
        panels.append(
            Panel("number of particles N", r"bracket at $t = T$", series, _KINDS[kind], xscale="log", yscale="log")
        )
    shown = (config.sizes[0], config.sizes[-1])
    times = runs["both"][shown[0]].times
    paths = [Series(times, getattr(runs["both"][n], part).path[0], f"{part}, N = {n}", kind=kind)
             for n, kind in zip(shown, ("line", "dashed"), strict=True) for part in ("own", "common")]  # fmt: skip
    panels.append(Panel("time t", "martingale parts", paths, "one path, both noises"))
    caption = (
        "The bracket of the martingale part of the mean ⟨μᴺ, x⟩ against N: with the particles' own noise it falls as "
        "1/N, with a common noise it stays, and where there are both it separates into the two. Right: the two parts "
        "along one path for the smallest and the largest N."
    )
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="common",
    title="A common noise does not average out",
    statement=(
        "With $$dX_i = b(X_i,\\mu^N)\\,dt + \\sqrt{2/\\beta}\\,dB_i + \\sigma(X_i)\\,dB^0$$ Itô's formula gives "
        "$d\\langle\\mu^N,\\varphi\\rangle = (\\ldots)\\,dt + dM$ with two independent sources: "
        "$$d\\langle M\\rangle = \\frac{2}{\\beta N}\\langle\\mu^N,|\\nabla\\varphi|^2\\rangle\\,dt + "
        "\\langle\\mu^N,\\sigma^\\top\\nabla\\varphi\\rangle^2\\,dt.$$ The first vanishes as $N\\to\\infty$; the "
        "second "
        "does not, and the limit is a random measure. Where the environment's increments are known, so are the two "
        "martingales: $dM^{\\mathrm{common}} = \\langle\\mu^N,\\sigma^\\top\\nabla\\varphi\\rangle\\,dB^0$."
    ),
    what=lambda c: (
        f"Double well V = x⁴/4 − x²/2 with W = θx²/2, θ = {c.strength:g}, β = {c.beta:g}, and the common field σ(x) = "
        f"{c.common:g}(1 + ½ cos x) (Itô), φ(x) = x, N from {c.sizes[0]} to {c.sizes[-1]}, {c.replicas} replicas with "
        f"environments of their own, T = {c.until:g}, dt = {c.dt:g}."
    ),
    run=run,
    config=Config(replicas=512),
    quick=Config(sizes=(64, 256, 1024)),
    references=(
        "H. Koubbi, Interacting particle systems: idiosyncratic noise, common noise, and mean-field limits (talk).",
        "D. Lacker, M. Shkolnikov and J. Zhang, Superposition and mimicking theorems for conditional McKean–Vlasov "
        "equations, J. Eur. Math. Soc. 25, 2023.",
    ),
)
