"""Chapter: how long a state that is not the only one lasts: clouds in two wells, and clusters of tokens."""

from dataclasses import dataclass, field

from mckean.talk.claims import Chapter, Result
from mckean.talk.parts.escapes import Escapes, run_escapes
from mckean.talk.parts.ripening import Ripening, run_ripening
from mckean.talk.parts.staircases import Staircase, run_staircase


@dataclass(frozen=True)
class Config:
    escapes: Escapes = field(default_factory=Escapes)
    staircase: Staircase = field(default_factory=Staircase)
    ripening: Ripening = field(default_factory=Ripening)


def run(config: Config, key, progress) -> Result:
    claims, tests, figure = run_escapes(config.escapes, key, lambda done: progress(0.9 * done))
    more, steps = run_staircase(config.staircase)
    exchange, masses = run_ripening(config.ripening)
    return Result([*claims, *more, *exchange], [figure, steps, masses], tests)


CHAPTER = Chapter(
    name="metastability",
    title="How long a state lasts",
    statement=(
        "Where the limit equation has two stable states, $N$ particles have one law, and leave each state after a time "
        "of order $e^{N\\beta\\Delta F}$, $\\Delta F$ the barrier of the free energy per particle: for all times that "
        "grow slower than that they seem to be at rest. The lifetimes are exponential, and for one particle and for "
        "two their rate is the spectral gap of the generator. Without noise tokens that attend, at a large $\\beta$, "
        "are metastable too: clusters at an angle $\\delta$ meet after a time of order $e^{\\beta(1 - \\cos\\delta)}$, "
        "and the energy $E_\\beta = \\frac1{2\\beta}\\sum_am_a^2$ of clusters of masses $m_a$ climbs a staircase. "
        "Clusters that do not see each other exchange mass over the potential between them, and the heavier one grows."
    ),
    what=lambda c: (
        f"Two wells, θ = 1, β = 3: {c.escapes.replicas} clouds of N = {', '.join(map(str, c.escapes.sizes))} up to "
        f"t = {c.escapes.until:g}, Heun's steps of {c.escapes.dt:g}. Self-attention on the circle, 40 tokens in four "
        f"groups, β = {c.staircase.beta:g}, up to t = {c.staircase.until:g}. Two clusters with a bounded confidence, "
        f"κ = {c.ripening.strength:g}, {c.ripening.nodes} nodes, up to t = {c.ripening.until:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(Escapes(sizes=(1, 2, 8, 24, 56), replicas=400, until=70.0)),
    references=(
        "D. A. Dawson and J. Gärtner, Stochastics 20, 1987.",
        "E. L. Kaplan and P. Meier, J. Amer. Statist. Assoc. 53, 1958.",
        "B. Geshkovski, H. Koubbi, Y. Polyanskiy and P. Rigollet, arXiv 2410.06833.",
    ),
)
