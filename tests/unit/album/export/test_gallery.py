import base64
from html.parser import HTMLParser

import pytest

from facelink.album.decisions import name_person
from facelink.album.export import gallery
from facelink.album.export.faces import people_of, read_faces
from facelink.album.export.gallery import write_gallery
from facelink.errors import InputError
from tests.unit.album.export.helpers import JPEG, person_of
from tests.unit.album.helpers import add, made_up_people


class Page(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data.strip())

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def written(album, tmp_path, **settings):
    people = people_of(read_faces(album))
    write_gallery(tmp_path / "g.html", album, people, **{"limit": 9, "title": "A"} | settings)
    return Page(tmp_path / "g.html")


def test_people_and_faces_are_on_the_page(pictured, tmp_path):
    page = written(pictured.album, tmp_path)
    headings = [one["id"] for one in page.all("h2")]
    assert headings == [f"name-{pictured.ada}", f"name-{pictured.nameless}"]
    images = page.all("img")
    assert {one["src"] for one in images} == {
        "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()
    }
    described = [one["alt"] for one in images if one["alt"]]
    assert described[:2] == ["Ada in one.jpg", "Ada in two.png"]
    assert "3 faces of 2 people" in page.texts
    targets = {one["href"] for one in page.all("a")}
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {target[1:] for target in targets} <= ids


def test_names_are_text_and_nothing_is_fetched(pictured, tmp_path):
    name = "<script>alert(1)</script>\" onload='x' &amp;"
    name_person(pictured.album, pictured.ada, name)
    page = written(pictured.album, tmp_path, title="<b>A</b>")
    assert name in page.texts
    assert "<b>A</b>" in page.texts
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "b", "iframe"}
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert all(one["src"].startswith("data:") for one in page.all("img"))


def test_faces_without_pictures_and_an_empty_album(pictured, tmp_path):
    faces = add(pictured.album, made_up_people(1, 3)[0], "another model")
    person_of(pictured.album, faces, "Bob")
    page = written(pictured.album, tmp_path)
    assert page.texts.count("no picture") == 4
    write_gallery(tmp_path / "none.html", pictured.album, [], limit=9, title="A")
    assert "Nobody to show yet." in Page(tmp_path / "none.html").texts


def test_the_page_is_kept_small(pictured, tmp_path, monkeypatch):
    page = written(pictured.album, tmp_path, limit=1)
    assert "2 faces, 1 of them shown" in page.texts
    monkeypatch.setattr(gallery, "MAX_GALLERY_BYTES", 1_500)
    written(pictured.album, tmp_path, limit=1)
    before = (tmp_path / "g.html").read_bytes()
    with pytest.raises(InputError, match=r"show fewer faces of each person with --limit \(now 9\)"):
        written(pictured.album, tmp_path)
    assert (tmp_path / "g.html").read_bytes() == before
