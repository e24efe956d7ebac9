"""What a command prints: tables and progress for a terminal, plain lines for a pipe, one JSON document for a machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text


class Output:
    """One command's output. With `as_json` all that was shown is kept, and printed as one document by `finish`."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console()
        self.plain = not self.console.is_terminal
        self._document: dict[str, Any] = {}

    def say(self, text: str) -> None:
        """A line for people; left out of JSON."""
        if not self.as_json:
            self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> None:
        """Rows of one shape; in JSON the list `name`."""
        self._document[name] = [dict(row) for row in rows]
        if self.as_json or not rows:
            return
        if self.plain:
            self._plain_table(rows, title)
            return
        table = Table(title=title, title_justify="left", header_style="bold")
        for column, value in rows[0].items():
            table.add_column(column, justify="right" if isinstance(value, (int, float)) else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(_shown(value)) for value in row.values()))
        self.console.print(table)

    def _plain_table(self, rows: Sequence[Mapping[str, Any]], title: str | None) -> None:
        if title:
            print(f"# {title}")
        print("\t".join(rows[0]))
        for row in rows:
            print("\t".join(_shown(value) for value in row.values()))

    def facts(self, name: str, facts: Mapping[str, Any], *, title: str | None = None) -> None:
        """One record, a line a field; in JSON the object `name`."""
        self._document[name] = dict(facts)
        if self.as_json:
            return
        if title:
            self.console.print(f"# {title}" if self.plain else Text(title, "bold"), highlight=False)
        width = max((len(key) for key in facts), default=0)
        for key, value in facts.items():
            print(f"{key.ljust(width)}  {_shown(value)}")

    def raw(self, content: bytes) -> None:
        """Exact bytes to standard output."""
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    @contextmanager
    def progress(self, doing: str, total: int | None) -> Iterator[Any]:
        """Yields `advance(count)`. A bar on a terminal, nothing in a pipe. `total`: None where it is not known yet."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, disable=self.plain or self.as_json) as bar:
            task = bar.add_task(doing, total=total)
            yield lambda count: bar.advance(task, count)

    def finish(self) -> None:
        """Print the document, if this is a machine's output."""
        if self.as_json:
            options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
            self.raw(orjson.dumps(self._document, default=str, option=options) + b"\n")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items()) or "-"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def printable(text: str) -> str:
    """The text on one line, with escapes for all that a terminal would obey or that has no UTF-8."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
