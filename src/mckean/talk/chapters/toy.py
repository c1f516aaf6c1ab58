"""Chapter: the toy Transformer, tokens that a common isotropic noise draws together."""

from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.catalogue import toy_transformer
from mckean.dynamics import Moebius, evolve
from mckean.measures import Particles
from mckean.observables.harmonics import gegenbauer
from mckean.paths import Brownian
from mckean.statistics import Estimate, average, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Observation, Panel, Result, Rival, Series
from mckean.talk.parts.readings import Readings, run_readings
from mckean.talk.parts.wide import Wide, run_wide


@dataclass(frozen=True)
class Config:
    dims: tuple[int, ...] = (2, 3, 16, 64)
    tokens: int = 16
    replicas: int = 4096
    until: float = 8.0
    early: float = 2.0
    steps: int = 200
    wide: Wide = field(default_factory=Wide)
    readings: Readings = field(default_factory=Readings)


_PAPER = "Koubbi, Geshkovski and Rigollet, arXiv 2604.01978"
_DEGREES = (2, 4)


def _one(key, config: Config, dim: int):
    """Two of n uniform tokens: R, 1 − R and κ at each step, the martingale's increments, and the first token's law."""
    start, noise = jax.random.split(key)
    model, path, dt = toy_transformer(dim).model, Brownian(noise), config.until / config.steps
    tokens = Particles(model.space, model.space.uniform(start, config.tokens))
    observe = {"x": lambda model, mu: mu.positions[:2], "kappa": observables.kappa}
    settings = {"until": config.until, "dt": dt, "path": path, "observe": observe, "every": 1}
    run = evolve(model, tokens, scheme=Moebius(), **settings).observed
    x, kappa = run["x"], run["kappa"]
    draw = lambda step: path.environment.increment(step, jnp.asarray(dt), (dim,), x.dtype)  # noqa: E731
    along = jnp.sum((x[:, 0] + x[:, 1])[:-1] * jax.vmap(draw)(jnp.arange(config.steps)), axis=1)
    early = round(config.early / dt)
    return {
        "R": jnp.sum(x[:, 0] * x[:, 1], axis=1),
        "gap": 0.5 * jnp.sum((x[:, 0] - x[:, 1]) ** 2, axis=1),
        "kappa": kappa,
        "noise": jnp.sqrt(kappa[:-1]) * along,
        "clock": (dim - 1) * dt * jnp.sum(kappa[:early]),
        "turned": gegenbauer(max(_DEGREES), dim, x[early, 0] @ x[0, 0]),
        "axis": gegenbauer(max(_DEGREES), dim, x[early, 0, 0]),
    }


def run(config: Config, key, progress) -> Result:
    runs = {}
    for i, dim in enumerate(config.dims):
        # At the same pace for all d: κ is about (α/d)/n, and R moves at κd.
        one = eqx.Partial(_one, config=config, dim=dim)
        runs[dim] = replicate(one, jax.random.fold_in(key, dim), config.replicas, 128)
        progress(0.5 * (i + 1) / len(config.dims))
    wide, limit = run_wide(config.wide, jax.random.fold_in(key, 10**6), lambda done: progress(0.5 + 0.4 * done))
    readings, panel = run_readings(config.readings, jax.random.fold_in(key, 10**6 + 1))
    claims = [claim for dim, seen in runs.items() for claim in _token_claims(config, dim, seen)]
    seen = [_independence(config, dim, seen) for dim, seen in runs.items() if dim <= 3]
    return Result([*claims, *readings, *wide], [Figure(_CAPTION, [limit, _balance(config, runs), panel])], seen)


def _token_claims(config: Config, dim: int, seen) -> list[Claim]:
    return [*_overlap_claims(config, dim, seen), *_fall_claims(config, dim, seen), *_law_claims(config, dim, seen)]


def _overlap_claims(config: Config, dim: int, seen) -> list[Claim]:
    dt = config.until / config.steps
    r, kappa = seen["R"], seen["kappa"][:, :-1]
    left = r[:, :-1]
    drift = _growth(left, kappa * dt, dim)
    residual = average(r[:, -1] - r[:, 0] - np.sum(drift + (1 - left) * seen["noise"], axis=1))
    blind = -dt * np.mean(np.sum(kappa * (dim - 2 + left**2), axis=1))
    jumps = np.diff(np.log(seen["gap"]), axis=1) + dt * (dim - 1) * kappa
    step = 2 * kappa * (1 + left) * dt
    # The variance of a Möbius step to second order in κdt.
    second = (2 * dim - 3 + left**2) * (kappa * dt) ** 2 - step * (2 / 3) * (dim - 1) * kappa * dt
    ratio = _ratio(np.sum(jumps**2, axis=1), np.sum(step + second, axis=1))
    return [
        Claim(
            statement=(
                rf"For $d={dim}$ the overlap $R_{{12}}$ has the drift $\kappa(1-R)(d-2-R)$: its mean growth up to "
                rf"$\alpha t={config.until:g}$, less the integral"
            ),
            predicted=0.0,
            measured=residual,
            tolerance=dt**2,
            origin="Möbius steps beyond the second order, (αdt)² of a growth of at most 1",
            excludes=Rival("no Itô term κ tr P_xP_y in the product", float(blind)),
            reference=_PAPER,
        ),
        Claim(
            statement=(
                rf"For $d={dim}$ the bracket is $d\langle R\rangle=2\kappa(1-R)^2(1+R)\,dt$, as of $\log(1-R)$: "
                rf"realised "
                r"over predicted"
            ),
            predicted=1.0,
            measured=ratio,
            tolerance=2 * dt**2,
            origin="Möbius steps beyond the second order, (αdt)² relatively",
            excludes=Rival("a factor 2 that is missing", 0.5),
            reference="Itô's formula; the slide's bracket with its dt",
        ),
    ]


def _growth(r, x, dim: int):
    """E(R′ − R) of a Möbius step, x = κdt: (1 − R)[(d − 2 − R)x − qx²], of which the drift is the first term.

    q is the second order of E[1/(D_1D_2)], D_i = cosh s + ⟨x_i, e⟩ sinh s, for Gaussian s e; (2/3)d² as d → ∞.
    """
    v = 2 * (1 + r)
    q = (dim - 1) ** 2 / 6 + dim**2 / 2 - 1 + r**2 / 2 - (dim - 1) * v / 3 - (dim + 1) * v / 2 + 3 * v**2 / 8
    return (1 - r) * ((dim - 2 - r) * x - q * x**2)


def _fall_claims(config: Config, dim: int, seen) -> list[Claim]:
    dt = config.until / config.steps
    kappa = seen["kappa"][:, :-1]
    spent = (dim - 1) * kappa * dt
    # −2E log(cosh s + s′⟨x, e⟩ …) of a Möbius step: the next term has the factor (2/45)(αdt)².
    fall = np.sum(spent - spent**2 / 6, axis=1)
    balance = average(np.log(seen["gap"][:, -1] / seen["gap"][:, 0]) + fall + np.sum(seen["noise"], axis=1))
    growth = np.exp(0.5 * seen["clock"])
    return [
        Claim(
            statement=(
                rf"For $d={dim}$ the mean of $\log(1-R_{{12}})$ falls by $(d-1)E\int\kappa\,dt$ up to "
                rf"$\alpha t={config.until:g}$: the difference"
            ),
            predicted=0.0,
            measured=balance,
            tolerance=2 / 45 * dt**2 * config.until,
            origin="Möbius steps beyond the second order, (2/45)(αdt)² of αT",
            excludes=Rival(
                "no Itô correction of the logarithm",
                float(dt * np.mean(np.sum(kappa * (1 + seen["R"][:, :-1]), axis=1))),
            ),
            reference=_PAPER,
        ),
        Claim(
            statement=(
                rf"For $d={dim}$ a token forgets its start on the clock $\int\kappa$: $E\langle x_t,x_0\rangle "
                rf"e^{{\frac{{d-1}}2\int\kappa}}$ at $\alpha t={config.early:g}$"
            ),
            predicted=1.0,
            measured=average(seen["turned"][:, 1] * growth),
            tolerance=dt * config.early / 12 * (2 * dim + 1) * (dim - 1) / (2 * dim**2) * float(np.mean(growth)),
            origin="Möbius steps: αdt (2d + 1)(d − 1)/(24d²) of αt",
            from_run=True,
            excludes=Rival("no drift −½κ(d − 1)x, as if read in Stratonovich's sense", float(np.mean(growth))),
            reference="Itô's formula: a spherical Brownian motion on the clock ∫κ",
        ),
    ]


def _independence(config: Config, dim: int, seen) -> Observation:
    return Observation(
        statement=(
            rf"$E\langle x_t,x_0\rangle-E\,e^{{-\frac{{d-1}}2\int\kappa}}$ for $d={dim}$ at $\alpha t={config.early:g}$"
        ),
        measured=average(seen["turned"][:, 1] - np.exp(-0.5 * seen["clock"])),
        reference="zero if the clock were independent of the token, which the product above need not be",
    )


def _law_claims(config: Config, dim: int, seen) -> list[Claim]:
    return [
        Claim(
            statement=(
                rf"For $d={dim}$ a token that starts uniform is uniform at $\alpha t={config.early:g}$: the mean of "
                rf"the zonal "
                rf"polynomial $P_{k}(x_1\cdot e)$"
            ),
            predicted=0.0,
            measured=average(seen["axis"][:, k]),
            excludes=Rival("a start at e", float(np.mean(seen["turned"][:, k]))),
            reference="the noise is invariant under rotations; from another start the law is not uniform",
        )
        for k in _DEGREES
    ]


def _ratio(numerator, denominator) -> Estimate:
    """Ratio of means, with its standard error to first order."""
    top, bottom = average(numerator), average(denominator)
    ratio = top.value / bottom.value
    residual = average((numerator - ratio * denominator) / bottom.value)
    return Estimate(ratio, residual.stderr, residual.freedom, residual.skewness)


def _balance(config: Config, runs) -> Panel:
    balance, every = [], slice(None, None, config.steps // 20)
    for dim, seen in runs.items():
        spent = average((dim - 1) * np.cumsum(seen["kappa"], axis=1) * (config.until / config.steps))
        distance = average(np.log(seen["gap"] / seen["gap"][:, :1]))
        balance.append(
            Series(spent.value[every], distance.value[every], f"d = {dim}", distance.stderr[every], "points")
        )
    largest = max(float(s.x[-1]) for s in balance)
    balance.append(Series([0, largest], [0, -largest], r"$-(d-1)\int\kappa$", kind="dashed"))
    return Panel(r"$(d-1)\,E\int_0^t\kappa\,ds$", r"$E\log\,(1-R(t))/(1-R(0))$", balance, "every dimension")


_CAPTION = (
    "Left: in high dimension all 1 − R_ij fall by one factor, whatever the overlap at first. Middle: the mean of "
    "log(1 − R₁₂) falls by (d − 1)∫κ in every dimension. Right: the equation read in the sense of Itô and in that of "
    "Stratonovich, two tokens against Kolmogorov's equation."
)


CHAPTER = Chapter(
    name="toy",
    title="The toy Transformer: tokens collapse in a common noise",
    statement=(
        "At initialisation all tokens of a layer share its random weights. In the limit of many layers, at infinite "
        "temperature, they follow $$dx_i = \\sqrt\\kappa\\,P_{x_i}dB - \\tfrac12\\kappa(d-1)x_i\\,dt,\\qquad "
        "\\kappa = \\frac\\alpha d|\\bar x|^2,$$ in the sense of Itô, with one motion $B$ for all. Each token alone "
        "diffuses over the sphere on the clock $\\int\\kappa$, and if it starts uniform it stays uniform; but the "
        "overlaps "
        "$R = \\langle x_i,x_j\\rangle$ obey $$dR = \\kappa(1-R)(d-2-R)\\,dt + \\sqrt\\kappa(1-R)(x_i+x_j)\\cdot dB,"
        "\\quad d\\langle R\\rangle = 2\\kappa(1-R)^2(1+R)\\,dt,$$ so that $E\\log(1-R)$ falls by "
        "$(d-1)E\\int\\kappa$: the tokens meet. The step is a Möbius map, which keeps lengths and cross-ratios to "
        "rounding.\n\n"
        "As $d\\to\\infty$ the overlaps become deterministic: $m=|\\bar x|^2$ solves $m' = \\alpha m(1-m)$, and all "
        "$1-R_{ij}$ fall by one factor. Fluctuations are of order $d^{-1/2}$: the logit of $m$ is $\\alpha t$ and a "
        "Gaussian. Means differ by $1/d$.\n\n"
        "The slide has the symbol of Stratonovich. In that reading $\\kappa$, which depends on all tokens, adds the "
        "drift "
        "$\\frac\\alpha{2d}P_{x_i}\\frac1n\\sum_jP_{x_j}\\bar x$. For two tokens $R=\\tanh u$ has $$du=\\frac c2(d-2+R)"
        "\\,dt+\\sqrt c\\,dB,\\qquad c=\\frac\\alpha d,$$ and in Stratonovich's reading $\\frac c4(1-R)\\,dt$ more. A "
        "run "
        "tells the two apart."
    ),
    what=lambda c: (
        f"α = 1; {c.tokens} uniform tokens for d = {', '.join(map(str, c.dims))} up to T = {c.until:g}, {c.steps} "
        f"steps, "
        f"{c.replicas} replicas, the martingale parts as control variates; eight tokens with given overlaps for d = "
        f"{', '.join(map(str, c.wide.dims))} up to T = {c.wide.until:g}, {c.wide.steps} steps, {c.wide.replicas} "
        f"replicas; "
        f"two orthogonal tokens on S^{c.readings.dim - 1} up to T = {c.readings.until:g}, {c.readings.steps} steps, "
        f"{c.readings.replicas} replicas."
    ),
    run=run,
    config=Config(),
    quick=Config(replicas=512, wide=Wide.quick(), readings=Readings.quick()),
    references=(
        "H. Koubbi, B. Geshkovski and P. Rigollet, Homogenized Transformers, arXiv 2604.01978.",
        "H. Koubbi, Interacting particle systems: idiosyncratic noise, common noise, and mean-field limits (talk).",
    ),
)
