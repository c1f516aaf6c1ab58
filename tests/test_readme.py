"""The README's example runs as it stands, and says what it should."""

import pathlib
import re

import numpy as np

README = pathlib.Path(__file__).parent.parent / "README.md"


def test_the_example_runs(capsys):
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL).group(1)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102
    assert capsys.readouterr().out.count("\n") == 3
    # N = 10⁵ particles from their own draw of the start: the growth e^{t/2} of the sampling error until saturation
    # keeps r within a few per cent here.
    assert abs(float(names["limit"].observed["r"][-1]) - float(names["cloud"].observed["r"][-1])) < 0.05
    assert np.all(np.isfinite(names["wells"].final.positions))
    assert set(names["run"].data_vars) == {"r", "position"}


def test_the_commands_stand_in_the_readme():
    text = README.read_text()
    assert "pip install . && mckean talk" in text
    assert "pip install '.[test]' && pytest" in text
