"""Sums chosen once for a known cloud, for use where positions are not known, such as inside a time loop."""

import dataclasses
import warnings
from collections.abc import Callable

from mckean.checks import require, traced
from mckean.faults import Status, sound
from mckean.interactions import attempts, costs
from mckean.interactions.choice import Choice, choose, require_measure
from mckean.interactions.evaluation import require_serves
from mckean.interactions.interaction import Interaction, place
from mckean.interactions.kernels import AbstractKernel
from mckean.interactions.sums.direct import Direct
from mckean.measures import AbstractMeasure, Particles, at_home, cast, configuration, dtype_of

_TOLERANCES = tuple(10.0**k for k in range(-12, 0))


def plan(kernel: AbstractKernel | Callable | Interaction, mu: AbstractMeasure) -> Interaction:
    """An interaction with the sum that `choose` chooses for a given cloud, for use under a transformation of JAX.

    It warns if only the sum over all pairs meets the tolerance and takes long. An interaction that has a sum, a measure
    that is no cloud, and positions without known values leave it as it is.

    **Arguments:**

    - `kernel`: W, as a model takes it, or `model.interaction`.
    - `mu`: the measure that will act, and be acted on.

    **Returns:** the `Interaction`, with its `sum`.

    **Raises:**

    - `ValueError` for a given sum that does not serve this measure.
    """
    require_measure(mu)
    placed = place(kernel, mu.domain)
    if not isinstance(mu, Particles) or traced((placed, mu)):
        return placed
    mu, mesh = configuration(at_home(mu)), mu.mesh
    # On several hosts each plans by itself, for a cloud that is spread.
    mu = mu if mu.mesh is mesh else Particles(mu.space, mu.positions, mu.weights, mesh)
    dtype = dtype_of(mu)
    inside = cast(placed.between(mu), dtype)
    choice = choose(placed, mu, few=costs.FEW_PAIRS)
    require_serves(choice.sum, inside, mu, mu.positions)
    if placed.sum is None and isinstance(choice.sum, Direct):
        _warn_if_slow(choice, inside, mu, placed.error(dtype))
    return dataclasses.replace(placed, sum=choice.sum)


def inspect(interaction: Interaction | None, mu: AbstractMeasure) -> Status:
    """Whether the planned sum of an interaction serves a measure and its own points.

    **Arguments:**

    - `interaction`: as a model holds it.
    - `mu`: the measure, at a time of a run.

    **Returns:** a `Status`: a fault and its size, such as a cloud that has spread further than the plan allows for.
    """
    require(
        interaction is None or isinstance(interaction, Interaction),
        f"what is planned is an interaction, as `place` makes it, not a {type(interaction).__name__}.",
    )
    if interaction is None or interaction.sum is None or not isinstance(mu, Particles):
        return sound(dtype_of(mu))
    rho = configuration(mu)
    return interaction.sum.inspect(rho, rho.positions)


def _warn_if_slow(choice: Choice, kernel: AbstractKernel, mu: Particles, tolerance: float) -> None:
    estimates = {name: seconds for name, seconds, _ in choice.others}
    seconds = estimates.pop("Direct", None)
    if seconds is None or seconds < costs.SLOW or any(estimate is not None for estimate in estimates.values()):
        return
    looser = (t for t in _TOLERANCES if t > tolerance)
    loose = next((t for t in looser if _nearly_linear(kernel, mu, t)), None)
    mend = (
        "no tolerance up to 0.1 would do"
        if loose is None
        else f"a tolerance of {loose:.0e} would do: mckean.interactions.place(kernel, space, tolerance={loose:.0e})"
    )
    warnings.warn(
        f"no sum that is faster than all pairs meets the tolerance {tolerance:.0e} for this kernel: a step takes "
        f"{mu.n**2:.2g} pairs, about {seconds:.2g} s; {mend}.",
        stacklevel=2,
    )


def _nearly_linear(kernel: AbstractKernel, mu: Particles, tolerance: float) -> bool:
    tried = (attempts.by_transforms, attempts.by_expansions)
    return any(attempt(kernel, mu, mu.positions, tolerance, mu.n).sum is not None for attempt in tried)
