"""Compiled programs, kept on disk so that the next run of the talk need not compile them again."""

import os
import platform
import tempfile
import warnings
import zlib
from importlib import metadata
from pathlib import Path

import jax

# The lines of /proc/cpuinfo that say what a program may be compiled to, on x86 and on ARM.
_TRAITS = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU implementer", "CPU architecture", "CPU part")
# The program is then compiled again; why is of no use to who runs the talk.
_WARNINGS = "Error (reading|writing) persistent compilation cache"


def keep_programs() -> Path | None:
    """Turn JAX's persistent compilation cache on, in the user's cache folder.

    A folder that JAX has been given already, say by `JAX_COMPILATION_CACHE_DIR`, stays the one that it uses. A cache
    that fails says nothing: not here, and not later, when an entry cannot be read or a disk is full.

    **Returns:**

    - The folder; None where it cannot be written, and the cache stays off.
    """
    folder = jax.config.values["jax_compilation_cache_dir"] or _folder()
    if folder is None:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Most programs of the talk compile in less than the second from which JAX would keep them.
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    warnings.filterwarnings("ignore", _WARNINGS)
    # XLA logs an error for each program that it loads: of preferences in tuning, which no processor lists as its own.
    if "JAX_LOGGING_LEVEL" not in os.environ:
        jax.config.update("jax_logging_level", "CRITICAL")
    return Path(folder)


def _folder() -> Path | None:
    """The folder of this jaxlib on this processor, made if need be; None where nothing can be written there."""
    try:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(caches) / "mckean" / f"jax-{metadata.version('jaxlib')}-{_processor()}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    # RuntimeError: there is no home.
    except (OSError, RuntimeError):
        return None


def _processor() -> str:
    """The family of this processor, and eight digits for what it can do: a program may crash where that differs."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().partition("\n\n")[0].splitlines() if cpuinfo.exists() else [platform.processor()]
    traits = [line for line in lines if line.startswith(_TRAITS)] or lines
    return f"{platform.machine()}-{zlib.crc32(' '.join(traits).encode()):08x}"
