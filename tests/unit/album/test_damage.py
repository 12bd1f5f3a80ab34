"""Values that SQLite finds nothing wrong with, and that no facelink writes."""

import numpy as np
import pytest

from facelink.album.audit import audit_album
from facelink.album.history import undo
from facelink.album.library import edit_album, erase_features, open_album
from facelink.album.queries import face, features_of, people, undecided
from facelink.errors import InputError
from tests.unit.album.helpers import add, edited, made_up_people, update

FEATURES, _ = made_up_people(2, 4)


@pytest.fixture
def folder(folder):
    """An album with 8 faces, not placed yet."""
    with edited(folder) as album:
        add(album, FEATURES)
    return folder


def change(folder, statement, *values):
    with edited(folder) as album:
        album.connection.execute(statement, values)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("landmarks", b"\0", "landmarks of 1 bytes, not 40"),
        ("junk_reasons", "[", "Expecting value"),
        ("junk_reasons", "[" * 100_000, "recursion"),
        ("junk_reasons", "5", "junk_reasons='5', no list of words"),
        ("junk_reasons", "[5]", "no list of words"),
        ("box_left", 1.0, r"face box \(1.0, None, None, None\): a number is missing; the database"),
    ],
)
def test_a_face_that_cannot_be(folder, column, value, message):
    change(folder, f"UPDATE faces SET {column} = ? WHERE id = 3", value)
    with (
        open_album(folder) as album,
        pytest.raises(InputError, match=rf"made-up\.album: row 3 of table faces: .*{message}"),
    ):
        face(album, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("field = 'rowid'", "no 'face' has a field 'rowid'"),
        ("field = 'name'", "no 'face' has a field 'name'"),
        ("before = 'Ada', field = 'person'", "person='Ada'"),
        ("after = 2.5, field = 'person'", r"person=2\.5"),
        ("after = x'00', field = 'how'", "how=b"),
    ],
)
def test_a_change_that_cannot_be(folder, changes, message):
    with edited(folder) as album:
        update(album)
        album.connection.execute(
            f"UPDATE history SET {changes} WHERE id = (SELECT max(id) FROM history WHERE "
            "subject = 'face')"
        )
    where = r"made-up\.album: row \d+ of table history: "
    with edit_album(folder, "test") as album, pytest.raises(InputError, match=where + message):
        undo(album)


@pytest.mark.parametrize("row", [8, -1, 1 << 62])
def test_a_face_without_a_row_of_features(folder, row):
    change(folder, "UPDATE faces SET feature_row = ? WHERE id = 3", row)
    message = rf"album .*: row 3 of table faces: feature_row={row}, but made up has 8 rows"
    with open_album(folder) as album:
        (finding,) = audit_album(album)
        assert finding.problem.startswith(f"album {folder}: row 3 of table faces")
        with pytest.raises(InputError, match=message):
            features_of(album, undecided(album)[0])
    with edit_album(folder, "test") as album:
        with pytest.raises(InputError, match=message):
            add(album, FEATURES)
        with pytest.raises(InputError, match=message):
            update(album)


def test_a_number_of_rows_below_0(folder):
    change(folder, "UPDATE models SET n_rows = -1")
    message = r"album .*: row 1 of table models: n_rows=-1, below 0"
    with edit_album(folder, "test") as album:
        assert "n_rows=-1" in audit_album(album)[0].problem
        with pytest.raises(InputError, match=message):
            add(album, FEATURES)


@pytest.mark.parametrize("row", [-1, 8, 1 << 62, 2])
def test_a_row_to_erase_that_is_not_free(folder, row):
    change(folder, "INSERT INTO erasures VALUES (1, ?)", row)
    content = (folder / "features-1.bin").read_bytes()
    with (
        pytest.raises(InputError, match=rf"album .*: row {row} of table erasures: no row of made"),
        edit_album(folder, "test"),
    ):
        pass
    assert (folder / "features-1.bin").read_bytes() == content


def test_a_row_to_erase_that_the_file_has_lost(folder):
    path = folder / "features-1.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with edited(folder) as album:
        album.connection.execute("DELETE FROM faces WHERE id = 8")
        with pytest.raises(InputError, match="rows 7 to 7 to overwrite, but there are 7"):
            erase_features(album)


def test_sound_faces_are_erased(folder):
    with edited(folder) as album:
        album.connection.execute("DELETE FROM faces WHERE id IN (1, 8)")
        erase_features(album)
        zeros = np.flatnonzero(~album.feature_file(album.models()[0]).rows(8).any(axis=1))
        assert zeros.tolist() == [0, 7]
        assert people(album) == []
