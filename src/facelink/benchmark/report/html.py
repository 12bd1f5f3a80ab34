"""A report as one page that needs nothing else: no script, no font, no file beside it."""

import re
from html import escape
from importlib.resources import files

from facelink.benchmark.document import Document, Figure, Section, Table
from facelink.benchmark.report.cells import check_document, number_columns, paragraphs

GENERATOR = "facelink benchmark"
"""What the head of every page names as its maker."""

_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="{generator}">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
"""
"""The policy keeps a page from running or fetching anything, whatever a name in it holds."""

_ID = re.compile(r'(\bid="|href="#|url\(#)')
"""Where an SVG names a part of its own, or refers to it."""


def document_html(document: Document) -> str:
    """Write a report as one self-contained HTML page.

    Everything is escaped, so that names of users are shown as they are; the
    figures' SVG is taken as it is, its ids made unique on the page.

    Raises
    ------
    InputError
        If tables have ragged rows, or names clash or do not serve as anchors.
    """
    check_document(document)
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    title = escape(document.title)
    sections = enumerate(document.sections, start=1)
    parts = [
        _HEAD.format(generator=GENERATOR, title=title, style=style),
        f"<header>\n<h1>{title}</h1>\n{_facts(document.facts)}</header>\n",
        _contents(document.sections),
        "<main>\n",
        *(_section(number, section) for number, section in sections),
        "</main>\n</body>\n</html>\n",
    ]
    return "".join(parts)


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    if not facts:
        return ""
    lines = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in facts)
    return f"<dl>\n{''.join(lines)}</dl>\n"


def _contents(sections: tuple[Section, ...]) -> str:
    """Table of contents: sections, and below each its tables and figures if it has several."""
    if not sections:
        return ""
    items = []
    for number, section in enumerate(sections, start=1):
        parts: tuple[Table | Figure, ...] = (*section.tables, *section.figures)
        inner = "".join(
            f'<li><a href="#{part.name}">{escape(_brief(part.caption))}</a></li>\n'
            for part in (parts if len(parts) > 1 else ())
        )
        below = f"\n<ul>\n{inner}</ul>" if inner else ""
        items.append(f'<li><a href="#section-{number}">{escape(section.title)}</a>{below}</li>\n')
    return (
        f'<nav aria-labelledby="contents">\n<h2 id="contents">Contents</h2>\n<ol>\n'
        f"{''.join(items)}</ol>\n</nav>\n"
    )


def _brief(caption: str) -> str:
    """The caption's first sentence."""
    return re.split(r"(?<=[.!?:;])\s", caption, maxsplit=1)[0].rstrip(".:;")


def _section(number: int, section: Section) -> str:
    parts = [
        f'<section aria-labelledby="section-{number}">\n',
        f'<h2 id="section-{number}">{escape(section.title)}</h2>\n',
        *(f"<p>{escape(paragraph)}</p>\n" for paragraph in paragraphs(section.text)),
        *map(_table, section.tables),
        *map(_figure, section.figures),
        "</section>\n",
    ]
    return "".join(parts)


def _table(table: Table) -> str:
    """A table in a frame of its own that scrolls sideways, by keyboard too."""
    is_number = number_columns(table)
    head = "".join(
        f'<th scope="col"{_class(right)}>{escape(name)}</th>'
        for name, right in zip(table.columns, is_number, strict=True)
    )
    body = "".join(f"<tr>{_cells(row, is_number)}</tr>\n" for row in table.rows)
    notes = "".join(f'<p class="note">{escape(line)}</p>\n' for line in paragraphs(table.note))
    label = f"{table.name}-caption"
    return (
        f'<div class="table" id="{table.name}">\n'
        f'<div class="caption" id="{label}">{escape(table.caption)}</div>\n'
        f'<div class="scroll" role="region" aria-labelledby="{label}" tabindex="0">\n'
        f'<table aria-labelledby="{label}">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table>\n</div>\n{notes}</div>\n"
    )


def _cells(row: tuple[str, ...], is_number: tuple[bool, ...]) -> str:
    """Cells of a row; the first names the row."""
    cells = []
    for position, (cell, right) in enumerate(zip(row, is_number, strict=True)):
        tag, scope = ("th", ' scope="row"') if position == 0 else ("td", "")
        cells.append(f"<{tag}{scope}{_class(right)}>{escape(cell)}</{tag}>")
    return "".join(cells)


def _class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _figure(figure: Figure) -> str:
    label = f' role="img" aria-label="{escape(figure.caption)}"'
    drawing = figure.svg[figure.svg.index("<svg") :].replace("<svg", f"<svg{label}", 1)
    unique = _ID.sub(rf"\g<1>{figure.name}-", drawing)
    return (
        f'<figure id="{figure.name}">\n<div class="drawing scroll" tabindex="0">{unique}</div>\n'
        f"<figcaption>{escape(figure.caption)}</figcaption>\n</figure>\n"
    )
