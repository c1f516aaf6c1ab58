"""A run as it was seen: its frames, and a page that plays them without a server."""

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path

from mckean.checks import positive_integer, require
from mckean.explore.conversation import Conversation
from mckean.explore.server import text
from mckean.explore.session import Session, require_session

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<div id="{place}"></div>
<script type="module">
{module}
mount(document.getElementById("{place}"), recorded({frames}));
</script>
</html>
"""


def record(session: Session, *, frames: int, steps: int = 5, shown: int = 2000) -> list[bytes]:
    """The frames of a run, the first of which is the scene; the session moves on.

    **Arguments:**

    - `session`: the session.
    - `frames`: how many frames, each after so many steps.
    - `steps`: between two frames. Default: 5.
    - `shown`: how many of the particles are kept, four bytes for each coordinate and frame. Default: 2000.

    **Returns:** the frames in bytes, for `player`.
    """
    require_session(session)
    frames = positive_integer("the number of frames is a positive integer", frames)
    steps = positive_integer("the number of steps between two frames is a positive integer", steps)
    conversation = Conversation(session, positive_integer("the number of particles is a positive integer", shown))
    return [conversation.scene(), *(conversation.frame(steps) for _ in range(frames))]


def player(frames: Sequence[bytes], path: str | Path, *, title: str = "A recorded run") -> Path:
    """Write a page that plays a recorded run, alone and without a network.

    **Arguments:**

    - `frames`: as `record` returns them.
    - `path`: of the page, a file that is made or replaced.
    - `title`: of the page. Default: "A recorded run".

    **Returns:** the path.

    **Raises:** `ValueError` for anything but recorded frames.
    """
    right = isinstance(frames, list | tuple) and len(frames) >= 2 and all(isinstance(f, bytes) for f in frames)
    require(right, "what a player plays are the frames that `record` returns.")
    texts = json.dumps([base64.b64encode(frame).decode() for frame in frames])
    path = Path(path)
    path.write_text(
        _PAGE.format(title=html.escape(title), place="run", module=text("explore.js"), frames=texts), encoding="utf-8"
    )
    return path
