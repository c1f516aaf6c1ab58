"""Results on disk: the same bits, no program in a folder, and keys that see what determines the numbers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from stored_runs import CIRCLE, bits, given

import mckean as mk
from mckean.sweeps._function import parts

GOLDEN = Path(__file__).parent / "golden"


def test_results_come_back_bit_for_bit(tmp_path):
    whole = mk.evolve(**given())
    model = mk.catalogue.kuramoto(strength=2.5).model
    density = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    ledger = {
        "z": np.array([1j, -0.0 + 2j]),
        "key": jax.random.key(1),
        "single": jnp.float32(0.1),
        "double": np.float64(0.1),
        "weak": jnp.asarray(2.0),
    }
    for name, value in {
        "run": whole,
        "model": model,
        "law": density,
        "table": ledger,
        "list": [1, (2.5, None)],
    }.items():
        mk.save(value, tmp_path / name)
        back = mk.load(tmp_path / name)
        assert mk.store.digest(back) == mk.store.digest(value)
        assert jax.tree.structure(back) == jax.tree.structure(value)
    assert mk.dataset(tmp_path / "run").identical(whole.to_xarray())
    for name in ("run", "model", "law", "table"):
        mk.dataset(tmp_path / name).to_netcdf(tmp_path / f"{name}.nc")
    assert mk.dataset(tmp_path / "table")["z.imag"].values.tolist() == [1.0, 2.0]
    assert mk.load(tmp_path / "table")["weak"].weak_type
    with pytest.raises(ValueError, match="is not empty"):
        mk.save(1.0, tmp_path / "run")
    with pytest.raises(ValueError, match="holds no program, but this value holds your"):
        mk.save(lambda x: x, tmp_path / "function")
    with pytest.raises(ValueError, match="a folder holds no numbers of type bfloat16"):
        mk.save(jnp.ones(2, jnp.bfloat16), tmp_path / "function")
    assert not (tmp_path / "function").exists()


def test_results_of_the_wings_come_back_bit_for_bit(tmp_path):
    from mckean.energetics import ledger
    from mckean.environments import lyapunov
    from mckean.equilibrium import sample_gibbs

    model = given()["model"]
    stirred = mk.Model(CIRCLE, common=mk.Multiplicative(lambda x, mu: jnp.cos(x)[:, None]))
    bump = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    cloud, keys = bump.sample(jax.random.key(0), 2), jax.random.split(jax.random.key(1))
    watched = {"r": mk.observables.order_parameter(1)}
    for name, value in {
        "Ledger": ledger(model, bump, until=0.02, dt=0.01),
        "Spectrum": lyapunov(stirred, cloud, until=0.02, dt=0.01, key=keys[0], replicas=2),
        "GibbsSample": sample_gibbs(model, mk.Uniform(CIRCLE), 4, watched, key=keys[1]),
    }.items():
        assert type(value).__name__ == name
        mk.save(value, tmp_path / name)
        back = mk.load(tmp_path / name)
        assert type(back) is type(value)
        assert mk.store.digest(back) == mk.store.digest(value)
        assert bits(vars(back)) == bits(vars(value))
        data = mk.dataset(tmp_path / name)
        data.to_netcdf(tmp_path / "value.nc")
        with xr.open_dataset(tmp_path / "value.nc") as there:
            xr.testing.assert_equal(there, data)


@pytest.mark.parametrize(
    "words",
    [
        {"name": "os:system"},
        {"name": "mckean.dynamics._evolve:evolve"},
        {"name": "mckean.statistics._replicas:os.cpu_count"},
        {"name": "equinox._serialisation:tree_serialise_leaves"},
        {"name": "jax.numpy:save"},
        {"class": "subprocess:Popen", "fields": {"args": "true"}},
        {"function": "mckean.cli.talk:talk#0", "cells": [], "defaults": [None, None]},
        {"function": "os:system#0", "cells": [], "defaults": [None, None]},
        {"method": "__class__", "self": 3},
        {"pickle": "gASV"},
        {},
        {"array": 7},
        {"dict": [[{"list": []}, 1]]},
        {"range": "abc"},
    ],
)
def test_a_folder_of_a_stranger_runs_nothing(tmp_path, words):
    mk.save(1.0, tmp_path / "value")
    path = tmp_path / "value" / "value.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"words": words}))
    with pytest.raises(ValueError, match=r"the folder (names|holds)"):
        mk.load(tmp_path / "value")


def test_an_array_with_objects_is_not_read(tmp_path):
    mk.save(np.arange(3.0), tmp_path / "value")
    np.savez(tmp_path / "value" / "arrays.npz", words=np.zeros(1, np.uint8), array_0=np.array([print], object))
    with pytest.raises(ValueError, match="cannot be read"):
        mk.load(tmp_path / "value")


def test_folders_of_this_version_are_read_by_the_next(tmp_path):
    """They are never made anew: where one cannot be read, the code that reads it is at fault."""
    run = mk.load(GOLDEN / "run")
    assert [value.shape for value in jax.tree.leaves(run.observed)] == [(3,), (3,)]
    np.testing.assert_array_equal(run.times, [0.0, 0.02, 0.04])
    assert run.final.positions.shape == (6, 1)
    assert mk.dataset(GOLDEN / "run").sizes["time"] == 3
    # The numbers of another machine differ by rounding alone.
    again = mk.evolve(**given(0.04))
    for one, other in zip(jax.tree.leaves(run), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    # The key of the same run is the same for ever: a folder that says that it is of these libraries is gone on with.
    folder = shutil.copytree(GOLDEN / "run", tmp_path / "run")
    words = json.loads((folder / "run.json").read_text())
    assert words["key"] == "6b65194e383502997829bf5491227c1c41ca960671e7bc51c2a9f85629615252"
    (folder / "run.json").write_text(json.dumps(words | {"versions": mk.store.versions()}))
    assert bits(mk.evolve(**given(0.04), store=folder).final) == bits(run.final)
    cells = mk.sweeps.open_sweep(GOLDEN / "sweep")
    assert (cells["r"] == 2 * cells["K"] * cells["beta"]).all()
    value = mk.load(GOLDEN / "value")
    assert value["z"].tolist() == [1j, -0.0 + 2j]
    assert value["model"].space == CIRCLE
    assert not (GOLDEN / "run" / "run.json").read_text().count("/")


def written(code: str, module: str = "of_mine"):
    names = {"__name__": module}
    exec(code, names)
    return names["f"]


def told(words: str | None):
    """A function with this docstring."""
    return written("def f(x):\n" + (f"    {words!r}\n" if words else "") + "    return 2 * x")


def answers(words: str):
    """A function whose docstring is what it returns, which Python holds once."""
    return written(f"def f(x):\n    {words!r}\n    return {words!r}")


def Table(number: float):
    """A class with a constant."""
    return type("Of", (), {"numbers": np.array([number]), "pair": (number, 1), "__module__": "of_mine"})


def test_a_key_sees_what_a_function_imports_as_it_runs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "package_of_mine").mkdir()
    (tmp_path / "package_of_mine" / "__init__.py").touch()
    found = set()
    # Of two lengths, as Python takes a file of the same second and length for the one that it has compiled.
    for number in ("1.0", "20.0"):
        (tmp_path / "package_of_mine" / "inner.py").write_text(f"value = {number}")
        (tmp_path / "helper_of_mine.py").write_text(f"value = {number}")
        for line in ("from helper_of_mine import value", "from package_of_mine import inner"):
            function = written(f"def f(x):\n    {line}\n    return x")
            # A run and a sweep see the same.
            found |= {mk.store.digest(function), *(p for n, p in parts(function).items() if n.startswith("import"))}
        for name in ("helper_of_mine", "package_of_mine", "package_of_mine.inner"):
            sys.modules.pop(name, None)
    # The function, the module that it imports, and what it asks of that.
    assert len(found) == 12


def test_a_key_sees_what_determines_the_numbers_and_nothing_else():
    scaled = lambda c: lambda x: c * jnp.sin(x)  # noqa: E731
    key = mk.store.digest
    assert key(scaled(2.0)) == key(scaled(2.0)) != key(scaled(2.5))
    assert key(lambda x: x + 1) != key(lambda x: x + 2)
    assert key(told("One.")) == key(told("Two.")) == key(told(None))
    assert key(answers("one")) != key(answers("two"))
    # A file is a program here, and a module there.
    assert key(written("def f(x): return x", "__main__")) == key(written("def f(x): return x"))
    assert key(Table(1.0)) == key(Table(1.0)) != key(Table(2.0))
    # Sums over particles that are spread have another order, which is the same on all numbers of devices.
    cloud = given()["measure"]
    assert key(mk.shard(cloud, 1)) != key(cloud)
    assert key(jnp.zeros(2)) != key(jnp.zeros(2, jnp.float32))
    assert key({"a": 0.0}) != key({"a": -0.0})
    assert key(mk.catalogue.kuramoto(strength=2.5)) == key(mk.catalogue.kuramoto(strength=2.5))
    command = (
        "import jax; jax.config.update('jax_enable_x64', True); import sys, mckean as mk; sys.path.insert(0, {!r});"
    )
    command += " import stored_runs; print(mk.store.digest(stored_runs.given()))"
    command = command.format(str(Path(__file__).parent))
    other = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    assert other == key(given())
    with open(os.devnull) as file, pytest.raises(ValueError, match="nothing can be seen in"):
        key(file)
