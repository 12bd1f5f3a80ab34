import os
from pathlib import Path

import pytest

from facelink.photos.finding import find_photos
from facelink.photos.records import PhotoFile, PhotoProblem

PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)


@pytest.fixture
def folder(tmp_path):
    """Photographs by suffix and by content, other files, hidden ones and a folder."""
    for name in ("b.JPG", "a.heic", "notes.txt", ".hidden.jpg", "z/c.webp", ".cache/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"text")
    (tmp_path / "no-suffix").write_bytes(PNG)
    return tmp_path


def names(folder, found):
    return [one.path.relative_to(folder).as_posix() for one in found]


def test_by_suffix_and_content_in_order_without_hidden_ones(folder):
    found = list(find_photos([folder]))
    assert names(folder, found) == ["a.heic", "b.JPG", "no-suffix", "z/c.webp"]
    assert found[0] == PhotoFile.at(folder / "a.heic")


def test_copies_that_an_export_kept_are_passed_over(folder):
    (folder / "b.JPG.original").write_bytes(PNG)
    assert "b.JPG.original" not in names(folder, find_photos([folder]))


def test_what_is_named_itself_counts_whatever_it_is(folder):
    named = [folder / "notes.txt", folder / ".hidden.jpg"]
    assert names(folder, find_photos(named)) == ["notes.txt", ".hidden.jpg"]


def test_links_in_a_circle_end_and_nothing_comes_twice(folder):
    (folder / "z" / "back").symlink_to(folder)
    (folder / "z" / "again.jpg").symlink_to(folder / "b.JPG")
    found = names(folder, find_photos([folder, folder / "z", folder / "b.JPG"]))
    assert found == ["a.heic", "b.JPG", "no-suffix", "z/c.webp"]


def test_a_link_to_nothing_and_a_missing_path_are_problems(folder):
    (folder / "gone.jpg").symlink_to(folder / "nowhere")
    problems = [one for one in find_photos([folder, folder / "missing"]) if problem(one)]
    assert names(folder, problems) == ["gone.jpg", "missing"]
    assert {one.reason for one in problems} == {"no longer there, or a link to nothing"}


def test_a_pipe_is_never_opened(folder):
    os.mkfifo(folder / "pipe.jpg")
    assert "pipe.jpg" not in names(folder, find_photos([folder]))
    [named] = find_photos([folder / "pipe.jpg"])
    assert named.reason == "neither a file nor a folder"


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    listing = os.scandir

    def refuse(path):
        if str(path).endswith("z"):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", refuse)
    *others, last = find_photos([folder])
    assert names(folder, others) == ["a.heic", "b.JPG", "no-suffix"]
    assert last == PhotoProblem(folder / "z", "cannot be read: Permission denied")


@pytest.fixture
def unnamable(tmp_path):
    """A photograph, a folder and another file with names that are not UTF-8, beside others."""
    try:
        for name in (b"caf\xe9.jpg", b"notes-\xe9", b"\xe9t\xe9/a.jpg", b"z.jpg"):
            path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"text" if b"notes" in name else PNG)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    return tmp_path


def test_a_name_that_is_no_text_is_a_problem_and_the_others_are_found(unnamable):
    (unnamable / "a.jpg").symlink_to(unnamable / os.fsdecode(b"caf\xe9.jpg"))
    (unnamable / os.fsdecode(b"b\xe9.jpg")).symlink_to(unnamable / "z.jpg")
    *problems, photo, folder = find_photos([unnamable])
    assert photo == PhotoFile.at(unnamable / "z.jpg")
    expected = [b"a.jpg", b"b\xe9.jpg", b"caf\xe9.jpg", b"\xe9t\xe9"]
    assert [os.fsencode(one.path.name) for one in (*problems, folder)] == expected
    assert {one.reason for one in (*problems, folder)} == {
        "its path, or that of what it links to, is not UTF-8; rename the file or folder"
    }
    (named,) = find_photos([folder.path / "a.jpg"])
    assert named.reason == folder.reason


def problem(one):
    return isinstance(one, PhotoProblem)
