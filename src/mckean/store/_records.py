"""Records on disk: arrays of zarr v3, with room for all of them from the start, written by regions."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mckean.checks import require
from mckean.store._files import sync, sync_all

# Bytes of a chunk on disk: as its records come, it is written anew.
_CHUNK = 1 << 20
# Never found out from the folder: the older format has codecs that unpickle.
_FORMAT: Any = {"zarr_format": 3}


def create_records(path: Path, variables: Mapping[str, Any], attributes: Mapping[str, str], times: np.ndarray) -> None:
    """Arrays with room for as many records as there are times.

    **Arguments:**

    - `path`: the group, which is made.
    - `variables`: triples (dimensions, first record, attributes) by name; the leading axis is time.
    - `attributes`: of the group.
    - `times`: of the records.
    """
    import zarr

    group = zarr.open_group(path, mode="w", attributes=dict(attributes), **_FORMAT)
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
    """Write some records from the `first` on; a file of zarr is replaced whole, so that no earlier one is lost.

    They are on the disk when this returns: the state that says that they are there comes after them.
    """
    import zarr

    group = zarr.open_group(path, mode="r+", **_FORMAT)
    for name, values in records.items():
        array = _array(group, name)
        _put(array, first, values)
        for file in _files(path / name, array, first, first + len(values)):
            sync(file, path)


def extend_records(path: Path, names: list[str], times: np.ndarray, attributes: Mapping[str, str]) -> None:
    """Room for more records, or none where there is enough. `ValueError` where what is there is not whole."""
    import zarr

    with _whole(path):
        group = zarr.open_group(path, mode="r+", **_FORMAT)
        arrays = [_array(group, name) for name in ("time", *names)]
    for array in arrays:
        if array.shape[0] < len(times):
            array.resize((len(times), *array.shape[1:]))
    _put(_array(group, "time"), 0, times)
    group.attrs.update(dict(attributes))
    sync_all(path)


def read_dataset(path: Path, count: int) -> Any:
    """The first records as an xarray Dataset whose values are read when they are asked for."""
    import xarray as xr

    return xr.open_zarr(path, consolidated=False, **_FORMAT).isel(time=slice(count))


def read_records(path: Path, names: list[str], count: int) -> dict[str, np.ndarray]:
    """The first records by name. **Raises** `ValueError` where a part of them is not there, or cannot be read."""
    import zarr

    with _whole(path):
        group = zarr.open_group(path, mode="r", **_FORMAT)
        found = {}
        for name in names:
            array = _array(group, name)
            # zarr takes what is not there for numbers that were never written.
            require(all(file.exists() for file in _files(path / name, array, 0, count)), name)
            found[name] = np.asarray(array[:count])
        return found


def _files(folder: Path, array: Any, first: int, last: int) -> list[Path]:
    """The files of an array that hold its records from the `first` on, before the `last`; all else is in one chunk."""
    rows = array.chunks[0]
    places = range(first // rows, -(-last // rows)) if array.size else ()
    return [folder.joinpath("c", str(place), *"0" * (array.ndim - 1)) for place in places]


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
    except (OSError, LookupError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise ValueError(
            f"'{path}' cannot be read: its records are not there, or not whole; make the run anew in another folder."
        ) from error
