"""A map of two parameters: the steady states of the model that is explored, as `phases.phase_diagram` finds them."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.explore.session import ENVIRONMENT, Session
from mckean.explore.subject import Parameter
from mckean.measures import Density
from mckean.models import Model
from mckean.phases import phase_diagram
from mckean.spaces import AbstractGrid, Euclidean, FourierGrid, Torus

# A column of so many states on so many nodes takes a tenth of a second; two are made at a time, and between them the
# process may end.
_SIDE, _NODES, _TOGETHER = 12, 64, 2
# Half a box on R, in standard deviations of the first law.
_REACH = 4.5
# The order of a state that is not ordered.
_NOTHING = 1e-3
# The concentration of an ordered start.
_BUMP = 3.0
# Parameters on which states depend most, in this order.
_FIRST = ("strength", "theta", "beta")


class ModelTable(eqx.Module):
    """The models over two parameters: those at the nodes of a table, and between them each array bilinear.

    So JAX can trace what a constructor computes without it; most arrays are bilinear in the parameters anyhow.
    """

    first: Float[Array, " n"]
    second: Float[Array, " m"]
    arrays: Model
    rest: Model

    def __call__(self, p: Any, q: Any) -> Model:
        (i, u), (j, v) = _place(self.first, p), _place(self.second, q)

        def between(table: Array) -> Array:
            low, high = ((1 - v) * table[k, j] + v * table[k, j + 1] for k in (i, i + 1))
            return (1 - u) * low + u * high

        return eqx.combine(jax.tree.map(between, self.arrays), self.rest)


def _place(nodes: Float[Array, " n"], value: Any) -> tuple[Any, Any]:
    """The node before a value, and the share of the way to the next one; nodes are evenly spaced."""
    way = (value - nodes[0]) / (nodes[1] - nodes[0])
    index = jnp.clip(jnp.floor(way).astype(int), 0, len(nodes) - 2)
    return index, way - index


class Diagram:
    """The order of the steady state over two parameters, and the lines where the states change.

    **Arguments:**

    - `session`: the session, whose first two parameters are the axes.

    **Attributes:**

    - `values`: the order of the state that an ordered start leads to, by the second parameter and the first.
    - `lines`: the first parameter at each value of the second, by the names of `PhaseDiagram`; NaN where there is none.
    - `done`: whether all is computed.
    - `note`: why there is none, a sentence; empty where there is one.
    """

    def __init__(self, session: Session):
        sliders = [p for name, p in session.parameters.items() if name != ENVIRONMENT and not p.fixed]
        sliders.sort(key=lambda p: _FIRST.index(p.name) if p.name in _FIRST else len(_FIRST))
        self.axes: tuple[Parameter, ...] = tuple(sliders[:2])
        self.session, self.others = session, self._others(session)
        self.done, self.note = False, ""
        self.values = np.full((_SIDE, _SIDE), np.nan, np.float32)
        self.lines = {name: np.full(_SIDE, np.nan, np.float32) for name in ("threshold", "coexistence", "fold")}

    def _others(self, session: Session) -> dict[str, float]:
        moved = {ENVIRONMENT, *(axis.name for axis in self.axes)}
        return {name: value for name, value in session.values.items() if name not in moved}

    def shows(self, session: Session) -> bool:
        """Whether it is that of a session, whose other parameters may have been changed."""
        return self.session is session and self.others == self._others(session)

    @property
    def label(self) -> str:
        """What the map shows; empty as long as there is none."""
        if self.note or not self.done:
            return ""
        order = "size of the mean" if self.session.scene.view == "line" else "order parameter"
        return f"{order} of the steady state"

    def places(self, axis: int) -> np.ndarray:
        """The values of a parameter in the middle of the cells."""
        one = self.axes[axis]
        return one.low + (np.arange(_SIDE) + 0.5) / _SIDE * (one.high - one.low)

    def fill(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Compute it, as long as it is wanted."""
        try:
            self._fill(wanted)
        except (ValueError, RuntimeError) as error:
            self.note = f"No phase diagram: {error}"

    def _fill(self, wanted: Callable[[], bool]) -> None:
        require(len(self.axes) == 2, "it takes two parameters that sliders move.")
        grid, first, second = _grid(self.session), self.places(0), self.places(1)
        starts = _starts(grid)
        for k in range(0, _SIDE, _TOGETHER):
            if not wanted():
                return
            part = slice(k, k + _TOGETHER)
            found = phase_diagram(self._models(first, second[part]), grid, first, second[part], starts=starts)
            self.values[part] = found.order.T
            for name, line in self.lines.items():
                line[part] = getattr(found, name)
        # Two states of one energy are side by side where the disordered one is among them, up to its threshold.
        self.lines["coexistence"][np.isnan(self.lines["threshold"])] = np.nan
        ordered = bool(np.any(self.values > _NOTHING))
        require(ordered, f"every start leads to one state, whatever {' and '.join(a.name for a in self.axes)} are.")
        self.done = True

    def _models(self, first: np.ndarray, second: np.ndarray) -> ModelTable:
        """The models at these values; the other parameters are as they are."""
        names = [axis.name for axis in self.axes]
        entries = [
            self.session.subject.entry(self.others | dict(zip(names, (float(p), float(q)), strict=True)))
            for p in first
            for q in second
        ]
        parts = [eqx.partition(entry.model, eqx.is_array) for entry in entries]
        shape = (first.size, second.size)
        table = jax.tree.map(lambda *a: jnp.stack(a).reshape(*shape, *a[0].shape), *(arrays for arrays, _ in parts))
        return ModelTable(jnp.asarray(first), jnp.asarray(second), table, parts[0][1])


def _starts(grid: AbstractGrid) -> tuple[Density, Density]:
    """The uniform density and one bump; made without a program, of which each diagram would compile another."""
    x = np.asarray(grid.axes[0]) / grid.sides[0]
    bump = np.cos(2 * np.pi * x) if isinstance(grid, FourierGrid) else 2 * x
    flat, ordered = (w / (np.sum(w) * grid.cell_volume) for w in (np.ones_like(x), np.exp(_BUMP * bump)))
    return Density(grid, jnp.asarray(flat)), Density(grid, jnp.asarray(ordered))


def _grid(session: Session) -> AbstractGrid:
    space = session.entry.model.space
    mean, deviation = session.start
    reach = abs(mean) + _REACH * deviation
    if space.dim == 1 and isinstance(space, Torus):
        return space.grid(_NODES)
    if space.dim == 1 and isinstance(space, Euclidean):
        return space.grid(_NODES, -reach, reach)
    raise ValueError(f"it is computed on the circle and the line, not on {space}.")
