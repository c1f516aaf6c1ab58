"""Part of the chapter *branches*: the bifurcation diagram of opinions with a bounded confidence, with exact points.

W = −½((1 − |x|)_+)² on the circle has w_k = (2/πk²)(1 − sin(k)/k). The uniform state has a branch point at each κ_k =
2/w_k, and the branch that leaves there has the period 2π/k: with y = kx it is the first branch of the weights w_k,
w_2k, w_3k, …, which the amplitude of one mode follows without the library.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from mckean.catalogue import circle
from mckean.measures import Density
from mckean.phases import Branch, continuation, departures, steady_state
from mckean.spaces import Torus
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series
from mckean.talk.parts import amplitudes

_PAPER = "Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719, §6.2"
_ROUNDING = "Newton's method stops at rounding, and no curvature is below .01 there"


@dataclass(frozen=True)
class Opinions:
    """Nodes, modes of W, the interval of κ, and how many branches."""

    nodes: int = 128
    modes: int = 24
    within: tuple[float, float] = (13.0, 36.0)
    branches: int = 3

    @property
    def weights(self) -> np.ndarray:
        return np.asarray(circle.bounded_confidence_weights(1.0, self.modes))


def run_opinions(config: Opinions) -> tuple[list[Claim], Figure]:
    """The claims and the figure of this part."""
    weights = config.weights
    model_of = lambda strength: circle.on_circle(jnp.asarray(weights), strength, 1.0)  # noqa: E731
    low = config.within[0]
    flat = Density(Torus(1).grid(config.nodes), jnp.full(config.nodes, 1 / (2 * np.pi)))
    start = steady_state(model_of(low), flat, 0)
    plain = continuation(model_of, start, low, config.within, step=0.2)
    ways, branches = [], []
    for event in plain.events[: config.branches]:
        (way,) = departures(event)
        ways.append(way)
        branches.append(continuation(
            model_of, event.state, event.parameter, config.within, along=way, step=0.1, longest=0.2, most=60
        ))  # fmt: skip
    return _claims(config, plain, ways, branches), _figure(plain, branches)


def _claims(config: Opinions, plain: Branch, ways: list, branches: list[Branch]) -> list[Claim]:
    weights = config.weights
    k = np.arange(1, config.branches + 1)
    exact = 2 / weights[k - 1]
    points = np.array([event.parameter for event in plain.events[: config.branches]])
    share = weights[2 * k - 1] / weights[k - 1]
    bends = exact / 4 * (1 - 2 * share) / (1 - share)
    found = np.array([way.bend for way in ways])
    ends, others = _along(config, branches)
    fold = amplitudes.transition(weights, 12.0)
    turn = next(event for event in branches[0].events if event.kind == "fold")
    return [
        Claim(
            statement="Opinions with a bounded confidence, $W = -\\frac12((1 - |x|)_+)^2$: the uniform state has "
            "branch points at $\\kappa_k = \\pi k^2/(1 - \\sin(k)/k)$; largest relative error of the first "
            f"{config.branches}",
            predicted=0.0,
            measured=float(np.abs(points / exact - 1).max()),
            tolerance=1e-10,
            origin=_ROUNDING,
            excludes=Rival("one threshold for all k, that of the first", 1 - exact[0] / exact[-1]),
            reference=_PAPER,
        ),
        Claim(
            statement="Each leaves as $\\kappa - \\kappa_k = \\kappa_ks^2(1 - 2w)/4(1 - w)$, $w = w_{2k}/w_k$: largest "
            "relative error of the coefficients, of which the first is negative and the others are not all",
            predicted=0.0,
            measured=float(np.abs(found / bends - 1).max()),
            tolerance=1e-8,
            origin="the curvature that vanishes does so to 1e-9 of those beside it; coefficients are of order 1",
            excludes=Rival("the mode k alone", float(np.abs(exact / 4 / bends - 1).max())),
            reference=_PAPER,
        ),
        Claim(
            statement="The branch with $k$ clusters is the first branch of the modes $k, 2k, 3k, \\ldots$ alone: "
            "largest error of $r_k$ at three places on each",
            predicted=0.0,
            measured=ends,
            tolerance=1e-10,
            origin=_ROUNDING + "; the other method has twice the nodes",
            excludes=Rival("all modes, on the first branch", others),
            reference="ρ(x + 2π/k) = ρ(x)",
        ),
        Claim(
            statement="The first branch turns back, at the $\\kappa$ of the amplitude's equation",
            predicted=fold.fold,
            measured=turn.parameter,
            tolerance=1e-8,
            origin="a minimum that is found to 1e-7 in the amplitude is off by its square",
            excludes=Rival("it leaves forwards", fold.threshold),
            reference=_PAPER,
        ),
    ]


def _along(config: Opinions, branches: list[Branch]) -> tuple[float, float]:
    """The largest error of r_k, and the least at these κ of the first branch instead."""
    worst, other = 0.0, np.inf
    for k, branch in enumerate(branches, start=1):
        for amplitude in (0.2, 0.3, 1.5):
            kappa, r, _ = amplitudes.state(config.weights[k - 1 :: k], amplitude)
            orders = np.array([_mode(state, k) for state in branch.at(kappa)])
            worst = max(worst, float(np.abs(orders - r).min()))
            if k > 1:
                other = min(other, abs(amplitudes.state(config.weights, amplitude)[1] - r))
    return worst, float(other)


def _mode(state, k: int) -> float:
    """|⟨e^{ikx}⟩|."""
    values = np.asarray(state.density.values)
    return float(np.abs(np.fft.rfft(values)[k]) * state.density.grid.cell_volume)


def _figure(plain: Branch, branches: list[Branch]) -> Figure:
    orders, energies = [], []
    for k, branch in enumerate(branches, start=1):
        stable = branch.index == 0
        even = -np.log(2 * np.pi)
        for series, values in ((orders, [_mode(s, k) for s in branch.states]), (energies, branch.free_energy - even)):
            values = np.asarray(values)
            series.append(Series(branch.parameters, values, f"k = {k}", kind="dashed"))
            if stable.any():
                series.append(Series(branch.parameters, np.where(stable, values, np.nan), f"k = {k}, stable"))
    lines = tuple((event.parameter, f"$\\kappa_{i}$") for i, event in enumerate(plain.events[: len(branches)], 1))
    panels = [
        Panel("coupling κ (units of 1/β)", "$r_k$", orders, vertical=lines),
        Panel("coupling κ (units of 1/β)", "F − F(uniform)", energies, vertical=lines),
    ]
    caption = (
        "The bifurcation diagram of opinions with a bounded confidence, after Carrillo, Gvalani, Pavliotis and "
        "Schlichting: states of k clusters leave the uniform one at κ_k = 2/w_k. One cluster leaves backwards and is "
        "stable beyond its fold; dashed states are unstable."
    )
    return Figure(caption, panels)
