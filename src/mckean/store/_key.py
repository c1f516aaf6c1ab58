"""The key of a value: what determines its numbers, and nothing else."""

import hashlib
import json
from typing import Any

import numpy as np

from mckean.store._recipe import Recipe


def digest(value: Any) -> str:
    """What tells a value from others: 64 hexadecimal digits, the same in every process.

    It depends on the structure of a tree, on the bytes and the precision of its arrays, on numbers and words, and on
    the code of functions and all that they refer to; not on where that is written.

    **Arguments:**

    - `value`: a tree of arrays, of numbers, of functions, and of values of this library.

    **Returns:** the SHA-256 digest.

    **Raises:** `ValueError` for an object in which nothing can be seen, such as a file.
    """
    recipe = Recipe()
    words = json.dumps(recipe.words(value), sort_keys=True)
    return digest_of(words, recipe)


def digest_of(words: str, recipe: Recipe) -> str:
    """The digest of words and of the arrays that they refer to."""
    found = hashlib.sha256(words.encode())
    for array in recipe.arrays:
        found.update(f"{array.dtype.descr if array.dtype.names else array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
