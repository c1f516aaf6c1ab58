"""Records on disk: arrays of zarr v3, with room for all of them from the start, written by regions."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mckean.checks import require

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
        _put(array, 0, values)
    _put(_array(group, "time"), 0, times)


def write_records(path: Path, first: int, records: Mapping[str, np.ndarray]) -> None:
    """Write some records from the `first` on; a file of zarr is replaced whole, so that no earlier one is lost."""
    import zarr

    group = zarr.open_group(path, mode="r+")
    for name, values in records.items():
        _put(_array(group, name), first, values)


def extend_records(path: Path, names: list[str], times: np.ndarray, attributes: Mapping[str, str]) -> None:
    """Room for more records, or none where there is enough. `ValueError` where what is there is not whole."""
    import zarr

    with _whole(path):
        group = zarr.open_group(path, mode="r+")
        arrays = [_array(group, name) for name in ("time", *names)]
    for array in arrays:
        if array.shape[0] < len(times):
            array.resize((len(times), *array.shape[1:]))
    _put(_array(group, "time"), 0, times)
    group.attrs.update(dict(attributes))


def read_dataset(path: Path, count: int) -> Any:
    """The first records as an xarray Dataset whose values are read when they are asked for."""
    import xarray as xr

    return xr.open_zarr(path, consolidated=False).isel(time=slice(count))


def read_records(path: Path, names: list[str], count: int) -> dict[str, np.ndarray]:
    """The first records by name. **Raises** `ValueError` where a part of them is not there, or cannot be read."""
    import zarr

    with _whole(path):
        group = zarr.open_group(path, mode="r")
        found = {}
        for name in names:
            array = _array(group, name)
            # zarr takes what is not there for numbers that were never written.
            for place in range(-(-count // array.chunks[0]) if array.size else 0):
                require((path / name / "/".join(["c", str(place), *"0" * (array.ndim - 1)])).exists(), name)
            found[name] = np.asarray(array[:count])
        return found


def _array(group: Any, name: str) -> Any:
    # A group may hold groups.
    return group[name]


def _put(array: Any, first: int, values: np.ndarray) -> None:
    """Write values from the record `first` on, also such as are no numbers, which zarr would leave out."""
    array.with_config({"write_empty_chunks": True})[first : first + len(values)] = values


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Where records are read: whatever zarr finds amiss is one sentence."""
    try:
        yield
    except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"'{path}' cannot be read: its records are not there, or not whole; make the run anew in another folder."
        ) from error
