"""The application: its commands, each in a module of its own, and the exit status."""

import io
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata

from cyclopts import App, CycloptsError

from mckean.cli.explore import explore
from mckean.cli.list import list_
from mckean.cli.run import resume, run, verify
from mckean.cli.shell import HOLDS, INTERRUPTED, TYPED, console, discard_output, leave, refuse
from mckean.cli.sweep import sweep
from mckean.cli.talk import talk

app = App(
    name="mckean",
    help="Interacting particle systems and their mean-field limits.",
    version=lambda: metadata.version("mckean"),
)

# In the order of the help: a command is a function in a module of its own, and a line here.
app.command(talk)
app.command(sweep)
app.command(explore)
app.command(run)
app.command(resume)
app.command(verify)
app.command(list_, name="list")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: all is well; 1: a claim fails, or a chapter broke; 2: bad usage, or what was asked for could not be run or
    written; 130: interrupted.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    TYPED.set(shlex.join(["mckean", *words]))
    if sys.stdout is None:
        return refuse("the standard output is closed; /dev/null takes what nobody reads.")
    for stream in (sys.stdout, sys.stderr):
        # What an ASCII terminal cannot show is a question mark.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        options = {"exit_on_error": False, "print_error": False, "result_action": "return_value"}
        status = app(words, console=console(), **options) or HOLDS
        sys.stdout.flush()
    except CycloptsError as error:
        return refuse(error)
    except OSError as error:
        discard_output()
        return refuse(f"the standard output cannot be written: {error.strerror or error}.")
    except KeyboardInterrupt:
        status = INTERRUPTED
    if status == INTERRUPTED and words == sys.argv[1:]:
        leave(status)
    return status
