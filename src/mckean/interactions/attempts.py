"""Tries whether a sum serves a kernel that is known as a function, and at what cost."""

from typing import NamedTuple

from mckean.interactions import costs
from mckean.interactions.kernels import AbstractKernel
from mckean.interactions.sums import box, compact, fmm, fourier, moments
from mckean.interactions.sums.compact import Cells
from mckean.interactions.sums.fmm import FMM
from mckean.interactions.sums.fourier import NUFFT
from mckean.interactions.sums.moments import PowerSums
from mckean.interactions.sums.sum import AbstractSum, Points
from mckean.measures import AbstractMeasure, dtype_of
from mckean.spaces import Torus


class Attempt(NamedTuple):
    """The planned sum and the seconds of a force by it, or None for both; and why."""

    seconds: float | None
    sum: AbstractSum | None
    reason: str


def least(name: str, n: int, dim: int, tolerance: float) -> float:
    """Seconds that a sum takes at least, whatever the kernel: what is not worth a trial."""
    if name == "NUFFT":
        return costs.seconds(fourier.work(n, float(box.FEWEST) ** dim, dim, tolerance))
    return costs.seconds({costs.FMM_POINT: n, costs.FMM_CALL: 1}) if name == "FMM" else 0.0


def by_moments(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, tolerance: float, n: int) -> Attempt:
    if isinstance(mu.domain, Torus):
        return Attempt(None, None, "on a torus the nearest image is no polynomial.")
    try:
        plan = PowerSums().plan(kernel, mu, points)
    except ValueError:
        return Attempt(None, None, "the kernel is no polynomial of low degree.")
    work = moments.work(n, plan.degree or 2, mu.domain.dim)
    return Attempt(costs.seconds(work), plan, "the kernel is a polynomial.")


def by_cells(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, tolerance: float, n: int) -> Attempt:
    refused = Cells().refusal(kernel, mu, points)
    if refused is not None:
        return Attempt(None, None, f"it {refused}.")
    radius = compact.support(kernel, mu, points)
    if radius is None:
        return Attempt(None, None, "the kernel has a force at every distance.")
    near = compact.candidates_within(mu, points, radius)
    reason = f"the kernel has no force beyond {radius:.4g}, where a point has {near:.3g} others."
    return Attempt(costs.seconds(compact.work(n, near, mu.domain.dim)), Cells(radius), reason)


def by_transforms(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, tolerance: float, n: int) -> Attempt:
    refused = NUFFT(tolerance).refusal(kernel, mu, points)
    if refused is not None:
        return Attempt(None, None, f"it {refused}.")
    try:
        plan = NUFFT(tolerance).plan(kernel, mu, points)
    except ValueError:
        return Attempt(None, None, "the kernel's modes do not fall to the tolerance: it is not smooth, or too narrow.")
    assert plan.box is not None, "planned"
    modes, dim = plan.box.levels[0][1], mu.domain.dim
    reason = f"the kernel is smooth: {modes} modes an axis, in a box that goes with the cloud."
    return Attempt(costs.seconds(fourier.work(n, float(modes) ** dim, dim, tolerance)), plan, reason)


def by_expansions(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, tolerance: float, n: int) -> Attempt:
    refused = FMM(tolerance).refusal(kernel, mu, points)
    if refused is not None:
        return Attempt(None, None, f"it {refused}.")
    try:
        plan = FMM(tolerance).plan(kernel, mu, points)
    except ValueError:
        return Attempt(None, None, "the kernel is not smooth away from 0, as far as its expansions tell.")
    assert plan.expansion is not None, "planned"
    assert plan.leaf is not None, "planned"
    order, rank = plan.expansion
    places = fmm.number_of_places(mu, points)
    seconds = fmm.cost(kernel, mu.domain, places, plan.expansion, plan.leaf, dtype_of(mu))
    return Attempt(seconds, plan, f"expansions of order {order} and rank {rank}, leaves of at most {plan.leaf} points.")
