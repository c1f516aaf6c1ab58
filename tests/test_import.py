"""What `import mckean` brings along: jax, diffrax and what they need, and nothing that only some functions need."""

import subprocess
import sys

# Every module that the library adds to those of jax and diffrax.
PROGRAM = """
import sys
import diffrax, jax
before = set(sys.modules)
import mckean
print(*sorted(set(sys.modules) - before))
"""


# What every use of the library takes; wings, distances and the catalogue are imported when they are asked for.
ROOMS = {
    "checks",
    "collectives",
    "dynamics",
    "faults",
    "interactions",
    "measures",
    "models",
    "paths",
    "spaces",
    "store",
}


def test_nothing_heavy_is_imported_at_the_start():
    """SciPy, ott, blackjax, xarray and jax_finufft are imported by the functions that use them."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    added = done.stdout.split()
    others = {
        name for name in added if name.partition(".")[0] not in {"mckean", "numpy", "jax", *sys.stdlib_module_names}
    }
    assert not others
    rooms = {name.split(".")[1] for name in added if name.startswith("mckean.")}
    assert rooms == ROOMS
    assert "mckean.dynamics.jko" not in added


def test_what_is_imported_later_is_there():
    """Every name of the face, and the list of them."""
    program = "import mckean as mk; print(*[name for name in dir(mk) if not hasattr(mk, name)], len(dir(mk)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 60
