"""Results in a folder, and back."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mckean.checks import array, require
from mckean.store._files import as_folder, make_folder, members, unpack, write_arrays, write_atomically, writing
from mckean.store._names import named
from mckean.store._recipe import Recipe, device_array, make
from mckean.store._records import read_dataset
from mckean.store._run import FORMAT, RunFolder, read_words, split

_WORDS = "value.json"


def save(value: Any, folder: str | Path) -> None:
    """Put a result into a folder: numbers and names, and no program.

    **Arguments:**

    - `value`: a `Trajectory`, a measure, a model, any result of this library; lists, tuples and dictionaries of them.
    - `folder`: a place where nothing is, or an empty folder.

    **Raises:** `ValueError` for a value that holds a function or a class of yours, and for a place that is taken;
    `OSError`, in one sentence, for one that cannot be written. Then nothing is left there.
    """
    folder, recipe = as_folder("folder", folder), Recipe()
    words = recipe.words(value)
    require(not recipe.strangers, f"a folder holds no program, but this value holds your {recipe.strangers[:1]}.")
    free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    require(free, f"'{folder}' is not empty: give another one.")

    def fill(part: Path) -> None:
        write_arrays(part / "arrays.npz", members(recipe.arrays))
        whole = {"format": FORMAT, "kind": "value", "words": words}
        write_atomically(part / _WORDS, json.dumps(whole, indent=1).encode())

    with writing(folder):
        make_folder(folder, fill)


def load(folder: str | Path) -> Any:
    """The value that `save` has put into a folder, bit for bit; or the run that `evolve` keeps there, as far as it is.

    Of a run that has not ended `final` is the last state that was kept, a few steps after the last record.

    **Arguments:**

    - `folder`: of a value or of a run, also of one that is under way or was killed.

    **Returns:** the value; of a run its `Trajectory`.

    **Raises:** `ValueError` for another folder, and for one that is damaged.
    """
    folder = as_folder("folder", folder)
    if not (folder / "run.json").exists():
        words = read_words(folder / _WORDS, "value")
        return make(words["words"], unpack(folder / "arrays.npz")[0])
    run = RunFolder(folder)
    final, done = run.last(run.argument("measure"))
    count = run.count(done)
    times = (run.plan["first"] + run.plan["stride"] * np.arange(count)) * run.plan["dt"]
    made = tuple((name, text) for name, text in run.words["made"])
    return named("mckean.dynamics.trajectory:Trajectory")(
        final, array(times), jax.tree.map(device_array, run.records(count)), made
    )  # fmt: skip


def dataset(folder: str | Path) -> Any:
    """What a folder holds as one xarray `Dataset`, with dimensions, units and how it was made.

    The records of a run are read when they are asked for; of one that is under way, or was killed, those that are
    there. A value has one variable for each of its arrays.

    **Arguments:**

    - `folder`: of a value or of a run.

    **Returns:** an `xarray.Dataset`; `.to_netcdf(path)` writes it, since complex values are two real variables.

    **Raises:** `ValueError` for another folder, and for one that is damaged.
    """
    value = load(folder)
    whole = value.to_xarray() if hasattr(value, "to_xarray") else _of_fields(value)
    if not (Path(folder) / "run.json").exists():
        return whole
    records = read_dataset(Path(folder) / "records.zarr", whole.sizes["time"])
    return whole.assign({name: variable for name, variable in records.variables.items() if name != "time"})


def _of_fields(value: Any) -> Any:
    """The arrays of a value by the names of its fields."""
    import xarray as xr

    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    else:
        fields = value if isinstance(value, dict) else {"value": value}
    variables = {}
    for name, values in split(jax.tree.map(_numeric, fields)).items():
        attributes = {"units": "1", "long_name": name.replace("_", " ")}
        variables[name] = ([f"{name}_axis{i}" for i in range(values.ndim)], values, attributes)
    return xr.Dataset(variables, attrs={"class": type(value).__name__})


def _numeric(leaf: Any) -> np.ndarray | None:
    numbers = isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex)
    key = isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(leaf) if numbers and not key and np.asarray(leaf).dtype.kind in "biufc" else None
