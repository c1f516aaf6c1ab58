"""The folder of a report: finished chapters, each saved as it ends, so that a run that stops can be resumed.

A file holds numbers and text alone: one array for each array of the result, and JSON for the rest. Nothing in it is a
program.
"""

import dataclasses
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from mckean.statistics import Estimate
from mckean.store import write_atomically
from mckean.talk import chapters
from mckean.talk.claims import Claim, Figure, Film, Observation, Panel, Result, Rival, Series
from mckean.talk.run import Outcome

# What a file may hold beside plain values.
_KINDS = {kind.__name__: kind for kind in (Claim, Estimate, Figure, Film, Observation, Panel, Result, Rival, Series)}
# These draw, speak and keep; no number of a chapter depends on them.
_UNHEARD = ("cli/", "sweeps/", "talk/calibration.py", "talk/report/")
# Whose versions they depend on.
_LIBRARIES = ("jax", "jaxlib", "numpy", "scipy", "diffrax", "equinox")


PAGE, CLAIMS, SEEDS = "report.html", "claims.json", "seeds.json"


@dataclasses.dataclass(frozen=True)
class Archive:
    """The finished chapters in a folder: full or quick ones, by seed.

    **Arguments:**

    - `folder`: that of the report.
    - `quick`: whether the chapters run with fewer particles.
    """

    folder: Path
    quick: bool

    def keep(self, outcome: Outcome) -> None:
        """Save a chapter that has ended; a file is complete or not there."""
        arrays: list[np.ndarray] = []
        text = json.dumps(self._mark(outcome.seed) | {
            "chapter": outcome.chapter.name, "what": outcome.what, "seconds": outcome.seconds, "error": outcome.error,
            "result": _plain(outcome.result, arrays),
        })  # fmt: skip
        buffer = io.BytesIO()
        named: dict[str, Any] = {f"array_{number}": array for number, array in enumerate(arrays)}
        np.savez(buffer, outcome=np.frombuffer(text.encode(), np.uint8), **named)
        path = self._path(outcome.chapter.name, outcome.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())

    def find(self, names: Iterable[str], seeds: Iterable[int]) -> list[Outcome]:
        """The chapters that are saved; those that broke are run again.

        **Raises:** `ValueError` where all that is saved is of another run.
        """
        names, seeds, found, strange = list(names), list(seeds), [], []
        for seed in seeds:
            for name in names:
                saved = _load(self._path(name, seed))
                if saved is None or saved["error"]:
                    continue
                mine = {key: saved.get(key) for key in self._mark(seed)} == self._mark(seed)
                found += [_outcome(saved, name)] if mine else []
                strange += [] if mine else ["another version of the code"]
        mine = {self._path("", seed).parent.name for seed in seeds}
        strange += sorted({path.parent.name for path in self._folder.glob("*/*.npz")} - mine)
        if strange and not found:
            raise ValueError(
                f"nothing can be resumed: the chapters in '{self.folder}' are of {strange[0]}, and a run goes on with "
                f"the same chapters, seed, size and code only."
            )
        return found

    @property
    def _folder(self) -> Path:
        return self.folder / "chapters"

    def _path(self, name: str, seed: int) -> Path:
        return self._folder / f"{'quick' if self.quick else 'full'} at seed {seed}" / f"{name}.npz"

    def _mark(self, seed: int) -> dict[str, Any]:
        """What the numbers depend on."""
        return {"seed": seed, "quick": self.quick, "code": code()} | {
            library: metadata.version(library) for library in _LIBRARIES
        }


def prepare(folder: Path) -> None:
    """Make the folder and see that a report can be written there, before anything is run for it.

    Raises `ValueError` with the cause where it cannot.
    """
    # Before anything is run: a file that is edited meanwhile is no part of it.
    code()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        cause = error.strerror or str(error)
        raise ValueError(f"the output folder '{folder}' cannot be written: {cause}.") from error
    for name in (PAGE, CLAIMS):
        if (folder / name).is_dir():
            raise ValueError(f"the output folder '{folder}' cannot be used: '{name}' in it is a folder.")


@cache
def code() -> str:
    """The version of the code that computes: a digest of the library's files."""
    root = Path(str(resources.files("mckean")))
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(_UNHEARD):
            digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def put(contents: Mapping[Path, bytes]) -> None:
    """Put the contents in place of the files: all are complete before any is in place."""
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in contents}
    try:
        for path, content in contents.items():
            parts[path].write_bytes(content)
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _plain(value: Any, arrays: list[np.ndarray]) -> Any:
    """The value as JSON has it; an array is its number in `arrays`."""
    if type(value).__name__ in _KINDS:
        fields = {field.name: _plain(getattr(value, field.name), arrays) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__} | fields
    if np.ndim(value) == 0 and hasattr(value, "item"):
        return value.item()
    if hasattr(value, "shape"):
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1}
    if isinstance(value, list | tuple):
        return [_plain(each, arrays) for each in value]
    return value


def _whole(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The value that `_plain` has taken apart."""
    if isinstance(value, list):
        return tuple(_whole(each, arrays) for each in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[f"array_{value['array']}"]
    return _KINDS[value["class"]](**{name: _whole(each, arrays) for name, each in value.items() if name != "class"})


def _load(path: Path) -> dict[str, Any] | None:
    """What a file says; None where there is none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        saved = json.loads(arrays.pop("outcome").tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return saved | {"arrays": arrays}


def _outcome(saved: Mapping[str, Any], name: str) -> Outcome:
    result = _whole(saved["result"], saved["arrays"])
    return Outcome(chapters.CHAPTERS[name], saved["seed"], saved["what"], result, saved["seconds"])
