"""A hundred interrupts at random moments, single and double, with and without callbacks: none loses work."""

import json
import subprocess
import sys

import pytest
from interrupts import KINDS

EACH = 26


@pytest.fixture(scope="module")
def found():
    command = [sys.executable, "-m", "interrupts", "0", str(EACH)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=__file__.rpartition("/")[0], check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_at_any_moment_loses_nothing(found, kind):
    """What is left are the records up to there, and a state from which the run goes on to its end, to the bit."""
    made = found[kind]
    assert sum(made.values()) == EACH
    assert not made.keys() & {"lost", "another end"}
    # Most of the moments are within the run.
    assert made.get("cut", 0) >= EACH // 2
