"""Every test runs in double precision, with shapes and types of the library's functions checked as they are called."""

import os
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")

from jaxtyping import install_import_hook

with install_import_hook("mckean", "typechecking.checker"):
    import mckean  # noqa: F401

import hypothesis
import jax
import pytest

# Compilation makes the first example slow: a deadline would judge the compiler.
hypothesis.settings.register_profile("mckean", deadline=None, max_examples=20, derandomize=True)
hypothesis.settings.load_profile("mckean")

_MAPPINGS = Path("/proc/self/maps")


@pytest.fixture(autouse=True, scope="module")
def few_mappings():
    """Linux allows a process 65530 mappings of memory; compiled programs hold some, and XLA crashes beyond."""
    yield
    if _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > 30_000:
        jax.clear_caches()
