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
from mckean.statistics import Estimate, average, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Film, Panel, Result, Series
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
    overlaps: tuple[float, ...] = (-0.8, -0.4, 0.0, 0.4, 0.8)
    cold: float = 6.0
    end: float = 20.0
    pairs: int = 8192
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
    ends = replicate(partial(_ends, config=config), jax.random.fold_in(key, 1001), config.pairs)
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
    origin = "weak order 1: the change at half the step, before the extrapolation that removes it"
    claims, wrong, points = [], 0, 0
    for dim, (fine, coarse) in near.items():
        theory = antipode_rate(dim, np.array(config.betas))
        rate, change = _extrapolate(fine, coarse)
        certain = np.abs(rate.value) > 4 * rate.stderr + change
        wrong += int(np.sum(certain & (np.sign(rate.value) != np.sign(theory))))
        points += int(np.sum(certain))
        i = int(np.argmin(np.abs(theory)))
        claims.append(
            Claim(
                statement=f"d = {dim}, β = {config.betas[i]:g}: mean rate of log(1 + R) of two nearly opposite tokens",
                predicted=float(theory[i]),
                measured=float(rate.value[i]),
                stderr=float(rate.stderr[i]),
                tolerance=float(change[i]),
                origin=origin,
                reference=_PAPER,
            )
        )
        if dim > 3:
            root, error = _root(config, dim, fine, coarse)
            claims.append(
                Claim(
                    statement=f"d = {dim}: (d − 1)/cosh²β where the antipodal state begins to attract",
                    predicted=2.0,
                    measured=root.value,
                    stderr=root.stderr,
                    tolerance=error,
                    origin=origin,
                    reference=_PAPER,
                )
            )
    claims.append(
        Claim(
            statement=(
                f"points (d, β), of the {points} where the sign of the rate is certain, at which it is not that of "
                "(d − 1)/cosh²β − 2"
            ),
            predicted=0.0,
            measured=float(wrong),
            reference=_PAPER,
        )
    )
    return claims


def _extrapolate(fine, coarse) -> tuple[Estimate, np.ndarray]:
    """The rates without their error of first order in the step, and that error."""
    return average(2 * fine - coarse), np.abs(np.mean(fine - coarse, axis=0))


def _root(config: Config, dim: int, fine, coarse) -> tuple[Estimate, float]:
    """Where the rate, which is linear in g = (d − 1)/cosh²β, is zero; the jackknife over replicas gives the error."""
    g = (dim - 1) / np.cosh(np.array(config.betas)) ** 2
    design = np.linalg.pinv(np.stack([np.ones_like(g), g]))
    root = lambda rates: -(rates @ design)[..., 0] / (rates @ design)[..., 1]  # noqa: E731
    best = 2 * fine - coarse
    n = len(best)
    left_out = root((best.sum(axis=0) - best) / (n - 1))
    value = float(root(best.mean(axis=0)))
    stderr = float(np.sqrt((n - 1) * left_out.var()))
    return Estimate(value, stderr), abs(value - float(root(fine.mean(axis=0))))


def _cold_claims(config: Config, ends, walks) -> list[Claim]:
    # Where a walk is at the end has a sign that is not yet final with this probability, for either sign.
    open_end = float(norm.cdf(-np.sqrt(config.end / 2)))
    model = two_tokens(3, config.cold).model
    claims = []
    for i, overlap in enumerate(config.overlaps):
        met = average(walks[:, i] > 0)
        claims.append(
            Claim(
                statement=f"low temperature, R₀ = {overlap:g}: P(R_∞ = 1) = ½ + arcsin(R₀)/π",
                predicted=low_temperature(overlap)["meeting probability"],
                measured=float(met.value),
                stderr=float(met.stderr),
                tolerance=open_end,
                origin="the sign of R at the end, Φ(−√(T/2)); the step's own error is of second order",
                reference=_PAPER,
            )
        )
        met = average(ends[:, i] > 0)
        claims.append(
            Claim(
                statement=f"tokens on S², β = {config.cold:g}, R₀ = {overlap:g}: P(R_∞ = 1) by the scale function",
                predicted=float(meeting_probability(model, overlap)),
                measured=float(met.value),
                stderr=float(met.stderr),
                tolerance=open_end + _step(config),
                origin="the sign of R at the end, Φ(−√(T/2)), and weak order 1 in the clock t/d",
                reference=_PAPER,
            )
        )
    return claims


def _phase_figure(config: Config, near, ends, walks) -> Figure:
    signs = {1.0: ([], []), -1.0: ([], []), 0.0: ([], [])}
    growth = []
    for dim, (fine, coarse) in near.items():
        rate, change = _extrapolate(fine, coarse)
        certain = np.abs(rate.value) > 4 * rate.stderr + change
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
        f"{c.contexts.environments} environments, {c.contexts.steps} steps up to t = {c.contexts.until:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(
        dims=(3, 8, 32),
        betas=(0.4, 0.8, 1.2, 1.6, 2.0, 2.4),
        replicas=512,
        overlaps=(-0.5, 0.5),
        pairs=2048,
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
