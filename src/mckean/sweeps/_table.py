"""The table of a sweep: the parameters of each cell, as a product of columns or row by row."""

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from mckean.checks import require

ROW = "cell"
FAILURE, SECONDS = "failure", "seconds"
# What a function may ask for beside its parameters.
GIVEN = ("key", "folder")


@dataclass(frozen=True)
class Table:
    """The cells of a sweep.

    **Arguments:**

    - `columns`: the values of each parameter by its name.
    - `product`: whether each combination is a cell, the last parameter varying fastest, or each row.
    """

    columns: dict[str, list]
    product: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the columns of a product; the number of rows."""
        lengths = tuple(len(values) for values in self.columns.values())
        return lengths if self.product else lengths[:1]

    @property
    def size(self) -> int:
        """How many cells there are."""
        return math.prod(self.shape)

    @property
    def dims(self) -> tuple[str, ...]:
        """The names of the axes of the results."""
        return tuple(self.columns) if self.product else (ROW,)

    @property
    def coordinates(self) -> dict[str, tuple[str, np.ndarray]]:
        """The parameters over the axes."""
        return {name: (name if self.product else ROW, np.asarray(values)) for name, values in self.columns.items()}

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """The parameters of each cell, in order."""
        rows = itertools.product(*self.columns.values()) if self.product else zip(*self.columns.values(), strict=True)
        return [dict(zip(self.columns, row, strict=True)) for row in rows]

    def grows(self, other: "Table") -> bool:
        """Whether this is another table with more at its end, so that the cells of that one keep their numbers.

        That is so for more values of the first parameter of a product, which varies slowest, and for more rows.
        """
        if self.product != other.product or list(self.columns) != list(other.columns) or self.size <= other.size:
            return False
        first = next(iter(self.columns)) if self.product else None
        return all(
            values[: len(other.columns[name])] == other.columns[name]
            and (name == first or not self.product or len(values) == len(other.columns[name]))
            for name, values in self.columns.items()
        )

    def difference(self, other: "Table") -> str:
        """The first thing in which this table differs from another, in words; empty where they are equal."""
        if self.product != other.product:
            return f"it is {_kind(self)} here, and was {_kind(other)}"
        if list(self.columns) != list(other.columns):
            return f"its parameters are {', '.join(self.columns)} here, and were {', '.join(other.columns)}"
        for name, values in self.columns.items():
            if values != other.columns[name]:
                more = "more values of its first parameter" if self.product else "more rows"
                return f"the values of {name} are others (a table grows at its end alone, by {more})"
        return ""


def words(cell: Mapping[str, Any]) -> str:
    """The parameters of a cell as a reader wants them."""
    return ", ".join(f"{name} = {value:g}" if _number(value) else f"{name} = {value}" for name, value in cell.items())


def cell_key(key: PRNGKeyArray, cell: Mapping[str, Any]) -> PRNGKeyArray:
    """The key of a cell: a function of the sweep's key and of the cell's parameters alone."""
    plain = {name: float(value) if _number(value) else value for name, value in cell.items()}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).digest()
    # Of 10⁴ cells two have the same 32 bits with a probability of 1 %.
    for word in np.frombuffer(digest[:8], "<u4"):
        key = jax.random.fold_in(key, word)
    return key


def as_table(table: Any) -> Table:
    """The table that a user writes: lists by name are a product, a list of dictionaries has a row for each cell."""
    if isinstance(table, Mapping):
        columns = {name: _values(name, values) for name, values in table.items()}
        for name, values in columns.items():
            require(len(set(values)) == len(values), f"{name} has a value twice in the table: each makes a cell.")
    else:
        columns = _columns(table)
    require(columns, "the table has no parameter: give it as {'beta': [1.0, 2.0]}.")
    for name in columns:
        _require_name(name)
    made = Table(columns, isinstance(table, Mapping))
    if not made.product:
        rows = list(zip(*columns.values(), strict=True))
        twice = next((row for row in rows if rows.count(row) > 1), None) if len(set(rows)) < len(rows) else None
        require(
            twice is None,
            f"two rows of the table are one cell, {words(dict(zip(columns, twice or (), strict=False)))}: add a column "
            "that tells them apart, such as replica.",
        )
    return made


def _columns(table: Any) -> dict[str, list]:
    rows = list(table) if isinstance(table, Sequence) and not isinstance(table, str) else []
    require(
        rows and all(isinstance(row, Mapping) for row in rows),
        "a table is a dictionary of lists, whose combinations are the cells, or a list of dictionaries, one for each "
        f"cell, not {type(table).__name__ if not rows else 'a list of ' + type(rows[0]).__name__}.",
    )
    for number, row in enumerate(rows):
        require(
            set(row) == set(rows[0]),
            f"row {number} of the table has the parameters {', '.join(map(str, row))}, and row 0 has "
            f"{', '.join(map(str, rows[0]))}.",
        )
    return {name: _values(name, [row[name] for row in rows]) for name in rows[0]}


def _values(name: Any, values: Any) -> list:
    """A column as plain numbers of one kind, or words."""
    sized = hasattr(values, "__len__") and not isinstance(values, str | Mapping) and np.ndim(values) > 0
    require(sized, f"{name} in the table needs a list of values, but it is {values!r}: write [{values!r}].")
    plain = [_plain(name, value) for value in values]
    require(plain, f"{name} has no value in the table.")
    if all(isinstance(value, str) for value in plain) or all(isinstance(value, bool) for value in plain):
        return plain
    require(all(_number(value) for value in plain), f"the values of {name} are numbers or words, not both.")
    return plain if all(isinstance(value, int) for value in plain) else [float(value) for value in plain]


def _plain(name: Any, value: Any) -> Any:
    if hasattr(value, "item") and np.ndim(value) == 0:
        value = value.item()
    require(
        isinstance(value, str | bool | int | float),
        f"the values of {name} in the table are numbers or words, from which the function makes the rest, but one is "
        f"{type(value).__name__}.",
    )
    require(
        not isinstance(value, float) or math.isfinite(value), f"{name} in the table is {value}, not a finite number."
    )
    return value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require_name(name: Any) -> None:
    require(
        isinstance(name, str) and name.isidentifier(),
        f"a parameter is named as an argument of the function, but the table has {name!r}.",
    )
    require(
        name not in (*GIVEN, ROW, FAILURE, SECONDS),
        f"'{name}' has a meaning of its own in a sweep: call the parameter something else.",
    )


def _kind(table: Table) -> str:
    return "a product" if table.product else "a list of rows"
