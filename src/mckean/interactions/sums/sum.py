"""What a sum is: a way to evaluate the field of a kernel."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.faults import Status
from mckean.interactions.kernels import AbstractKernel
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of
from mckean.spaces import AbstractGrid, ZonalGrid, calculus

# Points acted on: shape (n, d), or a grid, which stands for its nodes.
Points = Float[Array, "n d"] | AbstractGrid


class AbstractSum(eqx.Module):
    """A way to evaluate W_s*μ and −∇W_s*μ, with the numbers that it needs to know before compilation.

    Its methods take W as it acts between two points of the measure's space, the measure that acts, and the points acted
    on, shape (n, d), or a grid. `potential`, `force` and `inspect` are traceable.
    """

    @property
    def name(self) -> str:
        return type(self).__name__

    @abc.abstractmethod
    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        """Why this sum does not serve, the end of a sentence that begins with its name; None where it does."""

    @abc.abstractmethod
    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "AbstractSum":
        """The sum with the static numbers that it takes from a known measure; itself where it needs none, or has them.

        **Raises:**

        - `ValueError` where no numbers meet its tolerance.
        """

    @abc.abstractmethod
    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        """Whether the plan serves these places: a fault, with its size, where it does not."""

    @abc.abstractmethod
    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        """W_s*μ at points, or on the nodes of a grid; energy."""

    @abc.abstractmethod
    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        """−∇W_s*μ at points, or on the nodes of a grid; energy per length."""


def require_sum_tolerance(tolerance: float) -> None:
    """**Raises** `ValueError` for a tolerance that rounding does not allow, or that is none."""
    require(1e-15 < tolerance < 0.5, f"the tolerance of a sum lies between 1e-15 and 0.5, but {tolerance!r} was given.")


def at(points: Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
    """The points themselves, or the nodes of a grid in the measure's precision.

    **Arguments:**

    - `points`: shape (n, d), or a grid.
    - `mu`: the measure, whose precision the nodes take.

    **Returns:** shape (n, d).

    **Raises:** `ValueError` for a measure in the place of the points.
    """
    require(not isinstance(points, AbstractMeasure), "points come first, then the measure that acts on them: (x, mu).")
    return points.nodes.astype(dtype_of(mu)) if isinstance(points, AbstractGrid) else points


def atoms(mu: AbstractMeasure) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
    """The places and masses of particles, or of the nodes of a density.

    **Raises:** `ValueError` for other measures, and for a zonal density, whose nodes are no points.
    """
    if isinstance(mu, Particles):
        uniform = jnp.full(mu.n, 1 / mu.n, mu.positions.dtype)
        return mu.positions, uniform if mu.weights is None else mu.weights
    if isinstance(mu, Density):
        require(
            not isinstance(mu.grid, ZonalGrid),
            "a zonal density acts by its harmonics alone: by a W or an attention that depends on ⟨x, y⟩, at the nodes "
            "of its grid; sample it, or take the grid of S².",
        )
        return mu.grid.nodes.astype(mu.values.dtype), calculus.masses(mu.grid, mu.values).ravel()
    raise ValueError(f"a {type(mu).__name__} measure has no atoms to sum over; sample it.")
