"""Chapter: the limit is a gradient flow: free energy falls, and exactly by the dissipation."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from mckean import catalogue, observables
from mckean.catalogue.mean_reversion import free_energy_gap, mean, variance
from mckean.dynamics import FiniteVolume, evolve
from mckean.energetics import energy_balance
from mckean.measures import Density, Gaussian
from mckean.spaces import Euclidean, Torus
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series

_OBSERVE = {"F": observables.free_energy, "D": observables.dissipation}
_OTTO = "Jordan, Kinderlehrer and Otto 1998; Carrillo, McCann and Villani 2003"


@dataclass(frozen=True)
class Config:
    strength: float = 3.0
    until: float = 12.0
    steps: tuple[float, ...] = (0.2, 0.1, 0.05, 0.025)
    nodes: int = 128
    cells: int = 200
    well_cells: int = 256


def _kuramoto(config: Config, dt: float):
    entry = catalogue.kuramoto(config.strength)
    law = Density.from_function(Torus(1).grid(config.nodes), lambda x: 1 + 0.1 * jnp.cos(x[0]))
    run = evolve(entry.model, law, until=config.until, dt=dt, observe=_OBSERVE, every=1)
    return run, energy_balance(*(np.asarray(a) for a in (run.times, run.observed["F"], run.observed["D"])))


def _double_well(config: Config):
    entry = catalogue.desai_zwanzig(1.0, 3.0)
    grid = Euclidean(1).grid(config.well_cells, -4.0, 4.0)
    law = Density.from_law(grid, Gaussian(0.2, 0.5))
    end = catalogue.desai_zwanzig(1.0, 3.0)["magnetisation"]
    observe = {**_OBSERVE, "m": observables.mean}
    return evolve(entry.model, law, until=30.0, dt=0.01, observe=observe, every=10, scheme=FiniteVolume()), end


def _ornstein_uhlenbeck(config: Config):
    a, c, beta, until = 1.0, 0.5, 2.0, 2.0
    model = catalogue.ornstein_uhlenbeck(a, c, beta).model
    run = evolve(model, Gaussian(1.0, 0.3), until=until, dt=0.02, observe=_OBSERVE, every=1)
    times = np.asarray(run.times)
    limit = 1 / (beta * (a + c))
    along = lambda v: np.array([free_energy_gap(mean(t, 1.0, a), v(t), a, c, beta) for t in times])  # noqa: E731
    exact = along(lambda t: variance(t, 0.3, a, c, beta))
    slow = along(lambda t: limit + (0.3 - limit) * np.exp(-2 * a * t))
    gap = np.asarray(run.observed["F"]) - float(observables.free_energy(model, Gaussian(0.0, limit)))
    return gap, exact, slow, np.asarray(run.observed["D"]) / (2 * gap), a, a + c


def run(config: Config, key, progress) -> Result:
    flows = []
    for i, dt in enumerate(config.steps):
        flows.append(_kuramoto(config, dt))
        progress((i + 1) / (len(config.steps) + 2))
    well, magnetisation = _double_well(config)
    progress((len(config.steps) + 1) / (len(config.steps) + 2))
    linear = _ornstein_uhlenbeck(config)
    claims = _flow_claims(config, flows) + _well_claims(config, well, magnetisation) + _linear_claims(linear)
    return Result(claims, [_figure(config, flows)])


def _flow_claims(config: Config, flows) -> list[Claim]:
    residual = np.array([np.abs(balance).max() for _, balance in flows])
    orders = np.diff(np.log(residual)) / np.diff(np.log(config.steps))
    fine = flows[-1][0]
    rise = max(float(np.diff(np.asarray(run.observed["F"])).max()) for run, _ in flows)
    target = catalogue.kuramoto(config.strength)
    rate = 2 * config.strength * config.steps[-2]
    return [
        Claim(
            statement=(
                "For Kuramoto $F(t) - F(0) + \\int_0^t D\\,ds$ vanishes as $dt^s$ with the order of the scheme and of "
                "Simpson's rule; s"
            ),
            predicted=4.0,
            measured=float(orders[-1]),
            tolerance=float(np.log2((1 + rate) / (1 + rate / 2))),
            origin="next term, of relative size λdt with λ = 2K, at the last halving",
            excludes=Rival("order 3", 3.0),
            reference=_OTTO,
        ),
        _monotone("For Kuramoto F never rises in a step, at any dt: largest rise", rise, fine, config.steps[-1], _OTTO),
        Claim(
            statement=f"From the uniform state to synchrony, $K = {config.strength:g}$, F falls by the closed form",
            predicted=target["free energy gap"],
            measured=float(fine.observed["F"][-1]) + float(np.log(2 * np.pi)),
            tolerance=float(10 * np.exp(-2 * target["spectral gap"] * 0.5 * config.until)),
            origin="what is left after T/2 at twice the spectral gap; F = −log 2π in the uniform state",
            excludes=Rival(
                "no factor ½ before the pair energy",
                target["free energy gap"] - 0.5 * config.strength * target["order parameter"] ** 2,
            ),
            reference="Bessel closed form, Carrillo et al. 2020",
        ),
    ]


def _monotone(statement: str, rise: float, run, step: float, reference: str) -> Claim:
    return Claim(
        statement=statement,
        predicted=0.0,
        measured=rise,
        tolerance=1e-13,
        origin="rounding of F, 10² units in the last place",
        excludes=Rival("the other sign: F rises at the rate D", float(np.max(run.observed["D"])) * step),
        reference=reference,
        relation="at most",
    )


def _well_claims(config: Config, well, magnetisation: float) -> list[Claim]:
    spacing, record = 8.0 / config.well_cells, float(well.times[1] - well.times[0])
    rise = float(np.diff(np.asarray(well.observed["F"])).max())
    upwind = "Scharfetter–Gummel flux; Schlichting and Seis 2022"
    return [
        _monotone("In the double well F never rises between records: largest rise", rise, well, record, upwind),
        Claim(
            statement="The double well, $\\theta = 1$, $\\beta = 3$, comes to rest at the mean $m = \\int x\\,\\rho_m$",
            predicted=magnetisation,
            measured=float(well.observed["m"][-1, 0]),
            tolerance=4 * spacing**2,
            origin="rectangle rule on cells, h² times the fourth-derivative scale 4",
            excludes=Rival("each pair counted twice, θ = 2", catalogue.desai_zwanzig(2.0, 3.0)["magnetisation"]),
            reference="Dawson 1983",
        ),
    ]


def _linear_claims(linear) -> list[Claim]:
    gap, exact, slow, ratio, constant, both = linear
    return [
        Claim(
            statement="For Ornstein–Uhlenbeck $F - F^*$ follows the closed form: largest error",
            predicted=0.0,
            measured=float(np.abs(gap - exact).max()),
            tolerance=1e-9,
            origin="order 5 at dt = 0.02: (2(a + c)dt)⁵ = 8e-7 a unit of time, times 1/6!",
            excludes=Rival("the variance relaxes at 2a, not at 2(a + c)", float(np.abs(slow - exact).max())),
            reference="closed form",
        ),
        Claim(
            statement="For Ornstein–Uhlenbeck $D \\ge 2a(F - F^*)$ all along: least $D/2(F - F^*)$",
            predicted=constant,
            measured=float(ratio.min()),
            tolerance=1e-9,
            origin="rounding of a quotient",
            excludes=Rival("the constant a + c", both),
            reference="Bakry–Émery; Carrillo et al. 2003",
            relation="at least",
        ),
    ]


def _figure(config: Config, flows) -> Figure:
    run, _ = flows[-1]
    times = np.asarray(run.times)
    free, spent = np.asarray(run.observed["F"]), np.asarray(run.observed["D"])
    slope = np.gradient(free, times)
    residual = [np.abs(balance).max() for _, balance in flows]
    reference = [residual[-1] * (dt / config.steps[-1]) ** 4 for dt in config.steps]
    every = len(times) // 20
    rates = [
        Series(times, -spent, "−D"),
        Series(times[::every], slope[::every], "dF/dt", kind="points"),
    ]
    orders = [
        Series(config.steps, residual, "measured", kind="points"),
        Series(config.steps, reference, "order 4", kind="dashed"),
    ]
    caption = (
        "Left: free energy of the Kuramoto flow from a nearly uniform state to synchrony. Middle: its rate of change, "
        "by differences of F, lies on −D. Right: the energy balance closes at the order of the scheme."
    )
    panels = [
        Panel("time t", "free energy F (energy per particle)", [Series(times, free, f"K = {config.strength:g}")]),
        Panel("time t", "energy per particle and time", rates),
        Panel("time step dt", r"largest $|F(t) - F(0) + \int D\,ds|$", orders, xscale="log", yscale="log"),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="dissipation",
    title="The free energy and its dissipation",
    statement=(
        "The McKean–Vlasov equation is the steepest descent of $$F(\\mu) = \\int V\\,d\\mu + \\frac12\\iint "
        "W(x-y)\\,d\\mu\\,d\\mu + \\beta^{-1}\\int\\rho\\log\\rho$$ in the Wasserstein metric: $\\partial_t\\rho = "
        "\\nabla\\cdot(\\rho\\nabla\\delta F)$ with $\\delta F = V + W*\\rho + \\beta^{-1}(\\log\\rho + 1)$, hence "
        "$$\\frac{dF}{dt} = -D = -\\int|\\nabla\\delta F|^2\\,d\\mu.$$ (The talk writes this with "
        "$\\mathrm{grad}_{W_2}F = +\\nabla\\delta F$ and the flow as $\\partial_t\\mu = "
        "\\mathrm{div}(\\mu\\,\\mathrm{grad}F)$; the sign here follows.)"
    ),
    what=lambda c: (
        f"Kuramoto with K = {c.strength:g}, β = 1 on {c.nodes} nodes up to T = {c.until:g}, with dt from "
        f"{c.steps[0]:g} to {c.steps[-1]:g}; the double well (θ = 1, β = 3) by finite volumes on {c.well_cells} "
        f"cells; the linear model by its "
        "moment equations."
    ),
    run=run,
    config=Config(),
    quick=Config(),
    references=(
        "R. Jordan, D. Kinderlehrer and F. Otto, SIAM J. Math. Anal. 29, 1998.",
        "J. A. Carrillo, R. J. McCann and C. Villani, Rev. Mat. Iberoamericana 19, 2003.",
        "J. A. Carrillo, R. S. Gvalani, G. A. Pavliotis and A. Schlichting, arXiv 1806.01719.",
    ),
)
