"""Part of chapter *uniqueness*: the phase diagram over the attraction κ and the intensity K, and its line K*(κ).

Small perturbations grow below K*, the zero of the almost-sure exponent, and decay above. For κ → 2 the line has the
slope of the mean: shears carry the waves of |q| = 1 off at the rate K, and what they bring back from waves that decay
at the rate 2 is of the order K², so that K* = (κ/2 − 1)(1 + O(κ/2 − 1)).
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.linear_stability import mean_square_threshold
from mckean.statistics import Estimate, binomial_interval, combine, join
from mckean.talk.claims import LEVEL, Claim, Figure, Panel, Rival, Series
from mckean.talk.parts.stirring import (
    Stirring,
    askew,
    densities,
    from_uniform,
    norm,
    on_grid,
    order,
    spot,
    stirring_model,
    synchronised_distance,
)
from mckean.talk.parts.tangents import Tangents, exponents, threshold

_GESS = "Gess, Gvalani and Martini 2026"
_SPECTRUM = "long"


@dataclass(frozen=True)
class Stirred:
    """The attractions at which K* is measured; one of them, and the intensities of solutions there, the first below and
    the last above the line; how many environments for each."""

    strengths: tuple[float, ...] = (2.5, 3.0, 4.0, 5.0, 6.0)
    at: float = 4.0
    intensities: tuple[float, ...] = (0.4, 0.8, 1.2, 2.2)
    environments: int = 120
    tangents: Tangents = field(default_factory=lambda: Tangents(environments=2048))


def run_stirred(config: Stirred, runs: Stirring, key) -> tuple[list[Claim], Figure]:
    """The claims and the figure of this part."""
    linear, solutions = jax.random.split(key)
    line = [_zero(config, strength, jax.random.fold_in(linear, i)) for i, strength in enumerate(config.strengths)]
    n, m = config.environments, len(config.intensities)
    keys = jax.random.split(solutions, n * m)
    starts = on_grid(runs, [spot] * n * m + [askew] * n * m)
    intensities = np.tile(np.repeat(config.intensities, n), 2)
    ends = densities(
        stirring_model(config.at, _SPECTRUM), runs, starts, intensities, jnp.concatenate([keys, keys])
    )[:, -1].reshape(2, m, n, runs.nodes, runs.nodes)  # fmt: skip
    near = 0.1 * synchronised_distance(config.at)
    gone, met = from_uniform(ends[0]) < near, norm(ends[0] - ends[1]) < near
    orders = order(ends[0])
    return [_slope(config, line), *_shares(config, runs, gone, met)], _figure(config, line, orders, met)


def _zero(config: Stirred, strength: float, key) -> Estimate:
    """K*, from exponents at three intensities about it."""
    gap = strength / 2 - 1
    about = tuple(gap * (1 + share * gap) for share in (0.0, 0.15, 0.3))
    return threshold(about, exponents(config.tangents, strength, _SPECTRUM, about, key))


def _slope(config: Stirred, line: list[Estimate]) -> Claim:
    gaps = np.array(config.strengths) / 2 - 1
    ratios = np.array([zero.value for zero in line]) / gaps
    errors = np.array([float(zero.stderr) for zero in line]) / gaps

    def at_zero(degree: int) -> np.ndarray:
        """The weights of the ratios in their polynomial's value at 0, by least squares."""
        return np.linalg.pinv(np.vander(gaps, degree + 1) / errors[:, None])[-1] / errors

    curve, line_ = at_zero(2), at_zero(1)
    return Claim(
        statement="The line $K^*(\\kappa)$ above which transport noise leaves one state begins at $\\kappa = 2$ with "
        "the slope of the mean: $K^*/(\\kappa/2 - 1)$ as $\\kappa \\to 2$, by a parabola through "
        f"{len(gaps)} values of κ",
        predicted=1.0,
        measured=combine(list(curve / gaps), join(line)),
        tolerance=abs(float((curve - line_) @ ratios)),
        origin="a straight line in the place of the parabola",
        from_run=True,
        excludes=Rival("a share of K for all κ, that of the largest", float(ratios[-1])),
        reference="what shears bring back is of the order K²",
    )


def _shares(config: Stirred, runs: Stirring, gone: np.ndarray, met: np.ndarray) -> list[Claim]:
    end = f"at $t = {runs.until:g}$, $\\kappa = {config.at:g}$"
    half = Rival("it depends on the environment: one half", 0.5)
    rows = (
        (f"Below the line a spot is not carried off: share of environments in which it is gone {end}, "
         f"$K = {config.intensities[0]:g}$", 0.0, gone[0]),
        (f"Above the line two solutions meet: share of environments {end}, $K = {config.intensities[-1]:g}$",
         1.0, met[-1]),
    )  # fmt: skip
    return [
        Claim(
            statement=statement,
            predicted=predicted,
            measured=float(seen.mean()),
            interval=binomial_interval(int(seen.sum()), seen.size, 1 - LEVEL),
            excludes=half,
            reference=_GESS,
        )
        for statement, predicted, seen in rows
    ]


def _figure(config: Stirred, line: list[Estimate], orders: np.ndarray, met: np.ndarray) -> Figure:
    strengths, intensities = np.array(config.strengths), np.array(config.intensities)
    fine = np.linspace(2.1, strengths[-1], 9)
    square = [mean_square_threshold(stirring_model(s, _SPECTRUM), 8) for s in fine]
    zeros, errors = (np.array([float(getattr(zero, name)) for zero in line]) for name in ("value", "stderr"))
    at = line[config.strengths.index(config.at)]
    low, middle, high = np.quantile(orders, (0.05, 0.5, 0.95), axis=1)
    panels = [
        Panel("attraction κ", "noise intensity K (length²/time)", [
            Series(strengths, zeros, "K*, almost surely", errors, "points"),
            Series(fine, square, "the mean square"),
            Series(fine, fine / 2 - 1, "the mean", kind="dashed"),
        ], "One state above the line"),
        Panel("noise intensity K (length²/time)", "order and share", [
            Series(intensities, middle, "order, median"),
            Series(intensities, low, "order, 5 %", kind="dashed"),
            Series(intensities, high, "order, 95 %", kind="dashed"),
            Series(intensities, met.mean(axis=1), "share in which two meet", kind="points"),
        ], f"κ = {config.at:g}", vertical=((at.value, "K*"),)),
    ]  # fmt: skip
    caption = (
        "The phase diagram with transport noise, long waves. Left, the line K*(κ) at which the almost-sure exponent of "
        "the uniform state vanishes, between that of the mean and that of the mean square. Right, over environments: "
        "the law of the order √(|z₁|² + |z₂|²) of a solution that began as a spot, and the share in which two meet."
    )
    return Figure(caption, panels)
