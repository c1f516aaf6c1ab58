"""Chapter: synchronisation by noise: one point wanders ergodically, two points meet, or never do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad

from mckean.catalogue import toy_transformer
from mckean.catalogue.brownian_flows import euler_bias, isotropic_flow, spectrum
from mckean.dynamics import AbstractScheme, Moebius
from mckean.environments import contraction, lyapunov
from mckean.interactions import kernels
from mckean.measures import Particles
from mckean.models import Additive, Model, langevin, potentials
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.pullback import (
    BY_NOISE,
    Pullback,
    cosine_exponent,
    cosine_mean,
    cosine_wells,
    incompressible_waves,
    run_pullback,
)
from mckean.talk.parts.wandering import Meeting, meeting, run_walks


@dataclass(frozen=True)
class Config:
    amplitudes: tuple[float, ...] = (0.5, 1.0, 2.0)
    attraction: float = 0.7
    well: float = 1.0
    intensity: float = 1.0
    token_dim: int = 8
    flow_dim: int = 4
    chaotic_dim: int = 6
    environments: int = 128
    chaotic_environments: int = 512
    pairs: int = 256
    clouds: Pullback = field(default_factory=Pullback)


_LINE = Euclidean(1)
_SMOOTH, _MIXED = (0.5, 1.0), (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class _Case:
    """A flow, its exponents, and those by the nearest wrong theory; how far 2λ(dt/2) − λ(dt) is from them, and why."""

    name: str
    group: str
    model: Model
    start: Sequence[Sequence[float]]
    exact: np.ndarray
    rivals: Sequence[Rival]
    left: np.ndarray
    origin: str
    reference: str
    until: float
    dt: float
    after: float
    scheme: AbstractScheme | diffrax.AbstractSolver
    every: int = 5

    def particles(self) -> Particles:
        return Particles(self.model.space, jnp.asarray(self.start, float))


def _double_well(sigma: float, theta: float | None = None) -> Model:
    attraction = None if theta is None else kernels.Quadratic(theta)
    return langevin(_LINE, potentials.DoubleWell(), attraction, math.inf, Additive(sigma))


def _curvature(sigma: float) -> float:
    """E V″ for V = x⁴/4 − x²/2 under e^{−2V/σ²}, 1/time."""
    density = lambda x: math.exp(-2 * (x**4 / 4 - x**2 / 2 + 0.25) / sigma**2)  # noqa: E731
    return quad(lambda x: (3 * x**2 - 1) * density(x), -8, 8)[0] / quad(density, -8, 8)[0]


def _on_the_line(config: Config) -> list[_Case]:
    heun, dt, cases = diffrax.Heun(), 0.02, []
    still = Rival("no noise: the point rests in a well, −V″(±1)", -2.0)
    for sigma in config.amplitudes:
        exact = np.array([-_curvature(sigma)])
        cases.append(
            _Case(f"a double well, $\\sigma = {sigma:g}$", "line", _double_well(sigma), [[0.5]], exact, [still],
                  exact * (8 * dt) ** 2 / 2, "weak order 2: half of (V″dt)² relatively, V″ ≤ 8 but for rare times",
                  BY_NOISE, 45.0, dt, 5.0, heun)
        )  # fmt: skip
    exact = -_curvature(1.0) - config.attraction * np.array([0, 1, 1])
    felt, alone = Rival("the mean feels the attraction too", exact[1]), Rival("no interaction", exact[0])
    cases.append(
        _Case(f"three particles that attract, $\\theta = {config.attraction:g}$", "line",
              _double_well(1.0, config.attraction), [[0.5]] * 3, exact, [felt, alone, alone], exact * (8 * dt) ** 2 / 2,
              "weak order 2: half of (V″dt)² relatively",
              "the mean of particles that have met sees V alone, each difference V and θ", 20.0, dt, 5.0, heun)
    )  # fmt: skip
    return cases


def _on_the_torus(config: Config) -> list[_Case]:
    h, k, dt = config.well, config.intensity, 0.01
    exact = np.array([cosine_exponent(h)])
    hot = Rival("e^{−V/σ²} in the place of e^{−2V/σ²}", -h * cosine_mean(h))
    flat = [Rival("the dimension forgotten: β_L/2", 0.25 * k * sign) for sign in (1, -1)]
    return [
        _Case(f"$-h\\cos x$ on the circle, $h = {h:g}$", "torus", cosine_wells(h, Torus(1)), [[1.0]], exact, [hot],
              exact * (h * 0.04) ** 2 / 2, "weak order 2: half of (V″dt)² relatively", BY_NOISE, 32.0, 0.04, 4.0,
              diffrax.Heun()),
        _Case("incompressible waves", "stirred", incompressible_waves(k), [[1.0, 2.0]], 0.5 * k * np.array([1, -1]),
              flat, np.full(2, (0.75 * k**2 * dt) ** 2 / (0.5 * k)),
              "bias²/λ, the bias by one step's E log‖A‖ expanded to the second order: −¾K²dt",
              "λ₁ = dβ_L/2 with β_L = K/2: E(v·∇ξ v)² of three waves at 60°", 26.0, dt, 1.0, diffrax.Euler()),
    ]  # fmt: skip


def _on_the_sphere(config: Config) -> list[_Case]:
    d, dt = config.token_dim, 0.01
    toy = toy_transformer(d, float(d))
    value = float(toy["top exponent"])
    cases = [
        _Case(f"one token, $d = {d}$", "tokens", toy.model, [[1.0] + [0.0] * (d - 1)], np.full(d - 1, value),
              [Rival("d in the place of d − 1", value * d / (d - 1))] * (d - 1),
              np.full(d - 1, value * (value * dt) ** 2),
              "Möbius steps: E log(cosh s + s⁻¹sinh s p) expanded, after λ²dt/3: smaller by λdt again",
              toy.facts["top exponent"].reference, 4.0, dt, 0.0, Moebius())
    ]  # fmt: skip
    for d, coefficients, group, until in (
        (config.flow_dim, _SMOOTH, "sphere", 14.0),
        (config.chaotic_dim, _MIXED, "mixing", 9.0),
    ):
        entry = isotropic_flow(d, coefficients)
        at_one, slope = sum(coefficients), sum(p * c for p, c in enumerate(coefficients))
        exact, (bias, error) = spectrum(d, at_one, slope), euler_bias(d, at_one, slope, dt)
        half, other = euler_bias(d, at_one, slope, dt / 2, seed=1)
        # Of the mixing flow the one exponent that matters: its spectrum has d − 1 tangents.
        kept = d - 1 if group == "sphere" else 1
        left = (np.abs(2 * half - bias) + 4 * np.hypot(2 * other, error))[:kept]
        alike = Rival("Möbius maps: all exponents are −½m k(1)", -0.5 * (d - 1) * at_one)
        wider = Rival("m = d in the place of d − 1", spectrum(d + 1, at_one, slope)[0])
        cases.append(
            _Case(f"an isotropic flow, $d = {d}$, $k = {_written(coefficients)}$", group, entry.model,
                  [[1.0] + [0.0] * (d - 1)], exact[:kept], [alike] * kept if group == "sphere" else [wider], left,
                  "exact law of one Euler step, by its samples", entry.facts["top exponent"].reference, until, dt,
                  2.0 if kept > 1 else 0.0, diffrax.Euler())
        )  # fmt: skip
    return cases


def _written(coefficients) -> str:
    powers = ["", "t", "t^2", "t^3"]
    terms = [f"{c:g}{powers[p]}" if c != 1 or p == 0 else powers[p] for p, c in enumerate(coefficients) if c]
    return " + ".join(terms)


def run(config: Config, key, progress) -> Result:
    cases = [*_on_the_line(config), *_on_the_torus(config), *_on_the_sphere(config)]
    found: list[Estimate] = []
    for i, case in enumerate(cases):
        environments = config.chaotic_environments if case.group == "mixing" else config.environments
        seen = lyapunov(
            case.model, case.particles(), until=case.until, dt=case.dt, after=case.after, every=case.every,
            count=len(case.exact), scheme=case.scheme, key=jax.random.fold_in(key, i),
            replicas=environments, batch=min(environments // 2, 64),
        )  # fmt: skip
        found.append(seen.exponents)
        progress((i + 1) / (len(cases) + 3))
    attracted = _attracted(config, jax.random.fold_in(key, 100))
    met, wandering = run_walks(
        config.token_dim, config.well, config.intensity, config.pairs, jax.random.fold_in(key, 101)
    )
    progress((len(cases) + 2) / (len(cases) + 3))
    pulled, attractor = run_pullback(config.clouds, config.well, config.intensity, jax.random.fold_in(key, 102))
    claims = [claim for case, seen in zip(cases, found, strict=True) for claim in _exponent_claims(case, seen)]
    pairs = [attracted, *met]
    claims += [pair.claim for pair in pairs] + wandering + pulled
    return Result(claims, [_exponents_figure(cases, found, pairs), attractor])


def _exponent_claims(case: _Case, seen: Estimate) -> list[Claim]:
    claims = []
    for i in range(len(case.exact)):
        # Equal by conformality: one figure says all.
        if case.group == "tokens" and i > 0:
            break
        name = r"Each exponent $\lambda$" if case.group == "tokens" else rf"The exponent $\lambda_{i + 1}$"
        claims.append(
            Claim(
                statement=f"{name} of {case.name}, has its closed form, 1/time",
                predicted=float(case.exact[i]),
                measured=seen[i],
                tolerance=float(abs(case.left[i])),
                origin=f"what is left of the bias of steps of {case.dt:g} and half of it: {case.origin}",
                excludes=case.rivals[i],
                reference=case.reference,
            )
        )
    return claims


def _attracted(config: Config, key) -> Meeting:
    """Two particles that attract, in one double well: their distance falls at the rate E V″ + θ."""
    theta, dt, after = config.attraction, 0.01, 2.0
    model, alone = _double_well(1.0, theta), -_curvature(1.0)
    seen = contraction(
        model, Particles(model.space, jnp.array([[-0.2], [0.5]])), until=5.0, dt=dt, every=round(0.5 / dt), key=key,
        replicas=config.pairs, scheme=diffrax.Heun(),
    )  # fmt: skip
    bias = abs(alone - theta) * (8 * dt) ** 2, "weak order 2: (V″dt)² relatively"
    name = "two particles that attract, in a double well"
    return meeting(name, seen, seen, alone - theta, after, bias, Rival("no interaction", alone))


_TITLES = {
    "line": "line", "torus": "circle", "stirred": "torus, stirred", "tokens": "sphere, token",
    "sphere": "sphere, smooth flow", "mixing": "sphere, mixing flow",
}  # fmt: skip


def _exponents_figure(cases: list[_Case], found: list[Estimate], pairs: list[Meeting]) -> Figure:
    points = []
    for group, title in _TITLES.items():
        chosen = [(case, seen) for case, seen in zip(cases, found, strict=True) if case.group == group]
        exact = np.concatenate([case.exact for case, _ in chosen])
        value, error = (np.concatenate([getattr(seen, name) for _, seen in chosen]) for name in ("value", "stderr"))
        points.append(Series(exact, value, title, error, "points"))
    low, high = (f([f(case.exact) for case in cases]) for f in (np.min, np.max))
    points.append(Series([low, high], [low, high], "measured = predicted", kind="dashed"))
    decay = []
    for pair in pairs:
        log = pair.seen.log_distance
        pace = abs(pair.rate) * pair.seen.times
        decay.append(Series(pace, log.value - log.value[0], pair.name, log.stderr))
    reach = max(float(series.x[-1]) for series in decay)
    decay.append(Series([reach, 0, reach], [reach, 0, -reach], r"slope $\pm1$", kind="dashed"))
    caption = (
        "Left: every exponent measured against its closed form; below zero points meet. Right: the mean logarithm of "
        "the distance of two points, in one environment each, with time in units of 1/|λ₁|: it falls, or rises until "
        "the points are as far apart as two independent ones."
    )
    panels = [
        Panel("exponent predicted, 1/time", "exponent measured, 1/time", points),
        Panel(r"$|\lambda_1|\,t$", r"$E$ log distance($t$)/distance(0)", decay),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="synchronisation",
    title="Synchronisation: one point is ergodic, two points meet",
    statement=(
        "Points that move in one environment, $dX = b(X)\\,dt + \\sum_k\\sigma_k(X)\\,dB^k$, may each wander "
        "ergodically and yet meet: the sign of the top Lyapunov exponent decides. On the line, with an additive noise, "
        "$\\lambda = -E\\,V'' = -\\frac2{\\sigma^2}E\\,V'^2 < 0$ under $e^{-2V/\\sigma^2}$, in a double well too: "
        "noise destroys its bistability. An attraction $\\theta x^2/2$ takes $\\theta$ off the exponents of "
        "differences, and leaves that of the mean. One token of the toy Transformer has $\\lambda = "
        "-\\kappa(d-1)/2$ in every direction. An isotropic flow of the sphere with covariance "
        "$k(\\langle x,y\\rangle)$ has $$\\lambda_i = \\tfrac12(m-2i)\\,k'(1) - \\tfrac12 m\\,k(1),\\qquad m = d-1,$$ "
        "so that fields which vary fast in high dimension tear points apart, and waves that keep the volume of the "
        "torus always do: $\\lambda_1 = K/2$ for three waves at 60°, with $\\lambda_1 + \\lambda_2 = 0$. Each point "
        "alone forgets its start either way: its average over time tends to that of the stationary law."
    ),
    what=lambda c: (
        f"{c.environments} environments for each exponent ({c.chaotic_environments} for that of $k = t^2$), {c.pairs} "
        f"for points that meet; "
        f"double well with σ = {', '.join(map(str, c.amplitudes))}; tokens for d = {c.token_dim}; isotropic flows "
        f"with $k = {_written(_SMOOTH)}$ for d = {c.flow_dim} and $k = {_written(_MIXED)}$ for d = {c.chaotic_dim}; "
        f"clouds of {c.clouds.particles} points."
    ),
    run=run,
    config=Config(environments=1024, chaotic_environments=1024, pairs=1024, clouds=Pullback(environments=512)),
    quick=Config(),
    references=(
        "F. Flandoli, B. Gess and M. Scheutzow, Synchronization by noise, Probab. Theory Relat. Fields 168 (2017).",
        "O. Raimond, Flots browniens isotropes sur la sphère, Ann. Inst. H. Poincaré 35 (1999).",
        "P. Baxendale and T. Harris, Isotropic stochastic flows, Ann. Probab. 14 (1986).",
    ),
)
