import sqlite3
from pathlib import Path

import numpy as np
import pytest

from facelink.album.audit import audit_album
from facelink.album.features_file import FeatureFile
from facelink.album.history import batches, undo
from facelink.album.library import DATABASE
from facelink.album.places import Arrangement, arrange_places, fold_doubles
from facelink.album.queries import (
    decisions,
    faces_of_photo,
    paths_of,
    photo_at,
    photos,
    placement,
    placements,
    thumbnail,
)
from facelink.album.schema import MIGRATIONS, migrate
from facelink.photos.records import PhotoFile
from tests.unit.album.helpers import edited

A, B, C = (Path(f"/photos/{name}.jpg") for name in "abc")


@pytest.fixture
def old(folder):
    """An album of version 1: three files, of which b is a copy of a, with their faces.

    Faces 1 and 2 are in a, 3 and 4 in its copy, 5 in c. The user has placed face 3 with Ada,
    who has face 5, and has said that face 4 is somebody else.
    """
    folder.mkdir()
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    migrate(connection, MIGRATIONS[:1])
    connection.executescript(
        "INSERT INTO models (name, n_features, n_rows) VALUES ('m', 2, 5);"
        "INSERT INTO photos (path, size, mtime_ns, content_hash, state) VALUES"
        " ('/photos/a.jpg', 9, 1, 'h', 'present'), ('/photos/b.jpg', 9, 2, 'h', 'present'),"
        " ('/photos/c.jpg', 7, 3, 'i', 'present');"
        "INSERT INTO faces (photo, model, feature_row, box_left, box_top, box_width, box_height)"
        " VALUES (1, 1, 0, 1, 1, 9, 9), (1, 1, 1, 50, 1, 9, 9), (2, 1, 2, 1, 1, 9, 9),"
        " (2, 1, 3, 50, 1, 9, 9), (3, 1, 4, 1, 1, 9, 9);"
        "INSERT INTO thumbnails VALUES (1, x'01'), (3, x'03');"
        "INSERT INTO people (name) VALUES ('Ada'), (NULL);"
        "INSERT INTO memberships VALUES (3, 1, 'user', 1.0), (5, 1, 'automatic', 0.9),"
        " (1, 2, 'automatic', 0.8), (2, 2, 'automatic', 0.8);"
        "INSERT INTO batches (cause, time) VALUES ('test', '2026-01-01');"
        "INSERT INTO decisions (kind, face, other, batch)"
        " VALUES ('same', 3, 5, 1), ('different', 3, 4, 1);"
    )
    connection.close()
    features = FeatureFile.create(folder / "features-1.bin", 2)
    features.append(0, np.repeat(np.eye(2, dtype=np.float32), [4, 1], axis=0))
    with edited(folder) as album:
        yield album


def test_an_album_of_version_1_keeps_all_it_held(old):
    assert [photo.path for photo in photos(old)] == [A, B, C]
    assert all(photo.taken_at is None for photo in photos(old))
    assert len(placements(old, 1)) == 2
    assert thumbnail(old, 3) == b"\x03"
    assert audit_album(old) == []


def test_copies_in_an_old_album_become_one_photograph_with_its_faces_once(old):
    assert fold_doubles(old) == 1
    assert [photo.path for photo in photos(old)] == [A, C]
    assert paths_of(old, 1) == [A, B]
    assert [face.id for face in faces_of_photo(old, 1)] == [1, 2]
    assert placement(old, 1).person == 1
    assert placement(old, 1).how == "user"
    assert placement(old, 2).person == 2
    assert {(one.kind, one.face, one.other) for one in decisions(old)} == {
        ("same", 1, 5),
        ("different", 1, 2),
    }
    assert not old.feature_file(old.models()[0]).rows(5)[2:4].any()
    assert audit_album(old) == []
    assert fold_doubles(old) == 0
    undo(old, batches(old)[0].id)
    assert placement(old, 1).person == 2


def arrange(album, **files):
    return arrange_places(
        album,
        [
            Arrangement(int(photo[1:]), tuple(PhotoFile(path, 9, 8) for path in paths))
            for photo, paths in files.items()
        ],
    )


def test_paths_change_hands(old):
    assert arrange(old, p1=[B, A], p3=[C]) != []
    assert arrange(old, p1=[C, B], p3=[A]) == []
    assert [paths_of(old, photo) for photo in (1, 3)] == [[C, B], [A]]
    assert audit_album(old) == []


def test_an_overwritten_photograph_leaves_with_its_faces(old):
    (ada, other) = arrange(old, p1=[A, B])
    assert (ada.face, ada.path, ada.person, ada.name, ada.n_decisions) == (3, B, 1, "Ada", 2)
    assert (other.face, other.person, other.n_decisions) == (4, None, 1)
    assert photo_at(old, B) is None
    assert decisions(old) == []
    assert audit_album(old) == []
