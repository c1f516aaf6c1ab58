"""The folder of a run: how it was made, its records, and states from which it goes on.

run.json            what the run is made of, in words, with its key and the versions of the libraries
arrays.npz          the arrays of these words, the initial measure among them
records.zarr        the records, which `xarray.open_zarr` opens
checkpoints/        states by the number of steps that led to them
"""

import json
from collections.abc import Mapping
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mckean import collectives
from mckean.checks import require
from mckean.store._files import make_folder, members, unpack, write_arrays, write_atomically
from mckean.store._key import digest_of
from mckean.store._recipe import Recipe, device_array, make, numbers_of, weak
from mckean.store._records import create_records, extend_records, read_records, write_records

FORMAT = 1
# So many states are kept along a run, for `verify`, and no more bytes of them than these; of longer ones the last two.
_KEPT, _KEPT_BYTES = 8, 1 << 28
_WORDS = {"arguments", "keys", "key", "plan", "made", "record", "versions"}
_PLAN = {"until", "start", "dt", "every", "first", "steps", "stride"}


def versions() -> dict[str, Any]:
    """On what the bits of a run depend beside its own key."""
    named = {name: metadata.version(name) for name in ("mckean", "jax", "jaxlib")}
    return named | {"double precision": bool(jax.config.read("jax_enable_x64"))}


class RunFolder:
    """The folder of a run, read.

    **Arguments:**

    - `folder`: the folder.

    **Raises:** `ValueError` for a folder that is not one of a run, or of another format.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.words = read_words(folder / "run.json", "run")
        whole = set(self.words) >= _WORDS and isinstance(self.plan, dict) and set(self.plan) >= _PLAN
        require(whole, f"'{folder / 'run.json'}' cannot be read: it is not whole.")

    @property
    def plan(self) -> dict[str, Any]:
        """Its numbers: until, start, dt, every, first, steps, stride."""
        return self.words["plan"]

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The arrays of what it is made of."""
        return unpack(self.folder / "arrays.npz")[0]

    def argument(self, name: str) -> Any:
        """What the run was given under this name; `StrangerError` where it is or holds something of yours."""
        return self._made(self.words["arguments"][name])

    def _made(self, part: Mapping[str, Any]) -> Any:
        first, last = part["arrays"]
        return make(part["words"], self.arrays[first:last])

    def differs(self, words: Mapping[str, Any]) -> str | None:
        """The first of the arguments, in words, that is not that of the folder; None where all are."""
        return next((name for name, key in words["keys"].items() if key != self.words["keys"].get(name)), None)

    @cached_property
    def like(self) -> Any:
        """The first record: the form of all."""
        return self._made(self.words["record"])

    def records(self, count: int) -> Any:
        """The first records, in the form of the first."""
        found = read_records(self.folder / "records.zarr", self._variables, count)
        leaves = [_joined(found, name) for name in names_of(self.like)]
        return jax.tree.unflatten(jax.tree.structure(self.like), leaves)

    @property
    def _variables(self) -> list[str]:
        return [part for name in names_of(self.like) for part in name]

    def count(self, done: int) -> int:
        """The number of records after so many steps."""
        return done // self.plan["stride"] + 1

    def checkpoints(self) -> list[int]:
        """The numbers of steps whose states are there, in ascending order; the initial one is always."""
        found = [int(path.stem) for path in self.folder.glob("checkpoints/*.npz") if path.stem.isdecimal()]
        return [0, *sorted(found)]

    def state(self, done: int, measure: Any) -> Any:
        """The state after so many steps, in the form of the initial measure. `ValueError` where it cannot be read."""
        if done == 0:
            return measure
        path = self._place(done)
        arrays, words = unpack(path)
        require(
            words["key"] == self.words["key"] and len(arrays) == len(jax.tree.leaves(measure)),
            f"'{path}' is a state of another run.",
        )
        leaves = zip(jax.tree.leaves(measure), arrays, words["weak"], strict=True)
        return jax.tree.unflatten(jax.tree.structure(measure), [_leaf(*leaf) for leaf in leaves])

    def last(self, measure: Any) -> tuple[Any, int]:
        """The last state that can be read, and its number of steps: one that is damaged is passed over."""
        for done in reversed(self.checkpoints()):
            try:
                return self.state(done, measure), done
            except ValueError:
                continue
        raise AssertionError("the initial measure is always there")

    def keep(self, measure: Any, done: int, first: int, records: Mapping[str, np.ndarray], writes: bool = True) -> None:
        """Write new records from the number `first` on, and then the state, which says that they are there.

        Where the state is spread over hosts all of them take part, also where one cannot write; one of them `writes`.
        """
        leaves = [numbers_of(leaf) for leaf in jax.tree.leaves(measure)]
        flags = [bool(getattr(leaf, "weak_type", False)) for leaf in leaves]
        state = members(leaves, key=self.words["key"], done=done, weak=flags)
        try:
            if writes:
                # Git and some copies leave out a folder that is empty.
                (self.folder / "checkpoints").mkdir(exist_ok=True)
                write_records(self.folder / "records.zarr", first, records)
                write_arrays(self._place(done), state)
                self._thin(self._place(done).stat().st_size)
        finally:
            for _ in state:
                pass

    def _place(self, done: int) -> Path:
        return self.folder / "checkpoints" / f"{done:015d}.npz"

    def _thin(self, size: int) -> None:
        """Keep the last two states, and of the earlier ones a few that are spread over the run."""
        earlier = self.checkpoints()[1:-2]
        most = min(_KEPT, _KEPT_BYTES // size)
        if len(earlier) > most:
            for done in earlier if most < 2 else earlier[::2]:
                self._place(done).unlink(missing_ok=True)

    def extend(self, plan: Mapping[str, Any], made: list[Any], times: np.ndarray) -> None:
        """Let the run end later: room for its records first, and then the words."""
        extend_records(self.folder / "records.zarr", self._variables, times, dict(made))
        words = self.words | {"plan": dict(plan), "made": made}
        write_atomically(self.folder / "run.json", json.dumps(words, indent=1).encode())
        self.words = words


def describe(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The arguments of a run in words, with a key for each and one for all, and their arrays."""
    words: dict[str, Any] = {"arguments": {}, "keys": {}, "yours": {}}
    arrays: list[np.ndarray] = []
    for name, value in arguments.items():
        recipe = Recipe()
        said = recipe.words(value)
        words["keys"][name] = digest_of(json.dumps(said, sort_keys=True), recipe)
        words["yours"] |= {name: recipe.strangers[0]} if recipe.strangers else {}
        words["arguments"][name] = _part(said, recipe, arrays)
    words["key"] = digest_of(json.dumps(words["keys"], sort_keys=True), Recipe())
    return words, arrays


def _part(words: Any, recipe: Recipe, arrays: list[np.ndarray]) -> dict[str, Any]:
    """The words of one value, and which arrays are its own, that are added to the others."""
    first = len(arrays)
    arrays += recipe.arrays
    return {"words": words, "arrays": [first, len(arrays)]}


def create_run(
    folder: Path,
    words: Mapping[str, Any],
    arrays: list[np.ndarray],
    record: Any,
    dataset: Any,
    times: np.ndarray,
    writes: bool = True,
) -> None:
    """Make the folder of a run that has not begun: with its first record, and room for the others.

    **Arguments:**

    - `folder`: its place.
    - `words`, `arrays`: what `describe` has returned, with the run's `plan` and how it was `made`.
    - `record`: the first record, a tree of arrays with a leading axis.
    - `dataset`: the first record as an xarray Dataset.
    - `times`: of all records.
    - `writes`: whether this process does it. Where the record is spread over hosts all of them call.
    """
    recipe = Recipe()
    arrays = list(arrays)
    said = _part(recipe.words(record), recipe, arrays)
    if not writes:
        return
    require(
        not folder.exists() or (folder.is_dir() and not any(folder.iterdir())),
        f"'{folder}' is not the folder of a run: give one that is not there, or is empty.",
    )
    whole = {"format": FORMAT, "kind": "run", **words, "record": said, "versions": versions()}
    variables = {name: (v.dims, v.values, v.attrs) for name, v in dataset.variables.items() if v.dims[:1] == ("time",)}

    def fill(part: Path) -> None:
        (part / "checkpoints").mkdir()
        write_arrays(part / "arrays.npz", members(arrays))
        create_records(part / "records.zarr", variables, dataset.attrs, times)
        write_atomically(part / "run.json", json.dumps(whole, indent=1).encode())

    make_folder(folder, fill)


def read_words(path: Path, kind: str) -> dict[str, Any]:
    """The words of a folder. **Raises** `ValueError` where there are none, or of another kind or format."""
    try:
        words = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"'{path.parent}' is not the folder of a {kind}: there is no {path.name} in it.") from None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"'{path}' cannot be read: {getattr(error, 'strerror', None) or 'it is not whole'}."
        ) from error
    require(
        isinstance(words, dict) and words.get("kind") == kind,
        f"'{path.parent}' is not the folder of a {kind} of mckean.",
    )
    require(
        words.get("format") == FORMAT,
        f"'{path.parent}' has the format {words.get('format')}, but this version of mckean reads the format {FORMAT}.",
    )
    return words


def names_of(tree: Any) -> list[tuple[str, ...]]:
    """The variables of each array of the observables, in the order of a tree's leaves; a complex one has two."""
    found = []
    for place, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(place, simple=True, separator=".")
        found.append((f"{name}.real", f"{name}.imag") if np.iscomplexobj(leaf) else (name,))
    return found


def split(tree: Any) -> dict[str, np.ndarray]:
    """The arrays of records by the names of their variables."""
    found = {}
    for names, leaf in zip(names_of(tree), jax.tree.leaves(tree), strict=True):
        values: Any = collectives.known(leaf)
        parts = (values.real, values.imag) if len(names) == 2 else (values,)
        found |= dict(zip(names, parts, strict=True))
    return found


def _joined(found: Mapping[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    if len(names) == 1:
        return found[names[0]]
    real, imag = (found[name] for name in names)
    joined = np.empty(real.shape, np.result_type(real, np.complex64))
    # A sum of the two would make a zero of a negative zero.
    joined.real, joined.imag = real, imag
    return joined


def _leaf(like: Any, values: np.ndarray, is_weak: bool) -> Any:
    if isinstance(like, jax.Array) and jax.numpy.issubdtype(like.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jax.numpy.asarray(values), impl=str(jax.random.key_impl(like)))
    if isinstance(like, jax.Array) and len(like.sharding.device_set) > 1:
        return collectives.put_as(values, like)
    return weak(values) if is_weak else device_array(values)
