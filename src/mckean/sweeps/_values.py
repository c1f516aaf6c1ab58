"""What a cell gave: its variables, as JSON has them and as one Dataset."""

import base64
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mckean.checks import require
from mckean.dynamics import Trajectory
from mckean.statistics import Estimate
from mckean.sweeps._table import FAILURE, ROW, SECONDS

# The name of a result that has none.
_VALUE = "value"


@dataclass(frozen=True)
class Variable:
    """An array with named axes.

    **Arguments:**

    - `array`: the numbers.
    - `dims`: the names of its axes.
    - `attrs`: units and the like.
    - `coordinate`: whether it labels an axis.
    """

    array: np.ndarray
    dims: tuple[str, ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)
    coordinate: bool = False


def variables(result: Any, parameters: Collection[str]) -> dict[str, Variable]:
    """The variables of what a function gave.

    **Raises:** `ValueError` for what is not made of numbers, and for names that would hide a parameter.
    """
    found = dict(_spread("", result))
    require(found, "the function gave an empty result.")
    taken = {*parameters, ROW, FAILURE, SECONDS}
    for name, variable in found.items():
        for each in (name, *variable.dims):
            require(each not in taken, f"the function calls a result '{each}', a name of the sweep: rename it.")
    return found


def _spread(name: str, value: Any) -> Iterator[tuple[str, Variable]]:
    import xarray as xr

    if isinstance(value, Trajectory):
        value = value.to_xarray()
    if isinstance(value, xr.DataArray):
        name, value = "", value.to_dataset(name=name or value.name or _VALUE)
    if isinstance(value, xr.Dataset):
        yield from _of_dataset(name, value)
    elif isinstance(value, Mapping):
        for part, inner in value.items():
            yield from _spread(f"{name}.{part}" if name else str(part), inner)
    elif isinstance(value, Estimate):
        yield from _spread(name or _VALUE, np.asarray(value.value))
        yield from _spread(f"{name or _VALUE}_stderr", np.asarray(value.stderr))
    else:
        name = name or _VALUE
        array = _numbers(name, value)
        dims = tuple(f"{name}_axis{axis}" for axis in range(array.ndim))
        # A file in netCDF holds real numbers.
        real = {f"{name}.real": np.real(array), f"{name}.imag": np.imag(array)} if _complex(array) else {name: array}
        yield from ((part, Variable(numbers, dims)) for part, numbers in real.items())


def _of_dataset(name: str, data: Any) -> Iterator[tuple[str, Variable]]:
    before = f"{name}." if name else ""
    for part, variable in data.variables.items():
        dims = tuple(f"{before}{dim}" for dim in variable.dims)
        attrs = {key: str(value) for key, value in variable.attrs.items()}
        array = _numbers(f"{before}{part}", variable.values)
        yield f"{before}{part}", Variable(array, dims, attrs, part in data.coords)


def _complex(array: np.ndarray) -> bool:
    return array.dtype.kind == "c"


def _numbers(name: str, value: Any) -> np.ndarray:
    keyed = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    array = None if value is None or keyed else np.asarray(value)
    require(
        array is not None and array.dtype.kind in "biufc",
        f"a cell gives numbers, arrays, Estimates, a Trajectory, an xarray Dataset, or a dictionary of them, but "
        f"'{name}' is {type(value).__name__}.",
    )
    assert array is not None
    return array


def encode(variable: Variable) -> Any:
    """A variable as JSON has it: a number as it is, an array by its bytes."""
    array = variable.array
    if not array.ndim and not variable.attrs and array.dtype in (np.float64, np.int64, np.bool_):
        return array.item()
    array = array.astype(array.dtype.newbyteorder("<"))
    made: dict[str, Any] = {"dims": variable.dims, "dtype": array.dtype.str, "shape": array.shape}
    made["data"] = base64.b64encode(array.tobytes()).decode()
    made |= {"attrs": dict(variable.attrs)} if variable.attrs else {}
    return made | ({"coordinate": True} if variable.coordinate else {})


def decode(value: Any) -> Variable:
    """The variable that `encode` has written."""
    if not isinstance(value, dict):
        return Variable(np.asarray(value))
    array = np.frombuffer(base64.b64decode(value["data"]), value["dtype"]).reshape(value["shape"])
    return Variable(array, tuple(value["dims"]), value.get("attrs", {}), value.get("coordinate", False))
