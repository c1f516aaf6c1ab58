"""Every test runs in double precision, with shapes and types of the library's functions checked as they are called.

Compiled programs are kept on disk from run to run; `JAX_ENABLE_COMPILATION_CACHE=0 pytest` compiles everything anew.
Most programs run once, so that they are compiled with few optimisations, in half the time; `XLA_FLAGS= pytest` compiles
as users' programs are, and as those of the talk.
"""

import gc
import os
import signal

# For processes that tests start; here jax may have been imported before, by a plugin.
os.environ.setdefault("JAX_ENABLE_X64", "1")
# Threads of one process that wait for work would take the core of the other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it starts in the background ignore Ctrl-C, which tests press to end runs without an end.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Compilation makes the first example slow: a deadline would judge the compiler.
hypothesis.settings.register_profile("mckean", deadline=None, max_examples=20, derandomize=True)
hypothesis.settings.load_profile("mckean")

# The files that take longest, longest first.
LONG = ("fast_sums", "verbs", "evolve", "singular_sums", "choose", "devices", "jko", "spde", "ledger", "cli")


def pytest_configure(config):
    """Import the library, with its types checked; not in the process that only hands the tests out."""
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        return
    import jax
    import typechecking

    jax.config.update("jax_enable_x64", True)
    with typechecking.install():
        import mckean.cache
        import mckean.talk.run

    mckean.cache.compile_fast(0)
    mckean.cache.enable()


def pytest_collection_modifyitems(items):
    """Long files first: a worker takes a whole file, and all of them are to end together."""
    last = {f"test_{name}": place for place, name in enumerate(LONG, -len(LONG))}
    items.sort(key=lambda item: last.get(item.path.stem, 0))


def pytest_collection_finish():
    """What was imported lives as long as the tests: the collector need not look at it, nor often at what they trace."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Thousands of compiled programs are more than a process can hold."""
    from mckean.cache import drop_programs

    yield
    drop_programs()


@pytest.fixture
def no_figure_is_left():
    """A test closes what it asks for; what is refused, and every film, closes its own."""
    from matplotlib import pyplot

    yield
    left = pyplot.get_fignums()
    pyplot.close("all")
    assert left == []
