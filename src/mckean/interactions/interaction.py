"""A pair energy placed on a space, as a model holds it."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from mckean.checks import number, require
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.kernels._catalogue import as_kernel
from mckean.interactions.kernels._series import sampled_series
from mckean.interactions.sums.sum import AbstractSum, require_sum_tolerance
from mckean.measures import AbstractMeasure, Density
from mckean.spaces import AbstractSpace, TangentBundle, Torus


class Interaction(eqx.Module):
    """A pair energy W on a space, and the sum that evaluates its field −∇W_s*μ; `place` makes it.

    **Arguments:**

    - `kernel`: W between two points, a function of the shortest displacement. On a torus it is the Fourier series of W,
      if that converges to rounding.
    - `space`: the space.
    - `series`: on a torus, a finite part of the Fourier series of W, if the series does not converge so fast. A density
      on a grid has only the modes of the grid, and meets these of W. Default: None.
    - `tolerance`: the error of the force relative to the size of ∇W, between 1e-15 and 0.5, for the sum that `choose`
      finds. Default: None, 1e-9 in double and 1e-5 in single precision.
    - `sum`: the sum for particles. Default: None, the one that `choose` finds.
    - `given`: W as it was given, if `kernel` is its series. Default: None. A `certificate` compares with it.

    **Raises:**

    - `ValueError` for a tolerance outside these bounds, what is not a kernel, and a sum that is no `AbstractSum`.
    """

    kernel: AbstractKernel
    space: AbstractSpace
    series: FourierSeries | None = None
    tolerance: float | None = eqx.field(static=True, default=None)
    sum: AbstractSum | None = None
    given: AbstractKernel | None = None

    def __check_init__(self):
        require(
            isinstance(self.kernel, AbstractKernel),
            f"an interaction holds a kernel, not {self.kernel!r}: mckean.interactions.place makes one of a function.",
        )
        if self.tolerance is not None:
            require_sum_tolerance(self.tolerance)
        require(
            self.sum is None or isinstance(self.sum, AbstractSum),
            f"a kernel is summed by a sum such as mckean.interactions.Direct(), not by {self.sum!r}.",
        )

    def between(self, mu: AbstractMeasure) -> AbstractKernel:
        """W between a measure and a point: a density on a torus has modes, and meets those of W."""
        return self.series if self.series is not None and isinstance(mu, Density) else self.kernel

    def error(self, dtype) -> float:
        """The tolerance that counts in a precision: what is asked for, and no less than the precision allows."""
        single = jnp.result_type(dtype) != jnp.float64
        return max(self.tolerance or (1e-5 if single else 1e-9), 1e-6 if single else 1e-14)


def place(
    kernel: AbstractKernel | Callable | Interaction,
    space: AbstractSpace,
    tolerance: float | None = None,
    sum: AbstractSum | None = None,
) -> Interaction:
    """Put a pair energy W(x − y) on a space.

    **Arguments:**

    - `kernel`: W, a kernel, or a scalar function of a displacement of shape (d,), in the unit of energy. An interaction
      on this space is returned as it is.
    - `space`: the space. On a tangent bundle W acts on positions, and is placed on the base.
    - `tolerance`: the error of the force relative to the size of ∇W, for the sum that `choose` finds. Default: None,
      1e-9 in double and 1e-5 in single precision.
    - `sum`: the sum for particles, at any cost. Default: None, the cheapest.

    **Returns:** the `Interaction`.

    **Raises:**

    - `ValueError` for a W that is not scalar, or not periodic on a torus; for an interaction on another space; for a
      tolerance that is not between 1e-15 and 0.5, a sum that is no `AbstractSum`, and for both at once.
    """
    require(tolerance is None or sum is None, "give a tolerance, or a sum, which has its own.")
    space = space.base if isinstance(space, TangentBundle) else space
    if isinstance(kernel, Interaction):
        require(kernel.space == space, f"an interaction that is placed on {kernel.space} does not act on {space}.")
        placed = kernel
    else:
        kernel = as_kernel(kernel).on(space)
        placed = Interaction(kernel, space)
        if isinstance(space, Torus) and not isinstance(kernel, FourierSeries):
            series, resolved = sampled_series(kernel, space)
            placed = Interaction(series, space, given=kernel) if resolved else Interaction(kernel, space, series)
    tolerance = None if tolerance is None else number("the tolerance of a sum", tolerance)
    if tolerance is None and sum is None:
        return placed
    return dataclasses.replace(placed, tolerance=tolerance, sum=sum)
