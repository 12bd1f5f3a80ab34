from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="the extra photos is not installed")

from facelink.album.decisions import set_aside
from facelink.album.library import Album
from tests.unit.album.export.helpers import add_picture, person_of, save_picture
from tests.unit.album.helpers import edited


@dataclass(frozen=True)
class Pictured:
    """An album: Ada in one.jpg and two.png, someone nameless in one.jpg, and no face in both."""

    album: Album
    one: Path
    two: Path
    ada: int
    nameless: int
    faces: list[int]

    @property
    def folder(self) -> Path:
        return self.one.parent


@pytest.fixture
def pictured(tmp_path):
    folder = tmp_path / "pictures"
    one = save_picture(folder / "one.jpg")
    two = save_picture(folder / "two.png", seed=1)
    with edited(tmp_path / "my.album") as album:
        faces = add_picture(album, one) + add_picture(album, two)
        ada = person_of(album, [faces[0], faces[3]], "Ada")
        nameless = person_of(album, [faces[1]])
        set_aside(album, [faces[2], faces[5]], "not_a_face")
        yield Pictured(album, one, two, ada, nameless, faces)
