"""A kernel together with the way its field is to be summed."""

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float

from mckean.checks import require
from mckean.interactions.kernels import AbstractKernel, as_kernel
from mckean.interactions.sums.sum import AbstractSum
from mckean.spaces import AbstractSpace


class Summed(AbstractKernel):
    """W, with a tolerance for its field, or with the sum that is to evaluate it. The mathematics is W's.

    **Arguments:** `kernel`: a kernel, or a function of a displacement; `tolerance`: error of the force relative to the
    size of ∇W, for the sum that is chosen; None for 1e-9 in double and 1e-5 in single precision; `sum`: the sum to be
    used for particles, whatever it costs.
    **Raises** `ValueError` for a tolerance that is not between 1e-15 and 0.5, and for both at once.
    """

    kernel: AbstractKernel
    tolerance: float | None = eqx.field(static=True)
    sum: AbstractSum | None

    def __init__(self, kernel, tolerance: float | None = None, sum: AbstractSum | None = None):
        require(
            tolerance is None or 1e-15 < tolerance < 0.5,
            f"the tolerance of a sum lies between 1e-15 and 0.5, but {tolerance!r} was given.",
        )
        require(
            sum is None or isinstance(sum, AbstractSum),
            f"a kernel is summed by a sum such as mckean.interactions.Direct(), not by {sum!r}.",
        )
        require(tolerance is None or sum is None, "give a tolerance, or a sum, which has its own.")
        self.kernel, self.tolerance, self.sum = as_kernel(kernel), tolerance, sum

    @property
    def singular(self) -> bool:
        return self.kernel.singular

    @property
    def radial(self) -> bool:
        return self.kernel.radial

    def profile(self, square: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return self.kernel.profile(square)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.kernel(z)

    def gradient(self, z: Float[Array, " d"]) -> Float[Array, " d"]:
        return self.kernel.gradient(z)

    def value(self, z: Float[Array, " d"], at_zero: Float[ArrayLike, ""] = 0.0) -> Float[Array, ""]:
        return self.kernel.value(z, at_zero)

    def on(self, space: AbstractSpace) -> "Summed":
        return Summed(self.kernel.on(space), self.tolerance, self.sum)
