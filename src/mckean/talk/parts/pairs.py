"""Part of chapter *homogenisation*: two tokens, whose overlap is a diffusion of its own, where the noise stays."""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from mckean.catalogue import expected_overlap, random_transformer, toy_pair, two_tokens
from mckean.dynamics import Layers, evolve
from mckean.interactions import Attention
from mckean.measures import Particles
from mckean.models import Heads, Model
from mckean.paths import Brownian, Record
from mckean.spaces import Euclidean, Sphere
from mckean.statistics import Estimate, average, jackknife, replicate
from mckean.talk.claims import Claim, Panel, Rival, Series

_PAPER = "Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978"


@dataclass(frozen=True)
class Pairs:
    """Two orthogonal tokens of S^{d−1}: layers of several lengths in one environment, and networks on one clock."""

    dim: int = 4
    until: float = 1.0  # Lη
    steps: tuple[float, ...] = (1 / 8, 1 / 16, 1 / 32)  # η, each half of the one before
    replicas: int = 2**17
    spread: float = 4.0
    clock: float = 1.6  # s = Lη²/H
    clocks: tuple[tuple[float, int], ...] = ((0.2, 1), (0.4, 4), (0.1, 1))  # η and H
    networks: int = 2**15

    @classmethod
    def quick(cls) -> "Pairs":
        return cls(replicas=2**15, networks=2**14)


_CASES = {
    "mean field and noise": (1.0, 1.0, 0.5),
    "noise alone": (0.0, 1.0, 2.0),
    "noise alone, β = 0": (0.0, 0.0, 2.0),
}
"""The strength of the mean field, β, and the intensity η/H of the noise, with which α = σ²η/H."""


def _same(r):
    return r


def _square(r):
    return r**2


def run_pairs(config: Pairs, key, progress: Callable[[float], None]) -> tuple[list[Claim], list[Panel]]:
    first, second = jax.random.split(key)
    ends = replicate(eqx.Partial(_ends, config=config), first, config.replicas, config.replicas // 8)
    progress(0.5)
    runs = []
    for i, (eta, heads) in enumerate(config.clocks):
        one = eqx.Partial(_along, config=config, eta=eta, heads=heads)
        runs.append(replicate(one, jax.random.fold_in(second, i), config.networks, config.networks // 4))
        progress(0.5 + 0.5 * (i + 1) / len(config.clocks))
    laws = [_law(config, *case) for case in _CASES.values()]
    claims = [*_limit_claims(config, ends, laws), *_clock_claims(config, runs)]
    return claims, [_error_panel(config, ends, laws), _clock_panel(config, runs)]


def _start(dim: int) -> Particles:
    return Particles(Sphere(dim), jnp.eye(2, dim))


def _ends(key, config: Pairs):
    """R of two tokens at the end, shape (steps, cases, 2): each length of the layers, the weights or their "
    "opposites."""
    finest = config.steps[-1]
    weights = Brownian(key).environment.record(round(config.until / finest), finest, config.dim**2).increments

    def end(eta: float, case, sign):
        mean, beta, intensity = case
        path = Brownian(key, Record(sign * weights, finest)).coarsen(round(eta / finest))
        noise = Heads(beta, intensity=intensity)
        model = Model(Sphere(config.dim), drift=Attention(beta, value=mean), common=noise)
        x = evolve(model, _start(config.dim), until=config.until, dt=eta, path=path, scheme=Layers()).final.positions
        return x[0] @ x[1]

    cases, signs = jnp.asarray(list(_CASES.values())), jnp.asarray([1.0, -1.0])
    both = lambda eta: jax.vmap(lambda case: jax.vmap(lambda sign: end(eta, case, sign))(signs))(cases)  # noqa: E731
    return jnp.stack([both(eta) for eta in config.steps])


def _along(key, config: Pairs, eta: float, heads: int):
    """R along the clock of one network with random QᵀK."""
    model, dt = random_transformer(config.dim, 1.0, heads, spread=config.spread).model, eta**2 / heads
    observe = {"R": lambda model, mu: mu.positions[0] @ mu.positions[1]}
    every = round(config.clock / dt / 10)
    settings = {"until": config.clock, "dt": dt, "path": Brownian(key), "observe": observe, "every": every}
    return evolve(model, _start(config.dim), scheme=Layers(), **settings).observed["R"]


def _law(config: Pairs, mean: float, beta: float, intensity: float) -> float:
    """E R at the end of layers of length 0: the noise's equation, and u′ = 2(1 − p) by attention.

    p = 1/(1 + e^{−β(1−R)}) is the weight of a token for itself.
    """
    if mean == 0 and beta == 0:
        return _expected(toy_pair(config.dim, intensity).model, config.until)
    noise = two_tokens(config.dim, beta).model
    pull = lambda u, mu: 2 * mean / intensity * jax.nn.sigmoid(-beta * (1 - jnp.tanh(u)))  # noqa: E731
    both = Model(Euclidean(1), drift=lambda x, mu: noise.drift(x, mu) + pull(x, mu), noise=noise.noise)
    return _expected(both, intensity * config.until)


def _expected(model: Model, time: float, of: Callable = _same) -> float:
    return float(expected_overlap(model, 0.0, time, of))


def _limit_claims(config: Pairs, ends, laws) -> list[Claim]:
    (mean, beta, c), *_, (*_, alpha) = _CASES.values()
    t = config.until
    rivals = (
        _nearest(laws[0], Rival("the mean field without noise", _still(t)),
                 Rival("half of the noise's intensity", _law(config, mean, beta, 0.5 * c))),
        Rival("uniform attention, as for β = 0", laws[2]),
        _nearest(laws[2], Rival("β = 1", laws[1]),
                 Rival("Stratonovich's reading", _expected(toy_pair(config.dim, alpha, "stratonovich").model, t))),
    )  # fmt: skip
    told = (
        r"With a mean field and a noise that stays, $\eta/H={2:g}$, the overlap of two tokens tends to that of the "
        r"equation with both: its mean at $t={t:g}$",
        r"Without a mean field it tends to that of the equation of the noise, $\beta=1$, $\eta/H={2:g}$: its mean at "
        r"$t={t:g}$",
        r"At $\beta=0$ that is the toy Transformer, $\alpha={2:g}$: the mean overlap of two tokens at $t={t:g}$",
    )
    claims = []
    for i, case in enumerate(_CASES.values()):
        seen = ends[:, :, i].mean(axis=2)
        claims.append(
            Claim(
                statement=told[i].format(*case, t=t),
                predicted=laws[i],
                measured=average(2 * seen[:, -1] - seen[:, -2]),
                tolerance=0.5 * (max(1.0, case[2]) * config.steps[-2]) ** 2,
                origin="order 2 after extrapolation from η and 2η: half the square of 2η times the largest rate",
                excludes=rivals[i],
                reference=_PAPER,
            )
        )
    return [*claims, _order_claim(config, ends[:, :, 0].mean(axis=2))]


def _nearest(value: float, *rivals: Rival) -> Rival:
    return min(rivals, key=lambda rival: abs(rival.value - value))


def _order_claim(config: Pairs, seen) -> Claim:
    """Errors aη + bη² change by ½aη(1 + (3b/2a)η) from η to η/2."""
    changes = jackknife(seen[:, -3:-1] - seen[:, -2:])
    order = changes.map(lambda x: np.log2(np.abs(x[..., 0] / x[..., 1]))).estimate
    return Claim(
        statement=(
            r"Where both stay, the change of the mean overlap as layers are halved in one environment is a power of "
            r"$\eta$: the exponent"
        ),
        predicted=1.0,
        measured=Estimate(float(order.value), float(order.stderr), float(order.freedom)),
        tolerance=0.75 * config.steps[-3] / np.log(2),
        origin="the next order, for rates of order one: 3η/(4 log 2)",
        excludes=Rival("the strong order of noise, 1/2", 0.5),
        reference=_PAPER,
    )


def _still(t: float) -> float:
    """R of two orthogonal tokens at time t under attention with β = 1, without noise."""
    u = solve_ivp(lambda _, u: 2 / (1 + np.exp(1 - np.tanh(u))), (0.0, t), [0.0], rtol=1e-9).y[0, -1]
    return float(np.tanh(u))


def _clock_claims(config: Pairs, runs) -> list[Claim]:
    random, uniform, end = _random(config), two_tokens(config.dim, 0.0).model, config.clock
    told = {
        "overlap": (_same, 1.5, Rival("half of E_A", _expected(random, 0.5 * end))),
        "square of the overlap": (_square, 3.0, Rival("uniform attention", _expected(uniform, end, _square))),
    }
    claims = []
    for (eta, heads), seen in zip(config.clocks, runs, strict=True):
        for name, (of, delay, rival) in told.items():
            value = _expected(random, end, of)
            claims.append(
                Claim(
                    statement=(
                        rf"Under {_depth(config, eta, heads)} layers of {_count(heads)}, $\eta={eta:g}$, the mean "
                        rf"{name} of two tokens is that of the limit at $s=L\eta^2/H={end:g}$, with $E_A$ in it"
                    ),
                    predicted=value,
                    measured=average(of(seen[:, -1])),
                    tolerance=delay * eta**2 / heads * value,
                    origin="a layer R ← (R + Sh)/(1 + Ph) against R′ = S − RP: 3h/2 of R, twice that of R²",
                    excludes=rival,
                    reference=_PAPER,
                )
            )
    return claims


def _random(config: Pairs) -> Model:
    return two_tokens(config.dim, 1.0, config.spread).model


def _depth(config: Pairs, eta: float, heads: int) -> int:
    return round(config.clock * heads / eta**2)


def _count(heads: int) -> str:
    return "one random head" if heads == 1 else f"{heads} random heads"


def _error_panel(config: Pairs, ends, laws) -> Panel:
    eta = np.asarray(config.steps)
    series = []
    for i, (name, law) in enumerate(zip(_CASES, laws, strict=True)):
        error = average(ends[:, :, i].mean(axis=2) - law)
        series.append(Series(eta, error.value, name, error.stderr, "points"))
        series.append(Series([0, eta[0]], [0, error.value[0]], kind="dashed"))
    return Panel(r"$\eta$", r"$E R$ of the layers less that of the limit", series)


def _clock_panel(config: Pairs, runs) -> Panel:
    times = np.linspace(0, config.clock, 11)
    uniform = expected_overlap(two_tokens(config.dim, 0.0).model, 0.0, times, _square)
    series = [
        Series(times, expected_overlap(_random(config), 0.0, times, _square), r"limit, random $Q^\top K$"),
        Series(times, uniform, "limit, uniform attention", kind="dashed"),
    ]
    for (eta, heads), seen in zip(config.clocks, runs, strict=True):
        mean: Estimate = average(seen**2)
        label = f"η = {eta:g}, H = {heads}, L = {_depth(config, eta, heads)}"
        series.append(Series(times, mean.value, label, mean.stderr, "points"))
    return Panel(r"clock $s = L\eta^2/H$", "mean square of the overlap", series)
