import pytest

from facelink.benchmark.report.cells import check_document, number_columns, paragraphs
from facelink.errors import InputError
from tests.unit.benchmark.report.helpers import document, figure, table


@pytest.mark.parametrize(
    "cell", ["3", "−0.2", "-0.2", "12,345", "97.1 %", "95.2 ± 0.3", "94.0 / 95.1", "1.2 s", "3×",
             "< 1", "1e-05", "350 MB"],
)  # fmt: skip
def test_numbers_are_told_by_how_they_look(cell):
    assert number_columns(table(columns=("a",), rows=((cell,), ("–",)))) == (True,)


@pytest.mark.parametrize("cell", ["K-means", "k = 80", "3 of the people", "", "–", "0.1.0-beta"])
def test_other_cells_are_text(cell):
    assert number_columns(table(columns=("a",), rows=((cell,),))) == (False,)


def test_a_table_without_rows_has_no_numbers():
    assert number_columns(table(rows=())) == (False,) * 4


def test_blank_lines_separate_paragraphs():
    assert paragraphs(" one\n two \n \n\n three\n") == ["one two", "three"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (document(tables=(table(rows=(("a", "b"),)),)), "row 0 has 2 cells but there are 4"),
        (document(tables=(table("../x"),)), r"'\.\./x' is no name"),
        (document(figures=(figure(""),)), "'' is no name"),
        (document(figures=(figure("Scores"),)), "called 'Scores'"),
    ],
)
def test_documents_that_cannot_be_files_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        check_document(bad)
