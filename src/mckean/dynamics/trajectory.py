"""What a run leaves: the final measure and what was observed on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from mckean.measures import AbstractMeasure, Density, Gaussian, Particles
from mckean.spaces import FourierGrid

if TYPE_CHECKING:
    import xarray as xr

_AXES = "xyz"


class Trajectory(eqx.Module):
    """A run: `final`, the measure at the end; `times`, shape (t,); `observed`, arrays with leading axis t by name."""

    final: AbstractMeasure
    times: Float[Array, " t"]
    observed: dict[str, Any]
    made: tuple[tuple[str, str], ...] = eqx.field(static=True)

    def to_xarray(self) -> xr.Dataset:
        """The run as an xarray `Dataset`: observables over `time`, the final measure, and how the run was made.

        Quantities are in the model's own (dimensionless) units unless the user's energies and lengths say otherwise.
        """
        import xarray as xr

        data = xr.Dataset(attrs=dict(self.made))
        data = data.assign_coords(time=("time", np.asarray(self.times), {"units": "1", "long_name": "time"}))
        for name, values in self.observed.items():
            data = data.assign(_observed(name, values))
        return data.assign(_final(self.final))


def _observed(name: str, values: Any) -> dict[str, tuple]:
    """Variables of one observable; a dictionary of arrays gives one variable each."""
    if isinstance(values, dict):
        return {k: v for key, inner in values.items() for k, v in _observed(f"{name}.{key}", inner).items()}
    array = np.asarray(values)
    dims = ("time", *(f"{name}_axis{i}" for i in range(array.ndim - 1)))
    return {name: (dims, array, {"units": "1", "long_name": name.replace("_", " ")})}


def _final(measure: AbstractMeasure) -> dict[str, Any]:
    if isinstance(measure, Particles):
        variables = {"position": (("particle", "coordinate"), np.asarray(measure.positions), {"units": "1"})}
        if measure.weights is not None:
            variables["weight"] = (("particle",), np.asarray(measure.weights), {"units": "1"})
        return variables
    if isinstance(measure, Density):
        return _density_variables(measure)
    if isinstance(measure, Gaussian):
        mean, covariance = np.asarray(measure.mean), np.asarray(measure.covariance)
        return {
            "mean": (("coordinate",), mean, {"units": "1"}),
            "covariance": (("coordinate", "coordinate_"), covariance, {"units": "1"}),
        }
    return {}


def _density_variables(measure: Density) -> dict[str, Any]:
    import xarray as xr

    grid = measure.grid
    dims = tuple(_AXES[: len(grid.shape)])
    place = "node" if isinstance(grid, FourierGrid) else "centre of a cell"
    coords = {
        dim: (dim, axis, {"units": "1", "long_name": f"{place} along {dim}"})
        for dim, axis in zip(dims, grid.axes, strict=True)
    }
    attrs = {"units": "1/volume", "long_name": "density at the final time"}
    return {"density": xr.DataArray(np.asarray(measure.values), coords, dims, attrs=attrs)}
