"""What one process compiled, the next one loads; and the cache is never in the way."""

import os
import subprocess
import sys

import pytest

from mckean import cache

# Prints the folder, how many programs were found there, and how many were not.
PROGRAM = """
import jax
from mckean import cache
found = {"cache_hits": 0, "cache_misses": 0}
def heard(event, **_):
    name = event.rpartition("/")[2]
    if name in found: found[name] += 1
jax.monitoring.register_event_listener(heard)
folder = cache.enable()
jax.jit(lambda x: x * 3 + 1)(1.0)
print(folder, *found.values(), sep="\\n")
"""


def run(cache_home, **more):
    chosen = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")
    here = {name: value for name, value in os.environ.items() if name not in chosen}
    here |= {"XDG_CACHE_HOME": str(cache_home), "JAX_PLATFORMS": "cpu", **more}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=here, capture_output=True, text=True, check=True)
    assert not done.stderr
    folder, found, missed = done.stdout.split("\n")[:3]
    return folder, int(found), int(missed)


def test_a_second_process_compiles_nothing(tmp_path):
    folder, _, missed = run(tmp_path)
    assert folder.startswith(str(tmp_path))
    assert missed > 0
    assert run(tmp_path) == (folder, missed, 0)


def test_a_folder_that_is_set_stays_and_off_is_off(tmp_path):
    chosen = str(tmp_path / "chosen")
    assert run(tmp_path, JAX_COMPILATION_CACHE_DIR=chosen)[0] == chosen
    assert run(tmp_path, JAX_ENABLE_COMPILATION_CACHE="0") == ("None", 0, 0)


@pytest.mark.parametrize("what", ["a file in its place", "no home"])
def test_where_nothing_can_be_kept_everything_still_runs(tmp_path, what):
    (tmp_path / "mckean").write_text("")
    assert (run("", HOME=os.devnull) if what == "no home" else run(tmp_path)) == ("None", 0, 0)


def test_programs_that_no_run_has_loaded_for_a_month_are_removed(tmp_path):
    run(tmp_path)
    (folder,) = (tmp_path / "mckean").iterdir()
    old, *rest = folder.glob("*-cache")
    month_ago = old.stat().st_mtime - 31 * 24 * 3600
    os.utime(old, (month_ago, month_ago))
    _, found, missed = run(tmp_path)
    assert (found, missed) == (len(rest), 1)


def test_compiled_programs_are_dropped_where_they_are_many_or_large(monkeypatch, tmp_path):
    dropped, mappings, pages = [], tmp_path / "maps", tmp_path / "statm"
    mappings.write_bytes(b"one\ntwo\nthree\n")
    monkeypatch.setattr(cache.jax, "clear_caches", lambda: dropped.append(True))
    monkeypatch.setattr(cache, "_MAPPINGS", mappings)
    monkeypatch.setattr(cache, "_PAGES", tmp_path / "none")
    for many, count in ((3, 0), (2, 1)):
        monkeypatch.setattr(cache, "_MANY", many)
        cache.drop_programs()
        assert len(dropped) == count
    monkeypatch.setattr(cache, "_MAPPINGS", tmp_path / "none")
    cache.drop_programs()
    assert len(dropped) == 1
    page = os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(cache, "_PAGES", pages)
    for resident, count in ((cache._LARGE // page, 1), (cache._LARGE // page + 1, 2)):
        pages.write_text(f"9 {resident} 9")
        cache.drop_programs()
        assert len(dropped) == count
