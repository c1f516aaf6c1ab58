"""Which sum evaluates the field of a kernel, chosen before compilation; why; and how far it is from the direct sum."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require, traced
from mckean.faults import Status, sound
from mckean.interactions.kernels import AbstractKernel, FourierSeries, PowerLaw, Quadratic, Unresolved, as_kernel
from mckean.interactions.summed import Summed
from mckean.interactions.sums import compact, direct, fmm, fourier
from mckean.interactions.sums.boxes import FFT
from mckean.interactions.sums.compact import Cells
from mckean.interactions.sums.direct import Direct
from mckean.interactions.sums.fmm import FMM
from mckean.interactions.sums.fourier import NUFFT
from mckean.interactions.sums.modes import Modes
from mckean.interactions.sums.moments import Moments, declared_degree
from mckean.interactions.sums.sum import AbstractSum, Points, at
from mckean.measures import AbstractMeasure, Density, Particles, cast, dtype_of
from mckean.spaces import AbstractGrid, Torus

# Below so many pairs a plan, which takes a second or so, does not pay for itself in a run.
_FEW_PAIRS = 1 << 22
# From so many seconds a step on, all pairs are not taken in silence where nothing else meets the tolerance.
_SLOW = 0.1
_TOLERANCES = tuple(10.0**k for k in range(-12, 0))
# Below so many no other sum costs less.
_FEWEST_PAIRS = 1 << 16


def potential(kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
    """W_s*μ at points of shape (n, d), or on the nodes of a grid, in the precision of the points.

    **Raises** `ValueError` for a measure in a form that the kernel cannot act for, and for points of another space.
    """
    return _evaluate("potential", kernel, mu, points)


def force(kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
    """−∇W_s*μ at points of shape (n, d), or on the nodes of a grid, in the precision of the points.

    **Raises** `ValueError` for a measure in a form that the kernel cannot act for, and for points of another space.
    """
    return _evaluate("force", kernel, mu, points)


def _evaluate(what: str, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Array:
    check_points(points, mu)
    dtype = points.dtype if not isinstance(points, AbstractGrid) else dtype_of(mu)
    summed = cast(kernel, dtype)
    chosen = summed.sum if isinstance(summed, Summed) else None
    if chosen is None or isinstance(mu, Density):
        chosen = choose_for(summed, mu, points).sum
    elif not traced((mu, points)):
        chosen = chosen.planned(inner(summed), mu, points)
    inside = acting(summed, mu)
    _require_serves(chosen, inside, mu, points)
    return getattr(chosen, what)(inside, mu, points).astype(dtype)


def _require_serves(sum_: AbstractSum, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> None:
    refused = sum_.refusal(kernel, mu, points)
    require(refused is None, f"the sum {sum_.name} {refused}.")


def inner(kernel: AbstractKernel) -> AbstractKernel:
    """The kernel without what is said of its sum."""
    return kernel.kernel if isinstance(kernel, Summed) else kernel


def acting(kernel: AbstractKernel, mu: AbstractMeasure) -> AbstractKernel:
    """What acts for a measure: a density on a torus has modes, and meets those of a kernel that has more."""
    kernel = inner(kernel)
    return kernel.series if isinstance(kernel, Unresolved) and isinstance(mu, Density) else kernel


def check_points(points: Points, mu: AbstractMeasure) -> None:
    """**Raises** `ValueError` for points that do not live where the measure does."""
    if isinstance(points, AbstractGrid):
        if points.space != mu.domain:
            raise ValueError(f"a measure on {mu.domain} does not act on a grid of {points.space}.")
    elif points.ndim != 2 or points.shape[1] != mu.domain.dim:
        raise ValueError(f"points in dimension {mu.domain.dim} have shape (n, {mu.domain.dim}), not {points.shape}.")


@dataclass(frozen=True)
class Choice:
    """The sum that was chosen, why, and what the others would cost: (name, seconds estimated, or None and why not)."""

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
    kernel: AbstractKernel | Callable,
    mu: AbstractMeasure,
    tolerance: float | None = None,
    points: Points | None = None,
) -> AbstractSum:
    """The sum that is estimated to cost least among those that meet the tolerance, planned for a known measure.

    Static: it looks at the kernel's parameters, the number of points, and the extent and crowding of the cloud, all of
    them known before compilation; under a transformation, where they are not, at the kernel and the numbers alone.

    **Arguments:** `kernel`: W, as a model takes it; `mu`: the measure that acts; `tolerance`: as for `Summed`;
    `points`: the points acted on, (n, d) or a grid; the measure's own where nothing is said.
    **Raises** `ValueError` as `force` does.
    """
    return _choice(kernel, mu, tolerance, points).sum


def explain(
    kernel: AbstractKernel | Callable,
    mu: AbstractMeasure,
    tolerance: float | None = None,
    points: Points | None = None,
) -> str:
    """What `choose` chose and why, with the estimates for the other sums, or why they do not serve."""
    return str(_choice(kernel, mu, tolerance, points))


def _choice(kernel, mu: AbstractMeasure, tolerance: float | None, points: Points | None) -> Choice:
    points = own_points(mu) if points is None else points
    check_points(points, mu)
    placed = as_kernel(kernel).on(mu.domain) if not isinstance(kernel, FourierSeries | Unresolved) else kernel
    if tolerance is not None:
        placed = Summed(inner(placed), tolerance)
    placed = cast(placed, dtype_of(mu))
    if isinstance(placed, Summed) and placed.sum is not None and not isinstance(mu, Density):
        return Choice(placed.sum.planned(inner(placed), mu, points), "it was asked for.")
    return choose_for(placed, mu, points, _FEWEST_PAIRS)


def own_points(mu: AbstractMeasure) -> Points:
    """The places of a measure: its particles, or its grid."""
    if isinstance(mu, Particles):
        return mu.positions
    if isinstance(mu, Density):
        return mu.grid
    raise ValueError(f"a {type(mu).__name__} measure has no points of its own: give the points that it acts on.")


def tolerance_of(kernel: AbstractKernel, dtype) -> float:
    """The tolerance that is asked for, or the precision's default, and no less than the precision allows."""
    asked = kernel.tolerance if isinstance(kernel, Summed) else None
    single = jnp.result_type(dtype) != jnp.float64
    return max(asked or (1e-5 if single else 1e-9), 1e-6 if single else 1e-14)


def choose_for(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, few: int = _FEW_PAIRS) -> Choice:
    """As `choose`, for a kernel that is placed on the measure's space; all pairs where they are no more than `few`."""
    tolerance, kernel = tolerance_of(kernel, dtype_of(mu)), acting(kernel, mu)
    if isinstance(mu, Density) and isinstance(kernel, PowerLaw) and kernel.exponent <= -mu.domain.dim:
        raise ValueError(
            f"|z|^{kernel.exponent:g} is not integrable in dimension {mu.domain.dim}: a density has infinite energy."
        )
    if isinstance(kernel, FourierSeries):
        return _of_series(kernel, mu, points, tolerance)
    if declared_degree(kernel) is not None and Moments().refusal(kernel, mu, points) is None:
        return Choice(Moments(), "the kernel is a polynomial, and its moments give the field exactly in O(n).")
    if FFT().refusal(kernel, mu, points) is None:
        return Choice(FFT(), "a density acts on its own grid.")
    if isinstance(kernel, Quadratic):
        raise ValueError(Direct().refusal(kernel, mu, points) or "")
    if not isinstance(mu, Particles | Density):
        raise ValueError(
            f"the kernel {type(kernel).__name__} has no closed form for a {type(mu).__name__} measure; sample it."
        )
    return _of_function(kernel, mu, points, tolerance, few)


def _of_series(kernel: FourierSeries, mu: AbstractMeasure, points: Points, tolerance: float) -> Choice:
    if FFT().refusal(kernel, mu, points) is None:
        return Choice(FFT(), "a density acts on a grid of its torus.")
    n, dim = _count(mu, points), len(kernel.lengths or ())
    box = math.prod(2 * np.abs(np.asarray(kernel.modes)).max(axis=0) + 1)
    by_modes = n * len(kernel.modes) * 4e-9 + 1e-4
    by_nufft = fourier.cost(n, float(box), dim, tolerance, -(-dim // 2)) if dim <= 3 else math.inf
    others = (("Modes", by_modes, ""), ("NUFFT", by_nufft, f"for {box} modes at a tolerance of {tolerance:g}."))
    if by_modes <= by_nufft or isinstance(points, AbstractGrid):
        return Choice(Modes(), f"the kernel has {len(kernel.modes)} Fourier modes, few enough for {n} points.", others)
    return Choice(NUFFT(tolerance), f"the kernel has {len(kernel.modes)} Fourier modes for {n} points.", others)


def _count(mu: AbstractMeasure, points: Points) -> int:
    sources = mu.n if isinstance(mu, Particles) else 0
    return (sources + at(points, mu).shape[0]) // (2 if sources else 1)


def _of_function(kernel: AbstractKernel, mu: AbstractMeasure, points: Points, tolerance: float, few: int) -> Choice:
    """A kernel that is known as a function: try the sums that could be cheaper than all pairs, cheapest hope first."""
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
    for label, attempt in (("Moments", _moments), ("Cells", _cells), ("NUFFT", _nufft), ("FMM", _fmm)):
        seconds, sum_, sentence = attempt(kernel, mu, points, tolerance, (targets + sources) // 2)
        others.append((label, seconds, sentence))
        if sum_ is not None and seconds is not None:
            found.append((seconds, sum_, sentence))
            if label in ("Moments", "NUFFT"):
                break
    _, best, reason = min(found, key=lambda f: f[0])
    return Choice(best, reason, tuple(others))


Attempt = tuple[float | None, AbstractSum | None, str]


def _moments(kernel, mu, points: Points, tolerance: float, n: int) -> Attempt:
    if isinstance(mu.domain, Torus):
        return None, None, "on a torus the nearest image is no polynomial."
    try:
        plan = Moments().planned(kernel, mu, points)
    except ValueError:
        return None, None, "the kernel is no polynomial of low degree."
    return n * 2e-8 * ((plan.degree or 2) + 1) ** mu.domain.dim, plan, "the kernel is a polynomial."


def _cells(kernel, mu, points: Points, tolerance: float, n: int) -> Attempt:
    radius = compact.support(direct.of_pairs(kernel), mu, points)
    if radius is None:
        return None, None, "the kernel does not vanish beyond a distance."
    near = compact.candidates_within(mu, points, radius)
    sentence = f"the kernel vanishes beyond {radius:.4g}, where a point has {near:.3g} others."
    return compact.near_cost(n, near, mu.domain.dim), Cells(radius), sentence


def _nufft(kernel, mu, points: Points, tolerance: float, n: int) -> Attempt:
    refused = NUFFT(tolerance).refusal(kernel, mu, points)
    if refused is not None:
        return None, None, f"it {refused}."
    try:
        plan = NUFFT(tolerance).planned(kernel, mu, points)
    except ValueError:
        return None, None, "the kernel's modes do not fall to the tolerance: it is not smooth, or too narrow."
    assert plan.box is not None, "planned"
    modes = plan.box.levels[0][1]
    sentence = f"the kernel is smooth: {modes} modes an axis, in a box that goes with the cloud."
    return _transforms(n, modes, mu, tolerance), plan, sentence


def _fmm(kernel, mu, points: Points, tolerance: float, n: int) -> Attempt:
    refused = FMM(tolerance).refusal(kernel, mu, points)
    if refused is not None:
        return None, None, f"it {refused}."
    try:
        plan = FMM(tolerance).planned(kernel, mu, points)
    except ValueError:
        return None, None, "the kernel is not smooth away from 0, as far as its expansions tell."
    assert plan.expansion is not None, "planned"
    assert plan.leaf is not None, "planned"
    order, rank = plan.expansion
    inside = direct.of_pairs(kernel)
    seconds = fmm.cost(inside, mu.domain, fmm.number_of_places(mu, points), plan.expansion, plan.leaf, dtype_of(mu))
    return seconds, plan, f"expansions of order {order} and rank {rank}, leaves of at most {plan.leaf} points."


def _transforms(n: int, modes: int, mu: AbstractMeasure, tolerance: float) -> float:
    """Seconds of a force by the given modes an axis: two components go in one transform."""
    dim = mu.domain.dim
    return fourier.cost(n, float(modes) ** dim, dim, tolerance, -(-dim // 2))


def planned(kernel: AbstractKernel, mu: AbstractMeasure) -> AbstractKernel:
    """The kernel with the sum that `choose` picks for it, for use under a transformation, such as inside a time loop.

    A kernel for which there is nothing to plan, a measure that is no cloud, and a traced one, leave it as it is. Warns
    where only the sum over all pairs meets the tolerance, and takes long.
    **Raises** `ValueError` for a sum that was asked for and does not serve.
    """
    if not isinstance(mu, Particles) or traced((kernel, mu)):
        return kernel
    given = kernel.sum if isinstance(kernel, Summed) else None
    inside = cast(inner(kernel), dtype_of(mu))
    if given is not None:
        plan = given.planned(inside, mu, mu.positions)
        _require_serves(plan, inside, mu, mu.positions)
        return Summed(inner(kernel), sum=plan)
    summed = Summed(inside, kernel.tolerance if isinstance(kernel, Summed) else None)
    choice = choose_for(summed, mu, mu.positions)
    if isinstance(choice.sum, Direct):
        _warn_if_slow(choice, inside, mu, tolerance_of(summed, dtype_of(mu)))
    chosen = choice.sum
    # The others are what is chosen under a transformation as well.
    same = isinstance(chosen, Direct | Modes) or chosen == Moments() or isinstance(inside, FourierSeries)
    return kernel if same else Summed(inner(kernel), sum=chosen)


def _warn_if_slow(choice: Choice, kernel: AbstractKernel, mu: Particles, tolerance: float) -> None:
    estimates = {name: seconds for name, seconds, _ in choice.others}
    seconds = estimates.pop("Direct", None)
    if seconds is None or seconds < _SLOW or any(estimate is not None for estimate in estimates.values()):
        return
    looser = (t for t in _TOLERANCES if t > tolerance)
    loose = next((t for t in looser if _nearly_linear(kernel, mu, t)), None)
    mend = (
        "no tolerance up to 0.1 would do"
        if loose is None
        else f"a tolerance of {loose:.0e} would do: mckean.interactions.Summed(kernel, tolerance={loose:.0e})"
    )
    warnings.warn(
        f"no sum that is faster than all pairs meets the tolerance {tolerance:.0e} for this kernel: a step takes "
        f"{mu.n**2:.2g} pairs, about {seconds:.2g} s; {mend}.",
        stacklevel=2,
    )


def _nearly_linear(kernel: AbstractKernel, mu: Particles, tolerance: float) -> bool:
    attempts = (attempt(kernel, mu, mu.positions, tolerance, mu.n) for attempt in (_nufft, _fmm))
    return any(sum_ is not None for _, sum_, _ in attempts)


def inspect(kernel: AbstractKernel | None, mu: Particles) -> Status:
    """What makes the planned sum of a kernel untrustworthy for a cloud."""
    chosen = kernel.sum if isinstance(kernel, Summed) else None
    return sound(dtype_of(mu)) if chosen is None else chosen.inspect(mu, mu.positions)


@dataclass(frozen=True)
class Certificate:
    """The error of a force on a sample of points, against the direct sum, relative to the force's root mean square.

    `error`: root mean square over the sample; `largest`: the largest; `points`: how many; `sum`: whose; `tolerance`:
    what was asked for, relative to the size of ∇W; None for a sum that is exact to rounding.
    """

    error: float
    largest: float
    points: int
    sum: str
    tolerance: float | None

    def __str__(self) -> str:
        return (
            f"{self.sum}: error of the force {self.error:.2g} (largest {self.largest:.2g}) of its rms, "
            f"at {self.points} points against the direct sum"
        )


def certificate(kernel: AbstractKernel, mu: Particles, key: Array, points: int = 256) -> Certificate:
    """The error of the force of a placed kernel on a random sample of its particles, against the direct sum.

    **Arguments:** `kernel`: as a model holds it, with its sum if `planned`; `mu`: the cloud; `key`: a JAX key, for the
    sample; `points`: how many. The direct sum costs n × points pairs.
    **Raises** `ValueError` for a measure that is no cloud.
    """
    require(isinstance(mu, Particles), "a certificate is for the force between particles.")
    kernel = planned(kernel, mu)
    chosen = (
        kernel.sum
        if isinstance(kernel, Summed) and kernel.sum is not None
        else choose_for(kernel, mu, mu.positions).sum
    )
    sample = jax.random.choice(key, mu.n, (min(points, mu.n),), replace=False)
    fast = np.asarray(_force(kernel, mu)[sample], float)
    inside = cast(inner(kernel), dtype_of(mu))
    # A series pair by pair costs its modes for every pair; mode by mode it is as exact.
    exact_sum = Modes() if isinstance(inside, FourierSeries) else Direct()
    exact = np.asarray(_by(exact_sum, inside, mu, mu.positions[sample]), float)
    scale = math.sqrt(np.mean(np.sum(exact**2, axis=1)))
    errors = np.linalg.norm(fast - exact, axis=1) / scale if scale > 0 else np.linalg.norm(fast - exact, axis=1)
    return Certificate(
        float(np.sqrt(np.mean(errors**2))),
        float(errors.max()),
        len(sample),
        chosen.name,
        getattr(chosen, "tolerance", None),
    )


@eqx.filter_jit
def _force(kernel: AbstractKernel, mu: Particles) -> Float[Array, "n d"]:
    return force(kernel, mu, mu.positions)


@eqx.filter_jit
def _by(sum_: AbstractSum, kernel: AbstractKernel, mu: Particles, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    return sum_.force(kernel, mu, x)
