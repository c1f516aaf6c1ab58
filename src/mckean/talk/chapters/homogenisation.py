"""Chapter: deep random Transformers, and the equations to which their layers tend."""

import math
from dataclasses import dataclass

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.catalogue import random_transformer, toy_transformer
from mckean.dynamics import Layers, Moebius, ParticleScheme, evolve
from mckean.dynamics.layers import modified
from mckean.interactions import Attention
from mckean.measures import Particles
from mckean.models import Heads, Model
from mckean.paths import Brownian, Record
from mckean.spaces import Sphere
from mckean.statistics import Estimate, average, log_slope, replicate, root_mean_square
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series


@dataclass(frozen=True)
class Config:
    dim: int = 8
    tokens: int = 6
    beta: float = 1.0
    depth: float = 1.0  # t = Lη of the regimes with a mean field
    steps: tuple[float, ...] = (0.25, 0.125, 0.0625)  # η
    heads: int = 64
    replicas: int = 512
    clock: float = 2.0  # s = Lη²/H of the regime with common noise
    layers: tuple[int, ...] = (4, 8, 16)
    pairs: int = 32768
    wide: int = 64
    networks: int = 256
    clocks: tuple[tuple[float, int], ...] = ((0.4, 4), (0.2, 1), (0.4, 16))  # η and H
    fine: float = 0.005


_PAPER = "Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978"
_OBSERVE = {"m": observables.mean_overlap}


def _model(config: Config, intensity) -> Model:
    """B = (I + ξ)m: attention with values that are the identity in mean, and Gaussian about it."""
    noise = Heads(config.beta, intensity=intensity)
    return Model(Sphere(config.dim), drift=Attention(config.beta), common=noise)


def _start(config: Config) -> Particles:
    return Particles(Sphere(config.dim), jnp.eye(config.tokens, config.dim))


def _network(key, config: Config, eta: float, intensity):
    """Mean overlap at depth t of one network and of that with the opposite fluctuations, whose mean is more precise."""
    model = _model(config, intensity)
    weights = Brownian(key).environment.record(round(config.depth / eta), eta, config.dim**2).increments

    def end(sign):
        path = Brownian(key, Record(sign * weights, eta))
        run = evolve(model, _start(config), until=config.depth, dt=eta, path=path, scheme=Layers())
        return observables.mean_overlap(model, run.final)

    return jax.vmap(end)(jnp.asarray([1.0, -1.0]))


def _flow(model: Model, config: Config) -> float:
    """The mean overlap at depth t under a deterministic model."""
    run = evolve(model, _start(config), until=config.depth, dt=config.depth / 64, scheme=diffrax.Tsit5())
    return float(observables.mean_overlap(model, run.final))


def _couple(key, config: Config, layers: int):
    """Mean overlaps at s of the network of so many layers, and of that of twice as many in the same environment."""
    model = random_transformer(config.dim, config.beta).model
    coarse = {"until": config.clock, "scheme": Layers(), "observe": _OBSERVE}
    run = lambda path, dt: evolve(model, _start(config), path=path, dt=dt, **coarse).observed["m"][-1]  # noqa: E731
    dt = config.clock / layers
    return jnp.stack([run(Brownian(key), dt), run(Brownian(key).refine(2), dt / 2)])


def _clocks(config: Config) -> list:
    """Model, step and scheme of networks with random QᵀK and their limit, of one at β = 0 and of the toy model."""
    deep = [(random_transformer(config.wide // 4, 1.0, heads, spread=1.0).model, eta**2 / heads, Layers())
            for eta, heads in config.clocks]  # fmt: skip
    limit = (random_transformer(config.wide // 4, 1.0, 1, spread=1.0).model, config.fine, ParticleScheme())
    hot = (random_transformer(config.wide, 0.0).model, 4 * config.fine, Layers())
    return [*deep, limit, hot, (toy_transformer(config.wide).model, 2 * config.fine, Moebius())]


def _along(key, config: Config, model: Model, dt: float, scheme):
    """Mean overlap of orthonormal tokens along the clock."""
    start = Particles(model.space, jnp.eye(config.tokens, model.space.dim))
    run = evolve(model, start, until=config.clock, dt=dt, path=Brownian(key), scheme=scheme, observe=_OBSERVE,
                 every=round(config.clock / dt) // 10)  # fmt: skip
    return run.observed["m"]


def run(config: Config, key, progress) -> Result:
    keys = jax.random.split(key, 4)
    work = _Work(config, progress)
    few, many = (
        [work(_network, jax.random.fold_in(k, i), config.replicas, eta=eta, intensity=jnp.asarray(eta / heads(eta)))
         for i, eta in enumerate(config.steps)]
        for k, heads in ((keys[0], lambda eta: config.heads), (keys[1], lambda eta: 1 / eta))
    )  # fmt: skip
    levels = [work(_couple, jax.random.fold_in(keys[2], layers), config.pairs, layers=layers)
              for layers in config.layers]  # fmt: skip
    runs = [
        work(_along, jax.random.fold_in(keys[3], i), config.networks, model=model, dt=dt, scheme=scheme)
        for i, (model, dt, scheme) in enumerate(_clocks(config))
    ]
    limit = _flow(modified(_model(config, 0.0), 0.0), config)
    near = [_flow(modified(_model(config, 0.0), eta), config) for eta in config.steps]
    claims = [
        *_ode_claims(config, few, limit),
        *_modified_claims(config, many, limit, near),
        *_noise_claims(config, levels),
        *_clock_claims(config, runs),
    ]
    return Result(claims, [_figure(config, few, many, limit, near, levels, runs)])


class _Work:
    """Replicas of one thing after another, with the progress of all."""

    def __init__(self, config: Config, progress):
        self.config, self.progress, self.done = config, progress, 0
        self.total = 2 * len(config.steps) + len(config.layers) + len(config.clocks) + 3

    def __call__(self, one, key, replicas: int, **options):
        found = replicate(eqx.Partial(one, config=self.config, **options), key, replicas)
        self.done += 1
        self.progress(self.done / self.total)
        return found


def _bias(samples, reference: float) -> Estimate:
    """|E m − reference| from pairs of networks with opposite fluctuations."""
    mean = average(samples.mean(axis=1))
    return Estimate(abs(mean.value - reference), mean.stderr)


def _spread(samples, reference: float) -> Estimate:
    """√E(m − E m)²: the odd part in the fluctuations, half of the difference of a pair."""
    return root_mean_square(0.5 * (samples[:, 0] - samples[:, 1]))


def _stack(estimates) -> Estimate:
    return Estimate(np.array([e.value for e in estimates]), np.array([e.stderr for e in estimates]))


def _order(name: str, order: float, h, errors: Estimate, reference: str) -> Claim:
    """The exponent of the finest two errors.

    Errors Ch^p(1 + ah + bh² + …) have exponents p + (ah + …): twice the last change of them covers what is left but for
    bh < −a/5.
    """
    h = np.asarray(h, float)
    last, before = (
        log_slope(h[i], Estimate(errors.value[i], errors.stderr[i])) for i in (slice(-2, None), slice(-3, -1))
    )
    change = abs(last.value - before.value)
    return Claim(
        statement=name,
        predicted=order,
        measured=last.value,
        stderr=last.stderr,
        tolerance=2 * change,
        origin="next order: twice the last change of the exponent",
        reference=reference,
    )


def _ode_claims(config: Config, few, limit: float) -> list[Claim]:
    bias = _stack([_bias(s, limit) for s in few])
    spread = _stack([_spread(s, limit) for s in few])
    return [
        _order("mean field, H fixed: order in η of |E m − m_ODE| at t = Lη", 1.0, config.steps, bias, _PAPER),
        _order("mean field, H fixed: order in η of the standard deviation of m, √α = √(η/H)", 0.5, config.steps, spread,
               _PAPER),
    ]  # fmt: skip


def _modified_claims(config: Config, many, limit: float, near) -> list[Claim]:
    first = _stack([_bias(s, limit) for s in many])
    second = _stack([_bias(s, m) for s, m in zip(many, near, strict=True)])
    return [
        _order("mean field, H = 1/η: order in η of |E m − m_ODE|", 1.0, config.steps, first, _PAPER),
        _order("mean field, H = 1/η: order in η of |E m − m| for the modified ODE", 2.0, config.steps, second,
               "arXiv 2604.01978, with the term of the radial part of b restored"),
    ]  # fmt: skip


def _noise_claims(config: Config, levels) -> list[Claim]:
    ds = [config.clock / layers for layers in config.layers]
    change = _stack([_change(pair) for pair in levels])
    return [
        _order(f"no mean field, β = {config.beta:g}: order in η²/H of E m at s = {config.clock:g}", 1.0, ds, change,
               _PAPER),
    ]  # fmt: skip


def _change(pair) -> Estimate:
    mean = average(pair[:, 0] - pair[:, 1])
    return Estimate(abs(mean.value), mean.stderr)


def _clock_claims(config: Config, runs) -> list[Claim]:
    *deep, limit, hot, toy = [average(seen) for seen in runs]
    at = f"mean overlap at s = {config.clock:g}"

    def claim(name: str, mean: Estimate, law: Estimate, step: float) -> Claim:
        error = math.hypot(mean.stderr[-1], law.stderr[-1])
        origin = "weak order 1: the sum of both steps"
        return Claim(
            statement=name,
            predicted=float(law.value[-1]),
            measured=float(mean.value[-1]),
            stderr=error,
            tolerance=step,
            origin=origin,
            reference=_PAPER,
        )

    random = [
        claim(f"random QᵀK, {_label(config, eta, heads)}: {at} against that in steps of {config.fine:g}", mean, limit,
              eta**2 / heads + config.fine)
        for (eta, heads), mean in zip(config.clocks, deep, strict=True)
    ]  # fmt: skip
    return [*random, claim(f"β = 0, d = {config.wide}: {at} against the toy model", hot, toy, 6 * config.fine)]


def _label(config: Config, eta: float, heads: int) -> str:
    return f"η = {eta:g}, H = {heads}, L = {round(config.clock * heads / eta**2)}"


def _figure(config: Config, few, many, limit, near, levels, runs) -> Figure:
    eta = np.asarray(config.steps)
    curves = [
        ("ODE, H fixed", _stack([_bias(s, limit) for s in few])),
        ("standard deviation, H fixed", _stack([_spread(s, limit) for s in few])),
        ("ODE, H = 1/η", _stack([_bias(s, limit) for s in many])),
        ("modified ODE, H = 1/η", _stack([_bias(s, m) for s, m in zip(many, near, strict=True)])),
    ]
    regimes = [Series(eta, e.value, name, e.stderr, "points") for name, e in curves]
    regimes += [
        Series(eta, e.value[-1] * (eta / eta[-1]) ** p, kind="dashed")
        for (_, e), p in zip(curves, (1.0, 0.5, 1.0, 2.0), strict=True)
    ]
    ds = np.asarray([config.clock / layers for layers in config.layers])
    change = _stack([_change(pair) for pair in levels])
    noise = [
        Series(ds, change.value, "change from halving the step", change.stderr, "points"),
        Series(ds, change.value[-1] * ds / ds[-1], "order 1", kind="dashed"),
    ]
    *deep, limit, hot, toy = [average(seen) for seen in runs]
    times = np.linspace(0, config.clock, len(limit.value))
    collapse = [
        Series(times, limit.value, rf"limit, $d$ = {config.wide // 4}, $\beta$ = 1"),
        Series(times, toy.value, f"toy model, $d$ = {config.wide}", kind="dashed"),
        Series(times, hot.value, rf"layers, $d$ = {config.wide}, $\beta$ = 0", hot.stderr, "points"),
    ]
    collapse += [
        Series(times, mean.value, _label(config, eta, heads), mean.stderr, "points")
        for (eta, heads), mean in zip(config.clocks, deep, strict=True)
    ]
    caption = (
        "Left: with a mean field, errors of the mean overlap at depth t = Lη; dashed: orders 1, ½, 1 and 2. Middle: "
        "without one, the change of the mean overlap as the step η²/H is halved in one environment. Right: networks of "
        "very different depth on one clock."
    )
    panels = [
        Panel(r"$\eta$", "error of the mean overlap", regimes, xscale="log", yscale="log"),
        Panel(r"$\eta^2/H$", "change of the mean overlap", noise, xscale="log", yscale="log"),
        Panel(r"clock $s = L\eta^2/H$", "mean overlap of distinct tokens", collapse),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="homogenisation",
    title="Deep random Transformers: from layers to a stochastic equation",
    statement=(
        "A layer moves all tokens by the same random field, $x\\leftarrow N\\big(x+\\tfrac\\eta H\\sum_h "
        "B_{\\theta_h}[\\mu](x)\\big)$. With $b=E B$, $\\sigma^2$ the variance of $B$ and $\\alpha=\\eta\\sigma^2/H$, "
        "$L$ layers tend to $x'=b$ where $\\alpha\\eta L$ and $\\eta^2L$ are small; to a modified equation where "
        "$\\eta^3L$ is small, but $\\eta^2L$ is not; and, where $\\alpha\\eta L$ is of order one, to an equation with "
        "noise common to all tokens. With Gaussian values and $b=0$ the network has the law of an Euler step of length "
        "$\\eta^2/H$ of that equation: depth, heads and step enter through the clock $s=L\\eta^2/H$ alone, up to "
        "$O(\\eta^2/H)$. The modified equation is "
        "$$x'=Pb-\\eta\\big(\\tfrac12\\nabla_{Pb}Pb+\\langle x,b\\rangle Pb\\big).$$ Its last term, due to the "
        "radial part of $b$, is missing in $b-\\tfrac\\eta2\\nabla_bb$, which is right for layers that add tangent "
        "vectors; without it the second order is not there."
    ),
    what=lambda c: (
        f"Mean field: values I plus Gaussian ones, β = {c.beta:g}, {c.tokens} orthonormal tokens in R^{c.dim}, "
        f"depth t = {c.depth:g}, η = {', '.join(f'{e:g}' for e in c.steps)}, H = {c.heads} or 1/η, {c.replicas} "
        f"networks and their opposites. None: {', '.join(map(str, c.layers))} layers up to s = {c.clock:g}, {c.pairs} "
        f"environments. Clocks: {c.networks} networks each, d = {c.wide // 4} with random QᵀK, d = {c.wide} at β = 0."
    ),
    run=run,
    config=Config(
        steps=(0.25, 0.125, 0.0625, 0.03125), replicas=4096, layers=(4, 8, 16, 32), pairs=2**17, networks=1024
    ),
    quick=Config(replicas=256, pairs=8192, networks=96),
    references=(
        "H. Koubbi, B. Geshkovski and P. Rigollet, Homogenized Transformers, arXiv 2604.01978.",
        "B. Geshkovski, C. Letrouit, Y. Polyanskiy and P. Rigollet, A mathematical perspective on Transformers.",
    ),
)
