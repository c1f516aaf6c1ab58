"""`mckean list`: what there is to run."""

from mckean.cli.shell import console


def list_() -> None:
    """List the chapters of the talk, with the time that each takes on one core, and the models of the catalogue."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from mckean.catalogue import MODELS
    from mckean.talk.chapters import PARTS, SECONDS
    from mckean.talk.report.mathematics import plain
    from mckean.talk.report.numbers import duration

    screen = console()
    table = Table(title="Chapters", title_justify="left", box=box.SIMPLE, pad_edge=False)
    for name in ("", "", "quick", "full"):
        table.add_column(name, justify="right" if name else "left")
    for part in PARTS:
        table.add_section()
        table.add_row("", Text(plain(part.title), "italic"))
        for chapter in part.chapters:
            times = [duration(seconds) for seconds in SECONDS.get(chapter.name, ())]
            table.add_row(Text(chapter.name, "bold"), Text(plain(chapter.title)), *times)
    screen.print(table)
    table = Table(title="Models", title_justify="left", box=box.SIMPLE, show_header=False, pad_edge=False)
    for name, model in MODELS.items():
        table.add_row(Text(name, "bold"), Text((model.__doc__ or "").strip().partition("\n")[0]))
    screen.print(table)
