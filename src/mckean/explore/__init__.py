"""A model as it runs: particles and their limit side by side in one environment, while its parameters are changed.

- The state, without a page: `Session`; a program or a text that leads to it: `code`, `fragment`, `restore`.
- On a page of this machine, as `mckean explore` does: `serve`.
- In a notebook: `widget`.
- A run that was recorded, as a page that stands alone: `record`, `player`.
"""

from mckean.explore.notebook import widget
from mckean.explore.recording import player, record
from mckean.explore.reproduction import code, fragment, restore
from mckean.explore.server import serve
from mckean.explore.session import Session

__all__ = ["Session", "code", "fragment", "player", "record", "restore", "serve", "widget"]


def __dir__() -> list[str]:
    return __all__
