"""Chapter: whether tokens meet, by dimension, temperature and length of the context."""

from dataclasses import dataclass, field
from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from mckean.catalogue.reduced import antipode_rate, low_temperature, meeting_probability, two_tokens
from mckean.dynamics import evolve
from mckean.measures import Particles
from mckean.models import Model
from mckean.models.heads import Heads
from mckean.paths import Brownian
from mckean.spaces import Sphere
from mckean.statistics import Estimate, average, binomial_interval, jackknife, replicate
from mckean.talk.claims import LEVEL, Chapter, Claim, Figure, Film, Panel, Result, Rival, Series
from mckean.talk.parts.contexts import Contexts, run_contexts


@dataclass(frozen=True)
class Config:
    # Two tokens near the antipode: u = artanh R, a short time, and each step halved once.
    dims: tuple[int, ...] = (2, 3, 4, 8, 16, 32)
    betas: tuple[float, ...] = (0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8)
    near: float = -7.0
    span: float = 1.0
    steps: int = 16
    replicas: int = 2048
    # Two tokens until they have met or parted, in the time t/d.
    overlaps: tuple[float, ...] = (-0.8, -0.4, -0.2, 0.4, 0.8)
    cold: float = 3.0
    end: float = 14.0
    pairs: int = 2**15
    walkers: int = 50_000
    # A grid of one-dimensional models.
    nodes: int = 48
    grid_pairs: int = 400
    # Many tokens, from orthonormal ones.
    contexts: Contexts = field(default_factory=Contexts)


_PAPER = "Koubbi, Geshkovski and Rigollet, arXiv 2604.01978"
_GRID_TIMES = (4, 16, 64)
_GRID_STEP = 0.1
_GRID_START = -0.9
_LARGEST = 6.0


def run(config: Config, key, progress) -> Result:
    near = {}
    for i, dim in enumerate(config.dims):
        one = partial(_near_antipode, config=config, dim=dim)
        rates = replicate(one, jax.random.fold_in(key, dim), config.replicas, batch=min(256, config.replicas))
        near[dim] = rates["fine"], rates["coarse"]
        progress(0.4 * (i + 1) / len(config.dims))
    ends = replicate(partial(_ends, config=config), jax.random.fold_in(key, 1001), config.pairs, config.pairs // 4)
    walks = _walks(config, jax.random.fold_in(key, 1002))
    progress(0.55)
    grid = _grid(config, jax.random.fold_in(key, 1003))
    progress(0.65)
    far, contexts = run_contexts(config.contexts, key, lambda done: progress(0.65 + 0.35 * done))
    claims = [*_threshold_claims(config, near), *_cold_claims(config, ends, walks), *far]
    return Result(claims, [_phase_figure(config, near, ends, walks), grid, contexts])


def _pair(dim: int, overlap):
    """Two tokens with a given overlap, which keep the digits of 1 + R."""
    half = jnp.sqrt(0.5 * (1 + overlap))
    across = jnp.sqrt(1 - half**2)
    return jnp.zeros((2, dim)).at[:, 0].set(jnp.asarray([1, -1]) * across).at[:, 1].set(half)


def _near_antipode(key, config: Config, dim: int):
    """The growth of log(1 + R) over time, for each β, less its martingale part, whose mean is 0."""
    space, path = Sphere(dim), Brownian(key)
    start = Particles(space, _pair(dim, jnp.tanh(config.near)))
    observe = {"x": lambda model, mu: mu.positions}

    def at(beta, path, dt):
        model = Model(space, common=Heads(beta))
        seen = evolve(model, start, until=config.span, dt=dt, path=path, observe=observe, every=1).observed["x"]
        logs = jnp.log(jnp.sum((seen[:, 0] + seen[:, 1]) ** 2, axis=1))

        def martingale(index, x):
            """2⟨x_1 + x_2, P_1dF_1 + P_2dF_2⟩/|x_1 + x_2|², with the increments of the step."""
            dB = path.environment.increment(index, jnp.asarray(dt), (dim**2,), x.dtype)
            moves = model.common_displacement(x, Particles(space, x), dB)
            total = x[0] + x[1]
            return 2 * total @ (moves[0] + moves[1]) / jnp.sum(total**2)

        spent = jax.vmap(martingale)(jnp.arange(len(seen) - 1), seen[:-1])
        return (logs[-1] - logs[0] - jnp.sum(spent)) / config.span

    betas, dt = jnp.asarray(config.betas), config.span / config.steps
    return {
        "coarse": jax.vmap(lambda beta: at(beta, path, dt))(betas),
        "fine": jax.vmap(lambda beta: at(beta, path.refine(2), dt / 2))(betas),
    }


def _ends(key, config: Config):
    """R of two cold tokens on S² when they have met or parted, for each start."""
    space, dim = Sphere(3), 3

    def one(overlap):
        model, start = Model(space, common=Heads(config.cold)), Particles(space, _pair(dim, overlap))
        end = evolve(model, start, until=dim * config.end, dt=_step(config) * dim, path=Brownian(key)).final.positions
        return end[0] @ end[1]

    return jax.vmap(one)(jnp.asarray(config.overlaps))


def _step(config: Config) -> float:
    return config.end / round(50 * config.end)


def _walks(config: Config, key):
    """R of the low-temperature diffusion at the end, shape (walkers, starts)."""
    model = low_temperature().model
    start = np.repeat(np.arctanh(config.overlaps)[None], config.walkers, axis=0)
    cloud = Particles(model.space, start.reshape(-1, 1))
    run = evolve(model, cloud, until=config.end, dt=2 * _step(config), path=Brownian(key), scheme=diffrax.Heun())
    return np.tanh(np.asarray(run.final.positions)).reshape(start.shape)


def _grid(config: Config, key) -> Figure:
    """The share of pairs with R > 0 over the temperature and the dimension, from the one-dimensional model."""
    betas, logs = np.linspace(0, 3, config.nodes), np.linspace(0, 5, config.nodes)
    one = partial(_share, config=config, key=key)
    shares = np.asarray(jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(jnp.asarray(betas), 2 * 2.0**logs))
    film = Film(
        np.moveaxis(shares, 2, 0)[None], (3.0, 5.0), ["dimension"], [f"$t = {t}$" for t in _GRID_TIMES],
        "share of pairs with $R > 0$", r"$\beta$", r"$\log_2(d/2)$",
    )  # fmt: skip
    caption = (
        f"The one-dimensional model of two tokens, R = −{-_GRID_START:g} at first, over a grid of temperatures and "
        "dimensions, all in the same noise: the share of pairs whose overlap is positive. The edge goes to cosh²β = "
        "(d − 1)/2: above it all pairs meet in the end; below it a part of them, and in the clock t/d of the noise."
    )
    return Figure(caption, [film])


def _share(beta, dim, config: Config, key):
    model = two_tokens(dim, beta).model
    cloud = Particles(model.space, jnp.full((config.grid_pairs, 1), np.arctanh(_GRID_START)))
    share = {"met": lambda model, mu: jnp.mean(mu.positions > 0)}
    every = round(_GRID_TIMES[0] / _GRID_STEP)
    settings = {"until": _GRID_TIMES[-1], "dt": _GRID_STEP, "path": Brownian(key), "observe": share, "every": every}
    return evolve(model, cloud, **settings).observed["met"][np.array(_GRID_TIMES) // _GRID_TIMES[0]]


def _threshold_claims(config: Config, near) -> list[Claim]:
    remainder, origin = _remainder(config), "order 2 after extrapolation: log(1 + h) leaves h²/6, allowed for twice"
    claims, wrong, missed, points = [], 0, 0, 0
    for dim, (fine, coarse) in near.items():
        theory = antipode_rate(dim, np.array(config.betas))
        rate = average(2 * fine - coarse)
        certain = _certain(rate, remainder)
        wrong += int(np.sum(certain & (np.sign(rate.value) != np.sign(theory))))
        missed += int(np.sum(certain & (rate.value < 0)))
        points += int(np.sum(certain))
        i = int(np.argmin(np.abs(theory)))
        claims.append(
            Claim(
                statement=(
                    rf"Near the antipode $\log(1+R)$ of two tokens has the mean rate $2((d-1)/(2\cosh^2\beta)-1)/d$: "
                    rf"$d={dim}$, $\beta={config.betas[i]:g}$"
                ),
                predicted=float(theory[i]),
                measured=rate[i],
                tolerance=remainder,
                origin=origin,
                excludes=Rival("no Itô correction of the logarithm", _blind_rate(dim, config.betas[i])),
                reference=_PAPER,
            )
        )
        if dim > 3:
            claims.append(
                Claim(
                    statement=rf"For $d={dim}$ the antipodal state begins to attract where $(d-1)/\cosh^2\beta$ is",
                    predicted=2.0,
                    measured=_root(config, dim, 2 * fine - coarse),
                    tolerance=dim * remainder,
                    origin=f"d times that of the rate. {origin}",
                    excludes=Rival("cosh²β = d − 1, a factor 2 that is missing", 1.0),
                    reference=_PAPER,
                )
            )
    claims.append(
        Claim(
            statement=(
                rf"The antipodal state attracts if and only if $(d-1)/\cosh^2\beta<2$: exceptions among the {points} "
                rf"points "
                r"$(d,\beta)$ where the sign of the rate is certain"
            ),
            predicted=0.0,
            measured=float(wrong),
            excludes=Rival("it repels always, as without Itô's correction", float(missed)),
            reference=_PAPER,
        )
    )
    return claims


def _remainder(config: Config) -> float:
    """A step of length h adds log(1 + h) = h − h²/2 + h³/3: a sixth of h² is left by the extrapolation."""
    return (config.span / config.steps) ** 2 / 3


def _blind_rate(dim: int, beta: float) -> float:
    """The rate of log(1 + R) from the drift of R alone, ((d − 2)b + a)2/d, b = 1/(2cosh²β), a = 1 − b."""
    b = 0.5 / np.cosh(beta) ** 2
    return float(2 * ((dim - 2) * b + 1 - b) / dim)


def _certain(rate: Estimate, remainder: float) -> np.ndarray:
    """Where an interval of the talk's level has no zero."""
    low, high = rate.interval(1 - LEVEL)
    return (low > remainder) | (high < -remainder)


def _root(config: Config, dim: int, rates) -> Estimate:
    """Where the rate, which is linear in g = (d − 1)/cosh²β, is zero."""
    g = (dim - 1) / np.cosh(np.array(config.betas)) ** 2
    design = np.linalg.pinv(np.stack([np.ones_like(g), g]))
    found = jackknife(rates).map(lambda mean: -(mean @ design)[..., 0] / (mean @ design)[..., 1]).estimate
    return Estimate(float(found.value), float(found.stderr), float(found.freedom))


def _cold_claims(config: Config, ends, walks) -> list[Claim]:
    # Where a walk is at the end has a sign that is not yet final with this probability, for either sign.
    open_end = float(norm.cdf(-np.sqrt(config.end / 2)))
    model = two_tokens(3, config.cold).model
    claims = []
    for i, overlap in enumerate(config.overlaps):
        martingale = Rival("R a martingale, (1 + R₀)/2", 0.5 * (1 + overlap))
        limit = low_temperature(overlap)["meeting probability"]
        share, interval = _share_met(walks[:, i])
        claims.append(
            Claim(
                statement=(
                    rf"As $\beta\to\infty$ two tokens with $R_0={overlap:g}$ meet with probability "
                    r"$1/2+\arcsin(R_0)/\pi$"
                ),
                predicted=limit,
                measured=share,
                interval=interval,
                tolerance=open_end,
                origin="the sign of R at the end, Φ(−√(T/2)); the step's own error is of second order",
                excludes=martingale,
                reference=_PAPER,
            )
        )
        share, interval = _share_met(ends[:, i])
        claims.append(
            Claim(
                statement=(
                    rf"Two tokens on $S^2$, $\beta={config.cold:g}$, $R_0={overlap:g}$, meet with the probability "
                    rf"that the "
                    "scale function of their overlap gives"
                ),
                predicted=float(meeting_probability(model, overlap)),
                measured=share,
                interval=interval,
                tolerance=open_end + _step(config),
                origin="the sign of R at the end, Φ(−√(T/2)), and weak order 1 in the clock t/d",
                excludes=Rival("the limit of infinite β", limit),
                reference=_PAPER,
            )
        )
    return claims


def _share_met(ends) -> tuple[float, tuple[float, float]]:
    met = int(np.sum(ends > 0))
    return met / len(ends), binomial_interval(met, len(ends), 1 - LEVEL)


def _phase_figure(config: Config, near, ends, walks) -> Figure:
    signs = {1.0: ([], []), -1.0: ([], []), 0.0: ([], [])}
    growth = []
    for dim, (fine, coarse) in near.items():
        rate = average(2 * fine - coarse)
        certain = _certain(rate, _remainder(config))
        for beta, sign in zip(config.betas, np.where(certain, np.sign(rate.value), 0.0), strict=True):
            signs[sign][0].append(beta)
            signs[sign][1].append(dim)
        g = (dim - 1) / np.cosh(np.array(config.betas)) ** 2
        shown = g < _LARGEST
        growth.append(Series(g[shown], dim * rate.value[shown], f"d = {dim}", dim * rate.stderr[shown], "points"))
    growth.append(Series([0, _LARGEST], [-2, _LARGEST - 2], r"$(d-1)/\cosh^2\beta-2$", kind="dashed"))
    betas = np.linspace(0, max(config.betas), 100)
    phases = [
        Series(*signs[1.0], "measured: repels", kind="points"),
        Series(*signs[-1.0], "measured: attracts", kind="points"),
        Series(*signs[0.0], "measured: neither", kind="points"),
        Series(betas, 1 + 2 * np.cosh(betas) ** 2, r"$\cosh^2\beta=(d-1)/2$", kind="dashed"),
    ]
    r = np.linspace(-0.98, 0.98, 80)
    cold = two_tokens(3, config.cold).model
    met, met_tokens = average(walks > 0), average(ends > 0)
    meeting = [
        Series(config.overlaps, met.value, r"$\beta=\infty$, one dimension", met.stderr, "points"),
        Series(config.overlaps, met_tokens.value, f"tokens, β = {config.cold:g}", met_tokens.stderr, "points"),
        Series(r, 0.5 + np.arcsin(r) / np.pi, r"$1/2+\arcsin(R_0)/\pi$", kind="dashed"),
        Series(r, meeting_probability(cold, r), f"scale function, β = {config.cold:g}, d = 3"),
    ]
    caption = (
        "Left: whether opposite tokens stay opposite. Middle: the mean rate of log(1 + R) near the "
        "antipode, times d, is one line in (d − 1)/cosh²β. Right: the probability that two tokens meet, by their "
        "first overlap; as β grows it goes to the law of arcsin, by β^(−1/2)."
    )
    panels = [
        Panel(r"inverse temperature $\beta$", "dimension $d$", phases, "Antipodal state", yscale="log"),
        Panel(r"$(d-1)/\cosh^2\beta$", r"$d\cdot$ rate of $\log(1+R)$", growth, "Growth near the antipode"),
        Panel("first overlap $R_0$", "probability to meet", meeting, "Cold tokens"),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="collapse",
    title="Collapse: dimension, temperature and the length of the context",
    statement=(
        r"Tokens in deep random layers with Gaussian values and $Q^\top K=\beta I$. Two of them have an overlap "
        r"$R=\tanh u$ that moves by itself, $$du=\frac{(d-2)b+aR}{d}\,dt+\sqrt{2a/d}\,dB,\qquad "
        r"a=p^2+(1-p)^2,\ b=2p(1-p),\ p=\frac1{1+e^{-\beta(1-R)}}.$$ They always may meet, at $u=\infty$. "
        r"But near $u=-\infty$, opposite to one another, $\log(1+R)$ has the mean rate "
        r"$2\big((d-1)/(2\cosh^2\beta)-1\big)/d$: the antipodal state attracts if and only if "
        r"$(d-1)/\cosh^2\beta<2$, that is for cold tokens or in low dimension. As $\beta\to\infty$, $\arcsin R$ is "
        r"a martingale, and tokens meet with the probability $\frac12+\arcsin(R_0)/\pi$. With $n$ tokens in high "
        r"dimension the overlaps stay equal, and collapse takes about $\log(n-1)$ where $e^\beta<n$, and far "
        r"longer for colder tokens, which listen to themselves."
    ),
    what=lambda c: (
        f"Two tokens near the antipode, u = {c.near:g}, for d = {', '.join(map(str, c.dims))} and β = "
        f"{', '.join(f'{b:g}' for b in c.betas)}, over a time {c.span:g} in {c.steps} steps and twice as many, "
        f"{c.replicas} replicas, with the martingale part of log(1 + R) as a control variate; {c.pairs} pairs of cold "
        f"tokens on S² and {c.walkers} walks of their limit; a grid of {c.nodes}² one-dimensional models; n = "
        f"{', '.join(map(str, c.contexts.sizes))} orthonormal tokens for d = {', '.join(map(str, c.contexts.dims))}, "
        f"{c.contexts.environments} environments and their opposites, {c.contexts.steps} steps up to t = "
        f"{c.contexts.until:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(
        dims=(3, 8, 32),
        betas=(0.4, 0.8, 1.2, 1.6, 2.0, 2.4),
        replicas=768,
        overlaps=(-0.5, 0.5),
        pairs=8192,
        walkers=10_000,
        nodes=24,
        grid_pairs=200,
        contexts=Contexts.quick(),
    ),
    references=(
        "H. Koubbi, B. Geshkovski and P. Rigollet, Homogenized Transformers, arXiv 2604.01978.",
        "B. Geshkovski, C. Letrouit, Y. Polyanskiy and P. Rigollet, A mathematical perspective on Transformers.",
    ),
)
