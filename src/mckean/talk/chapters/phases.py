"""Chapter: phase diagrams over two parameters, and how particles remember."""

from dataclasses import dataclass, field

import jax
import numpy as np
from scipy import special

from mckean.catalogue import circle
from mckean.phases import PhaseDiagram, phase_diagram
from mckean.spaces import Torus
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts import amplitudes
from mckean.talk.parts.loops import Loops, run_crossing, run_ramps

_MODES = 24
_DICHOTOMY = "Mun and Rosenzweig, arXiv 2604.16288 and 2606.05140"
_ROUNDING = "the lines are solved to rounding, times the slope of what vanishes there"


@dataclass(frozen=True)
class Config:
    nodes: int = 64
    values: int = 64
    columns: int = 48
    loops: Loops = field(default_factory=Loops)


def _attention(ratio, sharpness):
    """κ in units of κ_♯ = 2/w_1."""
    weights = circle.attention_weights(sharpness, _MODES)
    return circle.on_circle(weights, 2 * ratio / weights[0], 1.0)


def run(config: Config, key, progress) -> Result:
    sharpness = np.linspace(1.5, 5.0, config.columns)
    tokens = phase_diagram(
        _attention, Torus(1).grid(config.nodes), np.linspace(0.88, 1.06, config.values), sharpness, refinement=2
    )
    progress(0.5)
    first, second = jax.random.split(key)
    loop, left = run_ramps(config.loops, first)
    progress(0.8)
    ratios, right = run_crossing(config.loops, second)
    claims = [*_token_claims(tokens), *loop, *ratios]
    return Result(claims, [_lines(tokens), Figure(_LOOPS, [left, right])])


def _token_claims(diagram: PhaseDiagram) -> list[Claim]:
    b = diagram.second
    weights = np.array([circle.attention_weights(s, _MODES)[0] for s in b])
    strength, exact = diagram.threshold * 2 / weights, b / special.iv(1, b)
    last = float(b[-1])
    k = np.arange(1, _MODES + 1)
    other = amplitudes.transition(2 * special.iv(k, last) / last, 6.0)
    fold, level = (line[-1] * 2 / weights[-1] for line in (diagram.fold, diagram.coexistence))
    rows = (
        (f"At $b = {last:g}$ the ordered state ends, at a fold, at the $\\kappa$ of another method", other.fold, fold,
         Rival("a continuous transition", other.threshold)),
        (f"and at $b = {last:g}$ both states have the same free energy at the $\\kappa_c$ of that method",
         other.coexistence, level, Rival("they coexist at the fold", other.fold)),
    )  # fmt: skip
    return [
        Claim(
            statement="Tokens that attend, $W = -\\kappa e^{b\\cos x}/b$: without order they are stable up to "
            "$\\kappa_\\sharp = b/I_1(b)$; largest relative error over the columns",
            predicted=0.0,
            measured=float(np.abs(strength / exact - 1).max()),
            tolerance=1e-9,
            origin=_ROUNDING,
            excludes=Rival("cos x counted twice", 0.5),
            reference=_DICHOTOMY,
        ),
        *(
            Claim(
                statement=statement, predicted=predicted, measured=float(measured), tolerance=1e-9, origin=_ROUNDING,
                excludes=rival, reference="the amplitude of cos x is given and κ is found",
            )
            for statement, predicted, measured, rival in rows
        ),
        _tricritical(diagram),
    ]  # fmt: skip


def _tricritical(diagram: PhaseDiagram) -> Claim:
    """With κ/κ_♯ − 1 = c A² + eA⁴ the fold lies at −c²/4e: the root of its depth is smooth in b, and 0 at b_*."""
    from scipy.optimize import root_scalar

    seen = np.flatnonzero(np.isfinite(diagram.fold))[:4]
    b, depth = diagram.second[seen], np.sqrt(1 - diagram.fold[seen])
    # As functions of the depth: polynomials through the points, at 0.
    line, curve = (float(np.polyfit(depth[:n], b[:n], n - 1)[-1]) for n in (3, 4))

    def ratio(nu: float, share: float) -> float:
        gap = lambda b: special.iv(nu + 1, b) / special.iv(nu, b) - share  # noqa: E731
        return float(root_scalar(gap, bracket=(0.5, 6.0), xtol=1e-13).root)

    return Claim(
        statement="The transition is continuous up to $I_2(b)/I_1(b) = \\frac12$ and discontinuous beyond: where the "
        "depth of the fold goes to zero",
        predicted=ratio(1, 1 / 2),
        measured=curve,
        tolerance=abs(curve - line),
        origin="a polynomial through three folds for one through four",
        from_run=True,
        excludes=Rival("the I_{5/2}(b)/I_{3/2}(b) = ⅓ of tokens on S²", ratio(1.5, 1 / 3)),
        reference=_DICHOTOMY,
    )


_LOOPS = (
    "Particles. Left, hysteresis: opinions with a bounded confidence keep the state that they have while κ goes up "
    "slowly, and down again on the same noise; lines are steady states, dashed where unstable. Right, Binder's ratio "
    "of oscillators: curves of two N cross near the transition, at a value near π/2."
)


def _lines(tokens: PhaseDiagram) -> Figure:
    beyond = float(tokens.second[np.isfinite(tokens.fold)][0])
    panels = [
        Panel("sharpness b", "coupling $\\kappa/\\kappa_\\sharp$", [
            Series(tokens.second, tokens.threshold, "$\\kappa_\\sharp$: the uniform state is stable below"),
            Series(tokens.second, tokens.coexistence, "$\\kappa_c$: equal free energy", kind="dashed"),
            Series(tokens.second, tokens.fold, "fold: an ordered state is stable above"),
        ], "Phase diagram", vertical=((beyond, "first fold"),)),
        Panel("coupling $\\kappa/\\kappa_\\sharp$", "order parameter r", [
            *_column_series(tokens, 0), *_column_series(tokens, -1)
        ], "Its first and its last column", vertical=((1.0, "$\\kappa_\\sharp$"),)),
    ]  # fmt: skip
    caption = (
        "Tokens that attend. Left, the lines: up to I₂(b)/I₁(b) = ½ the transition is continuous; beyond, two states "
        "are stable between the fold and $\\kappa_\\sharp$, and at $\\kappa_c$ they have the same free energy. "
        "Right, a continuous and a discontinuous transition: points are the diagram's, lines another method's, "
        "dashed where unstable."
    )
    return Figure(caption, panels)


def _column_series(tokens: PhaseDiagram, j: int) -> list[Series]:
    """The order along a column, and the branch by its amplitude."""
    b, k = float(tokens.second[j]), np.arange(1, _MODES + 1)
    weights = 2 * special.iv(k, b) / b
    curve = np.array([amplitudes.state(weights, a)[:2] for a in np.geomspace(0.05, 4.0, 50)])
    curve[:, 0] *= weights[0] / 2
    curve, turn = curve[curve[:, 0] <= tokens.first[-1]], int(np.argmin(curve[:, 0]))
    found = Series(tokens.first, tokens.order[:, j], f"diagram, b = {b:g}", kind="points")
    stable = Series(curve[turn:, 0], curve[turn:, 1], f"b = {b:g}")
    return [found, stable, *([Series(curve[: turn + 1, 0], curve[: turn + 1, 1], kind="dashed")] if turn else [])]


CHAPTER = Chapter(
    name="phases",
    title="Phase diagrams, and particles that remember",
    statement=(
        "Over two parameters the steady states change on lines: where the state without order loses its stability, "
        "$\\kappa_\\sharp$; where an ordered state ends, a fold; where both have the same free energy, $\\kappa_c$. "
        "Tokens on a circle with $W = -\\kappa e^{b\\cos x}/b$ have all three beyond $$\\frac{I_2(b)}{I_1(b)} = "
        "\\frac12,$$ and one up to there. Between fold and threshold particles keep the state that they come from: "
        "slow ramps of $\\kappa$, up and down, go two ways. At a continuous transition $N^{1/4}r$ has a law of its "
        "own, and $E\\,r^4/(E\\,r^2)^2 \\to \\pi/2$ for oscillators."
    ),
    what=lambda c: (
        f"Tokens: {c.columns} values of b by {c.values} of κ on {c.nodes} nodes, refined twice. Bounded confidence, "
        f"h = 1: {c.loops.ramps} ramps of N = {c.loops.opinions}, κ from 11 to 27 and back, a stay of {c.loops.stay:g} "
        f"at each. Oscillators: {c.loops.replicas} replicas of N = {c.loops.sizes[0]} and {c.loops.sizes[1]} up to "
        f"t = {c.loops.until:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(
        nodes=48,
        values=16,
        columns=14,
        loops=Loops(opinions=128, ramps=32, stay=4.0, between=2.0, sizes=(16, 64), replicas=700, until=20.0),
    ),
    references=(
        "K. Mun and M. Rosenzweig, arXiv 2604.16288 and 2606.05140.",
        "J. A. Carrillo, R. S. Gvalani, G. A. Pavliotis and A. Schlichting, arXiv 1806.01719.",
        "K. Binder, Z. Phys. B 43, 1981.",
    ),
)
