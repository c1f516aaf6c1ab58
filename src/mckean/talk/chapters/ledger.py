"""Chapter: the energy ledger of an environment: what it pays in, and whether the Gibbs measure survives it."""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.dynamics import evolve
from mckean.energetics import ledger, moving_frame
from mckean.equilibrium import gibbs_drift
from mckean.interactions import kernels
from mckean.measures import Density, Gaussian
from mckean.models import Additive, Model, Multiplicative, TransportNoise, langevin, potentials
from mckean.paths import Brownian, Record
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate, average, join, log_slope, replicate, root_mean_square
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.landscape import Landscape, run_landscape

_CHAIN = "Stratonovich's chain rule along the Wasserstein gradient flow; Otto 2001 for the slope"
_GIBBS = "Kolmogorov's forward equation, in closed form"
_BETA, _AMPLITUDE, _INTENSITY = 2.0, 0.7, 0.5
# The rate of the second mode at β = 1, 4, and of the curvatures of V and W, together with a margin.
_RATE = 10.0


@dataclass(frozen=True)
class Config:
    steps: tuple[float, ...] = (0.01, 0.0025, 0.000625)
    environments: int = 128
    until: float = 0.1
    long: float = 8.0
    long_dt: float = 0.005
    wells: int = 2048
    nodes: int = 32
    nodes_2d: int = 24
    landscape: Landscape = field(default_factory=Landscape)


def _wells(x):
    return 0.5 * jnp.cos(2 * x[0])


def _ripple(x, mu):
    return 0.5 + 0.3 * jnp.sin(x)


def _bump(x):
    return jnp.exp(jnp.sum(jnp.cos(x - 0.5)))


def _cases(config: Config) -> dict[str, tuple[Model, Density]]:
    circle, torus = Torus(1), Torus(2)
    pull = kernels.Cosine(1.0)
    line = Density.from_function(circle.grid(config.nodes), _bump)
    plane = Density.from_function(torus.grid(config.nodes_2d), _bump)
    stirred = TransportNoise.shell(torus, 1.5, intensity=_INTENSITY)
    uneven = Multiplicative(_ripple, "stratonovich")
    return {
        "additive": (langevin(circle, _wells, pull, beta=_BETA, common=Additive(_AMPLITUDE)), line),
        "transport": (langevin(torus, interaction=pull, beta=1.0, common=stirred), plane),
        "multiplicative": (langevin(circle, _wells, pull, beta=_BETA, common=uneven), line),
    }


def run(config: Config, key, progress) -> Result:
    cases, residuals, entropy, longs = _cases(config), {}, {}, {}
    for i, (name, (model, law)) in enumerate(cases.items()):
        of = jax.random.fold_in(key, i)
        residuals[name], entropy[name] = _residuals(config, model, law, of)
        path = Brownian(jax.random.fold_in(of, 1))
        every = round(config.long / config.long_dt) // 100
        longs[name] = ledger(model, law, until=config.long, dt=config.long_dt, path=path, every=every)
        progress((i + 1) / 5)
    frames = _frames(config, *cases["additive"], key)
    claims = [_order(config, name, found) for name, found in residuals.items()] + _frame_claims(config, frames)
    claims.append(
        Claim(
            statement="A transport noise pays no entropy in; largest |entropy account|",
            predicted=0.0,
            measured=entropy["transport"],
            tolerance=1e-13,
            origin="rounding of a sum over nodes, 10² to 10³ units in the last place",
            excludes=Rival("fields with a divergence, as the multiplicative noise has", entropy["multiplicative"]),
            reference="∇·σ_k = 0",
            relation="at most",
        )
    )
    progress(0.7)
    claims += _power_claims(config, cases["multiplicative"][0], key) + _gibbs_claims()
    progress(0.85)
    descents, pictures = run_landscape(config.landscape, jax.random.fold_in(key, 60))
    return Result([*claims, *descents], [_figure(config, residuals, frames, longs), pictures])


def _residuals(config: Config, model: Model, law: Density, key) -> tuple[Estimate, float]:
    """The root mean square of the residual at T for each dt, over environments of its own, and the largest |entropy|.

    One program serves all: without records on the way neither dt nor the number of steps is compiled in.
    """
    found, entropy = [], 0.0
    for i, dt in enumerate(config.steps):
        keys = jax.random.split(jax.random.fold_in(key, 100 + i), config.environments)
        runs = [ledger(model, law, until=config.until, dt=dt, path=Brownian(k)) for k in keys]
        found.append(root_mean_square([float(run.residual[-1]) for run in runs]))
        entropy = max(entropy, *(abs(float(run.accounts.entropy[-1])) for run in runs))
    return join(found), entropy


def _frames(config: Config, model: Model, law: Density, key) -> list[tuple[float, float, float]]:
    """In the moving frame, along one environment, by dt: |descent + ∫D| at T, and the largest rise of F in a step.

    The rise is first that in a landscape that stands still, then that of all.
    """
    found, path = [], Brownian(key)
    for dt in config.steps:
        fine = path.refine(round(config.steps[0] / dt))
        frame = moving_frame(model, law, until=config.until, dt=dt, path=fine, every=1)
        rises = (float(jnp.max(jnp.diff(values))) for values in (frame.descent, frame.change))
        found.append((abs(float(frame.residual[-1])), *rises))
    return found


def _order(config: Config, name: str, found: Estimate) -> Claim:
    tilt = math.log1p(_RATE * config.steps[0]) / math.log(config.steps[0] / config.steps[-1])
    return Claim(
        statement=f"Under {name} noise the ledger closes as $dt^s$; $s$",
        predicted=1.0,
        measured=log_slope(config.steps, found),
        tolerance=tilt,
        origin=f"relative corrections {_RATE:g}dt at the longest step, {_RATE:g} a bound of the rates",
        excludes=Rival("left-point sums with Itô's correction", 0.5),
        reference=_CHAIN,
    )


def _frame_claims(config: Config, frames) -> list[Claim]:
    before, last = config.steps[-2:]
    order = math.log(frames[-2][0] / frames[-1][0]) / math.log(before / last)
    return [
        Claim(
            statement="In the moving frame of an additive noise the balance closes as $dt^s$; $s$",
            predicted=2.0,
            measured=order,
            tolerance=math.log1p(_RATE * before) / math.log(before / last),
            origin=f"relative corrections {_RATE:g}dt at the longer of the last two steps",
            excludes=Rival("the order with the stochastic integral", 1.0),
            reference=_CHAIN,
        ),
        Claim(
            statement="In a landscape that stands still $F$ never rises; largest rise in a step",
            predicted=0.0,
            measured=max(rise for _, rise, _ in frames),
            tolerance=1e-13,
            origin="rounding of F, 10² units in the last place",
            excludes=Rival("F with the landscape's motion", max(rise for _, _, rise in frames)),
            reference=_CHAIN,
            relation="at most",
        ),
    ]


def _power_claims(config: Config, model: Model, key) -> list[Claim]:
    stiffness, dt = 1.5, 0.05
    bowl = langevin(Euclidean(1), potentials.Quadratic(stiffness), beta=1.0, common=Additive(_AMPLITUDE))
    one = lambda k: ledger(bowl, Gaussian(0.4, 0.3), until=1.0, dt=dt, path=Brownian(k)).power  # noqa: E731
    bowls = average(replicate(one, jax.random.fold_in(key, 50), config.wells))
    # Over a step the environment is a line, along which the mean relaxes: E of the trapezoid is short by this factor.
    exact = 0.5 * _AMPLITUDE**2 * stiffness * -math.expm1(-stiffness * dt) / (stiffness * dt)
    paid, expected = _pairs(config, model, jax.random.fold_in(key, 51))
    return [
        Claim(
            statement="In a quadratic well an additive noise pays $\\sigma_0^2a/2$ a unit of time in mean",
            predicted=exact,
            measured=bowls,
            origin="none: exact for every dt in mean",
            excludes=Rival("Itô's correction without its ½", 2 * exact),
            reference="σ₀²a/2, Itô's correction",
        ),
        Claim(
            statement="A multiplicative noise pays half the second derivative of $F$ along its characteristics in "
            "mean; power paid over that",
            predicted=1.0,
            measured=average(1 + (paid - expected) / expected.mean()),
            tolerance=_RATE * config.steps[0] / 4,
            origin=f"weak order 1: {_RATE:g}dt relatively",
            excludes=Rival("Itô's correction without its ½", 2.0),
            reference="½Σ_k 𝒜_k𝒜_kF, Itô's correction",
        ),
    ]


def _pairs(config: Config, model: Model, key) -> tuple[np.ndarray, np.ndarray]:
    """The power paid and the one expected along the path, means over pairs of environments B and −B.

    The pair takes out of the work what is odd in B, which is the most of its scatter and none of its mean.
    """
    dt = config.steps[0] / 4
    steps = round(config.until / dt)
    law = Density.from_function(Torus(1).grid(config.nodes), lambda x: jnp.exp(-_BETA * _wells(x)))

    def one(k, sign):
        dB = jax.vmap(lambda i: Brownian(k).environment.increment(i, dt, (1,)))(jnp.arange(steps))
        path, observe = Brownian(k, Record(sign * dB, dt)), {"density": observables.density}
        seen = evolve(model, law, until=config.until, dt=dt, path=path, observe=observe, every=1).observed["density"]
        return ledger(model, law, until=config.until, dt=dt, path=path).power, seen

    both = lambda k: jax.vmap(lambda sign: one(k, sign))(jnp.array([1.0, -1.0]))  # noqa: E731
    paid, seen = replicate(both, key, 2 * config.environments)
    expected = np.trapezoid(_power(seen), dx=dt, axis=-1) / config.until
    return paid.mean(axis=1), expected.mean(axis=1)


def _power(rho: np.ndarray) -> np.ndarray:
    """½ d²F/ds² as the law is carried along the characteristics x′ = σ(x) of the ripple, by differences of F.

    Along them ρ′ = −(ρσ)_x, so that the mass of a cell moves with its node and log ρ falls by log(dx_s/dx), which is
    log(σ(x_s)/σ(x)).
    """
    n, reach = rho.shape[-1], 0.02
    x = 2 * np.pi * np.arange(n) / n
    mass, sigma = rho * 2 * np.pi / n, lambda y: 0.5 + 0.3 * np.sin(y)

    def free(s):
        y, h = x, s / 8
        for _ in range(8):
            k1 = sigma(y)
            k2 = sigma(y + h / 2 * k1)
            k3 = sigma(y + h / 2 * k2)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + sigma(y + h * k3))
        log = np.log(rho) - np.log(sigma(y) / sigma(x))
        return mass @ (0.5 * np.cos(2 * y)) - 0.5 * abs(mass @ np.exp(1j * y)) ** 2 + np.sum(mass * log, -1) / _BETA

    return (free(reach) - 2 * free(0.0) + free(-reach)) / (2 * reach**2)


def _gibbs_claims() -> list[Claim]:
    circle, torus = Torus(1), Torus(2)
    state = Density.from_function(circle.grid(256), lambda x: jnp.exp(-_BETA * _wells(x)))
    flat = Density.from_function(torus.grid(16), lambda x: 1.0 + 0 * x[0])
    warm, cold = ({"confinement": _wells, "beta": beta} for beta in (_BETA, math.inf))
    uneven = Multiplicative(_ripple, "stratonovich")
    survive = {
        "thermal noise of its own": (langevin(circle, **warm), state),
        "thermal noise common to all": (langevin(circle, **cold, common=Additive(math.sqrt(2 / _BETA))), state),
        "transport noise, V = 0": (langevin(torus, common=TransportNoise.shell(torus, 2.5)), flat),
    }
    leave = {"additive": Additive(_AMPLITUDE), "multiplicative": uneven}
    exact = _departures()
    rounding = "rounding of second derivatives on 256 nodes, (n/2)² units in the last place, times 10²"
    corners = "h², for the corners of |·|, times 10"
    return [
        Claim(
            statement=f"With {name} the Gibbs law is not left in mean; rate",
            predicted=0.0,
            measured=float(gibbs_drift(*setting).averaged),
            tolerance=1e-9,
            origin=rounding,
            excludes=Rival("it is left as under an additive noise beside the thermal one", exact["additive"]),
            reference=_GIBBS,
            relation="at most",
        )
        for name, setting in survive.items()
    ] + [
        Claim(
            statement=f"With {name} noise beside the thermal one the Gibbs law is left in mean; rate",
            predicted=exact[name],
            measured=float(gibbs_drift(langevin(circle, **warm, common=part), state).averaged),
            tolerance=10 * (2 * math.pi / 256) ** 2 * exact[name],
            origin=corners,
            excludes=Rival("Itô's correction without its ½", 2 * exact[name]),
            reference=_GIBBS,
        )
        for name, part in leave.items()
    ]


def _departures() -> dict[str, float]:
    """½‖(σ(σρ)′)′‖ in L¹ for ρ ∝ e^{−βV}: with g = σ′ − βV′σ it is ½ρ((σg)′ − βV′σg)."""
    x = 2 * np.pi * np.arange(2**16) / 2**16
    force, curvature = -_BETA * np.sin(2 * x), -2 * _BETA * np.cos(2 * x)
    rho = np.exp(-_BETA * 0.5 * np.cos(2 * x))
    rho = rho / rho.sum()
    found = {}
    for name, (s, s1, s2) in {
        "additive": (_AMPLITUDE, 0.0, 0.0),
        "multiplicative": (0.5 + 0.3 * np.sin(x), 0.3 * np.cos(x), -0.3 * np.sin(x)),
    }.items():
        g, slope = s1 - force * s, s2 - curvature * s - force * s1
        found[name] = float(rho @ np.abs(0.5 * (s1 * g + s * slope - force * s * g)))
    return found


def _figure(config: Config, residuals, frames, longs) -> Figure:
    steps = np.array(config.steps)
    one = longs["additive"]
    accounts = [
        Series(one.times, one.change, "F(t) − F(0)"),
        Series(one.times, one.accounts.work, "work of the environment"),
        Series(one.times, -one.accounts.dissipated, "−∫D ds"),
        Series(one.times, one.residual, "residual", kind="dashed"),
    ]
    fates = [Series(run.times, run.change, f"{name} noise") for name, run in longs.items()]
    first = residuals["additive"].value[0]
    orders = [Series(steps, r.value, f"{name} noise", r.stderr, "points") for name, r in residuals.items()]
    orders += [
        Series(steps, [residual for residual, *_ in frames], "moving frame", kind="points"),
        Series(steps, first * steps / steps[0], "order 1", kind="dashed"),
    ]
    caption = (
        "Left: the ledger of one environment, an additive noise in a double well: the noise does not cease to pay in, "
        "nor the law to dissipate. Middle: under the transport noise the free energy falls for good, to that of the "
        "uniform law; under the others it does not settle. Right: what the ledgers leave unexplained, root mean square "
        "over environments, and what the descent in the moving frame does, of order 2."
    )
    panels = [
        Panel("time t", "energy per particle", accounts),
        Panel("time t", "F(t) − F(0) (energy per particle)", fates),
        Panel("time step dt", "residual at T (energy per particle)", orders, xscale="log", yscale="log"),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="ledger",
    title="The energy ledger of an environment",
    statement=(
        "An environment $B^0$ that moves all particles by fields $\\sigma_k$ ends the decrease of the free energy. By "
        "Stratonovich's chain rule, for the law $\\mu$ given the environment, $$dF = -D\\,dt + \\sum_k\\langle\\nabla"
        "\\delta E\\cdot\\sigma_k,\\mu\\rangle\\circ dB^{0,k} - \\beta^{-1}\\sum_k\\langle\\nabla\\cdot\\sigma_k,\\mu"
        "\\rangle\\circ dB^{0,k}, \\qquad \\delta E = V + W*\\mu.$$ A trapezoidal sum over a run closes this ledger at "
        "$O(dt)$. The last sum, of the entropy, is zero for divergence-free fields. An additive noise does the work "
        "$\\frac{\\sigma_0^2}{2}\\langle\\Delta V,\\mu\\rangle$ a unit of time in mean; in the frame $y = x - "
        "\\sigma_0B^0_t$ no stochastic integral is left, and the law descends in the random landscape "
        "$V(\\cdot + \\sigma_0B^0_t)$, by minimising movements if one likes. As a white noise it never comes to rest, "
        "$ED = \\frac{\\sigma_0^2}{2}E\\langle\\Delta V,\\mu\\rangle$; a frozen landscape has a Gibbs measure of "
        "its own. A "
        "thermal noise, own or common, leaves the Gibbs measure $e^{-\\beta V}/Z$ in place in mean, a transport noise "
        "the uniform law; another noise leaves it at the rate $\\|\\frac12\\sum_k\\nabla\\cdot(\\sigma_k\\nabla\\cdot("
        "\\sigma_k\\rho_\\beta))\\|_{L^1}$."
    ),
    what=lambda c: (
        f"Densities under three environments: additive (σ₀ = {_AMPLITUDE:g}) and multiplicative (σ = 0.5 + 0.3 sin x, "
        f"Stratonovich) in the wells V = ½ cos 2x with W = −cos, β = {_BETA:g}, on {c.nodes} nodes; a transport noise "
        f"(|k| ≤ 1.5, K = {_INTENSITY:g}) on the torus with W = −cos x₁ − cos x₂, β = 1, on {c.nodes_2d}² nodes. "
        f"{c.environments} environments up to T = {c.until:g} for each dt from {c.steps[0]:g} to {c.steps[-1]:g}; one "
        f"up to T = {c.long:g}; {c.wells} of a Gaussian in a quadratic well. {c.landscape.what()}"
    ),
    run=run,
    config=Config(),
    quick=Config(steps=(0.01, 0.000625), environments=128, wells=512, long=4.0, long_dt=0.01),
    references=(
        "F. Otto, The geometry of dissipative evolution equations, Comm. PDE 26, 2001.",
        "K. Sekimoto, Stochastic Energetics, Springer, 2010.",
        "B. Gess, R. S. Gvalani and A. Martini, arXiv 2601.22056.",
    ),
)
