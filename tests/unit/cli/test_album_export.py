import json

import pytest

pytest.importorskip("PIL", reason="the extra photos is not installed")

from facelink.album.decisions import name_person
from tests.unit.album.export.conftest import pictured  # noqa: F401
from tests.unit.album.export.helpers import names_in


@pytest.fixture
def album(pictured):  # noqa: F811
    """The folder of the album with pictures, closed; Ada is called =Ada."""
    name_person(pictured.album, pictured.ada, "=Ada")
    return pictured.album.folder


@pytest.fixture(autouse=True)
def short_wait(monkeypatch):
    """The fixture's own process holds the album's lock."""
    monkeypatch.setattr("facelink.cli.album_opening.WAIT_SECONDS", 0.0)


def test_every_form_at_once(succeed, album, tmp_path):
    out = tmp_path / "out"
    done = succeed(
        "album", "export", album,
        "--csv", out / "f.csv", "--parquet", out / "f.parquet", "--gallery", out / "g.html",
        "--links", out / "links", "--xmp", "--min-faces", "1",
    )  # fmt: skip
    assert done.out.splitlines() == [
        "csv      1 made",
        "parquet  1 made",
        "gallery  1 made",
        "links    3 made",
        "xmp      2 made",
    ]
    assert len((out / "f.csv").read_text().splitlines()) == 7
    assert (out / "links" / "=Ada" / "one.jpg").is_symlink()
    assert names_in((tmp_path / "pictures" / "one.jpg.xmp").read_bytes()) == ["=Ada"]
    assert "<title>my</title>" in (out / "g.html").read_text()


def test_a_dry_run_lists_and_writes_nothing(succeed, album, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    forms = ("--xmp", "--in-place", "--links", tmp_path / "links", "--gallery", tmp_path / "g.html")
    done = succeed("album", "export", album, *forms, "--dry-run")
    assert f"changed: {tmp_path / 'pictures' / 'one.jpg'}" in done.out
    assert f"made: {tmp_path / 'pictures' / 'one.jpg.original'}" in done.out
    assert f"made: {tmp_path / 'links' / '=Ada' / 'two.png'}" in done.out
    assert "nothing was written" in done.err
    facts = json.loads(succeed("album", "export", album, *forms, "--dry-run", "--json").out)
    assert facts["dry_run"] is True
    assert facts["links"]["made"] == 2
    assert facts["in_place"]["files"][0]["what"] == "changed"
    assert "xmp" not in facts
    assert [path for path in sorted(tmp_path.rglob("*")) if "album" not in path.name] == [
        path for path in before if "album" not in path.name
    ]


def test_some_people(succeed, refused, album, tmp_path):
    path = tmp_path / "f.csv"
    succeed("album", "export", album, "--people", "=Ada", "2", "--csv", path)
    rows = path.read_text().splitlines()
    assert [row.split(",")[6] for row in rows[1:]] == ["1", "2", "1"]
    error = refused("album", "export", album, "--people", "Eve", "--csv", tmp_path / "no.csv")
    assert "nobody in the album is called 'Eve'; there are =Ada" in error
    assert not (tmp_path / "no.csv").exists()


def test_problems_are_told_and_the_rest_is_done(succeed, album, tmp_path):
    (tmp_path / "pictures" / "two.png").unlink()
    done = succeed("album", "export", album, "--xmp-dir", tmp_path / "x")
    assert "two.png: no longer there" in " ".join(done.err.split())
    assert done.out == "xmp  1 made, 1 left out\n"


def test_what_makes_no_sense_is_refused(refused, album, tmp_path):
    error = refused("album", "export", album)
    for form in ("--csv", "--parquet", "--links", "--xmp", "--in-place", "--gallery"):
        assert form in error
    assert "--copies without --links" in refused("album", "export", album, "--xmp", "--copies")
    given = ("--xmp", "--backup", tmp_path)
    assert "--backup without --in-place" in refused("album", "export", album, *given)
    assert "no album there" in refused("album", "export", tmp_path / "none", "--xmp")


def test_only_writing_in_place_takes_the_lock(refused, succeed, album):
    error = refused("album", "export", album, "--in-place", code=1)
    assert "is being written by process" in error
    succeed("album", "export", album, "--xmp")


def test_a_file_that_cannot_be_written_is_a_failure(run, album, tmp_path):
    (tmp_path / "x").touch()
    outcome = run("album", "export", album, "--xmp-dir", tmp_path / "x")
    assert outcome.code == 1
    assert "cannot write" in outcome.err
    assert outcome.out == "xmp  2 left out\n"
