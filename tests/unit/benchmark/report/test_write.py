import json

import pytest

from facelink.benchmark.report import write
from facelink.benchmark.report.write import check_report_folder, write_report
from facelink.errors import InputError, OutputError
from tests.unit.benchmark.report.helpers import SVG, document, table

RECORDS = {"methods": {"F": 0.5}}


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_a_report_has_its_files(tmp_path):
    folder = tmp_path / "some" / "report"
    write_report(folder, document(), RECORDS)
    assert names(folder) == [
        "figures/curve.svg", "figures/other.svg", "index.html", "records/methods.json", "report.md",
    ]  # fmt: skip
    assert json.loads((folder / "records/methods.json").read_text()) == RECORDS["methods"]
    assert (folder / "figures/curve.svg").read_text() == SVG + "\n"
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


def test_a_report_is_replaced_with_everything_in_it(tmp_path):
    write_report(tmp_path / "report", document(), RECORDS)
    write_report(tmp_path / "report", document(figures=()))
    assert names(tmp_path / "report") == ["index.html", "report.md"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_the_reports_own_name_is_waited_for(tmp_path, monkeypatch):
    waited_for, sync = [], write.sync_folder

    def noted(folder):
        waited_for.append((folder, (tmp_path / "report" / "index.html").exists()))
        sync(folder)

    monkeypatch.setattr(write, "sync_folder", noted)
    write_report(tmp_path / "report", document())
    assert waited_for == [(tmp_path, True)]


def test_an_empty_folder_is_filled(tmp_path):
    write_report(tmp_path, document())
    assert (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    "name", ["notes.txt", "report.md", "figures/x.svg", "photos/x.jpg", "figures/deep/x.svg"]
)
def test_a_folder_of_something_else_is_left_alone(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(OutputError, match="which is not part of a report; choose a new folder"):
        write_report(tmp_path, document())
    assert names(tmp_path) == [name]


def test_a_report_with_a_file_of_the_users_is_left_alone(tmp_path):
    write_report(tmp_path, document())
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "mine.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"holds records/mine\.csv"):
        check_report_folder(tmp_path)


def test_another_page_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("<!DOCTYPE html><title>My site</title>")
    with pytest.raises(OutputError, match=r"holds index\.html"):
        write_report(tmp_path, document())


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "report").write_text("mine")
    with pytest.raises(OutputError, match="it is a file"):
        check_report_folder(tmp_path / "report")


def test_checking_leaves_nothing(tmp_path):
    check_report_folder(tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_on_the_way_leaves_the_old_report(tmp_path, monkeypatch):
    write_report(tmp_path / "report", document())
    before = names(tmp_path / "report")

    def fail(_document):
        raise OutputError("the disk is full")

    monkeypatch.setattr(write, "document_html", fail)
    with pytest.raises(OutputError, match="the disk is full"):
        write_report(tmp_path / "report", document(figures=()))
    assert names(tmp_path / "report") == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_where_the_new_report_cannot_be_put_the_old_one_comes_back(tmp_path, monkeypatch):
    write_report(tmp_path / "report", document())
    before = names(tmp_path / "report")
    monkeypatch.setattr(write, "_fill", lambda *_: None)  # there is nothing to put there
    with pytest.raises(OutputError, match="What stood there before is unchanged"):
        write_report(tmp_path / "report", document())
    assert names(tmp_path / "report") == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_wrong_names_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="records: 'a/b' is no name"):
        write_report(tmp_path / "report", document(), {"a/b": 1})
    with pytest.raises(InputError, match="row 0 has 1 cells"):
        write_report(tmp_path / "report", document(tables=(table(rows=(("a",),)),)))
    assert list(tmp_path.iterdir()) == []
