"""Chapter: exponential return to equilibrium, where it holds, where it is lost, and for how many particles."""

from dataclasses import dataclass, field

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mckean import catalogue
from mckean.catalogue.double_well import critical_beta, magnetisation
from mckean.catalogue.granular import equilibrium, granular_media
from mckean.dynamics import evolve
from mckean.energetics import Decay, convexity, decay, poincare_bounds, relaxation
from mckean.measures import Density, Gaussian
from mckean.models import Model
from mckean.spaces import Euclidean
from mckean.statistics import decay_rate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.grains import Grains, run_grains

_OTTO = "Otto and Villani, J. Funct. Anal. 173 (2000); Carrillo, McCann and Villani, Rev. Mat. Iberoamericana 19 (2003)"
_DAWSON = "Dawson, J. Stat. Phys. 31 (1983)"
_BOX = 3.5
_THETA = 1.0
# The rate of a small mean is measured in the later part of a run.
_WINDOW = 0.4


@dataclass(frozen=True)
class Config:
    cells: int = 400
    dt: float = 0.01
    until: float = 5.0
    betas: tuple[float, ...] = (1.0, 1.5, 3.0, 4.0)
    grains: Grains = field(default_factory=Grains)


def run(config: Config, key, progress) -> Result:
    linear = _linear(config)
    progress(0.1)
    granular = _granular(config)
    progress(0.4)
    wells, well_claims = _wells(config)
    progress(0.7)
    grain_claims, grain_figures = run_grains(config.grains, key)
    claims = [*_linear_claims(linear), *_granular_claims(config, granular), *well_claims, *grain_claims]
    return Result(claims, [_decay_figure(linear, granular), _wells_figure(config, wells), *grain_figures])


def _linear(config: Config) -> Decay:
    """Ornstein–Uhlenbeck, a = 1, c = 1/2: the moment equations."""
    model = catalogue.ornstein_uhlenbeck().model
    return decay(model, Gaussian(1.0, 0.3), Gaussian(0.0, 1 / 1.5), until=config.until, dt=0.05)


def _linear_claims(linear: Decay) -> list[Claim]:
    begin, relative = 2.0, 1.5
    rates = linear.rates(begin=begin)
    names = {
        "gap": ("$F - F^*$ decays as $e^{-2at}$", 2.0),
        "dissipation": ("$D$ decays as $e^{-2at}$", 2.0),
        "distance": ("$W_2(\\mu_t, \\mu^*)$ decays as $e^{-at}$", 1.0),
    }
    # The variance's share of F − F*, D and W_2² is at most ½e^{−4t} of the mean's; the rate is that of the last third.
    last = begin + (linear.times[-1] - begin) * 2 / 3
    tolerance = 4 * 0.5 * float(np.exp(-4 * last)) + 1e-8
    claims = [
        Claim(
            statement=f"For Ornstein–Uhlenbeck {told}: its rate",
            predicted=exact,
            measured=rates[name].value,
            tolerance=tolerance,
            origin="the variance's part, ½e^{−4t} of the mean's, in the last third of the window; steps, 1e-8",
            excludes=Rival("the rate of the variance, a + c for a", relative * exact),
            reference="closed form: 2a, and a for W₂",
        )
        for name, (told, exact) in names.items()
    ]
    # Past the transient of the variance, of rate 4(a + c) − 2a = 4, the ratio is a to e^{−4T}; the steps leave 1e-8.
    sharp = Claim(
        statement="For Ornstein–Uhlenbeck $\\lambda = a$ is sharp: $\\inf D/2(F - F^*)$ along the flow",
        predicted=1.0,
        measured=linear.inequality,
        tolerance=1e-7 + float(np.exp(-4 * linear.times[-1])),
        origin="transient e^{−4T}, moment steps",
        excludes=Rival("the constant a + c", relative),
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
    known, (first, second) = convexity(model, -7.0, 7.0), relaxation(model, still)[:2]
    frozen = float(relaxation(_alone(model), still)[0])
    h, window = 14 / config.cells, 0.6
    rates = granular.rates(begin=window * config.until)
    # Implicit steps with W frozen pull the moved law back to the old one: m⁺ − m = −a dt m⁺ − κ dt (m⁺ − m) with
    # κ = ∬W″ρ*ρ* = 2E|x − y|, so that the centre's rate is a(1 − (a/2 + κ)dt) to leading order.
    x, pi = still.grid.nodes[:, 0], still.values * still.grid.cell_volume
    convex = 2 * float(pi @ jnp.abs(x[:, None] - x) @ pi)
    # What is no shift of the centre, of energy F − F* at most at the start, falls at twice the second rate.
    mean = (2.0 - 0.3) / 1.3
    last = (1 + 2 * window) / 3 * config.until
    apart = 2 * (second - first) * granular.gap[0] / (0.5 * mean**2) * np.exp(-2 * (second - first) * last)
    allowed = lambda rate: float(apart + rate * ((0.5 + convex) * config.dt + h**2))  # noqa: E731
    origin = "other modes in the last third of the window; steps (a/2 + κ)dt with W frozen; cells h²"
    return [
        Claim(
            statement="For granular media $D \\ge 2a(F - F^*)$ all along: $\\inf D/2(F - F^*)$",
            predicted=known,
            measured=granular.inequality,
            tolerance=h**2,
            origin="cells: the dissipation on faces is of order h²",
            excludes=Rival("the mean convexity of W adds to a", known + convex),
            reference=_OTTO,
            relation="at least",
        ),
        Claim(
            statement="The linearised granular flow has the spectral gap a of the centre, $m' = -am$",
            predicted=1.0,
            measured=float(first),
            tolerance=h**2,
            origin="difference across faces, of order h²",
            excludes=Rival("W ∗ ρ frozen at the equilibrium", frozen),
            reference="closed form: m′ = −am",
        ),
        Claim(
            statement="For granular media $F - F^*$ decays as $e^{-2at}$: its rate",
            predicted=2.0,
            measured=rates["gap"].value,
            tolerance=allowed(2.0),
            origin=origin,
            excludes=Rival("e^{−at}", 1.0),
            reference=_OTTO,
        ),
        Claim(
            statement="For granular media $W_2(\\mu_t, \\mu^*)$ decays as $e^{-at}$: its rate",
            predicted=1.0,
            measured=rates["distance"].value,
            tolerance=allowed(1.0),
            origin=origin,
            excludes=Rival("e^{−2at}", 2.0),
            reference=_OTTO,
        ),
    ]


def _alone(model: Model) -> Model:
    """The model without its interaction."""
    return eqx.tree_at(lambda m: m.interaction, model, None, is_leaf=lambda x: x is None)


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
    critical = critical_beta(_THETA)
    frozen = relaxation(_alone(catalogue.desai_zwanzig(_THETA, critical).model), _state(critical, 0.0, config.cells))
    claims = [
        Claim(
            statement="At $\\beta_c$ the exponential return is lost: slowest rate of the double well",
            predicted=0.0,
            measured=_slowest(config, critical)[0],
            tolerance=1e-8,
            origin="rounding: there A(x − m) = 0, by sums of an analytic weight",
            excludes=Rival("W ∗ ρ frozen at the state", float(frozen[0])),
            reference=_DAWSON,
        ),
        *(_small_mean(config, runs, beta) for beta in (config.betas[1], config.betas[-2])),
    ]
    return runs, [*claims, _escape(config, runs), _muckenhoupt(config)]


def _small_mean(config: Config, runs: dict, beta: float) -> Claim:
    """The start is moved along its own family of states, of one sign: the third rate is the next odd one."""
    symmetric, model = _state(beta, 0.0, config.cells), catalogue.desai_zwanzig(_THETA, beta).model
    rates = relaxation(model, symmetric)
    frozen = float(relaxation(_alone(model), symmetric)[0])
    least, apart = float(rates[0]), float(rates[2] - rates[0])
    _, _, times, means = runs[beta]
    window, h = times >= _WINDOW * times[-1], 2 * _BOX / config.cells
    last = (1 + 2 * _WINDOW) / 3 * times[-1]
    # The drift is −V′ − θ(x − m), and m, frozen over a step, lags by θ dt; m² is the next term of the flow in m.
    lag, bend = abs(least) * ((_THETA + abs(least)) * config.dt + h**2), float(np.max(means) ** 2)
    side = "decays" if beta < critical_beta(_THETA) else "grows"
    return Claim(
        statement=f"At $\\beta = {beta:g}$ a small mean {side} at the least rate about the symmetric state",
        predicted=least,
        measured=decay_rate(times[window], means[window]).value,
        tolerance=float(lag + bend + apart * np.exp(-apart * last)),
        origin="steps λ(θ + λ)dt with W frozen; cells λh²; m²; the next odd mode in the last third of the window",
        from_run=True,
        excludes=Rival("W ∗ ρ frozen at the state", frozen),
        reference="spectrum of the linearised flow; " + _DAWSON,
    )


def _escape(config: Config, runs: dict) -> Claim:
    """Near the symmetric state D → 0 while F − F* does not: no λ > 0 holds along the flow.

    At the start ρ_ε pulls its mean M = βθ∫x²ρ_0 ε to itself: ∂δF = θ(ε − M), D = θ²(ε − M)².
    """
    beta, start = config.betas[-2], 1e-3
    model = catalogue.desai_zwanzig(_THETA, beta).model
    symmetric, still = _state(beta, 0.0, config.cells), _state(beta, magnetisation(beta, _THETA), config.cells)
    flow = decay(model, _state(beta, start, config.cells), still, until=1.0, dt=config.dt, every=10)
    gap = runs[beta][1]
    square = float(symmetric.integrate(lambda x: x[0] ** 2))
    spent = (_THETA * start * (beta * _THETA * square - 1)) ** 2
    return Claim(
        statement=(
            f"Near the symmetric state no $\\lambda > 0$ is left, $\\beta = {beta:g}$: $\\inf D/2(F - F^*)$ over "
            "the gap of the magnetised state"
        ),
        predicted=0.0,
        measured=flow.inequality / gap,
        tolerance=2 * spent / float(2 * flow.gap[0] * gap),
        origin="twice its value at the start, D = θ²ε²(βθ∫x²ρ − 1)² at ε = 10⁻³",
        from_run=True,
        excludes=Rival("the gap of the magnetised state holds along the flow", 1.0),
        reference=_DAWSON,
    )


def _muckenhoupt(config: Config) -> Claim:
    """The well without attraction: its gap within Muckenhoupt's bounds."""
    beta = config.betas[-2]
    grid = Euclidean(1).grid(config.cells, -_BOX, _BOX)
    pi = Density.from_function(grid, lambda x: jnp.exp(-beta * (x[0] ** 4 / 4 - x[0] ** 2 / 2)))
    gap = beta * relaxation(_alone(catalogue.desai_zwanzig(_THETA, beta).model), pi)[0]
    low, high = poincare_bounds(pi)
    middle = np.sqrt(low * high)
    return Claim(
        statement=(
            f"The double well's spectral gap lies between Muckenhoupt's bounds, $\\beta = {beta:g}$: its logarithm, "
            "from the middle"
        ),
        predicted=0.5 * np.log(high / low),
        measured=abs(float(np.log(gap / middle))),
        excludes=Rival("no barrier: the curvature 2 of a minimum", abs(float(np.log(2 * beta / middle)))),
        reference="Muckenhoupt, Studia Math. 44 (1972)",
        relation="at most",
    )


def _mean(model: Model, mu: Density):
    return mu.integrate(lambda x: x[0])


def _means(config: Config, model: Model, start: Density) -> tuple[np.ndarray, np.ndarray]:
    every = max(1, round(0.1 / config.dt))
    flow = evolve(model, start, until=config.until, dt=config.dt, observe={"mean": _mean}, every=every)
    return np.asarray(flow.times), np.asarray(flow.observed["mean"])


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
        f"{', '.join(map(str, c.grains.sizes))}, {c.grains.replicas} replicas, Euler's scheme, dt = {c.grains.dt:g}."
    ),
    run=run,
    config=Config(cells=800, dt=0.005),
    quick=Config(cells=200, grains=Grains((10, 50, 200), 32)),
    references=(
        "F. Otto and C. Villani, J. Funct. Anal. 173 (2000).",
        "J. A. Carrillo, R. J. McCann and C. Villani, Rev. Mat. Iberoamericana 19 (2003).",
        "D. A. Dawson, J. Stat. Phys. 31 (1983).",
    ),
)  # fmt: skip
