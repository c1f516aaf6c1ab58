"""Which sum evaluates the field of a kernel, chosen before compilation, and why."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require, require_finite, traced
from mckean.interactions import attempts, costs
from mckean.interactions.interaction import Interaction, place
from mckean.interactions.kernels import AbstractKernel, FourierSeries, PowerLaw
from mckean.interactions.sums import direct, fourier, modes
from mckean.interactions.sums.convolution import FFT, narrow
from mckean.interactions.sums.direct import Direct
from mckean.interactions.sums.fourier import NUFFT
from mckean.interactions.sums.modes import Modes
from mckean.interactions.sums.moments import PowerSums, declared_degree
from mckean.interactions.sums.sum import AbstractSum, Points, at
from mckean.interactions.sums.zonal import FunkHecke
from mckean.measures import AbstractMeasure, Density, Particles, cast, configuration, dtype_of
from mckean.spaces import AbstractGrid, AbstractSphericalGrid, PhaseGrid, TangentBundle, ZonalGrid

# Cheapest hope first; those that end the search where they serve, as no other sum is faster.
_ATTEMPTS = {
    "PowerSums": (attempts.by_moments, True),
    "Cells": (attempts.by_cells, False),
    "NUFFT": (attempts.by_transforms, True),
    "FMM": (attempts.by_expansions, False),
}


@dataclass(frozen=True)
class Choice:
    """The sum that `choose` has chosen, and why. `str` writes it as text.

    **Attributes:**

    - `sum`: the sum, planned for the measure if its values are known.
    - `reason`: why this one, a sentence.
    - `others`: for each other sum its name, the seconds of a force by it, or None, and why it was not chosen.
    """

    sum: AbstractSum
    reason: str
    others: tuple[tuple[str, float | None, str], ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.sum.name}: {self.reason}"]
        for name, seconds, why in self.others:
            lines.append(
                f"  {name:<8} " + (why if seconds is None else f"about {1e3 * seconds:.3g} ms. {why}".rstrip())
            )
        return "\n".join(lines)


def choose(
    kernel: AbstractKernel | Callable | Interaction,
    mu: AbstractMeasure,
    tolerance: float | None = None,
    points: Points | None = None,
    few: int = costs.FEWEST_PAIRS,
) -> Choice:
    """The sum that is estimated to cost least among those that meet the tolerance, and why.

    It looks at the kernel's parameters, the number of points, and the extent and crowding of the cloud. All of them are
    known before compilation. Under a transformation they are not: it looks at the kernel and the numbers alone.

    **Arguments:**

    - `kernel`: W, as a model takes it, or `model.interaction`; if that has a sum, this sum is chosen.
    - `mu`: the measure that acts.
    - `tolerance`: as for `place`. Default: None, that of the interaction.
    - `points`: the points acted on, shape (n, d), or a grid. Default: None, those of the measure.
    - `few`: up to this number of pairs all pairs are summed. Default: 65 536. A run takes 4 194 304, as a plan costs
      about a second.

    **Returns:** the `Choice`: `choose(W, mu).sum` is the sum, planned for the measure.

    **Raises:**

    - `ValueError` for a measure in a form that the kernel cannot act for, and for points of another space.
    """
    require_measure(mu)
    points = own_points(mu) if points is None else points
    check_points(points, mu)
    mu, points = configuration(mu), positions_of(mu, points)
    placed = cast(place(kernel, mu.domain, tolerance), dtype_of(mu))
    inside, tolerance = placed.between(mu), placed.error(dtype_of(mu))
    if placed.sum is not None and not isinstance(mu, Density):
        known = traced((placed, mu, points))
        return Choice(placed.sum if known else placed.sum.plan(inside, mu, points), "it was asked for.")
    if isinstance(mu, Density) and isinstance(inside, PowerLaw) and inside.exponent <= -mu.domain.tangent_dim:
        raise ValueError(
            f"|z|^{inside.exponent:g} is not integrable in dimension {mu.domain.tangent_dim}: a density has infinite "
            "energy."
        )
    if isinstance(mu, Density) and isinstance(mu.grid, AbstractSphericalGrid):
        return _on_sphere(inside, mu, points)
    if isinstance(inside, FourierSeries):
        return _of_series(inside, mu, points, tolerance)
    if declared_degree(inside) is not None and PowerSums().refusal(inside, mu, points) is None:
        return Choice(PowerSums(), "the kernel is a polynomial, and its moments give the field exactly in O(n).")
    if FFT().refusal(inside, mu, points) is None:
        return Choice(FFT(), "a density acts on its own grid.")
    if isinstance(mu, Density) and not traced(inside):
        _require_wide(inside, mu)
    if not isinstance(mu, Particles | Density):
        raise ValueError(
            f"the kernel {type(inside).__name__} has no closed form for a {type(mu).__name__} measure; sample it."
        )
    return _of_function(inside, mu, points, tolerance, few)


def explain(
    kernel: AbstractKernel | Callable | Interaction,
    mu: AbstractMeasure,
    tolerance: float | None = None,
    points: Points | None = None,
) -> str:
    """What `choose` chooses and why, with the estimates for the other sums, or why they do not serve.

    **Arguments:**

    - `kernel`, `mu`, `tolerance`, `points`: as for `choose`.

    **Returns:** some lines of text, one for the choice and one for each other sum.

    **Raises:**

    - `ValueError` as `choose` does.
    """
    return str(choose(kernel, mu, tolerance, points))


def require_measure(mu: AbstractMeasure) -> None:
    """**Raises** `ValueError` for anything but a measure, which comes after the kernel."""
    require(
        isinstance(mu, AbstractMeasure),
        f"the kernel comes first, then the measure that acts, not a {type(mu).__name__}.",
    )


def own_points(mu: AbstractMeasure) -> Points:
    """The places of a measure: its particles, or its grid."""
    if isinstance(mu, Particles):
        return mu.positions
    if isinstance(mu, Density):
        return mu.grid
    raise ValueError(f"a {type(mu).__name__} measure has no points of its own: give the points that it acts on.")


def check_points(points: Points, mu: AbstractMeasure) -> None:
    """**Raises** `ValueError` for points that do not live where the measure does."""
    if isinstance(points, AbstractGrid):
        if points.space != mu.domain:
            raise ValueError(f"a measure on {mu.domain} does not act on a grid of {points.space}.")
    elif points.ndim != 2 or points.shape[1] != mu.domain.dim:
        raise ValueError(f"points in dimension {mu.domain.dim} have shape (n, {mu.domain.dim}), not {points.shape}.")
    else:
        require_finite("a point", points)


def positions_of(mu: AbstractMeasure, points: Points) -> Float[Array, "n x"] | AbstractGrid:
    """The positions of points of a measure's space, if these have velocities; else the points."""
    if isinstance(points, PhaseGrid):
        return points.positions
    return mu.domain.position(at(points, mu)) if isinstance(mu.domain, TangentBundle) else points


def _on_sphere(kernel: AbstractKernel, mu: Density, points: Points) -> Choice:
    refused = FunkHecke().refusal(kernel, mu, points)
    if refused is None:
        return Choice(FunkHecke(), "a zonal W multiplies each degree of a density's harmonics.")
    require(
        not kernel.singular and not isinstance(mu.grid, ZonalGrid),
        f"here a density on {mu.domain} acts by its harmonics alone, but that {refused}.",
    )
    return Choice(Direct(), "the nodes of a sphere act one by one.")


def _require_wide(kernel: AbstractKernel, mu: Density) -> None:
    """**Raises** `ValueError` for a kernel that is narrower than the cells whose mass acts from their centres."""
    is_narrow, value, mean = narrow(kernel, mu.grid.spacing, dtype_of(mu))
    require(
        kernel.singular or not is_narrow,
        f"this kernel is narrower than a cell of the density's grid, of side {max(mu.grid.spacing):.3g}: it is "
        f"{value:.3g} at the centre and {mean:.3g} on average; only on that grid itself is this counted in: take "
        "finer cells.",
    )


def _of_series(kernel: FourierSeries, mu: AbstractMeasure, points: Points, tolerance: float) -> Choice:
    if FFT().refusal(kernel, mu, points) is None:
        return Choice(FFT(), "a density acts on a grid of its torus.")
    n, dim = _count(mu, points), len(kernel.sides)
    box = math.prod(2 * np.abs(np.asarray(kernel.modes)).max(axis=0) + 1)
    by_modes = costs.seconds(modes.work(n, len(kernel.modes)))
    by_nufft = costs.seconds(fourier.work(n, float(box), dim, tolerance)) if dim <= 3 else math.inf
    others = (("Modes", by_modes, ""), ("NUFFT", by_nufft, f"for {box} modes at a tolerance of {tolerance:g}."))
    if by_modes <= by_nufft or isinstance(points, AbstractGrid):
        return Choice(Modes(), f"the kernel has {len(kernel.modes)} Fourier modes, few enough for {n} points.", others)
    return Choice(NUFFT(tolerance), f"the kernel has {len(kernel.modes)} Fourier modes for {n} points.", others)


def _count(mu: AbstractMeasure, points: Points) -> int:
    sources = mu.n if isinstance(mu, Particles) else 0
    return (sources + at(points, mu).shape[0]) // (2 if sources else 1)


def _of_function(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, tolerance: float, few: int) -> Choice:
    """A kernel that is known as a function: try the sums that could be cheaper than all pairs."""
    targets, sources = at(points, mu).shape[0], direct.atoms(mu)[0].shape[0]
    pairs = targets * sources
    by_pairs = direct.cost(kernel, pairs, mu.domain.dim, dtype_of(mu))
    others: list[tuple[str, float | None, str]] = [("Direct", by_pairs, "")]
    if pairs <= few:
        return Choice(Direct(), f"{pairs} pairs are few.", tuple(others))
    if traced((kernel, mu, points)):
        return Choice(Direct(), "the positions are not known before compilation, so that nothing can be planned.")
    found: list[tuple[float, AbstractSum, str]] = [
        (by_pairs, Direct(), "no other sum meets the tolerance at less cost.")
    ]
    n = (targets + sources) // 2
    for name, (attempt, last) in _ATTEMPTS.items():
        least, fastest = attempts.least(name, n, mu.domain.dim, tolerance), min(s for s, _, _ in found)
        if least >= fastest:
            others.append((name, None, f"it takes {1e3 * least:.3g} ms at least, for any kernel."))
            continue
        seconds, sum_, reason = attempt(kernel, mu, points, tolerance, n)
        others.append((name, seconds, reason))
        if sum_ is not None and seconds is not None:
            found.append((seconds, sum_, reason))
            if last:
                break
    _, best, reason = min(found, key=lambda f: f[0])
    return Choice(best, reason, tuple(others))
