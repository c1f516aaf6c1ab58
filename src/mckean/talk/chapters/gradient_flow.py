"""Chapter: the equation is the steepest descent of F in W_2: minimising movements, speed and slope."""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mckean import catalogue, observables
from mckean.catalogue.mean_reversion import mean, variance
from mckean.catalogue.porous_media import barenblatt as profile
from mckean.catalogue.porous_media import radius, spreading
from mckean.dynamics import FiniteVolume, evolve
from mckean.dynamics.jko import JKO
from mckean.interactions import kernels
from mckean.measures import Density, Gaussian
from mckean.measures.lagrangian import Lagrangian
from mckean.models import Model, energy, potentials
from mckean.models.internal import PorousMedium
from mckean.spaces import Euclidean
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.inequalities import inequality_claims
from mckean.transport import wasserstein

_JKO = "Jordan, Kinderlehrer and Otto 1998"
_SPEED = "Ambrosio, Gigli and Savaré, Gradient flows, theorem 8.3.1 and chapter 11"
_STIFFNESS, _STRENGTH, _BETA, _START, _WIDTH = 1.0, 0.5, 2.0, 0.7, 0.4
_AGE = 0.2
_HOLD, _PULL = 1.0, 5.0
_FORM = "closed form of the Ornstein–Uhlenbeck step"


@dataclass(frozen=True)
class Config:
    steps: tuple[int, ...] = (10, 20, 40, 80)
    cells: int = 400
    well_cells: int = 400
    segments: int = 40
    plane_cells: int = 128


def run(config: Config, key, progress) -> Result:
    linear, line = _linear(config)
    progress(0.2)
    medium, gaps = _barenblatt_line(config)
    progress(0.5)
    speed, record = _speed(config)
    plane = _plane(config)
    progress(0.8)
    claims = [*linear, *medium, *plane, *speed, *inequality_claims()]
    return Result(claims, _figures(config, line, gaps, record))


def closed_form(steps: int, tau: float) -> tuple[float, float]:
    """m⁺ = m/(1 + aτ), s⁺ = (s + √(s² + 4τk/β))/2k, k = 1 + τ(a + c): mean and variance after the steps."""
    m, s, k = _START, math.sqrt(_WIDTH), 1 + tau * (_STIFFNESS + _STRENGTH)
    for _ in range(steps):
        m, s = m / (1 + tau * _STIFFNESS), (s + math.sqrt(s * s + 4 * tau * k / _BETA)) / (2 * k)
    return m, s * s


def _order(name: str, steps, errors, exact, start: float = 0.0) -> Claim:
    """The exponent of τ from the last two runs, extrapolated with the one before.

    `exact` are the errors by closed form. `start` is how far the start is held from the true one: as the flow
    contracts, the errors are off by no more, and the exponent by 3/(4 log 2) of its share of the least.
    """
    measured, theory = (
        np.log(np.divide(e[:-1], e[1:])) / np.log(np.divide(steps[1:], steps[:-1])) for e in (errors, exact)
    )
    return Claim(
        statement=f"Minimising movements err by the first power of the step τ, {name}: exponent",
        predicted=1.0,
        measured=float(2 * measured[-1] - measured[-2]),
        tolerance=float(abs(theory[-1] - theory[-2]) + 0.75 / math.log(2) * start / errors[-1]),
        origin="the exponent's own O(τ), by what a halving of τ changes in it, from the closed form of the steps; how "
        "near to the true start the cells are",
        from_run=True,
        excludes=Rival("order 1/2, which is all that holds for every convex F", 0.5),
        reference=_JKO,
    )


def _linear(config: Config):
    """Gaussians and quantiles of the linear model, to T = 1."""
    model = catalogue.ornstein_uhlenbeck(_STIFFNESS, _STRENGTH, _BETA).model
    start = Gaussian(_START, _WIDTH)
    exact = Gaussian(mean(1.0, _START, _STIFFNESS), variance(1.0, _WIDTH, _STIFFNESS, _STRENGTH, _BETA))
    ends = [evolve(model, start, until=1.0, dt=1 / n, scheme=JKO()).final for n in config.steps]
    forms = [closed_form(n, 1 / n) for n in config.steps]
    gap = max(abs(float(e.mean[0]) - m) + abs(float(e.covariance[0, 0]) - v)
              for e, (m, v) in zip(ends, forms, strict=True))  # fmt: skip
    errors = [wasserstein(end, exact) for end in ends]
    theory = [wasserstein(Gaussian(m, v), exact) for m, v in forms]
    grid = Euclidean(1).grid(config.cells, -5.0, 5.0)
    cells = Lagrangian.from_density(Density.from_law(grid, start))
    held = evolve(model, cells, until=1.0, dt=1 / config.steps[0], scheme=JKO()).final
    h = grid.spacing[0]
    claims = [
        Claim(
            statement="A Gaussian's minimising movements are those of the closed form: gap of mean and variance",
            predicted=0.0,
            measured=gap,
            tolerance=1e-13 * config.steps[-1],
            origin="rounding, 1e-13 a step",
            excludes=Rival("implicit Euler steps of the moments", _euler_gap(config.steps, forms)),
            reference=_FORM,
        ),
        _order("Ornstein–Uhlenbeck by Gaussians", config.steps, errors, theory),
        Claim(
            statement="Quantiles move as the Gaussian does: $W_2$ of the two at the end",
            predicted=0.0,
            measured=wasserstein(held, ends[0]),
            tolerance=h * h / math.sqrt(_WIDTH),
            origin="h²/σ: cells of width h spread a law of width σ evenly",
            excludes=Rival("no steps, but the solution itself", errors[0]),
            reference=_FORM,
        ),
    ]
    return claims, errors


def _euler_gap(steps, forms) -> float:
    """The largest gap that v⁺ = v − 2τ(a + c)v⁺ + 2τ/β, with the same mean, has from the closed form."""
    gaps = []
    for n, (_, v) in zip(steps, forms, strict=True):
        other = _WIDTH
        for _ in range(n):
            other = (other + 2 / (n * _BETA)) / (1 + 2 * (_STIFFNESS + _STRENGTH) / n)
        gaps.append(abs(other - v))
    return max(gaps)


def barenblatt(time: float):
    """ρ = t^{−1/3}(C − x²t^{−2/3}/12)₊ of ∂ρ = ∂²ρ², mass 1."""
    top = (3 * math.sqrt(1 / 12) / 4) ** (2 / 3)
    return lambda x: time ** (-1 / 3) * jnp.maximum(top - x[0] ** 2 * time ** (-2 / 3) / 12, 0.0)


def _barenblatt_line(config: Config):
    """The porous medium ∂ρ = ∂²ρ² by quantiles, from age 0.2 to 1.2."""
    line = Euclidean(1)
    model = Model(line, internal=PorousMedium(2.0))
    grid, fine = line.grid(config.cells, -4.0, 4.0), line.grid(20_000, -4.0, 4.0)
    start = Lagrangian.from_density(Density.from_function(grid, barenblatt(_AGE)))
    exact = Density.from_function(fine, barenblatt(_AGE + 1))
    ends = [evolve(model, start, until=1.0, dt=1 / n, scheme=JKO()).final for n in config.steps]
    gaps = [wasserstein(end, exact) for end in ends]
    off = wasserstein(start, Density.from_function(fine, barenblatt(_AGE)))
    theory = [_dilation_gap(n) for n in config.steps]
    return [_order("a porous medium by quantiles", config.steps, gaps, theory, off)], gaps


def _dilation_gap(steps: int) -> float:
    """The gap of the dilations after steps of 1/n, r − 1 = τ(E/M)r⁻², from that of the solution, on the line.

    E = ∫ρ² and M = ∫x²ρ of a profile of age t are as 1 to 3t, and a dilation by r divides their quotient by r³.
    """
    whole, quotient = 1.0, 1 / (3 * _AGE)
    for _ in range(steps):
        r = max(np.roots([1, -1, 0, -quotient / steps]).real)
        whole, quotient = whole * r, quotient / r**3
    return abs(whole - ((_AGE + 1) / _AGE) ** (1 / 3))


def _plane(config: Config) -> list[Claim]:
    """Steps of a porous medium in the plane from Barenblatt's profile, free and with V = a|x|²/2, W = c|z|²/2.

    A density on a box moves to the minimiser of ∫(V + W*μ_n)dμ + ∫ρ² + W₂²(μ, μ_n)/2τ: W acts from where the mass was.
    Here that is a profile again, with the mean m⁺(1 + (a + c)τ) = m(1 + cτ), and about it the dilation by s of

        −2E s⁻³ + (a + c)M s + M(s − 1)/τ = 0,   E = ∫ρ²,  M = ∫|x − m|²ρ.
    """
    tau, size, grid = 0.1, spreading(_AGE, 0.0, 2.0, 1.0, 2), Euclidean(2).grid(config.plane_cells, -2.5, 2.5)
    free, bound = (_plane_step(grid, size, tau, a, c, m) for a, c, m in ((0.0, 0.0, 0.0), (_HOLD, _PULL, 0.3)))
    # The square of h over the radius R of the support, and the share of the way that an ascent may leave at an edge.
    cells, left = (grid.spacing[0] / (radius(2.0, 1.0, 1.0, 2) * size)) ** 2, 1e-2
    way = 1 - _mean_after(tau, _PULL)
    flow = spreading(_AGE + tau, 0.0, 2.0, 1.0, 2) / size
    return [
        Claim(
            statement="A step dilates Barenblatt's profile in the plane as it must: quotient of the changes of "
            "$\\int|x|^2\\rho$",
            predicted=1.0,
            measured=(free.dilation**2 - 1) / (free.root(0.0) ** 2 - 1),
            tolerance=cells,
            origin="h²/R²: order 2 in the cells of a support of radius R",
            excludes=Rival("no step, but the solution itself", (flow**2 - 1) / (free.root(0.0) ** 2 - 1)),
            reference="Barenblatt's profile dilates: 2E s⁻³ = M(s − 1)/τ",
        ),
        Claim(
            statement="With an attraction a step of a density minimises the energy in which W acts from the old "
            "density: $m^+/m$",
            predicted=_mean_after(tau, _PULL),
            measured=bound.mean,
            tolerance=(cells + left) * way,
            origin="h²/R² of the way, and 1 % of it, to which the ascent goes",
            excludes=Rival("W from the new density, 1/(1 + aτ)", _mean_after(tau, 0.0)),
            reference="m⁺ = m(1 + cτ)/(1 + (a + c)τ)",
        ),
        Claim(
            statement="Such a step dilates the profile by the attraction too: s",
            predicted=bound.root(_HOLD + _PULL),
            measured=bound.dilation,
            tolerance=(cells + left) * (1 - bound.root(_HOLD + _PULL)),
            origin="h²/R² of the way, and 1 % of it, to which the ascent goes",
            excludes=Rival("half of W", bound.root(_HOLD + _PULL / 2)),
            reference="−2E s⁻³ + (a + c)M s + M(s − 1)/τ = 0",
        ),
    ]


def _mean_after(tau: float, pull: float) -> float:
    return (1 + pull * tau) / (1 + (_HOLD + pull) * tau)


class _Step(NamedTuple):
    """m⁺/m, the dilation about the mean, and τE/M of the start."""

    mean: float
    dilation: float
    power: float
    tau: float

    def root(self, curvature: float) -> float:
        """The s of theory: (1 + τ(a + c))s⁴ − s³ − 2τE/M = 0."""
        roots = np.roots([1 + self.tau * curvature, -1, 0, 0, -2 * self.power])
        return float(max(roots[abs(roots.imag) < 1e-9].real))


def _plane_step(grid, size: float, tau: float, a: float, c: float, mean: float) -> _Step:
    place = jnp.array([mean, 0.0])
    start = profile(grid, 2.0, 1.0, 1.0, centre=place, scale=size)
    model = Model(
        grid.space, confinement=potentials.Quadratic(a), interaction=kernels.Quadratic(c), internal=PorousMedium(2.0)
    )
    end = evolve(model, start, until=tau, dt=tau, scheme=JKO()).final
    centres = [np.asarray(mu.integrate(lambda x: x)) for mu in (start, end)]
    squares = [
        float(mu.integrate(lambda x: jnp.sum(x**2)) - m @ m) for mu, m in zip((start, end), centres, strict=True)
    ]
    power = float(jnp.sum(start.values**2)) * grid.cell_volume
    ratio = float(centres[1][0] / centres[0][0]) if mean else 1.0
    return _Step(ratio, math.sqrt(squares[1] / squares[0]), tau * power / squares[0], tau)


def _states(model: Model, mu: Density, span: float, count: int) -> list[Density]:
    """The law at the times 0, span, …, count·span."""
    steps, states = math.ceil(2 * span / mu.grid.spacing[0] ** 2), [mu]
    for _ in range(count):
        states.append(evolve(model, states[-1], until=span, dt=span / steps, scheme=FiniteVolume("explicit")).final)
    return states


def _speed(config: Config):
    """|μ′|, D and v along the solution of a double well with attraction, by finite volumes."""
    model = catalogue.desai_zwanzig(1.0, 2.0).model
    grid = Euclidean(1).grid(config.well_cells, -3.5, 3.5)
    span = 1.0 / config.segments
    states = _states(model, Density.from_law(grid, Gaussian(0.5, 0.3)), span, config.segments)
    free = np.array([float(observables.free_energy(model, s)) for s in states])
    slope = np.array([float(observables.dissipation(model, s)) for s in states])
    squares = np.array([wasserstein(a, b) ** 2 / span**2 for a, b in itertools.pairwise(states)])
    middle = 0.5 * (slope[1:] + slope[:-1])
    coarse = np.array(
        [wasserstein(a, b) ** 2 / (2 * span) ** 2 for a, b in zip(states[:-2:2], states[2::2], strict=True)]
    )
    wide = 0.5 * (slope[2::2] + slope[:-2:2])
    at = config.segments // 4
    left = span * float(squares.sum() + middle.sum()) / 2
    double = 2 * span * float(coarse.sum() + wide.sum()) / 2
    ratio, broad = squares[2 * at] / middle[2 * at], coarse[at] / wide[at]
    # Both rules err by h²/12 and h²/24 of second derivatives: the pair of step lengths gives the limit, but for h⁴.
    spent, ratio, part = left + (left - double) / 3, ratio + (ratio - broad) / 3, abs(left - double) / 3
    change, space = abs(ratio - broad) / 4, grid.spacing[0] ** 2
    three = states[2 * at : 2 * at + 3]
    velocity = _velocity_gap(model, three, span)
    alone = _velocity_gap(Model(model.space, confinement=model.confinement, noise=model.noise), three, span)[0]
    drop = float(free[0] - free[-1])
    claims = [
        Claim(
            statement="The squared speed $|\\mu'|^2$ in $W_2$ is the dissipation, in a double well at half the time: "
            "quotient",
            predicted=1.0,
            measured=float(ratio),
            tolerance=float(change + space),
            origin="the correction by extrapolation in the time between the measures, and h²",
            from_run=True,
            excludes=Rival("a factor ½ in the metric", 0.5),
            reference=_SPEED,
        ),
        Claim(
            statement="Speed and slope share the fall of F: $\\frac12\\int|\\mu'|^2 + \\frac12\\int D$ over it",
            predicted=1.0,
            measured=spent / drop,
            tolerance=part / drop + space,
            origin="the correction by extrapolation in the time between the measures, and h²",
            from_run=True,
            excludes=Rival("no ½ before one of them", 1.5),
            reference=_SPEED,
        ),
        Claim(
            statement="The velocity is $-\\nabla\\delta F$: $|v + \\nabla\\delta F|$ over $|v|$ in $L^2(\\mu)$",
            predicted=0.0,
            measured=velocity[0],
            tolerance=velocity[1],
            origin="what doubling the time between the measures changes, and h²",
            from_run=True,
            excludes=Rival("the gradient of F without the interaction", alone),
            reference=_SPEED,
        ),
    ]
    times = span * (np.arange(config.segments) + 0.5)
    return claims, (times, squares, middle)


def _velocity_gap(model: Model, states, span: float) -> tuple[float, float]:
    """|v + ∇δF|/|v| for v = −∂_tF/ρ on the faces, F the distribution function, and its allowance."""
    first, now, last = states
    h = now.grid.spacing[0]
    rho = np.asarray(now.values)
    slope = np.diff(np.asarray(energy.first_variation(model, now))) / h
    weight = 0.5 * (rho[1:] + rho[:-1])
    held = weight > 1e-8 * weight.max()
    flux = -np.cumsum(np.asarray(last.values) - np.asarray(first.values))[:-1] * h / (2 * span)
    one_sided = -np.cumsum(np.asarray(last.values) - rho)[:-1] * h / span
    other = -np.cumsum(rho - np.asarray(first.values))[:-1] * h / span
    norm = lambda j: math.sqrt(np.sum((j[held]) ** 2 / weight[held]))  # noqa: E731
    gap = norm(flux + weight * slope) / norm(flux)
    return gap, norm(one_sided - other) ** 2 / norm(flux) ** 2 + h * h


def _figures(config: Config, line, gaps, record) -> list[Figure]:
    tau = 1 / np.array(config.steps)
    orders = Panel(
        "step τ (time)", "W₂ to the solution at T = 1 (length)",
        [Series(tau, line, "Ornstein–Uhlenbeck, Gaussians", kind="points"),
         Series(tau, gaps, "Barenblatt, quantiles", kind="points"),
         Series(tau, line[0] * tau / tau[0], "order 1", kind="dashed")],
        xscale="log", yscale="log",
    )  # fmt: skip
    times, squares, middle = record
    speed = Panel(
        "time t", "energy per time",
        [Series(times, middle, r"dissipation $D(\mu_t)$"),
         Series(times, squares, r"$W_2(\mu_t, \mu_{t+h})^2/h^2$", kind="points")],
        yscale="log",
    )  # fmt: skip
    caption = (
        "Left: distance of minimising movements from the solution against τ. Right: the squared speed in W₂ beside the "
        "dissipation, double well."
    )
    return [Figure(caption, [orders, speed])]


CHAPTER = Chapter(
    name="gradient_flow",
    title="Steepest descent in the Wasserstein metric",
    statement=(
        "The equation $\\partial_t\\rho = \\nabla\\cdot(\\rho\\nabla\\delta F)$ is the gradient flow of $F$: the "
        "limit $\\tau \\to 0$ of $$\\mu_{n+1} = \\mathrm{argmin}_\\mu\\; F(\\mu) + \\frac{W_2^2(\\mu, "
        "\\mu_n)}{2\\tau}.$$ Its velocity is $v = -\\nabla\\delta F$, its squared speed $|\\mu'|^2$ in $W_2$ is $D = "
        "\\int|\\nabla\\delta F|^2d\\mu$, and $F(\\mu_0) - F(\\mu_T) = \\frac12\\int|\\mu'|^2dt + \\frac12\\int "
        "D\\,dt$. For Gaussians the step is explicit, $s_{n+1} = \\bigl(s_n + \\sqrt{s_n^2 + 4\\tau "
        "k/\\beta}\\bigr)/2k$ with $k = 1 + \\tau(a + c)$. On a box the step of a density takes $W$ from where the "
        "mass was: it minimises $$\\int(V + W * \\mu_n)\\,d\\mu + \\int U(\\rho) + \\frac{W_2^2(\\mu, "
        "\\mu_n)}{2\\tau},$$ $U$ an internal energy or the entropy, of the same order in $\\tau$. Where $D \\ge "
        "2\\lambda(F - F^*)$ for all measures (Polyak and Łojasiewicz; without $W$ the log-Sobolev inequality), $F - "
        "F^*$ falls as $e^{-2\\lambda t}$ at least. Such a constant is tried at the measure that fits it worst, "
        "found by an ascent of $2\\lambda(F - F^*) - D$."
    ),
    what=lambda c: (
        f"Ornstein–Uhlenbeck (a = 1, c = 0.5, β = 2) and the porous medium (m = 2) with up to {c.steps[-1]} steps, "
        f"{c.cells} cells on the line, {c.plane_cells}² in the plane, there with an attraction too; a double well with "
        f"attraction by explicit finite volumes, {c.well_cells} cells."
    ),
    run=run,
    config=Config(),
    quick=Config(steps=(8, 16, 32), cells=200, well_cells=160, segments=20, plane_cells=64),
    references=(
        "R. Jordan, D. Kinderlehrer and F. Otto, SIAM J. Math. Anal. 29, 1998.",
        "L. Ambrosio, N. Gigli and G. Savaré, Gradient flows, 2008.",
    ),
)
