"""A session in a notebook: the page's module as a widget."""

import json
from typing import Any

from mckean.explore.conversation import Conversation
from mckean.explore.server import text
from mckean.explore.session import Session, require_session


def widget(session: Session, *, shown: int = 20_000) -> Any:
    """A session as a widget of Jupyter, which the last line of a cell shows.

    It computes in the kernel, between the cells that run there.

    **Arguments:**

    - `session`: the session.
    - `shown`: how many of the particles are drawn. Default: 20 000.

    **Returns:** an `anywidget.AnyWidget`.

    **Raises:** `ValueError` where anywidget is not installed.
    """
    require_session(session)
    try:
        import anywidget
    except ImportError as error:
        raise ValueError(
            f"a widget needs {error.name}, which is not installed: pip install 'mckean[notebook]' brings it."
        ) from error
    conversation = Conversation(session, shown)
    shell = anywidget.AnyWidget()
    shell.add_traits(_esm=_traitlet(text("explore.js")))

    def hear(_: Any, message: Any, buffers: Any) -> None:
        shell.send({"kind": "answer"}, [conversation.answer(json.dumps(message))])

    shell.on_msg(hear)
    return shell


def _traitlet(module: str) -> Any:
    import traitlets

    return traitlets.Unicode(module).tag(sync=True)
