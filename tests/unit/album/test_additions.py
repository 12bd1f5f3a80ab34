from pathlib import Path

import numpy as np
import pytest

from facelink.album.additions import (
    add_faces,
    add_photo,
    add_photos,
    embedding_model,
    record_photos,
)
from facelink.album.queries import (
    face,
    faces_of_photo,
    features_of,
    photo_at,
    photos,
    thumbnail,
)
from facelink.album.records import Box, NewFace, NewPhoto
from facelink.errors import InputError
from tests.unit.album.helpers import edited


def a_photo(name="a.jpg", **settings):
    return NewPhoto(Path("/photos") / name, 1000, 5, f"hash of {name}", 640, 480, **settings)


def a_face(*values, **settings):
    return NewFace(np.array(values, dtype=np.float32), **settings)


@pytest.fixture
def empty(folder):
    with edited(folder) as album:
        yield album


def test_a_face_comes_back_as_it_was_added(empty):
    model = embedding_model(empty, "m", 2)
    landmarks = np.arange(10, dtype=np.float32).reshape(5, 2)
    new = a_face(
        3, 4, box=Box(1, 2, 30, 40), landmarks=landmarks, detection_score=0.9, sharpness=12.5,
        size=35.0, junk_reasons=("blurred",), thumbnail=b"jpeg",
    )  # fmt: skip
    (number,) = add_photo(empty, a_photo(), model, [new])
    found = face(empty, number)
    assert found.box == new.box
    np.testing.assert_array_equal(found.landmarks, landmarks)
    assert (found.detection_score, found.sharpness, found.size) == (0.9, 12.5, 35.0)
    assert found.is_junk
    assert found.junk_reasons == ("blurred",)
    assert thumbnail(empty, number) == b"jpeg"
    np.testing.assert_allclose(features_of(empty, found), [0.6, 0.8], rtol=1e-6)
    (photo,) = photos(empty)
    assert photo == photo_at(empty, Path("/photos/a.jpg"))
    assert [one.id for one in faces_of_photo(empty, photo.id)] == [number]


def test_a_changed_photograph_has_its_new_faces_only_and_keeps_its_number(empty):
    model = embedding_model(empty, "m", 2)
    (old,) = add_photo(empty, a_photo(), model, [a_face(1, 0, thumbnail=b"old")])
    before = photo_at(empty, a_photo().path)
    news = add_photo(empty, a_photo(), model, [a_face(0, 1), a_face(1, 1)])
    assert photo_at(empty, a_photo().path).id == before.id
    assert [one.id for one in faces_of_photo(empty, before.id)] == news
    with pytest.raises(InputError, match=f"no face {old}"):
        face(empty, old)
    features = empty.feature_file(model).rows(empty.n_rows(model))
    assert not features[0].any()
    assert features[1:].any(axis=1).all()


def test_faces_that_are_known_by_their_ids_are_left_out(empty):
    model = embedding_model(empty, "m", 2)
    first = [a_face(1, 0, external_id="x"), a_face(0, 1, external_id="y")]
    assert len(add_faces(empty, model, first)) == 2
    again = [*first, a_face(1, 1, external_id="z"), a_face(1, 1, external_id="z")]
    assert len(add_faces(empty, model, again)) == 1
    new = [(a_photo(), [a_face(1, 0, external_id="x"), a_face(1, 0, external_id="w")])]
    assert len(add_photos(empty, model, new, keep_known=True)) == 1


def test_an_unreadable_photograph_is_kept_with_the_reason(empty):
    model = embedding_model(empty, "m", 2)
    assert add_photo(empty, a_photo(state="unreadable", reason="0 bytes"), model, []) == []
    (photo,) = photos(empty, state="unreadable")
    assert photo.reason == "0 bytes"


def test_a_missing_photograph_keeps_its_faces(empty):
    model = embedding_model(empty, "m", 2)
    (number,) = add_photo(empty, a_photo(), model, [a_face(1, 0)])
    record_photos(empty, [a_photo(state="missing")])
    assert photo_at(empty, a_photo().path).state == "missing"
    assert face(empty, number).photo is not None


def test_a_model_has_one_width(empty):
    model = embedding_model(empty, "m", 2)
    assert embedding_model(empty, "m", 2) == model
    with pytest.raises(InputError, match="2 features in this album, but 3"):
        embedding_model(empty, "m", 3)
    with pytest.raises(InputError, match="features have 2 values"):
        add_faces(empty, model, [a_face(1, 0, 0)])


def test_nothing_is_added_if_one_feature_has_no_direction(empty):
    model = embedding_model(empty, "m", 2)
    with pytest.raises(InputError, match="all zeros"):
        add_faces(empty, model, [a_face(1, 0), a_face(0, 0)])
    assert empty.count("SELECT count(*) FROM faces") == empty.n_rows(model) == 0


def test_a_box_has_an_area():
    with pytest.raises(InputError, match="both must be above 0"):
        Box(0, 0, 10, 0)
