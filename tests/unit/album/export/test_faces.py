import pytest

from facelink.album.decisions import hide_person, merge_people, name_person
from facelink.album.export.faces import chosen_faces, find_people, people_of, read_faces
from facelink.errors import InputError
from tests.unit.album.export.helpers import BOXES
from tests.unit.album.helpers import add, made_up_people


def test_every_face_is_read_with_its_state(pictured):
    faces = read_faces(pictured.album)
    assert [face.face for face in faces] == pictured.faces
    states = ["person", "person", "not_a_face", "person", "undecided", "not_a_face"]
    assert [face.state for face in faces] == states
    assert [face.is_decided for face in faces] == [True, True, True, True, False, True]
    first = faces[0]
    assert (first.photo, first.box) == (pictured.one, BOXES[0])
    assert (first.person, first.name, first.confidence) == (pictured.ada, "Ada", 1.0)
    hide_person(pictured.album, pictured.ada)
    assert read_faces(pictured.album)[0].state == "hidden"


def test_a_face_without_photograph_has_no_place(pictured):
    add(pictured.album, made_up_people(1, 1)[0], "another model")
    (face,) = [one for one in read_faces(pictured.album) if one.photo is None]
    assert (face.box, face.state) == (None, "undecided")


def test_people_are_found_by_name_number_and_what_they_were_merged_into(pictured):
    album = pictured.album
    assert find_people(album, ["Ada", str(pictured.nameless)]) == {pictured.ada, pictured.nameless}
    merge_people(album, pictured.ada, pictured.nameless)
    assert find_people(album, [str(pictured.nameless)]) == {pictured.ada}
    name_person(album, pictured.ada, "7")
    assert find_people(album, ["7"]) == {pictured.ada}


def test_nobody_of_that_name_says_who_there_is(pictured):
    with pytest.raises(InputError, match="nobody in the album is called 'ada'; there are Ada"):
        find_people(pictured.album, ["ada"])
    name_person(pictured.album, pictured.ada, None)
    with pytest.raises(InputError, match="no person has a name yet"):
        find_people(pictured.album, ["99"])


def test_choosing(pictured):
    faces = read_faces(pictured.album)
    assert {one.person for one in chosen_faces(faces)} == {pictured.ada, pictured.nameless, None}
    only = chosen_faces(faces, {pictured.nameless})
    assert [one.face for one in only] == [pictured.faces[1]]
    assert {one.person for one in chosen_faces(faces, min_faces=2)} == {pictured.ada, None}


def test_people_in_order_of_size(pictured):
    people = people_of(read_faces(pictured.album))
    assert [one.title for one in people] == ["Ada", f"person {pictured.nameless}"]
    assert [len(one.faces) for one in people] == [2, 1]
