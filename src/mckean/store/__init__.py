"""Runs and results on disk, without a program in them: files, recipes and keys.

- A value in a folder, and back: `save`, `load`, `dataset`.
- What tells values from one another: `digest`.
- Files that are whole or not there: `write_atomically`, `make_folder`.
"""

from mckean.store._files import alone as alone
from mckean.store._files import as_folder as as_folder
from mckean.store._files import make_folder as make_folder
from mckean.store._files import sweep_parts as sweep_parts
from mckean.store._files import sync_folder as sync_folder
from mckean.store._files import write_atomically as write_atomically
from mckean.store._files import writing as writing
from mckean.store._key import digest as digest
from mckean.store._recipe import StrangerError as StrangerError
from mckean.store._run import RunFolder as RunFolder
from mckean.store._run import create_run as create_run
from mckean.store._run import describe as describe
from mckean.store._run import split as split
from mckean.store._run import versions as versions
from mckean.store._strangers import digest_of_code as digest_of_code
from mckean.store._strangers import own_parts as own_parts
from mckean.store._strangers import references as references
from mckean.store._values import dataset as dataset
from mckean.store._values import load as load
from mckean.store._values import save as save

__all__ = ["dataset", "digest", "load", "save"]


def __dir__() -> list[str]:
    return __all__
