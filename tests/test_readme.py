"""The README's example runs as it stands, and says what it should."""

import pathlib
import re

import jax
import numpy as np

import mckean as mk

README = pathlib.Path(__file__).parent.parent / "README.md"


# Every program that XLA compiles, or loads from the disk.
PROGRAMS = []


def heard(event, seconds, **_):
    if event == "/jax/core/compile/backend_compile_duration":
        PROGRAMS.append(seconds)


jax.monitoring.register_event_duration_secs_listener(heard)


def test_the_example_runs(capsys):
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL).group(1)
    names: dict = {}
    first, line, rest = code.partition("line = mk.Euclidean(1)")
    jax.clear_caches()
    before = len(PROGRAMS)
    exec(compile(first, "README.md", "exec"), names)
    assert len(PROGRAMS) - before <= 20
    exec(compile(line + rest, "README.md", "exec"), names)
    said, shown = capsys.readouterr().out.splitlines(), re.findall(r"^# (.*: .*\d)$", code, re.MULTILINE)
    assert len(said) == 3
    # Of the limit the digits agree. The start's r has a sampling error √(1/2N) = 0.0022, which grows no faster than
    # e^{t/2}: 0.006 at the end. That is also how far the phase wanders; five times that is allowed.
    for line, expected, allowed in zip(said, shown[:3], ((0.001, 0.03), (0.03,), (0.001,)), strict=True):
        assert line.partition(":")[0] == expected.partition(":")[0]
        pairs = zip(*(re.findall(r"-?\d+\.\d+", text) for text in (line, expected)), strict=True)
        for (one, other), error in zip(pairs, allowed, strict=True):
            assert abs(float(one) - float(other)) <= error
    assert abs(float(names["limit"].observed["r"][-1]) - float(names["cloud"].observed["r"][-1])) < 0.03
    assert 0.002 < mk.wasserstein(names["cloud"].final, names["limit"].final, p=2) < 0.03
    assert np.all(np.isfinite(names["wells"].final.positions))
    assert set(names["run"].data_vars) == {"r", "final_position"}


def test_the_commands_stand_in_the_readme():
    text = README.read_text()
    assert "pip install . && mckean talk" in text
    assert "pip install '.[test]' && pytest" in text
