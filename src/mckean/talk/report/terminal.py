"""The talk on a terminal: progress while it runs, then a line a chapter, and every claim that does not hold."""

from collections.abc import Sequence
from types import TracebackType

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mckean.digits import measurement, number
from mckean.talk.claims import Claim
from mckean.talk.report.mathematics import plain
from mckean.talk.report.numbers import band, duration, prediction, strain
from mckean.talk.report.order import places
from mckean.talk.run import Outcome, Talk


def summary(outcome: Outcome) -> str:
    """What became of a chapter, in a line."""
    if outcome.broke:
        return f"broke: {outcome.error}"
    note = f"; {outcome.note}" if outcome.note else ""
    others = "".join(
        f", {outcome.count(verdict)} {word}"
        for verdict, word in (("fails", "fail"), ("undecided", "undecided"))
        if outcome.count(verdict)
    )
    held = f"{outcome.count('holds')} of {len(outcome.claims)} claims hold{others}"
    return f"{held} ({duration(outcome.seconds)}){note}"


class Lines:
    """Progress where nobody watches: a line as a chapter starts, and one as it ends."""

    def __init__(self, console: Console, seeds: Sequence[int] = (0,)):
        self.console, self.several = console, len(seeds) > 1

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *raised: object) -> None:
        """Lines need no end."""

    def update(self, name: str, fraction: float) -> None:
        """Say that a chapter starts: other fractions are news only on a terminal."""
        if fraction == 0.0 and not self.several:
            self._say(f"started {name}")

    def close(self, outcome: Outcome) -> None:
        """Say what became of a chapter that has ended."""
        seed = f" at seed {outcome.seed}" if self.several else ""
        self._say(f"{outcome.chapter.name}{seed}: {summary(outcome)}")

    def _say(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)


class Bars:
    """Progress on a terminal: a bar a chapter, and one for the talk."""

    def __init__(self, console: Console, names: Sequence[str], seeds: Sequence[int]):
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        self.bars = Progress(*columns, TextColumn("{task.fields[outcome]}", markup=False), console=console)
        self.chapters = {name: self.bars.add_task(name, total=len(seeds), start=False, outcome="") for name in names}
        self.whole = self.bars.add_task("the talk", total=len(names) * len(seeds), outcome="")
        self.ended = dict.fromkeys(names, 0)
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
        if fraction == 0.0 and not self.ended[name]:
            self.bars.start_task(task)
        self._count(name, self.ended[name] + fraction)

    def close(self, outcome: Outcome) -> None:
        """Say what became of a chapter that has ended."""
        name = outcome.chapter.name
        self.ended[name] += 1
        self.bars.update(self.chapters[name], outcome=summary(outcome))
        self._count(name, float(self.ended[name]))
        if self.bars.tasks[self.chapters[name]].finished:
            self.bars.stop_task(self.chapters[name])

    def _count(self, name: str, done: float) -> None:
        self.fractions[name] = done
        self.bars.update(self.chapters[name], completed=done)
        self.bars.update(self.whole, completed=sum(self.fractions.values()))


def progress(console: Console, names: Sequence[str], seeds: Sequence[int] = (0,)) -> Bars | Lines:
    """Bars where `console` is a terminal, lines where it is not."""
    return Bars(console, names, seeds) if console.is_terminal else Lines(console, seeds)


def chapters_table(talk: Talk) -> Table:
    """A line a chapter, in the order of the talk."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("")
    table.add_column("chapter", no_wrap=True)
    for name in ("hold", "undecided", "fail", "worst z / band", "time"):
        table.add_column(name, justify="right")
    for place in places(talk):
        outcome = place.outcome
        undecided, fail = outcome.count("undecided"), outcome.count("fails")
        style = "bold red" if fail else "yellow" if undecided else ""
        held = f"{outcome.count('holds')} of {len(outcome.claims)}"
        words = (held, str(undecided), str(fail), strain(outcome.strain), duration(outcome.seconds))
        table.add_row(place.numeral, Text(outcome.chapter.name, style), *words)
    return table


def troubles(talk: Talk) -> list[Text]:
    """Every claim that fails or is undecided, in full."""
    return [_trouble(chapter.name, claim) for chapter, claim in talk.claims if not claim.holds]


def _trouble(name: str, claim: Claim) -> Text:
    word = "is a control and does not fail" if claim.relation == "unequal" else claim.verdict
    rival = claim.excludes
    nearest = "" if rival is None else f"; {plain(rival.theory)}: {number(rival.value, 4)}"
    text = Text(f"{name} {word}: ", {"undecided": "yellow", "fails": "bold red"}[claim.verdict])
    # Appended: a claim about [0, 1] is not markup.
    return text.append(
        f"{plain(claim.statement)}: predicted {prediction(claim)}, measured {measurement(claim.value, claim.stderr)}, "
        f"band {band(*claim.band)}{nearest}",
        "not bold default",
    )
