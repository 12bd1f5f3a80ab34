import json
import os
import shutil
from dataclasses import replace

import pytest

from facelink.album.decisions import name_person
from facelink.album.export.faces import people_of, read_faces
from facelink.album.export.links import write_links
from facelink.album.export.manifest import MANIFEST
from facelink.errors import InputError, OutputError
from tests.unit.album.export.helpers import add_picture, person_of, save_picture


@pytest.fixture
def export(pictured, tmp_path):
    """Exports everyone's links as the album stands; returns the report's counts."""

    def run(folder=tmp_path / "out", people=None, **settings):
        people = people_of(read_faces(pictured.album)) if people is None else people
        return write_links(folder, people, **settings).counts()

    return run


def tree(folder):
    """All files below a folder but the manifest, and where links lead."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else None
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.name != MANIFEST
    }


def test_links_are_made_and_brought_up_to_date(pictured, export, tmp_path):
    nameless = f"person {pictured.nameless}"
    assert export(write=False)["made"] == 3
    assert not (tmp_path / "out").exists()
    assert export()["made"] == 3
    assert tree(tmp_path / "out") == {
        "Ada/one.jpg": str(pictured.one),
        "Ada/two.png": str(pictured.two),
        f"{nameless}/one.jpg": str(pictured.one),
    }
    assert export()["unchanged"] == 3
    name_person(pictured.album, pictured.ada, "../Eve")
    assert export() == {"made": 2, "changed": 0, "removed": 2, "unchanged": 1}
    assert set(tree(tmp_path / "out")) == {
        "_._Eve/one.jpg",
        "_._Eve/two.png",
        f"{nameless}/one.jpg",
    }
    assert not (tmp_path / "out" / "Ada").exists()


def test_what_the_user_keeps_there_stays(pictured, export, tmp_path):
    out = tmp_path / "out"
    (out / "Ada").mkdir(parents=True)
    (out / "Ada" / "ONE.jpg").write_text("mine")
    (out / f"person {pictured.nameless}").symlink_to(pictured.folder)
    export()
    assert "Ada/one (2).jpg" in tree(out)
    assert f"person {pictured.nameless} (2)/one.jpg" in tree(out)
    (out / "Ada" / "two.png").unlink()
    (out / "Ada" / "two.png").write_text("mine too")
    assert export(people=[]) == {"made": 0, "changed": 0, "removed": 2, "unchanged": 0}
    assert set(tree(out)) == {"Ada/ONE.jpg", "Ada/two.png", f"person {pictured.nameless}"}
    assert sorted(os.listdir(pictured.folder)) == ["one.jpg", "two.png"]


def test_a_link_to_a_folder_is_followed_as_the_folder_but_not_within_it(export, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "out").symlink_to(real)
    export()
    assert "Ada/one.jpg" in tree(real)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(real / "Ada", elsewhere)
    (real / "Ada").symlink_to(elsewhere)
    assert export(people=[])["removed"] == 1
    assert sorted(os.listdir(elsewhere)) == ["one.jpg", "two.png"]


def test_equal_names_of_people_and_photographs_do_not_collide(pictured, export, tmp_path):
    other = save_picture(tmp_path / "pictures" / "more" / "ONE.JPG", seed=2)
    found = add_picture(pictured.album, other)
    person_of(pictured.album, found[:1], "ada")
    name_person(pictured.album, pictured.nameless, "Ada")
    export()
    assert set(tree(tmp_path / "out")) == {
        "Ada/one.jpg",
        "Ada/two.png",
        "Ada (2)/one.jpg",
        "ada (3)/ONE.JPG",
    }
    again = replace(people_of(read_faces(pictured.album))[0])
    both = replace(again, faces=(*again.faces, replace(again.faces[0], photo=other)))
    export(people=[both])
    assert set(tree(tmp_path / "out")) == {"Ada/one.jpg", "Ada/ONE (2).JPG", "Ada/two.png"}


def test_a_vanished_photograph_is_told_and_its_link_goes(pictured, export, tmp_path):
    export()
    pictured.one.unlink()
    report = write_links(tmp_path / "out", people_of(read_faces(pictured.album)))
    assert report.counts()["removed"] == 2
    assert [one.path for one in report.problems] == [pictured.one, pictured.one]
    assert set(tree(tmp_path / "out")) == {"Ada/two.png"}


def test_a_copy_is_kept_once_its_photograph_is_gone(pictured, export, tmp_path):
    content = pictured.one.read_bytes()
    assert export()["made"] == 3
    assert export(copies=True)["changed"] == 3
    assert export(copies=True)["unchanged"] == 3
    assert set(tree(tmp_path / "out").values()) == {None}
    pictured.one.unlink()
    for _ in range(2):
        assert export(people=[], copies=True)["removed"] in (0, 1)
        assert (tmp_path / "out" / "Ada" / "one.jpg").read_bytes() == content
    shutil.copy2(tmp_path / "out" / "Ada" / "one.jpg", pictured.one)
    assert export(people=[], copies=True)["removed"] == 2


def test_hard_links_where_there_are_no_symbolic_ones(pictured, export, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("no symbolic links here")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    export()
    made = tmp_path / "out" / "Ada" / "one.jpg"
    assert made.samefile(pictured.one)
    assert not made.is_symlink()
    assert export()["unchanged"] == 3
    assert export(people=[])["removed"] == 3
    assert pictured.one.exists()
    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(OutputError, match="use --copies"):
        export()


@pytest.mark.parametrize("name", ["../x", "a", "a/b/c", "a/..", "/a/b"])
def test_a_manifest_that_leads_elsewhere_is_refused(export, tmp_path, name):
    export()
    manifest = tmp_path / "out" / MANIFEST
    stored = json.loads(manifest.read_text())
    stored["entries"][name] = next(iter(stored["entries"].values()))
    manifest.write_text(json.dumps(stored))
    with pytest.raises(InputError, match="damaged"):
        export(people=[])


def test_a_file_is_no_folder_for_links(pictured, export):
    with pytest.raises(OutputError, match="it is a file"):
        export(pictured.one)
