"""What the page and the Markdown show alike: which columns hold numbers, and paragraphs."""

import re

from facelink.benchmark.document import Document, Figure, Table
from facelink.errors import InputError

_NUMBER = re.compile(
    r"[<>≤≥~±+−-]?\s*\d[\d,.]*(e[+−-]?\d+)?"
    r"(\s*(±|/|–|to|of)\s*[+−-]?\d[\d,.]*)*"
    r"\s*(%|[A-Za-zµ]{1,3}|×)?",
)
"""3, −0.2, 12,345, 97.1 %, 95.2 ± 0.3, 94.0 / 95.1, 1.2 s, 3×."""

_NOTHING = ("", "–", "—", "-")
"""Cells of a table that hold no value."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def number_columns(table: Table) -> tuple[bool, ...]:
    """Whether each column holds numbers, and so is set to the right."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return tuple(_are_numbers(cells) for cells in columns)


def paragraphs(text: str) -> list[str]:
    """Paragraphs of a text, which blank lines separate, each on one line."""
    parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return [part for part in parts if part]


def check_document(document: Document) -> None:
    """Raise `InputError` if tables have ragged rows, or names do not serve as file names.

    Names of tables and figures are letters, digits, hyphens and underscores, and differ within
    the document in more than the case of their letters.
    """
    seen: set[str] = set()
    for section in document.sections:
        parts: tuple[Table | Figure, ...] = (*section.tables, *section.figures)
        for part in parts:
            check_name(part.name, f"section {section.title!r}")
            if part.name.lower() in seen:
                raise InputError(
                    f"two tables or figures of the report are called {part.name!r}; give each a "
                    "name of its own."
                )
            seen.add(part.name.lower())
        for table in section.tables:
            _check_rows(table)


def check_name(name: str, where: str) -> None:
    """Raise `InputError` unless a name can be that of a file and an anchor on any system."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: {name!r} is no name of a table, figure or record; use letters, digits, "
            "hyphens and underscores."
        )


def _check_rows(table: Table) -> None:
    for position, row in enumerate(table.rows):
        if len(row) != len(table.columns):
            raise InputError(
                f"table {table.name}: row {position} has {len(row)} cells but there are "
                f"{len(table.columns)} columns; give each row a cell for each column."
            )


def _are_numbers(cells: tuple[str, ...]) -> bool:
    values = [cell.strip() for cell in cells if cell.strip() not in _NOTHING]
    return bool(values) and all(_NUMBER.fullmatch(value) for value in values)
