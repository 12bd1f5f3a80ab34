"""The tables in the documents are those of the kept benchmark records."""

import pytest
from benchmarks import published

from facelink.benchmark.document import Table
from facelink.benchmark.report.markdown import table_markdown

BY_NAME = published.tables()


@pytest.mark.parametrize("path", published.DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_are_current(path):
    text = path.read_text(encoding="utf-8")
    assert "<!-- table " in text
    assert published.filled(text, BY_NAME) == text, "run python -m benchmarks.published --update"


def test_a_changed_figure_is_noticed():
    table = Table("t", "A table", ("a",), (("1",),))
    text = f"<!-- table t -->\n{table_markdown(table)}\n<!-- end -->"
    assert published.filled(text, {"t": table}) == text
    assert published.filled(text.replace("1", "2"), {"t": table}) == text


def test_a_table_without_record_is_an_error():
    with pytest.raises(KeyError, match="unknown"):
        published.filled("<!-- table unknown -->\n<!-- end -->", BY_NAME)
