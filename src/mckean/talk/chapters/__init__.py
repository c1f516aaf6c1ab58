"""The chapters of the talk, each run and judged, in the parts of the talk."""

from mckean.talk.chapters import (
    branches,
    chaos,
    collapse,
    common_noise,
    conditional,
    coupling,
    dissipation,
    fluctuations,
    games,
    geodesics,
    gibbs,
    gradient_flow,
    homogenisation,
    invariant,
    ledger,
    limit,
    liouville,
    long_time,
    metastability,
    passive,
    phases,
    populations,
    real,
    singular,
    summation,
    synchronisation,
    tokens,
    toy,
    transition,
    uniqueness,
    velocities,
)
from mckean.talk.claims import Part


def _part(title: str, opening: str, *modules, picture) -> Part:
    return Part(title, opening, tuple(module.CHAPTER for module in modules), picture.CHAPTER.name)


PARTS = (
    _part(
        "Particles and their energy",
        "Begin with $N$ particles. Each has an energy $V(x_i)$ of its own and shares an energy $W(x_i - x_j)$ with "
        "every other; together they have $H_N = \\sum_iV(x_i) + \\frac1{2N}\\sum_{i,j}W(x_i - x_j)$. They move down "
        "this energy and are shaken by independent noises. The law of all of them solves a linear equation in "
        "dimension $Nd$, and comes to rest at the Gibbs measure $e^{-\\beta H_N}/Z_N$. Nothing is approximated yet, "
        "but little can be computed: a grid serves for three particles, exact draws for a few dozen, and sums over "
        "all pairs grow as $N^2$.",
        liouville,
        gibbs,
        summation,
        picture=gibbs,
    ),
    _part(
        "The limit, and chaos",
        "Now let $N$ grow. A test function of the empirical measure $\\mu^N$ obeys an equation that closes on "
        "$\\mu^N$ itself, up to a martingale of variance $1/N$. So $\\mu^N$ tends to the solution of the "
        "McKean–Vlasov equation, and particles that start independent stay nearly so: chaos propagates. A coupling "
        "with independent copies of the limit process shows how fast, and where the interaction is singular the limit "
        "itself may cease to exist.",
        limit,
        fluctuations,
        coupling,
        chaos,
        populations,
        singular,
        picture=limit,
    ),
    _part(
        "The gradient flow, and long times",
        "The limit equation has a free energy $F$, that of the energy and of the entropy, and descends it as steeply "
        "as the Wasserstein metric allows. That says what a step of the flow is, how fast $F$ falls, and, where $F$ "
        "is convex enough, that there is one steady state, reached exponentially fast. Where it is not, there are "
        "several: a phase transition.",
        dissipation,
        geodesics,
        gradient_flow,
        long_time,
        transition,
        branches,
        phases,
        metastability,
        velocities,
        picture=transition,
    ),
    _part(
        "A common noise, and its limit",
        "Let one noise move all particles alike. It does not average out: as $N \\to \\infty$ the empirical measure "
        "tends to a random measure, the law of one particle given the environment, which solves a stochastic "
        "Fokker–Planck equation. In mean such a noise looks like a diffusion. In one environment it is none.",
        common_noise,
        conditional,
        invariant,
        passive,
        games,
        picture=conditional,
    ),
    _part(
        "Tokens, synchronisation, uniqueness, and what replaces the free energy",
        "A layer of a Transformer with random weights moves all its tokens by one random field: that is a common "
        "noise. Its tokens collapse, although each of them alone wanders over the whole sphere. Elsewhere, too, a "
        "common noise lets points meet that would stay apart, and leaves one steady state where there were many. The "
        "free energy no longer falls; a ledger of dissipation and of the work of the environment takes its place.",
        toy,
        homogenisation,
        collapse,
        tokens,
        real,
        synchronisation,
        uniqueness,
        ledger,
        picture=toy,
    ),
)
"""The parts of the talk, in order."""

CHAPTERS = {chapter.name: chapter for part in PARTS for chapter in part.chapters}
"""The chapters by name, in the order of the talk."""

SECONDS = {
    "liouville": (25, 52),
    "gibbs": (19, 52),
    "summation": (112, 140),
    "limit": (37, 72),
    "fluctuations": (24, 41),
    "coupling": (49, 65),
    "chaos": (57, 83),
    "populations": (7, 13),
    "singular": (15, 69),
    "dissipation": (8, 11),
    "geodesics": (16, 18),
    "gradient_flow": (53, 21),
    "long_time": (24, 38),
    "transition": (13, 57),
    "branches": (43, 25),
    "phases": (22, 65),
    "metastability": (12, 20),
    "velocities": (8, 8),
    "common": (17, 68),
    "conditional": (48, 70),
    "invariant": (13, 33),
    "passive": (40, 47),
    "games": (22, 55),
    "toy": (48, 32),
    "homogenisation": (40, 192),
    "collapse": (44, 138),
    "tokens": (36, 80),
    "real": (28, 32),
    "synchronisation": (80, 97),
    "uniqueness": (19, 126),
    "ledger": (144, 109),
}
"""How long a chapter takes, quick and full, on one of two cores of an AMD EPYC where nothing is kept compiled."""
