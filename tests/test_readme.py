"""The README's example runs as it stands, and says what it should."""

import pathlib
import re

import jax
import numpy as np

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
    assert capsys.readouterr().out.count("\n") == 3
    # The start's r = 0.05 has a sampling error √(1/2N) = 0.0022, 4.5 %: as growth is e^{t/2}, a delay of 0.09. Where r
    # rises fastest, by 0.13 a unit of time, that is 0.012, and less at the end; four times that is allowed.
    assert abs(float(names["limit"].observed["r"][-1]) - float(names["cloud"].observed["r"][-1])) < 0.05
    assert np.all(np.isfinite(names["wells"].final.positions))
    assert set(names["run"].data_vars) == {"r", "final_position"}


def test_the_commands_stand_in_the_readme():
    text = README.read_text()
    assert "pip install . && mckean talk" in text
    assert "pip install '.[test]' && pytest" in text
