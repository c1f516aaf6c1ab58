"""Every test runs in double precision, with shapes and types of the library's functions checked as they are called."""

import os

os.environ.setdefault("JAX_ENABLE_X64", "1")

from jaxtyping import install_import_hook

with install_import_hook("mckean", "typechecking.checker"):
    import mckean  # noqa: F401

import hypothesis

# Compilation makes the first example slow: a deadline would judge the compiler.
hypothesis.settings.register_profile("mckean", deadline=None, max_examples=20, derandomize=True)
hypothesis.settings.load_profile("mckean")
