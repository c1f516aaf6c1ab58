"""How far a computation is, in the terminal."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(title: str, show: bool, total: int) -> Iterator[Callable[[int], None]]:
    """A function of the number of steps that are done, which moves a bar where it is to be shown."""
    if not show:
        yield lambda done: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as shown:
        task = shown.add_task(title, total=total)
        yield lambda done: shown.update(task, completed=done)
