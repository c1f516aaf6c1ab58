"""Chapter: particles that are not all alike, with frequencies of their own or of two species."""

import math
from dataclasses import dataclass

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mckean.catalogue import chimera, lorentzian_order
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import AbstractMeasure, Density, Family, Particles
from mckean.models import Graph, Model, Population, Thermal
from mckean.spaces import Torus
from mckean.statistics import average, fit_rate, jackknife, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series

_CIRCLE = Torus(1)
_WIDTH, _NOISE, _STEP = 1.0, 0.5, 0.05
_STRENGTHS = (2.5, 4.0, 8.0)
_DISPARITY, _LAG = 0.2, math.pi / 2 - 0.1
_OTT = "Ott and Antonsen, Chaos 18 (2008)"
_LOVASZ = "Lovász, Large Networks and Graph Limits (2012), ch. 10"
_ABRAMS = "Abrams, Mirollo, Strogatz and Wiley, Phys. Rev. Lett. 101 (2008)"


@dataclass(frozen=True)
class Config:
    size: int = 4000
    replicas: int = 32
    until: float = 40.0
    points: int = 80
    vertices: tuple[int, ...] = (64, 256, 1024)
    graphs: int = 32


def _moment(mu: AbstractMeasure) -> Array:
    return mu.integrate(lambda x: jnp.cos(x[0])) + 1j * mu.integrate(lambda x: jnp.sin(x[0]))


def _order(model, mu: AbstractMeasure) -> Array:
    return jnp.abs(_moment(mu))


def _orders(model, mu: Family) -> Array:
    return mu.each(lambda one: jnp.abs(_moment(one)))


def _kuramoto(strength, noise=None):
    return lambda omega: Model(
        _CIRCLE, interaction=kernels.Cosine(strength), drift=lambda x, mu: omega + 0 * x, noise=noise
    )


def _late_order(key, strength, config: Config) -> Array:
    """The mean of r over the second half of the time, of oscillators with Lorentzian frequencies that are drawn."""
    first, second = jax.random.split(key)
    omega = _WIDTH * jnp.tan(jnp.pi * (jax.random.uniform(first, (config.size,)) - 0.5))
    # From in step, so that r comes down to its value at the rate K/2 − γ and faster.
    start = 0.1 * jax.random.normal(second, (config.size, 1))
    run = evolve(
        Population(_kuramoto(strength), omega), Family.split(Particles(_CIRCLE, start), config.size),
        until=config.until, dt=_STEP, scheme=diffrax.Heun(), observe={"r": _order}, every=20,
    )  # fmt: skip
    r = run.observed["r"]
    return jnp.mean(r[r.shape[0] // 2 :])


def _rates(strengths: np.ndarray) -> np.ndarray:
    """The rates at which small waves of the densities grow, one density for each of 48 quantiles of the frequencies."""
    m, span = 48, 4.0
    omega = _WIDTH * np.tan(np.pi * ((np.arange(m) + 0.5) / m - 0.5))
    wave = Density.from_function(_CIRCLE.grid(8), lambda x: 1 + 1e-8 * jnp.cos(x[0]))
    family = Family([wave] * m)

    def late(strength):
        population = Population(_kuramoto(strength, Thermal(1 / _NOISE)), omega)
        r = evolve(population, family, until=24.0, dt=0.02, observe={"r": _order}, every=200).observed["r"]
        return jnp.log(r[-1] / r[-2]) / span

    return np.asarray(jax.jit(jax.vmap(late))(jnp.asarray(strengths)))


def _two_species(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Times, and the orders of both species from the stationary chimera on."""
    z = chimera(_DISPARITY, _LAG)
    near, far = 1 + _DISPARITY, 1 - _DISPARITY
    matrix = jnp.asarray([[near, far], [far, near]])
    pull = lambda x, mu: mu.integrate(lambda y: jnp.sin(y - x - _LAG))  # noqa: E731
    # Möbius images of equal distances: the mean is z up to |z|^n.
    wheel = np.exp(2j * np.pi * np.arange(config.points) / config.points)
    other = np.angle((wheel + z) / (1 + np.conj(z) * wheel)) % (2 * np.pi)
    family = Family([Particles(_CIRCLE, x[:, None]) for x in (np.zeros(config.points), other)])
    population = Population(lambda a: Model(_CIRCLE, drift=pull), jnp.arange(2), lambda a, b: matrix[a, b])
    run = evolve(
        population, family, until=config.until / 2, dt=0.05, scheme=diffrax.Heun(), observe={"r": _orders}, every=20
    )
    return np.asarray(run.times), np.asarray(run.observed["r"])


def _graphon(u, v):
    return 1 - jnp.maximum(u, v)


def _off_graphon(key, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """The mean square error of a vertex's Σ_jA_ije^{iθ_j}/m, by graph and size, and what is expected of it.

    A has the density α = m^{−1/2}, and θ is standard normal. The variance of a term is W/α − W²|Ee^{iθ}|².
    """
    found, expected = [], []
    for size, k in zip(config.vertices, jax.random.split(key, len(config.vertices)), strict=True):
        labels, errors = (np.arange(size) + 0.5) / size, []
        weights = np.asarray(_graphon(labels[:, None], labels)) * (1 - np.eye(size)) / size
        mean = weights.sum(axis=1) * math.exp(-0.5)
        for one in jax.random.split(k, config.graphs):
            first, second = jax.random.split(one)
            graph = Graph.sample(first, _graphon, labels, size**-0.5)
            z = np.exp(1j * np.asarray(jax.random.normal(second, (size,))))
            edges = np.asarray(graph.weights) * z[np.asarray(graph.acting)] / size
            pull = np.bincount(graph.acted, edges.real, size) + 1j * np.bincount(graph.acted, edges.imag, size)
            errors.append(np.mean(np.abs(pull - mean) ** 2))
        found.append(errors)
        expected.append(np.mean((weights * size**0.5 - size * weights**2 * math.exp(-1)).sum(axis=1)) / size)
    return np.asarray(found).T, np.asarray(expected)


def run(config: Config, key, progress) -> Result:
    *keys, graphs = jax.random.split(key, len(_STRENGTHS) + 1)
    orders = []
    for strength, k in zip(_STRENGTHS, keys, strict=True):
        late = eqx.Partial(_late_order, strength=jnp.asarray(strength), config=config)
        orders.append(average(replicate(late, k, config.replicas)))
        progress(0.2 + 0.15 * len(orders))
    strengths = np.array([3.4, 3.8])
    rates = _rates(strengths)
    progress(0.8)
    times, species = _two_species(config)
    off, expected = _off_graphon(graphs, config)
    claims = [*_ordered(orders, config), _threshold(strengths, rates), _stays(species), *_graphs(config, off, expected)]
    return Result(claims, [_figure(orders, times, species), _graph_figure(config, off, expected)])


def _ordered(orders: list, config: Config) -> list[Claim]:
    return [
        Claim(
            statement="Oscillators with Lorentzian frequencies have $r = \\sqrt{1 - 2\\gamma/K}$: r at "
            f"$K = {strength:g}\\gamma$",
            predicted=lorentzian_order(strength, _WIDTH),
            measured=found,
            tolerance=_bias(strength, config.size),
            origin="finite N, of order 1/N times the susceptibility; and oscillators that turn once in a step",
            excludes=Rival("frequencies that are all alike", 1.0),
            reference=_OTT,
        )
        for strength, found in zip(_STRENGTHS, orders, strict=True)
    ]


def _bias(strength: float, size: int) -> float:
    """How far E|z| may be from r.

    |z| exceeds r by half the variance of z across it over r, of order 1/N times the susceptibility of r. And
    oscillators with ωdt within Kr dt of a multiple of 2π look locked: their share is 4KrΣ_k g(2πk/dt) = Krγdt²/6π.
    """
    r = lorentzian_order(strength, _WIDTH)
    return 2 / size / (1 - 2 * _WIDTH / strength) / r**2 + strength * r * _WIDTH * _STEP**2 / (6 * math.pi)


def _threshold(strengths: np.ndarray, rates: np.ndarray) -> Claim:
    slope = (rates[1] - rates[0]) / (strengths[1] - strengths[0])
    return Claim(
        statement="With a noise of diffusivity $D = \\gamma/2$ small waves of the densities begin to grow at $K_c = "
        "2(\\gamma + D)$, in units of γ",
        predicted=2 * (_WIDTH + _NOISE),
        measured=float(strengths[0] - rates[0] / slope),
        # Beside e^{λt} there are modes that fall as e^{−Dt}: e^{−(λ + D)20} of it in the last 4 units of time, with a
        # coefficient of 4 at most. In K_c the two rates count 4 and 2 times. And r² at the end, 5e-9, is not linear.
        tolerance=6 * math.exp(-20 * (strengths[0] / 2 - _WIDTH)) + 1e-6,
        origin="modes of single frequencies after t = 20, and rounding of waves of 1e-8",
        excludes=Rival("noise and frequencies as one, by the larger: 2γ", 2 * _WIDTH),
        reference="Sakaguchi, Prog. Theor. Phys. 79 (1988)",
    )


def _stays(species: np.ndarray) -> Claim:
    r = abs(chimera(_DISPARITY, _LAG))
    return Claim(
        statement="Of two species alike, one stays in step and the other has the stationary order of the chimera: its "
        "mean over the time",
        predicted=r,
        measured=float(species[:, 1].mean()),
        tolerance=1e-4,
        origin="Heun's steps of 0.05: (dt²/6)·(rates ≤ 1)³ = 4e-4 a unit of time in phase, a quarter of it in r",
        excludes=Rival("both in step", 1.0),
        reference=_ABRAMS,
    )


def _graphs(config: Config, off: np.ndarray, expected: np.ndarray) -> list[Claim]:
    sizes = np.asarray(config.vertices, float)
    wide = "graph of $m$ vertices, of the density $m^{-1/2}$ and the graphon $1-\\max(u,v)$, "
    return [
        Claim(
            statement=f"On a random {wide}a vertex feels the limit up to a power of $1/m$: the exponent",
            predicted=0.25,
            measured=fit_rate(1 / sizes, jackknife(off, root=2)).slope,
            # The expected errors are no pure power: each ratio of them has an exponent that is known.
            tolerance=float(np.max(np.abs(-0.5 * np.diff(np.log(expected)) / np.diff(np.log(sizes)) - 0.25))),
            origin="the second term of $W/\\alpha-W^2|Ee^{i\\theta}|^2$, and loops, which are not drawn",
            excludes=Rival("that of a sample of all vertices, 1/2", 0.5),
            reference=_LOVASZ,
        ),
        Claim(
            statement=f"On such a {wide}the mean square error at m = {config.vertices[-1]}, relative to "
            "$m^{-3}\\sum_{i\\ne j}(W_{ij}/\\alpha-W_{ij}^2|Ee^{i\\theta}|^2)$",
            predicted=1.0,
            measured=average(off[:, -1] / expected[-1]),
            tolerance=1e-6,
            origin="rounding",
            excludes=Rival("the positions alone", _positions_alone(config) / float(expected[-1])),
            reference="independent edges, independent positions",
        ),
    ]


def _positions_alone(config: Config) -> float:
    """The error on the graphon itself, W²Var e^{iθ} in the mean: ∬W² = 1/6."""
    return (1 - math.exp(-1)) / 6 / config.vertices[-1]


def _graph_figure(config: Config, off: np.ndarray, expected: np.ndarray) -> Figure:
    sizes, error = np.asarray(config.vertices), jackknife(off, root=2)
    series = [
        Series(1 / sizes, np.asarray(error.value), "random graphs", np.asarray(error.stderr), "points"),
        Series(1 / sizes, np.sqrt(expected), "by theory"),
        Series(1 / sizes, np.sqrt(expected[0] * sizes[0] / sizes), "$m^{-1/2}$", kind="dashed"),
    ]
    caption = (
        "How far what a vertex feels on a random graph is from its limit. With edges of the density $m^{-1/2}$ a "
        "vertex has some $m^{1/2}$ neighbours, and their number counts, not that of all vertices."
    )
    return Figure(caption, [Panel("$1/m$", "error of the mean field, root mean square", series, "", "log", "log")])


def _figure(orders: list, times: np.ndarray, species: np.ndarray) -> Figure:
    strength = np.linspace(1.0, 8.5, 200)
    exact = np.array([lorentzian_order(k, _WIDTH) for k in strength])
    found = np.array([float(one) for one in orders])
    panels = [
        Panel("coupling K (units of γ)", "order parameter r",
              [Series(strength, exact, "√(1 − 2γ/K)"),
               Series(np.array(_STRENGTHS), found, "particles", kind="points")], vertical=((2.0, "K = 2γ"),)),
        Panel("time t", "order parameter r",
              [Series(times, species[:, 0], "first species"), Series(times, species[:, 1], "second species")]),
    ]  # fmt: skip
    caption = (
        "Left: order of oscillators with frequencies of their own; without differences r would be 1 at any K > 0. "
        "Right: a chimera, two species of the same oscillators, one in step and the other not."
    )
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="populations",
    title="Particles that are not all alike",
    statement=(
        "Give each particle a label $a$ that does not move: a frequency of its own, a species, a vertex of a graph. "
        "The measure then lives on labels and space, and a particle of label $a$ feels $$\\mu^a = \\sum_b w_b A(a, b)"
        "\\mu_b.$$ In the limit there is one density for each label. Kuramoto's oscillators with Lorentzian "
        "frequencies of width $\\gamma$ order where $K > 2\\gamma$, with $r = \\sqrt{1 - 2\\gamma/K}$, and with a "
        "noise of diffusivity $D$ where $K > 2(\\gamma + D)$. Two species of the same oscillators may come to rest in "
        "different states, one in step and the other not. The edges of a sparse graph may be drawn, with probability "
        "$\\alpha W(u_a,u_b)$: then what a vertex feels is off its limit, in which $A=W$, by the root of "
        "$1/(m\\alpha)$, where $m\\alpha$ is the order of its number of neighbours."
    ),
    what=lambda c: (
        f"{c.replicas} clouds of N = {c.size} oscillators with drawn frequencies up to t = {c.until:g}, by Heun's "
        f"steps of {_STEP:g}; densities at 48 quantiles of the frequencies with D = γ/2; two species of {c.points} "
        f"points, A = {_DISPARITY:g}, phase lag π/2 − 0.1; {c.graphs} random graphs of "
        f"{', '.join(map(str, c.vertices))} vertices each."
    ),
    run=run,
    config=Config(),
    quick=Config(size=1000, replicas=12, until=20.0),
    references=(_OTT, _ABRAMS, _LOVASZ),
)
