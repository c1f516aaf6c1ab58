"""Ctrl-C, asked for where nothing can be lost."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C has been pressed: asked for between chunks, so that it meets no step, callback or compilation.

    An exception in the midst of a program with callbacks would be JAX's, and a second one would break what saves the
    run. Where it cannot be had (another thread, a handler of the user's own) Python's own way stays.
    """
    pressed: list[int] = []
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not own or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    except Exception as error:
        # A sweep that goes on after runs that fail is to stop all the same.
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
