"""Files that are whole or not there, whatever ends the process."""

import contextlib
import io
import itertools
import json
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mckean import collectives
from mckean.checks import require

_PART = ".part"


def write_atomically(path: Path, content: bytes) -> None:
    """Put the content in place of a file: a reader, and who comes after a crash, finds the old one or the new one.

    **Arguments:**

    - `path`: the file; its folder is there.
    - `content`: the bytes.

    **Raises:** `OSError` where it cannot be written; then the old file stays, and nothing else is left.
    """
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to be written, which takes the place of another one when all is in it; where it fails, nothing is left."""
    part = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder whole: it is filled beside its place, under a name that is hidden, and then put there.

    **Arguments:**

    - `folder`: its place, where nothing or an empty folder is.
    - `fill`: writes what it holds into a folder.

    **Raises:** `OSError` where it cannot be made; then nothing is left of it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_unborn(folder)
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{_PART}")
    try:
        part.mkdir()
        with alone(part):
            fill(part)
            sync_all(part)
            os.replace(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def _remove_unborn(folder: Path) -> None:
    """Remove what processes that were killed had begun to make of a folder: nobody has a lock on it."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}{re.escape(_PART)}")
    for part in [path for path in folder.parent.iterdir() if name.fullmatch(path.name)]:
        with contextlib.suppress(ValueError, OSError), alone(part):
            shutil.rmtree(part, ignore_errors=True)


def sweep_parts(folder: Path) -> None:
    """Remove what a process that was killed had begun to write in a folder; nobody writes there now.

    **Raises:** `ValueError` for a folder with a link in it: what is written there would be written elsewhere.
    """
    inside = list(folder.rglob("*"))
    link = next((path for path in inside if path.is_symlink()), None)
    require(link is None, f"'{link}' is a link, and a run is written in its own folder alone: put there what it names.")
    for part in inside:
        if part.suffix == ".partial" or (part.name.startswith(".") and part.suffix == _PART):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The folder for this process alone; the system lets go of it when the process ends, however it ends.

    **Raises:** `ValueError` while another process has it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise ValueError(f"another process writes to '{folder}': wait for its end, or stop it.") from None
    try:
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def writing(folder: Path, mend: str = "") -> Iterator[None]:
    """Where a folder is written: an error of the system is one sentence, with what is left of the folder."""
    try:
        yield
    except OSError as error:
        raise OSError(f"'{folder}' cannot be written: {error.strerror or error}{mend}.") from error


def as_folder(name: str, folder: Any) -> Path:
    """The path of a folder that was given under this name. **Raises** `ValueError` for what is none."""
    named = isinstance(folder, str | os.PathLike) and str(folder)
    require(named, f"`{name}` takes the path of a folder, not {folder!r}.")
    path = Path(folder)
    file = next((place for place in (path, *path.parents) if place.is_file()), None)
    require(file is None, f"`{name}` takes the path of a folder, but '{file}' is a file.")
    return path


def write_arrays(path: Path, members: Iterable[tuple[str, Any]]) -> None:
    """Put arrays, as `members` takes them apart, into one file of NumPy's kind, which is whole or not there."""
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, blocks in itertools.groupby(members, key=lambda member: member[0]):
            with archive.open(name, "w", force_zip64=True) as opened:
                for _, block in blocks:
                    opened.write(block)


def members(arrays: Sequence[Any], **words: Any) -> Iterator[tuple[str, Any]]:
    """The names and the bytes of a file of arrays and words, which JSON can hold, block by block.

    Where arrays are spread over hosts, all of them must take all blocks.

    **Raises:** `ValueError` for types that are not NumPy's.
    """
    said = np.frombuffer(json.dumps(words).encode(), np.uint8)
    for name, array in (("words", said), *((f"array_{index}", array) for index, array in enumerate(arrays))):
        dtype, header = np.dtype(array.dtype), io.BytesIO()
        require(dtype.kind != "V", f"a folder holds no numbers of type {dtype}, which NumPy cannot read: take float32.")
        about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(header, about)
        yield f"{name}.npy", header.getvalue()
        for block in collectives.pieces(array):
            yield f"{name}.npy", np.ascontiguousarray(block).reshape(-1).view(np.uint8).data


def unpack(path: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    """What `write_arrays` has put into a file; its sums are checked.

    **Raises:** `ValueError` for a file that is not whole, or not there.
    """
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = [file[f"array_{index}"] for index in range(len(file.files) - 1)]
            return arrays, json.loads(file["words"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise ValueError(f"'{path}' cannot be read: it is not there, or not whole.") from error


def sync(file: Path, top: Path) -> None:
    """Let a file that another library has written outlast a loss of power, with the folders up to `top`."""
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
    for folder in file.parents:
        sync_folder(folder)
        if folder == top:
            break


def sync_all(folder: Path) -> None:
    """Let all files in a folder outlast a loss of power."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(place, name), Path(place))
        sync_folder(Path(place))


def sync_folder(folder: Path) -> None:
    """Let the name of a file that was put into a folder outlast a loss of power."""
    with contextlib.suppress(OSError):  # not all systems open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
