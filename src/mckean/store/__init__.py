"""Runs and results on disk, without a program in them: files, recipes and keys.

- A value in a folder, and back: `save`, `load`, `dataset`.
- What tells values from one another: `digest`.
- Files that are whole or not there: `write_atomically`, `make_folder`.
"""

from mckean.store._files import make_folder as make_folder
from mckean.store._files import write_atomically as write_atomically
from mckean.store._key import digest as digest
