"""The talk on a terminal: progress while it runs, and the claims when it is over."""

from collections.abc import Sequence
from types import TracebackType

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mckean.digits import measurement
from mckean.talk.report.mathematics import plain
from mckean.talk.report.numbers import duration, prediction
from mckean.talk.report.page import headline
from mckean.talk.run import Outcome, Talk


def summary(outcome: Outcome) -> str:
    """What became of a chapter, in a line."""
    if outcome.broke:
        return f"broke: {outcome.error}"
    holding = sum(claim.holds for claim in outcome.claims)
    note = f"; {outcome.note}" if outcome.note else ""
    return f"{holding} of {len(outcome.claims)} claims hold ({duration(outcome.seconds)}){note}"


class Lines:
    """Progress where nobody watches: one line a chapter."""

    def __init__(self, console: Console):
        self.console = console

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *raised: object) -> None:
        """Lines need no end."""

    def update(self, name: str, fraction: float) -> None:
        """Say nothing: a fraction is news only on a terminal."""

    def close(self, outcome: Outcome) -> None:
        """Say what became of a chapter that has ended."""
        line = f"{outcome.chapter.name}: {summary(outcome)}"
        self.console.print(Text(line), soft_wrap=True)


class Bars:
    """Progress on a terminal: a bar a chapter, and one for the talk."""

    def __init__(self, console: Console, names: Sequence[str]):
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        self.bars = Progress(*columns, TextColumn("{task.fields[outcome]}", markup=False), console=console)
        self.chapters = {name: self.bars.add_task(name, total=1.0, start=False, outcome="") for name in names}
        self.whole = self.bars.add_task("the talk", total=len(names), outcome="")
        self.fractions = dict.fromkeys(names, 0.0)

    def __enter__(self) -> "Bars":
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def update(self, name: str, fraction: float) -> None:
        """Move the bar of a chapter to the fraction that is done."""
        task, fraction = self.chapters[name], min(max(float(fraction), 0.0), 1.0)
        if fraction == 0.0:
            self.bars.start_task(task)
        self.bars.update(task, completed=fraction)
        self._count(name, fraction)

    def close(self, outcome: Outcome) -> None:
        """Say what became of a chapter that has ended."""
        task = self.chapters[outcome.chapter.name]
        self.bars.update(task, completed=1.0, outcome=summary(outcome))
        self.bars.stop_task(task)
        self._count(outcome.chapter.name, 1.0)

    def _count(self, name: str, fraction: float) -> None:
        self.fractions[name] = fraction
        self.bars.update(self.whole, completed=sum(self.fractions.values()))


def progress(console: Console, names: Sequence[str]) -> Bars | Lines:
    """Bars where `console` is a terminal, lines where it is not."""
    return Bars(console, names) if console.is_terminal else Lines(console)


def claims_table(talk: Talk) -> Table:
    """The claims and their verdicts, with the headline below."""
    table = Table(box=box.SIMPLE, caption=headline(talk), caption_justify="left", pad_edge=False)
    for name in ("chapter", "claim", "predicted", "measured", "verdict"):
        table.add_column(name, overflow="fold", no_wrap=name in ("chapter", "verdict"))
    for chapter, claim in talk.claims:
        numbers = prediction(claim.predicted, claim.relation), measurement(claim.value, claim.stderr)
        verdict = Text(claim.verdict, {"holds": "green", "undecided": "yellow", "fails": "bold red"}[claim.verdict])
        # As Text: a claim about [0, 1] is not markup.
        table.add_row(Text(chapter.name), Text(plain(claim.statement)), *map(Text, numbers), verdict)
    return table
