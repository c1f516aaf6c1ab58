"""Ctrl-C, asked for where nothing can be lost."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def asked_to_stop(terminated: bool = False) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C has been pressed: asked for between chunks, so that it meets no step, callback or compilation.

    An exception in the midst of a program with callbacks would be JAX's, and a second one would break what saves the
    run. Where it cannot be had (another thread, a handler of the user's own) Python's own way stays. So it is with
    SIGTERM, by which a batch system ends a job, for a run that is `terminated` by it as by Ctrl-C.
    """
    pressed: list[int] = []
    python = {signal.SIGINT: signal.default_int_handler} | ({signal.SIGTERM: signal.SIG_DFL} if terminated else {})
    own = {number: handler for number, handler in python.items() if signal.getsignal(number) is handler}
    if not own or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    for number in own:
        signal.signal(number, lambda number, frame: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    except Exception as error:
        # A sweep that goes on after runs that fail is to stop all the same.
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in own.items():
            signal.signal(number, handler)
