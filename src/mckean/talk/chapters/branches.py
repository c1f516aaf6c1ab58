"""Chapter: all steady states of a model as its coupling grows, a continuous and a discontinuous transition."""

from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from mckean.catalogue.oscillators import order_parameter
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import Density
from mckean.models import langevin
from mckean.paths import Brownian
from mckean.phases import (
    Branch,
    coexistence,
    continuation,
    departures,
    linear_threshold,
    mountain_pass,
    steady_state,
)
from mckean.spaces import Torus
from mckean.statistics import binomial_interval, replicate
from mckean.talk.claims import LEVEL, Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.bifurcations import Opinions, run_opinions
from mckean.talk.parts.hierarchies import transition

_CIRCLE = Torus(1)
_SHARPNESS = 4.0
_K = np.arange(1, 25)
# −e^{4cos x}/4 = −Σ w_k cos kx, but for a constant.
_WEIGHTS = 2 * special.iv(_K, _SHARPNESS) / _SHARPNESS
_PATH = "Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719"
_ROUNDING = "Newton's method stops at rounding; the bracket of an event is 1e-13 of its parameter"


@dataclass(frozen=True)
class Config:
    nodes: int = 64
    size: int = 4000
    replicas: int = 64
    until: float = 10.0
    dt: float = 0.02
    opinions: Opinions = field(default_factory=Opinions)


def _cosine(strength):
    return langevin(_CIRCLE, interaction=kernels.Cosine(strength), beta=1.0)


def _attention(strength):
    return langevin(_CIRCLE, interaction=kernels.FourierSeries(_K, -strength * _WEIGHTS), beta=1.0)


def _two_waves(strength):
    return langevin(_CIRCLE, interaction=kernels.FourierSeries([1, 2], -strength * jnp.array([1.0, 2.0])), beta=1.0)


def _leave(model_of, grid, below: float, above: float, lowest: float) -> tuple[Branch, Any, Branch]:
    """The uniform branch, and the only one that leaves it at its first branch point."""
    flat = Density(grid, jnp.full(grid.shape, 1 / (2 * np.pi)))
    plain = continuation(model_of, steady_state(model_of(below), flat, 0), below, (lowest, above))
    event = plain.events[0]
    (way,) = departures(event)
    # Points near enough for a picture.
    branch = continuation(model_of, event.state, event.parameter, (lowest, above), along=way, longest=0.15)
    return plain, way, branch


def run(config: Config, key, progress) -> Result:
    grid = _CIRCLE.grid(config.nodes)
    _, _, smooth = _leave(_cosine, grid, 1.5, 4.0, 1.0)
    progress(0.25)
    plain, way, abrupt = _leave(_attention, grid, 0.35, 0.5, 0.3)
    progress(0.5)
    start = Density.from_function(grid, lambda x: 1 + 0.9 * jnp.cos(2 * x[0]))
    clusters = continuation(_two_waves, steady_state(_two_waves(1.15), start, 50), 1.15, (1.1, 1.4))
    progress(0.6)
    ((strength, ordered, _),) = coexistence(abrupt, plain)
    spread, gathered = (
        replicate(
            eqx.Partial(_order_at_end, law=law, strength=jnp.asarray(strength), config=config), k, config.replicas
        )
        for law, k in zip((plain.at(strength)[0].density, ordered.density), jax.random.split(key), strict=True)
    )
    saddle = mountain_pass(_attention(strength), plain.at(strength)[0], ordered)
    diagram, drawn = run_opinions(config.opinions)
    claims = [
        *_continuous(smooth),
        *_discontinuous(plain, abrupt, strength, saddle.free_energy - ordered.free_energy),
        _way_out(way),
        _kinks(),
        _secondary(clusters),
        *_shares(spread, gathered, saddle.order, strength),
        *diagram,
    ]
    return Result(claims, [_figure(smooth, plain, abrupt, strength, spread, gathered), drawn])


def _order_at_end(key, law, strength, config: Config):
    start, noise = jax.random.split(key)
    cloud = law.sample(start, config.size)
    end = evolve(_attention(strength), cloud, until=config.until, dt=config.dt, path=Brownian(noise)).final
    return jnp.abs(jnp.mean(jnp.exp(1j * end.positions)))


def _continuous(branch: Branch) -> list[Claim]:
    strengths = np.array([2.05, 2.3, 2.7, 3.2, 3.8])
    found = np.array([branch.at(k)[0].order for k in strengths])
    exact, cold = (np.array([order_parameter(s * k, 1.0) for k in strengths]) for s in (1, 2))
    near = branch.at(2.01)[0].order, branch.at(2.04)[0].order
    return [
        Claim(
            statement="The branch that leaves the uniform state of $W = -K\\cos x$ has $r = I_1(Kr)/I_0(Kr)$: largest "
            "error at five K",
            predicted=0.0,
            measured=float(np.abs(found - exact).max()),
            tolerance=1e-10,
            origin="rounding, as the residual of log ρ is below 1e-12 and the least curvature above .01",
            excludes=Rival("noise √(1/β) for √(2/β)", float(np.abs(cold - exact).max())),
            reference=_PATH,
        ),
        Claim(
            statement="It leaves as $r \\propto (K - 2)^{1/2}$: exponent between $K - 2 = .01$ and $.04$",
            # With a = Kr, 1/K = 1/2 − a²/16 + a⁴/96 − …, so that r² = ε(1 − 5ε/6 + O(ε²)), ε = K − 2.
            predicted=0.5 - 5 / 12 * 0.03 / np.log(4),
            measured=float(np.log(near[1] / near[0]) / np.log(4)),
            tolerance=2 * 0.04**2 / np.log(4),
            origin="the third term of the expansion in K − 2",
            excludes=Rival("a transcritical branch, r ∝ K − 2", 1.0),
            reference=_PATH,
        ),
    ]


def _discontinuous(plain: Branch, abrupt: Branch, strength: float, barrier: float) -> list[Claim]:
    other = transition(_WEIGHTS)
    sharp = float(_SHARPNESS / special.iv(1, _SHARPNESS))
    fold = next(e for e in abrupt.events if e.kind == "fold")
    rows = (
        ("The uniform state of $W = -\\kappa e^{4\\cos x}/4$ loses its stability at $\\kappa = 4/I_1(4)$",
         sharp, plain.events[0].parameter, Rival("a mode of cos x counted twice", sharp / 2)),
        ("The branch that leaves there turns back, and has its fold at the $\\kappa$ of the hierarchy of its modes",
         other.fold, fold.parameter, Rival("a continuous transition: no state before the threshold", sharp)),
        ("Order and disorder have the same free energy at the hierarchy's $\\kappa_c$",
         other.coexistence, strength, Rival("they coexist at the fold", other.fold)),
        ("The pass between them, from a string of densities, is as high as the hierarchy's saddle above disorder",
         other.barrier, barrier, Rival("the energy of pairs without its ½", other.barrier_without_half)),
    )  # fmt: skip
    claims = [
        Claim(
            statement=statement,
            predicted=predicted,
            measured=measured,
            tolerance=1e-9,
            origin=_ROUNDING + "; the hierarchy is cut at 24 modes, r_24 < 1e-13",
            excludes=rival,
            reference=_PATH,
        )
        for statement, predicted, measured, rival in rows
    ]
    return [
        *claims,
        Claim(
            statement="Between fold and threshold the branch has one unstable direction: the largest index",
            predicted=1.0,
            measured=float(max(abrupt.index)),
            excludes=Rival("a branch that is stable all along", 0.0),
            reference="Crandall and Rabinowitz: stability changes at a fold",
        ),
    ]


def _way_out(way: Any) -> Claim:
    """To third order in s the first mode drives the second, which acts on it: δκ/κ_♯ = s²(1 − 2w)/4(1 − w)."""
    share = float(_WEIGHTS[1] / _WEIGHTS[0])
    bend = float(_SHARPNESS / special.iv(1, _SHARPNESS)) / 4
    return Claim(
        statement="The branch leaves backwards, as $w = \\hat W(2)/\\hat W(1) > 1/2$: with $s$ the root mean square of "
        "$\\log\\rho$, $\\kappa - \\kappa_\\sharp = \\kappa_\\sharp s^2(1 - 2w)/4(1 - w)$; its coefficient, by the "
        "reduced equations",
        predicted=bend * (1 - 2 * share) / (1 - share),
        measured=way.bend,
        tolerance=1e-9,
        origin=_ROUNDING,
        excludes=Rival("the first mode alone, which always leaves forwards", bend),
        reference=_PATH,
    )


def _kinks() -> Claim:
    """Hegselmann and Krause's −½((h − |x|)₊)², h = 1: Ŵ(1) = −(h − sin h)/π, L = 2π."""
    bounded = lambda x: -0.5 * jnp.maximum(1.0 - jnp.abs(x[0]), 0.0) ** 2  # noqa: E731
    model = langevin(_CIRCLE, interaction=kernels.MinimalImage(bounded), beta=1.0)
    x = 2 * np.pi * np.arange(4096) / 4096
    samples = -0.5 * np.maximum(1 - np.minimum(x, 2 * np.pi - x), 0) ** 2
    return Claim(
        statement="With bounded confidence $W = -\\frac12((1 - |x|)_+)^2$, which has kinks, "
        "$\\kappa_\\sharp = \\pi/(1 - \\sin 1)$",
        predicted=float(np.pi / (1 - np.sin(1.0))),
        measured=linear_threshold(model).factor,
        tolerance=1e-10,
        origin="rounding: quadrature between the kinks",
        excludes=Rival("4096 samples of W", float(-1 / np.mean(samples * np.cos(x)))),
        reference=_PATH,
    )


def _secondary(branch: Branch) -> Claim:
    """Two clusters of W = −κ(cos x + 2cos 2x): cos x grows where κ(1 + r₂) = 2, with r₂ = I₁(2κr₂)/I₀(2κr₂)."""
    from scipy.optimize import brentq

    order = lambda kappa: order_parameter(2 * kappa, 1.0)  # noqa: E731
    exact = float(brentq(lambda kappa: kappa * (1 + order(kappa)) - 2, 1.1, 1.5, xtol=1e-14))  # pyright: ignore[reportArgumentType]
    return Claim(
        statement="Two clusters of $W = -\\kappa(\\cos x + 2\\cos 2x)$ lose their stability, without a fold, where "
        "$\\kappa(1 + r_2) = 2$",
        predicted=exact,
        measured=branch.events[0].parameter,
        tolerance=1e-9,
        origin=_ROUNDING,
        excludes=Rival("where the uniform state does, κ = 2", 2.0),
        reference="linear stability of a state of two clusters",
    )


def _shares(spread: np.ndarray, gathered: np.ndarray, saddle: float, strength: float) -> list[Claim]:
    claims = []
    for name, orders, predicted in (("disordered", spread, 0.0), ("ordered", gathered, 1.0)):
        count = int(np.sum(orders > saddle))
        claims.append(
            Claim(
                statement=f"Clouds that begin {name} stay so where both states have the same free energy: share with "
                "an order above the saddle's",
                predicted=predicted,
                measured=count / orders.size,
                interval=binomial_interval(count, orders.size, 1 - LEVEL),
                excludes=Rival("one law, in which both states are as likely", 0.5),
                reference="Freidlin and Wentzell: a lifetime of order $e^{N\\beta\\Delta}$",
            )
        )
    return claims


def _figure(smooth: Branch, plain: Branch, abrupt: Branch, strength: float, spread, gathered) -> Figure:
    def curve(branch: Branch, name: str) -> list[Series]:
        stable = np.where(branch.index == 0, branch.order, np.nan)
        return [
            Series(branch.parameters, branch.order, f"{name}, unstable", kind="dashed"),
            Series(branch.parameters, stable, f"{name}, stable"),
        ]

    place = np.full(spread.size, strength)
    clouds = [
        Series(place, spread, "clouds begun disordered", kind="points"),
        Series(place, gathered, "clouds begun ordered", kind="points"),
    ]
    fold, threshold = abrupt.events[0].parameter, plain.events[0].parameter
    lines = ((fold, "fold"), (strength, "$\\kappa_c$"), (threshold, "$\\kappa_\\sharp$"))
    panels = [
        Panel("coupling K (units of 1/β)", "order parameter r", curve(smooth, "$W=-K\\cos x$"),
              vertical=((2.0, "K = 2"),)),
        Panel("coupling κ (units of 1/β)", "order parameter r", curve(abrupt, "$W=-\\kappa e^{4\\cos x}/4$") + clouds,
              vertical=lines),
    ]  # fmt: skip
    caption = (
        "Steady states by continuation. Left, a continuous transition: the branch leaves the uniform state and stays "
        "stable. Right, a discontinuous one: it leaves backwards, is unstable (dashed) up to its fold, and between "
        "fold and threshold two states are stable; at $\\kappa_c$ they have the same free energy, and clouds of "
        "particles keep the one that they begin with."
    )
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="branches",
    title="All steady states, continuous and discontinuous transitions",
    statement=(
        "A steady state of the limit equation solves $$\\rho = \\frac1Z e^{-\\beta(V + W*\\rho)}.$$ As the coupling "
        "$\\kappa$ grows, the uniform state of a torus loses its stability at $\\kappa_\\sharp = -L^d/(\\beta\\min_k"
        "\\hat W(k))$, and a branch of other states leaves it. Forwards, the transition is continuous. Backwards, the "
        "branch is unstable up to a fold, and order and disorder are both stable in between: they have the same free "
        "energy at one $\\kappa_c$, and a cloud of $N$ particles stays near the one where it begins for a time of "
        "order $e^{N\\beta\\Delta}$, $\\Delta$ the barrier between them."
    ),
    what=lambda c: (
        f"Pseudo-arclength continuation on {c.nodes} nodes, β = 1: $W = -K\\cos x$, $W = -\\kappa e^{{4\\cos x}}/4$ "
        f"(attention with noise) and $W = -\\kappa(\\cos x + 2\\cos 2x)$; at $\\kappa_c$, {c.replicas} "
        f"clouds of N = {c.size} particles from each of the two states up to t = {c.until:g}, dt = {c.dt:g}. Bounded "
        f"confidence: {c.opinions.branches} branches, {c.opinions.nodes} nodes, {c.opinions.modes} modes."
    ),
    run=run,
    config=Config(),
    quick=Config(replicas=32, until=4.0),
    references=(
        "J. A. Carrillo, R. S. Gvalani, G. A. Pavliotis and A. Schlichting, arXiv 1806.01719.",
        "H. B. Keller, in Applications of Bifurcation Theory, 1977.",
    ),
)
