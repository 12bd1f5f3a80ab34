"""What commands print: results on stdout, progress and notes on stderr."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

notes = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
"""Where progress and notes go."""


def note(message: str) -> None:
    """Tell the user something that is not the result; names that are no text are escaped."""
    notes.print(message.encode(errors="backslashreplace").decode(), markup=False)


def print_json(value: Any) -> None:
    """Write a result for a program to read."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Write named values, one per line, or as JSON."""
    if as_json:
        print_json(dict(facts))
    else:
        sys.stdout.write(_lines(facts))


def note_facts(facts: Mapping[str, Any]) -> None:
    """Tell the user named values, one per line, where the result is something else."""
    notes.print(_lines(facts), markup=False, end="")


def _lines(facts: Mapping[str, Any]) -> str:
    width = max(len(name) for name in facts)
    return "".join(
        f"{name.replace('_', ' '):<{width}}  {_shown(value)}\n"
        for name, value in facts.items()
        if value is not None
    )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Write a table to stdout: the first column to the left, the others to the right."""
    if title:
        sys.stdout.write(f"{title}\n")
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    widest = 20 + sum(max(len(line[i]) for line in (header, *rows)) + 2 for i in range(len(header)))
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, width=widest)
    console.print(table)


def percent(share: float) -> str:
    """Format a share as a percentage with two decimals, as the field's tables do."""
    return f"{100 * share:.2f}"


class _SpeedColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} {task.fields['unit']}/s")


class Advance(Protocol):
    """Moves a progress bar: units newly done, a remark, and the total if it has become known."""

    def __call__(self, n_done: int, details: str = "", total: int | None = None) -> None:
        """Show it."""


@contextlib.contextmanager
def progress_bar(
    title: str, total: int, unit: str, *, has_details: bool = False
) -> Iterator[Advance]:
    """Show how far a stage is, how fast, and the time left; only where stderr is a terminal."""
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _SpeedColumn(),
        TimeRemainingColumn(),
    ]
    if has_details:
        columns.append(TextColumn("{task.fields[details]}"))
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as display:
        task = display.add_task(title, total=total or None, unit=unit, details="")

        def advance(n_done: int, details: str = "", total: int | None = None) -> None:
            display.update(task, advance=n_done, details=details, total=total)

        yield advance
