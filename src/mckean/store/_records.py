"""Records on disk: arrays of zarr v3, with room for all of them from the start, written by regions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Bytes of a chunk on disk: as its records come, it is written anew.
_CHUNK = 1 << 20


def create_records(path: Path, variables: Mapping[str, Any], attributes: Mapping[str, str], times: np.ndarray) -> None:
    """Arrays with room for as many records as there are times.

    **Arguments:**

    - `path`: the group, which is made.
    - `variables`: triples (dimensions, first record, attributes) by name; the leading axis is time.
    - `attributes`: of the group.
    - `times`: of the records.
    """
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3, attributes=dict(attributes))
    for name, (dims, values, attrs) in variables.items():
        rows = max(1, min(len(times), _CHUNK // max(1, values[0].nbytes)))
        array: Any = group.create_array(
            name, shape=(len(times), *values.shape[1:]), chunks=(rows, *(max(1, size) for size in values.shape[1:])),
            dtype=values.dtype, dimension_names=dims, attributes=dict(attrs),
            fill_value=np.nan if values.dtype.kind == "f" else 0,
        )  # fmt: skip
        array[: len(values)] = values
    _array(group, "time")[:] = times


def write_records(path: Path, first: int, records: Mapping[str, np.ndarray]) -> None:
    """Write some records from the `first` on; a file of zarr is replaced whole, so that no earlier one is lost."""
    import zarr

    group = zarr.open_group(path, mode="r+")
    for name, values in records.items():
        _array(group, name)[first : first + len(values)] = values


def extend_records(path: Path, times: np.ndarray, attributes: Mapping[str, str]) -> None:
    """Room for more records, or none where there is enough."""
    import zarr

    group = zarr.open_group(path, mode="r+")
    for name in list(group.array_keys()):
        array = _array(group, name)
        if array.shape[0] < len(times):
            array.resize((len(times), *array.shape[1:]))
    _array(group, "time")[: len(times)] = times
    group.attrs.update(dict(attributes))


def read_dataset(path: Path, count: int) -> Any:
    """The first records as an xarray Dataset whose values are read when they are asked for."""
    import xarray as xr

    return xr.open_zarr(path, consolidated=False).isel(time=slice(count))


def read_records(path: Path, names: list[str], count: int) -> dict[str, np.ndarray]:
    """The first records by name."""
    import zarr

    group = zarr.open_group(path, mode="r")
    return {name: np.asarray(_array(group, name)[:count]) for name in names}


def _array(group: Any, name: str) -> Any:
    # A group may hold groups.
    return group[name]
