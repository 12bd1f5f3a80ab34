import pytest

from facelink.album.additions import add_photo, embedding_model
from facelink.album.audit import audit_album
from facelink.album.decisions import merge_people, name_person, say_different
from facelink.album.forget import forget_person
from facelink.album.history import batches, undo
from facelink.album.library import erase_features, open_album
from facelink.album.queries import people, placements
from facelink.album.records import NewFace, NewPhoto
from facelink.errors import InputError, OutputError
from facelink.review.several import assign_to_new
from tests.unit.album.helpers import add, edited, made_up_people, update

NAME, JPEG = "Augusta Ada Byron", b"\xff\xd8 a thumbnail of her \xff\xd9"


@pytest.fixture
def with_ada(album, tmp_path):
    """The album, and the number of someone with a name, a history and thumbnails."""
    first, second, third = people(album)[:3]
    name_person(album, first.id, NAME)
    merge_people(album, first.id, second.id)
    say_different(album, placements(album, first.id)[0].face, placements(album, third.id)[0].face)
    for place in placements(album, first.id):
        album.connection.execute("INSERT INTO thumbnails VALUES (?, ?)", (place.face, JPEG))
    return album, first.id


def everything_on_disk(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_nothing_of_a_forgotten_person_stays_in_any_file(with_ada):
    album, ada = with_ada
    model = album.models()[0]
    faces = [place.face for place in placements(album, ada)]
    rows = [album.count("SELECT feature_row FROM faces WHERE id = ?", face) for face in faces]
    features = [album.feature_file(model).rows(64)[row].tobytes() for row in rows]
    assert forget_person(album, ada) == len(faces) == 16
    stored = everything_on_disk(album.folder)
    assert NAME.encode() not in stored
    assert JPEG not in stored
    assert not any(feature in stored for feature in features)
    assert album.count("SELECT count(*) FROM decisions") == 0
    assert album.count("SELECT count(*) FROM history WHERE before = ? OR after = ?", ada, ada) == 0


def test_no_cause_in_the_history_holds_the_name_of_a_forgotten_person(album):
    album.connection.execute("INSERT INTO batches (cause, time) VALUES ('1 faces are of Ada', 't')")
    place = placements(album, people(album)[0].id)[0]
    assign_to_new(album, [place.face], NAME)
    whose = album.count("SELECT person FROM memberships WHERE face = ?", place.face)
    # As earlier versions wrote it, with the name.
    made = batches(album)[0].id
    as_before = (f"1 faces are of {NAME}", made)
    album.connection.execute("UPDATE batches SET cause = ? WHERE id = ?", as_before)
    undo(album)
    undo(album, batches(album)[0].id)
    assert NAME in batches(album)[0].cause
    name_person(album, whose, "Ada Lovelace")
    forget_person(album, whose)
    stored = everything_on_disk(album.folder)
    assert NAME.encode() not in stored
    assert b"Ada Lovelace" not in stored
    causes = {batch.cause for batch in batches(album)}
    assert {"undo undo 1 faces are of someone", "1 faces are of Ada"} <= causes


def test_a_name_is_not_written_into_a_cause(album):
    assign_to_new(album, [1], NAME)
    assert batches(album)[0].cause == "1 faces are of someone new"


def test_a_reader_that_keeps_old_pages_is_told_and_the_next_command_removes_them(folder):
    with edited(folder) as album:
        ada = assign_to_new(album, add(album, made_up_people(1, 2)[0]), NAME)[0].subject_id
        album.connection.execute("PRAGMA busy_timeout = 0")
        with open_album(folder) as reader:
            reader.connection.execute("BEGIN")
            assert reader.count("SELECT count(*) FROM people WHERE name = ?", NAME) == 1
            with pytest.raises(OutputError, match=r"is deleted, but .* process reads\. End it"):
                forget_person(album, ada)
            assert NAME.encode() in everything_on_disk(folder)
    with edited(folder):
        pass
    assert NAME.encode() not in everything_on_disk(folder)


def test_the_others_stay_and_the_album_is_sound(with_ada):
    album, ada = with_ada
    others = {one.id: one.n_faces for one in people(album) if one.id != ada}
    forget_person(album, ada)
    assert {one.id: one.n_faces for one in people(album)} == others
    assert audit_album(album) == []
    update(album)
    assert {one.id: one.n_faces for one in people(album)} == others


def test_a_number_is_never_given_again(with_ada):
    album, _ = with_ada
    last = max(one.id for one in people(album))
    forget_person(album, last)
    features, _ = made_up_people(2, 8, seed=4)
    model = embedding_model(album, "made up", 32)
    for place, row in enumerate(features):
        add_photo(album, NewPhoto(album.folder / str(place), 1, 1, "h"), model, [NewFace(row)])
    update(album)
    assert people(album, order="id")[-2].id > last


def test_what_a_killed_command_left_to_erase_is_erased_by_the_next(folder, album, monkeypatch):
    def killed(album):
        raise KeyboardInterrupt("killed")

    gone = people(album)[0].id
    monkeypatch.setattr("facelink.album.forget.erase_features", killed)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        forget_person(album, gone)
    n_left = album.count("SELECT count(*) FROM erasures")
    assert n_left > 0
    erase_features(album)
    assert album.count("SELECT count(*) FROM erasures") == 0
    zeros = (album.feature_file(album.models()[0]).rows(64) == 0).all(axis=1)
    assert zeros.sum() == n_left


def test_nobody_is_not_forgotten(folder):
    with edited(folder) as album, pytest.raises(InputError, match="no person 7"):
        forget_person(album, 7)
