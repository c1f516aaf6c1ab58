"""Phase diagrams: the states over two parameters of a model, and the lines where they change."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from mckean.checks import require, require_finite
from mckean.dynamics.interruption import asked_to_stop
from mckean.dynamics.progress import bar
from mckean.measures import Density
from mckean.models import Model
from mckean.phases import _equation as equation
from mckean.phases import _lines as lines
from mckean.phases._column import Column, Problem, column
from mckean.spaces import AbstractGrid, AbstractSphericalGrid, FourierGrid, ZonalGrid

if TYPE_CHECKING:
    import xarray as xr

_CONCENTRATION = 3.0
# The most nodes: a diagram has matrices alone, for many pairs at once.
_MOST = 600


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """The states that a model has at pairs of parameters (p, q), from a disordered and from an ordered start.

    **Attributes:**

    - `names`: the names of p and q.
    - `first`, `second`: the values of p, shape (n,), and of q, shape (m,).
    - `order`: the order of the state that the ordered start leads to, shape (n, m): the largest modulus of a Fourier
      mode on a torus, the length of the mean on a box, the largest |∫P_l(⟨e, x⟩)dρ| on a sphere.
    - `gap`: F of that state less F of the disordered one, shape (n, m), energy per particle; 0 where they are one.
    - `phase`: shape (n, m): 0 where the disordered state is stable and the ordered start leads to it, 2 where it is not
      stable, 1 where both states are stable; −1 where nothing is computed yet.
    - `residual`: the largest error of log ρ of the two states, shape (n, m).
    - `threshold`: p at each q where the disordered state loses its stability, shape (m,); NaN where that is not seen.
    - `fold`: p at each q where the ordered state ends while the disordered one is stable, shape (m,); NaN where the
      transition is continuous.
    - `coexistence`: p at each q where both states have the same free energy, shape (m,); NaN where that is not seen: it
      lies between two refined values of p at which both are stable.
    - `columns`: what was computed at each q, for `known`.
    """

    names: tuple[str, str]
    first: Float[np.ndarray, " n"]
    second: Float[np.ndarray, " m"]
    order: Float[np.ndarray, "n m"]
    gap: Float[np.ndarray, "n m"]
    phase: Int[np.ndarray, "n m"]
    residual: Float[np.ndarray, "n m"]
    threshold: Float[np.ndarray, " m"]
    fold: Float[np.ndarray, " m"]
    coexistence: Float[np.ndarray, " m"]
    columns: Sequence[Column | None] = field(repr=False)

    def to_xarray(self) -> xr.Dataset:
        """The diagram as an xarray `Dataset` over its two parameters.

        **Returns:** an `xarray.Dataset`.
        """
        import xarray as xr

        fields = {name: (self.names, getattr(self, name)) for name in ("order", "gap", "phase", "residual")}
        curves = {name: (self.names[1:], getattr(self, name)) for name in ("threshold", "fold", "coexistence")}
        return xr.Dataset(fields | curves, dict(zip(self.names, (self.first, self.second), strict=True)))


class Unfinished(KeyboardInterrupt):
    """A diagram that was interrupted by Ctrl-C. `diagram`: its columns so far, a `PhaseDiagram` without lines."""

    def __init__(self, diagram: PhaseDiagram):
        done = sum(known is not None for known in diagram.columns)
        super().__init__(f"interrupted after {done} of {len(diagram.columns)} columns")
        self.diagram = diagram


def phase_diagram(
    model_of: Callable[[Any, Any], Model],
    grid: AbstractGrid,
    first: Any,
    second: Any,
    *,
    starts: tuple[Density, Density] | None = None,
    refinement: int = 1,
    known: PhaseDiagram | None = None,
    progress: bool = False,
) -> PhaseDiagram:
    """The steady states over two parameters of a model, and the lines where they change.

        ρ = e^{−β(V + W_s*ρ)}/Z   from a disordered and from an ordered start, at each pair (p, q)

    Newton's method runs from the first start, and descent and Newton's method from the second, for a column of p as one
    program. Each column then is refined about its changes, and the lines are solved to rounding: the threshold by the
    least curvature of the disordered state, the coexistence by the difference of F, the fold by its own equations. A
    range of p with two stable states that is narrower than the refined spacing is not seen: the transition then counts
    as continuous.

    **Arguments:**

    - `model_of`: the model for (p, q), a function that JAX can trace.
    - `grid`: a grid of the model's space, with 600 nodes at most; on a sphere a zonal one.
    - `first`, `second`: the values of p and of q, which increase, shapes (n,) and (m,), two or more.
    - `starts`: a disordered and an ordered density. Default: the uniform density, and e^{3Σcos(2πx/L)}/Z on a torus,
      e^{6x/L}/Z on a box, e^{6⟨e, x⟩}/Z on a sphere.
    - `refinement`: how often a column is refined about its changes, each time by the factor n − 1. Default: 1.
    - `known`: a diagram with the same parameters, whose columns are not computed again. Default: None.
    - `progress`: whether to show a bar. Default: False.

    **Returns:** a `PhaseDiagram`.

    **Raises:**

    - `ValueError` for values that do not increase, for a function that JAX cannot trace, and for a model without a
      Gibbs map.
    - `RuntimeError` where Newton's method finds no state from the disordered start, with the place.
    - `KeyboardInterrupt` on Ctrl-C; its `diagram` has the columns so far and can be given as `known`.

    **Source:** Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719, for the three lines.
    """
    p, q = (_values(name, values) for name, values in (("first", first), ("second", second)))
    require(refinement >= 0, f"a column is refined 0 times or more, not {refinement}.")
    problem = _problem(model_of, grid, (p, q), starts)
    columns: list[Column | None] = [None] * q.size if known is None else list(known.columns)
    same = known is None or (np.array_equal(known.first, p) and np.array_equal(known.second, q))
    require(same, "a known diagram has the same values of both parameters: compute another one, without `known`.")
    ahead = [j for j, done in enumerate(columns) if done is None]
    with bar("phase diagram", progress, q.size) as tick, asked_to_stop() as asked:
        # One after the other: two programs that factor batches of matrices wait for each other's threads for ever.
        for j in ahead:
            columns[j] = column(problem, p, float(q[j]), refinement)
            tick(q.size - columns.count(None))
            if asked():
                raise Unfinished(_diagram(problem, p, q, columns))
    return _diagram(problem, p, q, columns)


def _values(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, float)
    require(array.ndim == 1 and array.size >= 2, f"the {name} parameter has two values or more, shape (n,).")
    require_finite(f"a value of the {name} parameter", array)
    require(np.all(np.diff(array) > 0), f"the values of the {name} parameter increase.")
    return array


def _problem(model_of: Callable, grid: AbstractGrid, values: tuple, starts: Any) -> Problem:
    require(
        callable(model_of),
        f"a phase diagram takes the model as a function of two parameters, not a {type(model_of).__name__}.",
    )
    p, q = (jnp.asarray(a[0]) for a in values)
    model = model_of(p, q)
    equation.require_states(model, grid)
    equation.require_energy(model, "a phase diagram")
    require(
        isinstance(grid, ZonalGrid) or not isinstance(grid, AbstractSphericalGrid),
        "on a sphere a phase diagram is one of a zonal grid, Sphere(3).grid(32, axis=(0.0, 0.0, 1.0)); on others "
        "follow branches with continuation.",
    )
    require(
        grid.size <= _MOST,
        f"a phase diagram solves with matrices, on {_MOST} nodes at most, but the grid has {grid.size}.",
    )
    try:
        jax.eval_shape(lambda p, q: equation.image(model_of(p, q), grid, jnp.zeros(grid.shape)), p, q)
    except Exception as error:
        raise ValueError(
            "the model cannot be built from parameters that JAX traces: place W before, "
            "W = mckean.interactions.place(kernel, space), and let β be a parameter, or coefficients of a series."
        ) from error
    both = _default(grid) if starts is None else starts
    for law in both:
        right = isinstance(law, Density) and law.grid == grid
        require(right, "the starts of a phase diagram are two densities on its grid, a disordered and an ordered one.")
    require(len(both) == 2, f"a phase diagram has two starts, not {len(both)}.")
    return Problem(model_of, grid, (both[0], both[1]), equation.symmetric_axes(model, grid))


def _default(grid: AbstractGrid) -> tuple[Density, Density]:
    flat = Density.from_function(grid, lambda x: 1.0 + 0 * x[0])
    if isinstance(grid, ZonalGrid):
        axis = jnp.asarray(grid.axis)
        return flat, Density.from_function(grid, lambda x: jnp.exp(2 * _CONCENTRATION * x @ axis))
    sides = jnp.asarray(grid.sides)
    if isinstance(grid, FourierGrid):
        wave = lambda x: jnp.exp(_CONCENTRATION * jnp.sum(jnp.cos(2 * jnp.pi * x / sides) - 1))  # noqa: E731
        return flat, Density.from_function(grid, wave)
    return flat, Density.from_function(grid, lambda x: jnp.exp(2 * _CONCENTRATION * x[0] / sides[0]))


def _diagram(problem: Problem, p: np.ndarray, q: np.ndarray, columns: Sequence[Column | None]) -> PhaseDiagram:
    """The columns side by side; the lines, where all columns are there."""
    none = np.full(p.size, np.nan)
    fields = {
        name: np.stack([none if one is None else getattr(one, name) for one in columns], axis=1)
        for name in ("order", "gap", "residual")
    }
    phase = np.stack([np.full(p.size, -1) if one is None else one.phase for one in columns], axis=1)
    curves = {name: np.full(q.size, np.nan) for name in ("threshold", "coexistence", "fold")}
    if None not in columns:
        for name in curves:
            curves[name] = getattr(lines, name)(problem, q, [getattr(one, name) for one in columns])
    return PhaseDiagram(_names(problem.model_of), p, q, phase=phase, columns=columns, **fields, **curves)


def _names(model_of: Callable) -> tuple[str, str]:
    """The names that the function gives its parameters."""
    try:
        names = [*inspect.signature(model_of).parameters][:2]
    except (TypeError, ValueError):
        names = []
    return (names[0], names[1]) if len(set(names)) == 2 else ("first", "second")
