"""What a report consists of; how it looks is for the writers to decide."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text under column heads.

    Parameters
    ----------
    name : str
        Short and unique within the document, such as ``"lfw-methods"``; README tables and
        records refer to it.
    caption : str
        One line above the table.
    columns
        Column heads.
    rows
        Cells as shown, as many in each row as there are columns.
    note : str
        What a reader must know to read it right, below the table; may be empty.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Parameters
    ----------
    name : str
        Short and unique within the document.
    caption : str
        What is to be seen, for those who cannot see it, too.
    svg : str
        The drawing, self-contained.
    """

    name: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Section:
    """A title, a paragraph or two, tables and figures."""

    title: str
    text: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Document:
    """A whole report: title, the run's circumstances by name, sections in order."""

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
