"""All cells as one labelled Dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mckean.sweeps._folder import Folder
from mckean.sweeps._table import FAILURE, SECONDS, Table
from mckean.sweeps._values import Variable, decode

if TYPE_CHECKING:
    import xarray as xr


def assemble(folder: Folder, records: Mapping[int, Mapping[str, Any]]) -> xr.Dataset:
    """The records of the cells over the parameters; NaN and a sentence in `failure` where a cell lacks values."""
    import xarray as xr

    table = folder.table
    about = {"function": folder.function["name"], **folder.made}
    data = xr.Dataset(coords=table.coordinates, attrs=about)
    columns: dict[str, dict[int, Variable]] = {}
    for cell in sorted(records):
        for name, value in records[cell].get("variables", {}).items():
            columns.setdefault(name, {})[cell] = decode(value)
    seconds = np.full(table.size, np.nan)
    ends = np.full(table.size, "it is not done yet", object)
    for cell, record in records.items():
        seconds[cell], ends[cell] = record.get("seconds", np.nan), record.get("failure", "")
    for name, column in columns.items():
        dims = Counter(variable.dims for variable in column.values()).most_common(1)[0][0]
        for cell in [cell for cell, variable in column.items() if variable.dims != dims]:
            # What the other cells have given is not lost for it.
            ends[cell] = f"it gave '{name}' with the axes {column.pop(cell).dims}, but most cells with {dims}"
        data = _with(data, table, name, column)
    attrs = {"units": "s", "long_name": "time that the cell took"}
    return data.assign({
        SECONDS: (table.dims, seconds.reshape(table.shape), attrs),
        FAILURE: (table.dims, ends.reshape(table.shape), {"long_name": "why the cell lacks values"}),
    })  # fmt: skip


def _with(data: xr.Dataset, table: Table, name: str, column: Mapping[int, Variable]) -> xr.Dataset:
    """The Dataset with one more variable; one that labels an axis, and is the same in all cells, has no other axes."""
    first = next(iter(column.values()))
    arrays = [variable.array for variable in column.values()]
    alike = all(array.shape == arrays[0].shape for array in arrays)
    if first.coordinate and alike and all(np.array_equal(array, arrays[0]) for array in arrays[1:]):
        return data.assign_coords({name: (first.dims, arrays[0], dict(first.attrs))})
    shape = tuple(np.max([array.shape for array in arrays], axis=0).astype(int)) if first.dims else ()
    whole = len(column) == table.size and alike
    kind = np.result_type(*{array.dtype for array in arrays})
    kind = kind if whole or kind.kind in "fc" else np.dtype(float)
    # The name of an axis is for what labels it.
    name = f"{name}_values" if name in first.dims else name
    if whole:
        values = np.stack(arrays).astype(kind, copy=False)
    else:
        values = np.full((table.size, *shape), np.nan, kind)
        for cell, array in zip(column, arrays, strict=True):
            values[(cell, *(slice(length) for length in array.shape))] = array
    return data.assign({name: ((*table.dims, *first.dims), values.reshape(table.shape + shape), dict(first.attrs))})
