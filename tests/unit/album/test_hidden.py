import pytest

from facelink.album.decisions import hide_person, merge_people, set_aside
from facelink.album.hidden import bring_back, faces_set_aside, hidden_people, n_hidden
from facelink.album.history import undo
from facelink.album.queries import people, placements, undecided
from facelink.errors import InputError


def test_hidden_people_are_listed_until_they_are_shown_again(album):
    first, second, third, *_ = people(album)
    hide_person(album, first.id)
    hide_person(album, second.id)
    assert [one.id for one in hidden_people(album)] == sorted((first.id, second.id), reverse=True)
    assert len(hidden_people(album, limit=1, offset=1)) == 1
    hide_person(album, first.id, is_hidden=False)
    assert n_hidden(album) == 1
    merge_people(album, third.id, second.id)
    assert hidden_people(album) == []


def test_faces_that_were_set_aside_come_back_as_undecided(album):
    faces = [place.face for place in placements(album, people(album)[0].id)][:3]
    set_aside(album, faces[:2], "not_a_face")
    set_aside(album, faces[2:], "ignore")
    assert [one.face for one in faces_set_aside(album, limit=1)] == [faces[2]]
    assert n_hidden(album) == 3
    bring_back(album, [faces[0], faces[2]])
    assert [one.id for one in undecided(album)] == sorted((faces[0], faces[2]))
    assert [one.face for one in faces_set_aside(album)] == [faces[1]]
    undo(album)
    assert undecided(album) == []


@pytest.mark.parametrize(("faces", "message"), [([], "no faces"), ([1], "face 1 is not set aside")])
def test_only_what_was_set_aside_comes_back(album, faces, message):
    with pytest.raises(InputError, match=message):
        bring_back(album, faces)
