"""Part of the chapter *games*: named games of a crowd by the solvers of the torus and of the box."""

import math
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from mckean.catalogue import Fact
from mckean.games import GAMES, Game, equilibrium
from mckean.measures import Density
from mckean.models import Additive, Model
from mckean.spaces import Euclidean
from mckean.talk.claims import Claim, Rival

_STEPS = "the order 2 of the steps"
# ν of the players between walls, the slope of their start, and b = h + pE cos X_T of what they pay at the end.
_NU, _SLOPE, _HILL, _PULL = 0.4, 0.5, 0.3, 0.8


@dataclass(frozen=True)
class Config:
    stages: int = 32
    cells: int = 24
    steps: int = 40


def run(config: Config) -> list[Claim]:
    congested, traders = GAMES["congestion"](), GAMES["traders"]()
    plain, noisy = GAMES["target"](), GAMES["target"](common=1.0, stages=config.stages)
    return [
        _known(
            "Players who are slow in a crowd, $L = \\frac12m|\\alpha|^2 + V + cm$: their cost $\\lambda$ is "
            "that of $\\frac23\\nu^2\\varphi''\\varphi^{-1/3} + \\lambda = V + c\\varphi^{2/3}$, $m = \\varphi^{2/3}$",
            congested.facts["cost"],
            Rival("players who are not slow in a crowd", GAMES["congestion"](power=1e-3).facts["cost"].value),
            "rounding of Newton's method",
        ),
        _known(
            "Traders who move the price by their rates, on a long circle: $2\\kappa E'' + \\alpha E' - 2\\phi E = 0$; "
            "$E(T)$",
            traders.facts["mean"],
            Rival("no impact of the others", GAMES["traders"](impact=0.0).facts["mean"].value),
            _STEPS,
        ),
        _walls(config),
        _known(
            "Three equilibria of the target $A\\tanh m_T$ by deflation of the two equations: the largest $m_T$",
            plain.facts["mean"],
            Rival("one equilibrium, m_T = 0", 0.0),
            _STEPS,
        ),
        _known(
            "With $\\sigma_0 = 1$ one, by the master equation on a lattice of laws: $u$ from $m_0 = \\frac12$",
            noisy.facts["aim from 0.5"],
            Rival("σ₀² in the place of ½σ₀²", GAMES["target"](common=math.sqrt(2.0)).facts["aim from 0.5"].value),
            "the order 2 of the stages, at the rate A and of the size A",
        ),
    ]


def _known(statement: str, fact: Fact, rival: Rival, origin: str) -> Claim:
    assert fact.recompute is not None, "the fact is found again"
    return Claim(
        statement=statement,
        predicted=fact.value,
        measured=fact.recompute(),
        tolerance=fact.tolerance,
        origin=origin,
        excludes=rival,
        reference=fact.reference,
    )


def _cosine(x):
    return jnp.cos(jnp.pi * x[0])


def _effort(x, alpha, mu):
    return jnp.sum(alpha**2) / 2


def _end(x, mu):
    return -2 * _NU * jnp.log(1 + (_HILL + _PULL * mu.integrate(_cosine)) * _cosine(x))


def _walls(config: Config) -> Claim:
    """u = −2ν log φ, ρ = φψ between walls at 0 and 1: φ and ψ are 1 and a cosine, which falls by e^{−νπ²T}, T = ½."""
    fall = math.exp(-_NU * math.pi**2 / 2)
    order = lambda b: (_SLOPE * fall + b) / (2 + b * _SLOPE * fall)  # noqa: E731
    b = float(np.asarray(brentq(lambda b: b - _HILL - _PULL * order(b), -0.9, 0.99, xtol=1e-14)))
    grid = Euclidean(1).grid(config.cells, 0.0, 1.0)
    start = Density.from_function(grid, lambda x: (1 + _SLOPE * _cosine(x)) * (1 + b * fall * _cosine(x)))
    game = Game(Model(Euclidean(1), noise=Additive(math.sqrt(2 * _NU))), _effort, _end, horizon=0.5)
    found = equilibrium(game, start, steps=config.steps)
    last = eqx.tree_at(lambda mu: mu.values, start, found.density.values[-1])
    return Claim(
        statement="Players between walls who pay $-2\\nu\\log(1 + b\\cos\\pi x)$, $b = h + pE\\cos\\pi X_T$, have by "
        "Hopf and Cole $E\\cos\\pi X_T = (ce^{-q} + b)/(2 + bce^{-q})$",
        predicted=order(b),
        measured=float(last.integrate(_cosine)),
        tolerance=(_NU * math.pi**2 / 2 / config.steps) ** 2 * 2,
        origin=_STEPS + ", at the rate of the cosine",
        excludes=Rival("players who do not look at each other", order(_HILL)),
        reference="Hopf and Cole's transformation",
    )
