"""A report as Markdown: tables with pipes, figures as files beside it."""

import re

from facelink.benchmark.document import Document, Figure, Section, Table
from facelink.benchmark.report.cells import check_document, number_columns, paragraphs

FIGURES_FOLDER = "figures"
"""Beside the text, where its figures are."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>&|~$#])")
"""Characters that Markdown or HTML within it could read as more than themselves."""

_LIST_MARK = re.compile(r"^(\s*)([-+]|\d+[.)])(?=\s)")
"""What would make a line an item of a list."""


def document_markdown(document: Document) -> str:
    """Write a report as Markdown.

    Figures are referenced as ``figures/NAME.svg``; whoever writes the text
    writes them there. Names of users are shown as they are, never read as
    markup.

    Raises
    ------
    InputError
        If tables have ragged rows, or names clash or do not serve as file names.
    """
    check_document(document)
    facts = [f"- **{escaped(name)}:** {escaped(value)}" for name, value in document.facts]
    blocks = [f"# {escaped(document.title)}"]
    if facts:
        blocks.append("\n".join(facts))
    for section in document.sections:
        blocks += _section_blocks(section)
    return "\n\n".join(blocks) + "\n"


def table_markdown(table: Table) -> str:
    """Write a table's rows with pipes, without its caption and note; numbers to the right."""
    marks = ["---:" if is_number else ":---" for is_number in number_columns(table)]
    lines = [table.columns, *table.rows]
    cells = [[escaped(cell) for cell in line] for line in lines]
    cells.insert(1, marks)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    one_line = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _LIST_MARK.sub(_escape_list_mark, one_line)


def _escape_list_mark(mark: re.Match[str]) -> str:
    """Escape the mark's last character, which makes it plain text."""
    return f"{mark[1]}{mark[2][:-1]}\\{mark[2][-1]}"


def _section_blocks(section: Section) -> list[str]:
    blocks = [f"## {escaped(section.title)}", *map(escaped, paragraphs(section.text))]
    for table in section.tables:
        blocks += [f"**{escaped(table.caption)}**", table_markdown(table)]
        blocks += [escaped(paragraph) for paragraph in paragraphs(table.note)]
    return blocks + [_figure_block(figure) for figure in section.figures]


def _figure_block(figure: Figure) -> str:
    caption = escaped(figure.caption)
    return f"![{caption}]({FIGURES_FOLDER}/{figure.name}.svg)\n\n*{caption}*"
