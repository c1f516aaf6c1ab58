"""Chapter: a common noise does not average out: its part of the martingale keeps its size as N grows."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
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
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series


@dataclass(frozen=True)
class Config:
    strength: float = 1.0
    beta: float = 2.0
    common: float = 0.5
    sizes: tuple[int, ...] = (32, 128, 512, 2048)
    replicas: int = 384
    until: float = 1.0
    dt: float = 1 / 128


_REFERENCE = "talk, slides 'common noise'; Itô's formula for ⟨μᴺ, φ⟩"
_KINDS = {"own": "own noise only", "common": "common noise only", "both": "both noises"}
_EXACT = "none: left-point sums of Euler's scheme have this mean for every N and dt"
# σ/σ₀ = 1 + ½ cos x is at most _FIELD, and σφ′/σ₀ = (1 + ½ cos x)(1 + ½ tanh x) between the other two.
_FIELD, _LEAST, _MOST = 3 / 2, 1 / 4, 9 / 4
# The least (φ′)² and the largest φ″ of φ = x + ½ log cosh x.
_SLOPE, _BEND = 1 / 4, 1 / 2


def _phi(x):
    return x[0] + 0.5 * jnp.logaddexp(x[0], -x[0])


def _profile(x):
    """σ/σ₀."""
    return 1 + 0.5 * jnp.cos(x[0])


class _Field(eqx.Module):
    """σ₀(1 + ½ cos x)."""

    amplitude: jax.Array

    def __call__(self, x, mu):
        return self.amplitude * _profile(x)


def _square(x):
    """(σφ′/σ₀)²."""
    return (_profile(x) * (1 + 0.5 * jnp.tanh(x[0]))) ** 2


def _bends(x):
    """φ″ and (σ/σ₀)²φ″."""
    bend = 0.5 / jnp.cosh(x[0]) ** 2
    return jnp.stack([bend, _profile(x) ** 2 * bend])


_OBSERVE = {
    "phi": observables.ito(_phi),
    "square": observables.average(_square),
    "bends": observables.average(_bends),
}


def _model(config: Config, beta, common):
    """With β and σ₀ as arrays, so that all kinds are one program: infinity and 0 are noises that do not move."""
    well = catalogue.desai_zwanzig(config.strength, config.beta).model
    pull = {"confinement": well.confinement, "interaction": well.interaction}
    return langevin(well.space, **pull, beta=beta, common=Multiplicative(_Field(common), "ito"))


@dataclass(frozen=True)
class Run:
    """The decomposition of a system, and what wrong theories make of the run; replicas along the leading axis.

    - `parts`: an `ItoDecomposition`.
    - `squares`: ∫⟨(σφ′)²⟩dt where the square of the mean belongs.
    - `second`: ∫½⟨aφ″⟩dt, the term of second order, a = σ² + 2/β.
    """

    parts: Any
    squares: np.ndarray
    second: np.ndarray


def _record(key, *, config: Config, beta, common, size: int):
    model, steps = _model(config, beta, common), round(config.until / config.dt)
    start, noise = jax.random.split(key)
    path = Brownian(noise)
    cloud = Gaussian(0.0, 0.5).sample(start, size)
    seen = evolve(model, cloud, until=config.until, dt=config.dt, path=path, observe=_OBSERVE, every=1)
    return seen, path.environment.record(steps, config.dt, model.motions(cloud)).increments


def _decomposition(config: Config, kind: str, key, size: int) -> Run:
    beta = np.inf if kind == "common" else config.beta
    common = 0.0 if kind == "own" else config.common
    one = eqx.Partial(_record, config=config, beta=jnp.asarray(beta), common=jnp.asarray(common), size=size)
    trajectories, environments = replicate(one, key, config.replicas)
    total = lambda values: np.sum(values[:, :-1], axis=1) * config.dt  # noqa: E731
    bends = total(trajectories.observed["bends"])
    return Run(
        ito_decomposition(trajectories, "phi", environments),
        common**2 * total(trajectories.observed["square"]),
        bends[:, 0] / beta + 0.5 * common**2 * bends[:, 1],
    )


def run(config: Config, key, progress) -> Result:
    runs = {kind: {} for kind in _KINDS}
    for i, kind in enumerate(_KINDS):
        for j, size in enumerate(config.sizes):
            spot = jax.random.fold_in(jax.random.fold_in(key, i), size)
            runs[kind][size] = _decomposition(config, kind, spot, size)
            progress((i * len(config.sizes) + j + 1) / (len(_KINDS) * len(config.sizes)))
    return Result(judge(config, runs), [_figure(config, runs)])


def judge(config: Config, runs: dict[str, dict[int, Run]]) -> list[Claim]:
    """The claims, from the runs of each kind and size."""
    return [*_exponents(config, runs), *_bracket_claims(config, runs), _mean_claim(config, runs["both"])]


def _brackets(runs, part: str) -> Estimate:
    """Mean realised bracket at the end for each N."""
    return average(np.stack([getattr(r.parts, part).realised[:, -1] for r in runs.values()], axis=1))


def _exponents(config: Config, runs) -> list[Claim]:
    span = np.log(config.sizes[-1] / config.sizes[0])
    # Var f ≤ ⟨f⟩²(M − m)²/4mM for m ≤ f ≤ M (Kantorovich); as much again, as the interaction moves the law with N.
    sampling = 2 * (_MOST - _LEAST) ** 2 / (4 * _MOST * _LEAST) / config.sizes[0]
    noises = {"own": 0.0, "both": _remainder(config)}
    origin = "E⟨μᴺ, f⟩² = ⟨f⟩² + Var f/N with Var f ≤ ⟨f⟩²(M − m)²/4mM, and as much again for the interaction"
    claims = []
    for kind, noise in noises.items():
        least = _SLOPE * 2 / config.beta / config.sizes[-1]
        claims.append(
            Claim(
                statement=f"With {_KINDS[kind]} the own part of the bracket falls as $N^s$; $s$",
                predicted=-1.0,
                measured=log_slope(config.sizes, _brackets(runs[kind], "own")),
                tolerance=float(np.log1p(sampling + noise / least) / span),
                origin=origin + ("; terms of second order in a step" if noise else ""),
                excludes=Rival("the order of $M$ itself", -0.5),
                reference=_REFERENCE,
            )
        )
    for kind in ("common", "both"):
        claims.append(
            Claim(
                statement=f"With {_KINDS[kind]} the common part of the bracket does not fall with $N$; exponent",
                predicted=0.0,
                measured=log_slope(config.sizes, _brackets(runs[kind], "common")),
                tolerance=float(np.log1p(sampling) / span),
                origin=origin,
                excludes=Rival("it averages out as independent noises do", -1.0),
                reference=_REFERENCE,
            )
        )
    return claims


def _remainder(config: Config) -> float:
    """The most that the term ½⟨φ″σ²⟩(ΔB² − dt) of a step adds to a realised bracket up to T."""
    return 0.5 * (_BEND * (_FIELD * config.common) ** 2) ** 2 * config.dt * config.until


def _excess(martingales, measured) -> Estimate:
    """1 + E(measured − predicted bracket at T)/E(predicted), pooled: the difference has mean 0 in each replica."""
    ends = [(measured(m), m.predicted[:, -1]) for m in martingales]
    gaps = np.concatenate([(value - bracket) / bracket.mean() for value, bracket in ends])
    return average(1 + gaps)


def _realised(martingale) -> np.ndarray:
    return martingale.realised[:, -1]


def _bracket_claims(config: Config, runs) -> list[Claim]:
    both, smallest = runs["both"], config.sizes[0]
    own, common = both[smallest].parts.own, [run.parts.common for run in both.values()]
    squares = np.mean([run.squares.mean() / run.parts.common.predicted[:, -1].mean() for run in both.values()])
    alone = [run.parts.whole for run in runs["common"].values()]
    remainder = _remainder(config) / config.until
    return [
        Claim(
            statement=(
                "The realised bracket of the common part is $\\int\\langle\\mu^N,\\sigma\\varphi'\\rangle^2dt$; ratio"
            ),
            predicted=1.0,
            measured=_excess(common, _realised),
            origin=_EXACT,
            excludes=Rival("the mean of squares for the square of the mean", float(squares)),
            reference=_REFERENCE,
        ),
        Claim(
            statement=(
                "The realised bracket of the own part is $\\frac{2}{\\beta N}\\int\\langle\\mu^N,\\varphi'^2"
                f"\\rangle dt$ at $N = {smallest}$; ratio"
            ),
            predicted=1.0,
            measured=_excess([own], _realised),
            tolerance=remainder * smallest * config.beta / 2 / _SLOPE,
            origin="½⟨φ″σ²⟩²dt of second order in a step, over the least (2/βN)(φ′)²",
            excludes=Rival("1/β for the intensity of the noise", 0.5),
            reference=_REFERENCE,
        ),
        Claim(
            statement="With common noise only the variance of the martingale is its mean bracket; ratio",
            predicted=1.0,
            measured=_excess(alone, lambda m: m.path[:, -1] ** 2),
            tolerance=remainder / (_LEAST * config.common) ** 2,
            origin="½⟨φ″σ²⟩²dt of second order in a step, over the least ⟨σφ′⟩²",
            excludes=Rival("twice the bracket", 2.0),
            reference=_REFERENCE,
        ),
    ]


def _mean_claim(config: Config, runs) -> Claim:
    size, x = config.sizes[-1], np.linspace(-9, 9, 1801)
    spread = (_FIELD * config.common) ** 2 + 2 / config.beta
    # Of φ″ = ½ sech² x and its derivatives, and of b with the mean of the law within 1 of the middle.
    two = 0.5 / np.cosh(x) ** 2
    three, four = 2 * two * np.abs(np.tanh(x)), two * np.abs(6 * np.tanh(x) ** 2 - 2)
    drift = np.abs(x - x**3) + config.strength * (np.abs(x) + 1)
    rest = np.max(0.5 * two * drift**2 + 0.5 * three * spread * drift + four * spread**2 / 8)
    return Claim(
        statement=f"What the common noise leaves of the martingale has mean 0 at $N = {size}$",
        predicted=0.0,
        measured=average(runs[size].parts.own.path[:, -1]),
        tolerance=float(rest * config.dt * config.until),
        origin="dt(½φ″b² + ½φ‴ab + ⅛φ⁗a²), the next terms of a step, at their largest over x",
        excludes=Rival("no term of second order in Itô's formula", float(runs[size].second.mean())),
        reference=_REFERENCE,
    )


def _figure(config: Config, runs) -> Figure:
    sizes = np.array(config.sizes)
    panels = []
    for kind, parts in (("own", ("own",)), ("common", ("common",)), ("both", ("own", "common"))):
        series = []
        for part in parts:
            mean = _brackets(runs[kind], part)
            predicted = [getattr(r.parts, part).predicted[:, -1].mean() for r in runs[kind].values()]
            series.append(Series(sizes, predicted, f"{part}, predicted"))
            series.append(Series(sizes, mean.value, f"{part}, realised", mean.stderr, "points"))
        panels.append(
            Panel("number of particles N", r"bracket at $t = T$", series, _KINDS[kind], xscale="log", yscale="log")
        )
    shown = (config.sizes[0], config.sizes[-1])
    times = runs["both"][shown[0]].parts.times
    paths = [Series(times, getattr(runs["both"][n].parts, part).path[0], f"{part}, N = {n}", kind=kind)
             for n, kind in zip(shown, ("line", "dashed"), strict=True) for part in ("own", "common")]  # fmt: skip
    panels.append(Panel("time t", "martingale parts", paths, "one path, both noises"))
    caption = (
        "The bracket of the martingale part of ⟨μᴺ, φ⟩ against N: with the particles' own noise it falls as "
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
        "second does not, and the limit is a random measure. Where the environment's increments are known, so are "
        "the two "
        "martingales: $dM^{\\mathrm{common}} = \\langle\\mu^N,\\sigma^\\top\\nabla\\varphi\\rangle\\,dB^0$."
    ),
    what=lambda c: (
        f"Double well V = x⁴/4 − x²/2 with W = θx²/2, θ = {c.strength:g}, β = {c.beta:g}, and the common field σ(x) = "
        f"{c.common:g}(1 + ½ cos x) (Itô), φ(x) = x + ½ log cosh x, N from {c.sizes[0]} to {c.sizes[-1]}, "
        f"{c.replicas} replicas with environments of their own, T = {c.until:g}, dt = {c.dt:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(sizes=(32, 512), replicas=576),
    references=(
        "H. Koubbi, Interacting particle systems: idiosyncratic noise, common noise, and mean-field limits (talk).",
        "D. Lacker, M. Shkolnikov and J. Zhang, Superposition and mimicking theorems for conditional McKean–Vlasov "
        "equations, J. Eur. Math. Soc. 25, 2023.",
    ),
)
