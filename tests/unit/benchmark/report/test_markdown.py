import re

import pytest
from markdown_it import MarkdownIt

from facelink.benchmark.report.markdown import document_markdown, escaped, table_markdown
from tests.unit.benchmark.report.helpers import NASTY, document, table


def test_a_table_has_its_cells_whatever_they_hold():
    tokens = MarkdownIt("commonmark").enable("table").parse(table_markdown(table()))
    cells = [token.content for token in tokens if token.type == "inline"]
    assert len(cells) == 4 + 8
    html = MarkdownIt("commonmark").enable("table").render(table_markdown(table()))
    assert re.findall(r"text-align:(\w+)", html)[:4] == ["left", "right", "right", "right"]


@pytest.mark.parametrize(
    "text",
    [NASTY, "a_b_c", "`code`", "~~x~~", "# head", "- item", "1. item", "2) x", "a\\b", "$x$"],
)
def test_text_is_shown_as_it_is(text):
    html = MarkdownIt("commonmark").enable("table").enable("strikethrough").render(escaped(text))
    shown = html.removeprefix("<p>").removesuffix("</p>\n")
    for name, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        shown = shown.replace(name, character)
    assert shown == text


def test_sections_figures_and_facts_are_there():
    lines = document_markdown(document()).splitlines()
    assert sum(line.startswith("# ") for line in lines) == 1
    assert sum(line.startswith("## ") for line in lines) == 1
    assert '![What "it" shows. More.](figures/curve.svg)' in lines
    assert "- **seed:** 0" in lines
    assert "One paragraph." in lines
    assert "Second note." in lines
