"""What a run leaves: the final measure and what was observed on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from mckean import collectives
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles
from mckean.spaces import AbstractSphericalGrid, BoxGrid

if TYPE_CHECKING:
    import xarray as xr

_AXES = "xyz"

MeasureT = TypeVar("MeasureT", bound=AbstractMeasure)


class Trajectory(eqx.Module, Generic[MeasureT]):
    """A run: the records of a curve t ↦ μ_t in the space of probability measures, and its end.

    **Attributes:**

    - `final`: the measure at the final time, of the same class as the start.
    - `times`: the times of the records, shape (t,); time.
    - `observed`: the values of the observables by name, arrays or trees of arrays with the leading axis t.
    - `made`: pairs (name, text) that say how the run was made: model, scheme, path, dt and versions.
    """

    final: MeasureT
    times: Float[Array, " t"]
    observed: dict[str, Any]
    made: Sequence[tuple[str, str]] = eqx.field(static=True)

    def to_xarray(self) -> xr.Dataset:
        """The run as an xarray `Dataset`: observables over `time`, the final measure, and how the run was made.

        An observable that is a tree of arrays gives one variable for each array, `name.key`, and one with complex
        values two, `name.real` and `name.imag`, as a file in netCDF holds real numbers. Those of the final measure are
        called `final_…`. All quantities are in the units of the model, which are written as "1".

        **Returns:** an `xarray.Dataset`.

        **Raises:** `ValueError` for a batch of runs made by vmap. Take one run:
        `jax.tree.map(lambda a: a[i], runs)`.
        """
        import xarray as xr

        if self.times.ndim != 1:
            raise ValueError("this is a batch of runs: take one of them, jax.tree.map(lambda a: a[i], runs).")
        data = xr.Dataset(attrs=dict(self.made))
        data = data.assign_coords(time=("time", np.asarray(self.times), {"units": "1", "long_name": "time"}))
        return data.assign(_observable_variables(self.observed)).assign(_measure_variables(self.final))


def reserved_names(measure: AbstractMeasure) -> set[str]:
    """The names that an observable cannot have, since its variable would hide a coordinate or a dimension."""
    if isinstance(measure, Density):
        return {"time", *_axes(measure)}
    return {"time", "particle", "coordinate", "coordinate_"}


def _axes(measure: Density) -> tuple[str, ...]:
    if isinstance(measure.grid, AbstractSphericalGrid):
        return measure.grid.coordinates
    return tuple(_AXES[i] if len(measure.grid.shape) <= len(_AXES) else f"x{i}" for i in range(len(measure.grid.shape)))


def _observable_variables(tree: Any) -> dict[str, tuple]:
    """Variables of the observables; a dictionary, or another tree of arrays, gives one variable for each array."""
    variables = {}
    for name, values in _named(tree):
        array = collectives.known(values)
        dims = ("time", *(f"{name}_axis{i}" for i in range(array.ndim - 1)))
        real = (
            {name: array}
            if array.dtype.kind != "c"
            else {f"{name}.real": np.real(array), f"{name}.imag": np.imag(array)}
        )
        for part, numbers in real.items():
            variables[part] = (dims, numbers, {"units": "1", "long_name": part.replace("_", " ")})
    return variables


def _named(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(place, simple=True, separator="."), leaf) for place, leaf in leaves]


def require_names(observed: dict[str, Any]) -> None:
    """Raise `ValueError` where two arrays of the observables would have one name as variables."""
    made: set[str] = set()
    for name, values in _named(observed):
        parts = [f"{name}.real", f"{name}.imag"] if np.iscomplexobj(values) else [name]
        for one in [*parts, *(f"{name}_axis{i}" for i in range(np.ndim(values) - 1))]:
            if one in made:
                raise ValueError(f"two of the observables would be called '{one}' as variables of the run: rename one.")
            made.add(one)


def _measure_variables(measure: AbstractMeasure) -> dict[str, Any]:
    if isinstance(measure, Density):
        return _density_variables(measure)
    if isinstance(measure, Particles):
        arrays = {"position": (("particle", "coordinate"), measure.positions)}
        if measure.weights is not None:
            arrays = arrays | {"weight": (("particle",), measure.weights)}
    elif isinstance(measure, Gaussian):
        arrays = {
            "mean": (("coordinate",), measure.mean),
            "covariance": (("coordinate", "coordinate_"), measure.covariance),
        }
    else:
        return {}
    return {
        f"final_{name}": (dims, collectives.known(array), {"units": "1", "long_name": f"{name} at the final time"})
        for name, (dims, array) in arrays.items()
    }


def _density_variables(measure: Density) -> dict[str, Any]:
    import xarray as xr

    grid, dims = measure.grid, _axes(measure)
    place = "centre of a cell" if isinstance(grid, BoxGrid) else "node"
    coords = {
        dim: (dim, axis, {"units": "1", "long_name": f"{place} along {dim}"})
        for dim, axis in zip(dims, grid.axes, strict=True)
    }
    attrs = {"units": "1/volume", "long_name": "density at the final time"}
    return {"final_density": xr.DataArray(collectives.known(measure.values), coords, dims, attrs=attrs)}
