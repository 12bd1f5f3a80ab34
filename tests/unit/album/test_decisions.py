import pytest

from facelink.album.decisions import (
    assign_faces,
    contradicted,
    hide_person,
    merge_people,
    name_person,
    reject_face,
    say_different,
    say_same,
    separate_people,
    set_aside,
    split_person,
)
from facelink.album.history import batches, changes_of, undo
from facelink.album.queries import (
    decisions,
    people,
    person,
    placement,
    placements,
    undecided,
)
from facelink.errors import InputError
from tests.unit.album.helpers import groups_of, people_of, tables, update


def faces_of(album, person_id):
    return sorted(place.face for place in placements(album, person_id))


@pytest.fixture
def two(album):
    """Numbers of two people."""
    first, second, *_ = people(album, order="id")
    return first.id, second.id


ACTIONS = {
    "name": lambda album, one, other: name_person(album, one, "Ada"),
    "hide": lambda album, one, other: hide_person(album, one),
    "merge": merge_people,
    "separate": separate_people,
    "same": lambda album, one, other: say_same(
        album, faces_of(album, one)[0], faces_of(album, other)[0]
    ),
    "different": lambda album, one, other: say_different(album, *faces_of(album, one)[:2]),
    "split": lambda album, one, other: split_person(album, one, faces_of(album, one)[:3]),
    "assign": lambda album, one, other: assign_faces(album, faces_of(album, one)[:2], other),
    "assign to someone new": lambda album, one, other: assign_faces(
        album, faces_of(album, one)[:2], None
    ),
    "reject": lambda album, one, other: reject_face(album, faces_of(album, one)[0]),
    "not a face": lambda album, one, other: set_aside(
        album, faces_of(album, one)[:2], "not_a_face"
    ),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_is_undone_and_done_again(album, two, name):
    def state():
        kept = tables(album)
        kept["memberships"] = [row[:3] for row in kept["memberships"]]
        kept["decisions"] = [row for row in kept["decisions"] if not row[-1]]
        kept["people"] = [row for row in kept["people"] if row[0] in people_of(album).values()]
        kept.pop("candidates")
        return kept

    before = state()
    changes = ACTIONS[name](album, *two)
    after = state()
    assert changes
    assert after != before
    assert contradicted(album) == []
    undo(album)
    assert state() == before
    undo(album, batches(album)[0].id)
    assert state() == after


def test_a_merged_person_is_a_pointer_to_the_other(album, two):
    kept, other = two
    n_faces = len(faces_of(album, kept)) + len(faces_of(album, other))
    merge_people(album, kept, other)
    assert person(album, kept).n_faces == n_faces
    assert person(album, other).merged_into == kept
    assert other not in {one.id for one in people(album)}


def test_a_name_stays_when_people_become_one(album, two):
    first, second = two
    name_person(album, second, "  Ada ")
    say_same(album, faces_of(album, first)[0], faces_of(album, second)[0])
    assert person(album, second).name == "Ada"
    assert person(album, first).merged_into == second


def test_two_faces_that_were_placed_nowhere_become_someone(album, two):
    first, second = faces_of(album, two[0])[:2]
    set_aside(album, [first, second], "ignore")
    say_same(album, first, second)
    assert placement(album, first).person == placement(album, second).person not in two
    assert [one.kind for one in decisions(album)] == ["same"]


def test_a_new_decision_wins_over_an_older_one(album, two):
    first, second = faces_of(album, two[0])[0], faces_of(album, two[1])[0]
    say_different(album, first, second)
    say_same(album, first, second)
    assert [one.kind for one in decisions(album)] == ["same"]
    say_different(album, first, second)
    assert [one.kind for one in decisions(album)] == ["different"]
    assert second in {one.id for one in undecided(album)}


def test_a_rejected_face_does_not_come_back(album, two):
    face = faces_of(album, two[0])[0]
    reject_face(album, face)
    update(album)
    place = placement(album, face)
    assert place is None or place.person != two[0]


def test_what_was_split_does_not_grow_together(album, two):
    parting = faces_of(album, two[0])[:3]
    split_person(album, two[0], parting)
    groups = groups_of(album)
    assert frozenset(parting) in groups
    update(album)
    assert groups_of(album) == groups


def test_faces_set_aside_are_not_placed_again(album, two):
    face = faces_of(album, two[0])[0]
    set_aside(album, [face], "not_a_face")
    assert update(album) == []
    assert placement(album, face) is None
    assert face not in {one.id for one in undecided(album)}


def test_an_action_is_not_undone_over_a_later_one(album, two):
    name_person(album, two[0], "Ada")
    first = batches(album)[0].id
    name_person(album, two[0], "Grace")
    with pytest.raises(InputError, match=r"changed name of person .* undo that one first"):
        undo(album, first)
    undo(album)
    undo(album, first)
    assert person(album, two[0]).name is None
    with pytest.raises(InputError, match="was undone by action"):
        undo(album, first)


def test_history_lists_changes_and_nothing_for_an_action_without_any(album, two):
    name_person(album, two[0], "Ada")
    latest = batches(album)[0]
    assert latest.cause == f"name person {two[0]}"
    (change,) = changes_of(album, latest.id)
    assert (change.subject_id, change.before, change.after) == (two[0], None, "Ada")
    assert name_person(album, two[0], "Ada") == []
    assert batches(album)[0] == latest


def test_there_is_nothing_to_undo_twice(album):
    undo(album)
    with pytest.raises(InputError, match="nothing to undo"):
        undo(album)
    with pytest.raises(InputError, match="no action 99"):
        undo(album, 99)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda album, one, other: name_person(album, one, "  "), "blank name"),
        (lambda album, one, other: name_person(album, 999, "Ada"), "no person 999"),
        (lambda album, one, other: hide_person(album, 999), "no person 999"),
        (lambda album, one, other: merge_people(album, one, one), "give two people"),
        (lambda album, one, other: separate_people(album, one, one), "give two people"),
        (lambda album, one, other: say_same(album, 1, 1), "give two faces"),
        (lambda album, one, other: say_different(album, 1, 999), "no face 999"),
        (lambda album, one, other: split_person(album, one, []), "some, but not all"),
        (
            lambda album, one, other: split_person(album, one, faces_of(album, one)),
            "some, but not all",
        ),
        (
            lambda album, one, other: split_person(album, one, faces_of(album, other)[:1]),
            "is not of person",
        ),
        (lambda album, one, other: assign_faces(album, [], one), "at least one"),
        (lambda album, one, other: assign_faces(album, [1], 999), "no person 999"),
        (lambda album, one, other: set_aside(album, [], "ignore"), "at least one"),
    ],
)
def test_what_cannot_be_said_changes_nothing(album, two, wrong, message):
    before = tables(album)
    with pytest.raises(InputError, match=message):
        wrong(album, *two)
    assert tables(album) == before


def test_a_face_that_is_nowhere_cannot_be_rejected(album):
    set_aside(album, [1], "ignore")
    with pytest.raises(InputError, match="placed nowhere"):
        reject_face(album, 1)
