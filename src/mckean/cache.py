"""Compiled programs: what one process has compiled the next one loads from disk, and none holds too many."""

import contextlib
import hashlib
import os
import platform
import time
import warnings
from importlib import metadata
from pathlib import Path

import jax

_MONTH = 30 * 24 * 3600.0
# Linux allows a process 65530 mappings of memory; compiled programs hold some each, and XLA crashes without more.
_MAPPINGS, _MANY = Path("/proc/self/maps"), 30_000
# Two processes of this size, in bytes, leave room on a machine of 16 GB.
_PAGES, _LARGE = Path("/proc/self/statm"), 5 * 2**30


def enable(folder: Path | None = None) -> Path | None:
    """Keep compiled programs in a folder, by JAX's persistent compilation cache.

    A folder that is set already (`JAX_COMPILATION_CACHE_DIR`) stays as it is. The cache is off where
    `JAX_ENABLE_COMPILATION_CACHE` is 0. Programs that no run has loaded for a month are removed.

    **Arguments:**

    - `folder`: where; default: the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`), in it one folder for each
      jaxlib and processor, since a program need not run on another processor.

    **Returns:** the folder, or None where the cache is off or the folder cannot be written.
    """
    if not jax.config.values["jax_enable_compilation_cache"]:
        return None
    chosen = jax.config.values["jax_compilation_cache_dir"]
    folder = Path(chosen) if chosen else folder or _default()
    if folder is None or not _writable(folder):
        return None
    _hush()
    # A small program takes a few milliseconds to compile and a tenth of that to load; a run has hundreds of them.
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if not chosen:
        _forget(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def compile_fast(level: int) -> None:
    """Have XLA compile with few optimisations, unless `XLA_FLAGS` says how; to be called before JAX computes anything.

    **Arguments:**

    - `level`: of LLVM's optimisations, 0 to 3.
    """
    flags = [f"--xla_backend_optimization_level={level}", "--xla_cpu_parallel_codegen_split_count=1"]
    # Later ones do not know it, and end the process where they meet a flag that they do not know.
    if tuple(map(int, metadata.version("jaxlib").split(".")[:2])) < (0, 11):
        flags.append("--xla_cpu_use_fusion_emitters=false")
    os.environ.setdefault("XLA_FLAGS", " ".join(flags))


def drop_programs() -> None:
    """Forget what was compiled where it is much, in mappings or in bytes; what is needed again is compiled anew."""
    many = _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > _MANY
    large = _PAGES.exists() and int(_PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") > _LARGE
    if many or large:
        jax.clear_caches()


def _hush() -> None:
    """Say nothing of a program that is not found, as it is compiled again, and have XLA say nothing as it loads one.

    It notes as an error, in a page, that a program has the features prefer-no-gather and prefer-no-scatter, which are
    advice to LLVM and no features of a processor. JAX's switch is for its own messages too: those are given back.
    """
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    level = jax.config.values["jax_logging_level"]
    jax.config.update("jax_logging_level", "CRITICAL")
    jax.config.update("jax_logging_level", level)


def _default() -> Path | None:
    """The folder of this jaxlib and processor; None for a user without a home."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "mckean" / f"jaxlib-{metadata.version('jaxlib')}-{_processor()}"


def _processor() -> str:
    """A digest of what decides on machine code: on Linux the features of the processor, elsewhere its name."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    features = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    text = "\n".join([platform.machine(), platform.processor(), *features])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _forget(folder: Path) -> None:
    """Remove the programs that were not loaded for a month; another process may be removing them too."""
    for program in folder.glob("*-cache"):
        with contextlib.suppress(OSError):
            if time.time() - max(program.stat().st_atime, program.stat().st_mtime) > _MONTH:
                program.unlink()
