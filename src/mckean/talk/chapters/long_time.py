"""Chapter: exponential return to equilibrium, where it holds, where it is lost, and for how many particles."""

from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import catalogue
from mckean.catalogue.double_well import critical_beta, magnetisation
from mckean.catalogue.granular import equilibrium, granular_media
from mckean.dynamics import evolve
from mckean.energetics import Decay, convexity, decay, poincare_bounds, relaxation
from mckean.measures import Density, Gaussian, Particles
from mckean.models import Model
from mckean.paths import Brownian
from mckean.spaces import Euclidean
from mckean.statistics import decay_rate, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series

_OTTO = "Otto and Villani, J. Funct. Anal. 173 (2000); Carrillo, McCann and Villani, Rev. Mat. Iberoamericana 19 (2003)"
_DAWSON = "Dawson, J. Stat. Phys. 31 (1983)"
_BOX = 3.5
_THETA = 1.0


@dataclass(frozen=True)
class Config:
    cells: int = 400
    dt: float = 0.01
    until: float = 5.0
    sizes: tuple[int, ...] = (10, 100, 1000)
    replicas: int = 64
    betas: tuple[float, ...] = (1.0, 1.5, 3.0, 4.0)


def run(config: Config, key, progress) -> Result:
    linear = _linear(config)
    progress(0.1)
    granular = _granular(config)
    progress(0.4)
    wells, well_claims = _wells(config)
    progress(0.7)
    particles = _contraction(config, key)
    claims = [*_linear_claims(linear), *_granular_claims(config, granular), *well_claims, *_particle_claims(particles)]
    return Result(claims, [_decay_figure(linear, granular), _wells_figure(config, wells), _particle_figure(particles)])


def _linear(config: Config) -> Decay:
    """Ornstein–Uhlenbeck, a = 1, c = 1/2: the moment equations."""
    model = catalogue.ornstein_uhlenbeck().model
    return decay(model, Gaussian(1.0, 0.3), Gaussian(0.0, 1 / 1.5), until=config.until, dt=0.05)


def _linear_claims(linear: Decay) -> list[Claim]:
    rates = linear.rates(begin=2.0)
    names = {"gap": ("F − F*", 2.0), "dissipation": ("D", 2.0), "distance": ("W₂ to equilibrium", 1.0)}
    origin = "the change of slope along the window"
    claims = [
        Claim(
            statement=f"rate of {told}, Ornstein–Uhlenbeck",
            predicted=exact,
            measured=rates[name].value,
            tolerance=rates[name].high - rates[name].value + 1e-8,
            origin=origin,
            reference="closed form: 2a, and a for W₂",
        )
        for name, (told, exact) in names.items()
    ]
    # Past the transient of the variance, of rate 4(a + c) − 2a = 4, the ratio is a to e^{−4T}; the steps leave 1e-8.
    sharp = Claim(
        statement="inf D/2(F − F*) along the flow, Ornstein–Uhlenbeck: λ = a is sharp",
        predicted=1.0,
        measured=linear.inequality,
        tolerance=1e-7 + float(np.exp(-4 * linear.times[-1])),
        origin="transient e^{−4T}, moment steps",
        reference=_OTTO,
    )
    return [*claims, sharp]


def _granular(config: Config) -> Decay:
    """Cubic attraction, a = c = β = 1, from a bimodal start off the centre."""
    still = equilibrium(1.0, 1.0, 1.0, config.cells)
    bumps = lambda x: jnp.exp(-4 * (x[0] - 2.0) ** 2) + 0.3 * jnp.exp(-4 * (x[0] + 1.0) ** 2)  # noqa: E731
    start = Density.from_function(still.grid, bumps)
    model = granular_media().model
    every = max(1, round(0.05 / config.dt))
    return decay(model, start, still, until=config.until, dt=config.dt, every=every)


def _granular_claims(config: Config, granular: Decay) -> list[Claim]:
    model, still = granular_media().model, equilibrium(1.0, 1.0, 1.0, config.cells)
    known, first = convexity(model, -7.0, 7.0), relaxation(model, still)[0]
    h = 14 / config.cells
    rates = granular.rates(begin=0.6 * config.until)
    # Implicit steps with W frozen pull the moved law back to the old one: m⁺ − m = −a dt m⁺ − κ dt (m⁺ − m) with
    # κ = ∬W″ρ*ρ* = 2E|x − y|, so that the centre's rate is a(1 − (a/2 + κ)dt) to leading order.
    x, pi = still.grid.nodes[:, 0], still.values * still.grid.cell_volume
    step = (0.5 + 2 * float(pi @ jnp.abs(x[:, None] - x) @ pi)) * config.dt
    allowed = {n: r.high - r.value + step * r.value + h**2 * r.value for n, r in rates.items()}
    origin = "drift of the slope, steps (a/2 + κ)dt with W frozen, cells h²"
    return [
        Claim(
            statement="inf D/2(F − F*) along the flow, granular media, against λ = a",
            predicted=known,
            measured=granular.inequality,
            tolerance=h**2,
            origin="cells: the dissipation on faces is of order h²",
            reference=_OTTO,
            relation="at least",
        ),
        Claim(
            statement="spectral gap of the linearised granular flow (its centre of mass)",
            predicted=1.0,
            measured=float(first),
            tolerance=h**2,
            origin="difference across faces, of order h²",
            reference="closed form: m′ = −am",
        ),
        Claim(
            statement="rate of F − F*, granular media",
            predicted=2.0,
            measured=rates["gap"].value,
            tolerance=allowed["gap"],
            origin=origin,
            reference=_OTTO,
        ),
        Claim(
            statement="rate of W₂, granular media",
            predicted=1.0,
            measured=rates["distance"].value,
            tolerance=allowed["distance"],
            origin=origin,
            reference=_OTTO,
        ),
    ]


def _state(beta: float, centre: float, cells: int) -> Density:
    """ρ_m ∝ e^{−β(V + θx²/2 − θmx)}, V the double well: stationary for m = ∫xρ_m."""
    grid = Euclidean(1).grid(cells, -_BOX, _BOX)
    exponent = lambda x: x[0] ** 4 / 4 - (1 - _THETA) * x[0] ** 2 / 2 - _THETA * centre * x[0]  # noqa: E731
    return Density.from_function(grid, lambda x: jnp.exp(-beta * exponent(x)))


def _slowest(config: Config, beta: float) -> tuple[float, float]:
    """The least rate of the linearised flow about the symmetric state and about that of least F."""
    model, centre = catalogue.desai_zwanzig(_THETA, beta).model, magnetisation(beta, _THETA)
    rates = [float(relaxation(model, _state(beta, m, config.cells))[0]) for m in dict.fromkeys((0.0, centre))]
    return rates[0], rates[-1]


def _wells(config: Config) -> tuple[dict, list[Claim]]:
    """Below and above β_c: a small mean dies out, or escapes, at the least rate of the linearised flow."""
    runs = {}
    for beta in config.betas:
        model = catalogue.desai_zwanzig(_THETA, beta).model
        runs[beta] = (*_slowest(config, beta), *_means(config, model, _state(beta, 1e-3, config.cells)))
    critical, h = critical_beta(_THETA), 2 * _BOX / config.cells
    claims = [
        Claim(
            statement="slowest rate of the double well at β_c: the exponential is lost",
            predicted=0.0,
            measured=_slowest(config, critical)[0],
            tolerance=1e-8,
            origin="rounding: there A(x − m) = 0, by sums of an analytic weight",
            reference=_DAWSON,
        )
    ]
    for beta in (config.betas[1], config.betas[-2]):
        least, _, times, means = runs[beta]
        window = (times >= 1.0) & (times <= 3.0)
        measured = decay_rate(times[window], means[window])
        # The drift is −V′ − θ(x − m), and m, frozen over a step, lags by θ dt.
        slack = measured.high - measured.value + abs(least) * ((_THETA + abs(least)) * config.dt + h**2)
        side = "<" if beta < critical else ">"
        claims.append(
            Claim(
                statement=f"rate of a small mean about the symmetric state, β = {beta:g} {side} β_c",
                predicted=least,
                measured=measured.value,
                tolerance=slack,
                origin="drift of the slope, steps λ(θ + λ)dt with W frozen, cells λh²",
                reference="spectrum of the linearised flow; " + _DAWSON,
            )
        )
    return runs, [*claims, _escape(config, runs), _muckenhoupt(config)]


def _escape(config: Config, runs: dict) -> Claim:
    """Near the symmetric state D → 0 while F − F* does not: no λ > 0 holds along the flow."""
    beta = config.betas[-2]
    model = catalogue.desai_zwanzig(_THETA, beta).model
    centre = magnetisation(beta, _THETA)
    still = _state(beta, centre, config.cells)
    flow = decay(model, _state(beta, 1e-3, config.cells), still, until=1.0, dt=config.dt, every=10)
    gap = runs[beta][1]
    return Claim(
        statement=f"inf D/2(F − F*) near the symmetric state over the gap of the magnetised one, β = {beta:g}",
        predicted=0.0,
        measured=flow.inequality / gap,
        tolerance=1e-3,
        origin="D is of order ε² = 1e-6 at a mean of order ε",
        reference=_DAWSON,
    )


def _muckenhoupt(config: Config) -> Claim:
    """The well without attraction: its gap within Muckenhoupt's bounds."""
    beta = config.betas[-2]
    grid = Euclidean(1).grid(config.cells, -_BOX, _BOX)
    pi = Density.from_function(grid, lambda x: jnp.exp(-beta * (x[0] ** 4 / 4 - x[0] ** 2 / 2)))
    model = eqx.tree_at(
        lambda m: m.interaction, catalogue.desai_zwanzig(_THETA, beta).model, None, is_leaf=lambda x: x is None
    )
    gap = beta * relaxation(model, pi)[0]
    low, high = poincare_bounds(pi)
    return Claim(
        statement=f"log(gap/√(low·high)) of the double well in Muckenhoupt's bounds, β = {beta:g} (log √8 at most)",
        predicted=0.5 * np.log(high / low),
        measured=abs(float(np.log(gap / np.sqrt(low * high)))),
        origin="an inequality",
        reference="Muckenhoupt, Studia Math. 44 (1972)",
        relation="at most",
    )


def _mean(model: Model, mu: Density):
    return mu.integrate(lambda x: x[0])


def _means(config: Config, model: Model, start: Density) -> tuple[np.ndarray, np.ndarray]:
    every = max(1, round(0.1 / config.dt))
    flow = evolve(model, start, until=config.until, dt=config.dt, observe={"mean": _mean}, every=every)
    return np.asarray(flow.times), np.asarray(flow.observed["mean"])


def _couple(key, model: Model, size: int, until: float, dt: float):
    """(1/N)Σ|X_i − Y_i|² of two systems of granular media with the same noises, from different starts."""
    first, second, noise = jax.random.split(key, 3)
    x = 0.7 * jax.random.normal(first, (size, 1)) + 1.0
    y = 0.3 * jax.random.normal(second, (size, 1))
    ends = [
        evolve(model, Particles(model.space, z), until=until, dt=dt, path=Brownian(noise), observe=_POSITIONS, every=10)
        for z in (x, y)
    ]
    gaps = ends[0].observed["positions"] - ends[1].observed["positions"]
    return {"times": ends[0].times, "square": jnp.mean(gaps[..., 0] ** 2, axis=-1)}


def _positions(model: Model, mu: Particles):
    return mu.positions


_POSITIONS = {"positions": _positions}


def _contraction(config: Config, key) -> dict:
    model = granular_media().model
    one = partial(_couple, model=model, until=3.0, dt=0.02)
    keys = jax.random.split(key, len(config.sizes))
    return {n: replicate(eqx.Partial(one, size=n), k, config.replicas) for n, k in zip(config.sizes, keys, strict=True)}


def _particle_claims(particles: dict) -> list[Claim]:
    claims = []
    for n, record in particles.items():
        times, square = record["times"][0], record["square"]
        # Euler's scheme contracts the centre by 1 − a dt a step, and nothing slower: convexity.
        bound = square[:, :1] * (1 - 0.02) ** (2 * times / 0.02)
        worst = float((square / bound)[:, 1:].max())
        claims.append(
            Claim(
                statement=f"largest |X − Y|² over e^{{−2at}} of its start, N = {n}",
                predicted=1.0,
                measured=worst,
                tolerance=0.01,
                origin="terms of order dt² in Euler's step of a convex force",
                reference=_OTTO,
                relation="at most",
            )
        )
        late = times >= 1.5
        measured = decay_rate(times[late], square[:, late])
        stderr = (measured.high - measured.value) / 4
        exact = -2 * np.log1p(-0.02) / 0.02
        # What is left of the shape, Σ(X − Y)² − N(X̄ − Ȳ)², makes the rate higher, never lower, within the window.
        claims.append(
            Claim(
                statement=f"rate of E|X − Y|², N = {n}: not below 2a for any N",
                predicted=float(exact),
                measured=measured.value,
                stderr=stderr,
                tolerance=1e-6,
                origin="Euler's own rate of the centre",
                reference=_OTTO,
                relation="at least",
            )
        )
    return claims


def _decay_figure(linear: Decay, granular: Decay) -> Figure:
    caption = (
        "F − F*, D and W₂² to equilibrium along the flow, with e^{−2at}. Left: Ornstein–Uhlenbeck. Right: granular "
        "media, V = x²/2, W = |x|³/3, from two bumps off the centre."
    )
    return Figure(caption, [_decay_panel(linear, "Ornstein–Uhlenbeck"), _decay_panel(granular, "granular media")])


def _decay_panel(flow: Decay, title: str) -> Panel:
    assert flow.distance is not None
    series = [
        Series(flow.times, flow.gap, "F − F*"),
        Series(flow.times, flow.dissipation, "D"),
        Series(flow.times, flow.distance**2, "W₂²"),
        Series(flow.times, flow.gap[0] * np.exp(-2 * flow.times), r"$e^{-2at}$", kind="dashed"),
    ]
    return Panel("time t", "energy; energy/time; length²", series, title, yscale="log")


def _wells_figure(config: Config, wells: dict) -> Figure:
    critical = critical_beta(_THETA)
    betas = np.sort([critical, *np.linspace(min(wells), max(wells), 12)])
    slowest = np.array([_slowest(config, b) for b in betas])
    means = [Series(t, m, f"β = {b:g}") for b, (_, _, t, m) in wells.items()]
    rates = [Series(betas, slowest[:, 1], "state of least F"), Series(betas, slowest[:, 0], "symmetric state")]
    caption = (
        "The double well with attraction, θ = 1. Left: a mean of order 10⁻³ dies out below the transition and escapes "
        "from the symmetric state above it, after a time that is longer the smaller it was. Right: the slowest rate of "
        "the linearised flow; it vanishes at β_c."
    )
    return Figure(caption, [
        Panel("time t", "mean (length)", means, yscale="log"),
        Panel("β (1/energy)", "slowest rate (1/time)", rates, vertical=[(critical, r"$\beta_c$")]),
    ])  # fmt: skip


def _particle_figure(particles: dict) -> Figure:
    series = [Series(r["times"][0], r["square"].mean(0), f"N = {n}") for n, r in particles.items()]
    times = next(iter(particles.values()))["times"][0]
    series.append(Series(times, series[0].y[0] * np.exp(-2 * times), r"$e^{-2at}$", kind="dashed"))
    caption = "Two systems of N grains with the same noises: the mean square distance falls at the rate 2a at every N."
    return Figure(caption, [Panel("time t", r"$\frac{1}{N}\sum_i|X_i - Y_i|^2$ (length²)", series, yscale="log")])


CHAPTER = Chapter(
    name="long_time",
    title="Return to equilibrium",
    statement=(
        "Along $\\partial_t\\mu = \\nabla\\cdot(\\mu\\nabla\\delta F)$ the free energy falls by its slope, $\\dot F "
        "= -D$, $D = \\int|\\nabla\\delta F|^2 d\\mu$. The Polyak–Łojasiewicz inequality $D \\ge 2\\lambda(F - F^*)$ "
        "gives $$F - F^* \\le e^{-2\\lambda t}(F_0 - F^*),\\qquad W_2^2(\\mu_t, \\mu^*) \\le \\tfrac2\\lambda (F - "
        "F^*).$$ With $V'' \\ge a$ and $W$ convex it holds with $\\lambda = a$, for the law and for any number of "
        "particles. In a double well it holds below the transition only near equilibrium; at $\\beta_c$ the slowest "
        "rate of the linearised flow is zero, and above it the symmetric state is stationary, $D = 0$, though $F > "
        "F^*$: no $\\lambda > 0$ is left."
    ),
    what=lambda c: (
        f"Ornstein–Uhlenbeck by its moments; granular media and the double well (β = {', '.join(map(str, c.betas))}) "
        f"by implicit finite volumes, {c.cells} cells, dt = {c.dt:g}, T = {c.until:g}; grains N = "
        f"{', '.join(map(str, c.sizes))}, {c.replicas} replicas, Euler's scheme, dt = 0.02."
    ),
    run=run,
    config=Config(cells=800, dt=0.005, sizes=(10, 100, 1000), replicas=64),
    quick=Config(cells=200, sizes=(10, 100, 500), replicas=8),
    references=(
        "F. Otto and C. Villani, J. Funct. Anal. 173 (2000).",
        "J. A. Carrillo, R. J. McCann and C. Villani, Rev. Mat. Iberoamericana 19 (2003).",
        "D. A. Dawson, J. Stat. Phys. 31 (1983).",
    ),
)  # fmt: skip
