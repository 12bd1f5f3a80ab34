"""What the user says about faces and people: applied and kept at once, and undone as one.

A new decision wins over an older one that contradicts it: the older one is taken back in the same
action, and back again when that is undone.
"""

from collections.abc import Sequence
from typing import Literal

from facelink.album.history import Action, action
from facelink.album.library import Album
from facelink.album.queries import face, person, placement, placements, representative
from facelink.album.records import Change
from facelink.errors import InputError

_CONTRADICTED = """
SELECT decisions.id FROM decisions
LEFT JOIN memberships AS here ON here.face = decisions.face
LEFT JOIN memberships AS there ON there.face = decisions.other
WHERE decisions.is_undone = 0 AND CASE decisions.kind
    WHEN 'same' THEN here.person IS NOT there.person OR here.person IS NULL
    WHEN 'different' THEN here.person = there.person
    ELSE here.person IS NOT NULL
END
"""
"""Decisions that the faces' places do not honour."""


def contradicted(album: Album) -> list[int]:
    """Decisions in force that the faces' places do not honour; none in a sound album."""
    return [row[0] for row in album.connection.execute(f"{_CONTRADICTED} ORDER BY decisions.id")]


def name_person(album: Album, person_id: int, name: str | None) -> list[Change]:
    """Name a person, or take the name away with None; blanks around it are dropped.

    Raises
    ------
    InputError
        If the name is blank or there is no such person.
    """
    clean = None if name is None else name.strip()
    if clean == "":
        raise InputError("a blank name; give one that can be read, or none to take it away.")
    person(album, person_id)
    with action(album, f"name person {person_id}") as under_way:
        under_way.set_field("person", person_id, "name", clean)
    return under_way.changes


def hide_person(album: Album, person_id: int, *, is_hidden: bool = True) -> list[Change]:
    """Leave a person out of lists, or take them in again."""
    with action(album, f"{'hide' if is_hidden else 'show'} person {person_id}") as under_way:
        under_way.set_field("person", person_id, "is_hidden", int(is_hidden))
    return under_way.changes


def say_same(album: Album, first: int, second: int) -> list[Change]:
    """Two faces are one person: their people become one.

    A person with a name stays rather than one without, then the one with more
    faces, then the older one; between two names that of the first face stays.

    Raises
    ------
    InputError
        If the two are one face, or the album does not have one of them.
    """
    _check_two(album, first, second)
    with action(album, f"faces {first} and {second} are the same person") as under_way:
        here, there = under_way.place_of(first)[0], under_way.place_of(second)[0]
        if here is not None and there is not None:
            if here != there:
                merge_into(under_way, *_kept_first(album, here, there))
        else:
            whose = here if here is not None else there
            whose = under_way.new_person() if whose is None else whose
            for one in (first, second):
                if under_way.place_of(one)[0] is None:
                    under_way.place(one, whose, "user", 1.0)
        under_way.decide("same", first, second)
        take_back_contradicted(under_way)
    return under_way.changes


def say_different(album: Album, first: int, second: int) -> list[Change]:
    """Two faces are two people; if they were placed as one, the second becomes undecided."""
    _check_two(album, first, second)
    with action(album, f"faces {first} and {second} are different people") as under_way:
        whose = under_way.place_of(second)[0]
        if whose is not None and whose == under_way.place_of(first)[0]:
            under_way.place(second, None)
        under_way.decide("different", first, second)
        take_back_contradicted(under_way)
    return under_way.changes


def merge_people(album: Album, kept: int, other: int) -> list[Change]:
    """Two people are one: all faces of the other go to the one that is kept.

    Raises
    ------
    InputError
        If the two are one, or one of them has no faces.
    """
    if kept == other:
        raise InputError(f"person {kept} twice; give two people.")
    first, second = _face_of(album, kept), _face_of(album, other)
    with action(album, f"merge person {other} into person {kept}") as under_way:
        merge_into(under_way, kept, other)
        under_way.decide("same", first, second)
        take_back_contradicted(under_way)
    return under_way.changes


def separate_people(album: Album, first: int, second: int) -> list[Change]:
    """Two people are two: they will never be suggested or joined again."""
    if first == second:
        raise InputError(f"person {first} twice; give two people.")
    one, other = _face_of(album, first), _face_of(album, second)
    with action(album, f"persons {first} and {second} are different people") as under_way:
        under_way.decide("different", one, other)
        take_back_contradicted(under_way)
    return under_way.changes


def split_person(album: Album, person_id: int, faces: Sequence[int]) -> list[Change]:
    """Some faces of a person are someone else: they become a new person.

    Raises
    ------
    InputError
        If a face is not of this person, or none or all of them are given.
    """
    members = {place.face for place in placements(album, person_id)}
    parting = sorted(set(faces))
    strangers = [one for one in parting if one not in members]
    if strangers:
        raise InputError(f"face {strangers[0]} is not of person {person_id}; choose among theirs.")
    if not parting or len(parting) == len(members):
        raise InputError(
            f"{len(parting)} of {len(members)} faces of person {person_id} to split off; choose "
            "some, but not all."
        )
    with action(album, f"split {len(parting)} faces from person {person_id}") as under_way:
        stranger = under_way.new_person()
        for one in parting:
            under_way.place(one, stranger, "user", 1.0)
        staying = representative(album, person_id)
        under_way.decide("different", parting[0], min(members) if staying is None else staying)
        take_back_contradicted(under_way)
    return under_way.changes


def assign_faces(album: Album, faces: Sequence[int], person_id: int | None) -> list[Change]:
    """Faces are of this person, or, for None, together of someone new."""
    if not faces:
        raise InputError("no faces to assign; give at least one.")
    for one in faces:
        face(album, one)
    if person_id is not None:
        person(album, person_id)
    whom = "someone new" if person_id is None else f"person {person_id}"
    with action(album, f"{len(faces)} faces are of {whom}") as under_way:
        known = None if person_id is None else representative(album, person_id)
        whose = under_way.new_person() if person_id is None else person_id
        for one in faces:
            under_way.place(one, whose, "user", 1.0)
        anchor = faces[0] if known is None else known
        for one in sorted(set(faces) - {anchor}):
            under_way.decide("same", anchor, one)
        take_back_contradicted(under_way)
    return under_way.changes


def reject_face(album: Album, face_id: int) -> list[Change]:
    """A face is not of the person where it is placed; it becomes undecided.

    Raises
    ------
    InputError
        If it is placed nowhere.
    """
    place = placement(album, face_id)
    if place is None:
        raise InputError(f"face {face_id} is placed nowhere; there is nobody to reject.")
    with action(album, f"face {face_id} is not of person {place.person}") as under_way:
        under_way.place(face_id, None)
        other = representative(album, place.person)
        if other is not None:
            under_way.decide("different", face_id, other)
        take_back_contradicted(under_way)
    return under_way.changes


def set_aside(
    album: Album, faces: Sequence[int], kind: Literal["not_a_face", "ignore"]
) -> list[Change]:
    """Faces are no faces, or of no interest: they leave their people and are never placed."""
    if not faces:
        raise InputError("no faces to set aside; give at least one.")
    for one in faces:
        face(album, one)
    with action(album, f"{len(faces)} faces: {kind.replace('_', ' ')}") as under_way:
        for one in faces:
            under_way.place(one, None)
            under_way.decide(kind, one)
        take_back_contradicted(under_way)
    return under_way.changes


def _check_two(album: Album, first: int, second: int) -> None:
    if first == second:
        raise InputError(f"face {first} twice; give two faces.")
    for one in (first, second):
        face(album, one)


def _face_of(album: Album, person_id: int) -> int:
    person(album, person_id)
    found = representative(album, person_id)
    if found is None:
        raise InputError(f"person {person_id} has no faces; choose someone who has.")
    return found


def _kept_first(album: Album, here: int, there: int) -> tuple[int, int]:
    """Order two people so that the one that should stay comes first."""

    def rank(person_id: int) -> tuple[bool, int, int]:
        found = person(album, person_id)
        return found.name is None, -found.n_faces, person_id

    one, other = person(album, here), person(album, there)
    if one.name is not None and other.name is not None:
        return here, there
    first, second = sorted((here, there), key=rank)
    return first, second


def merge_into(under_way: Action, kept: int, other: int) -> None:
    """Give all faces of one person to another, as part of an action."""
    for place in placements(under_way.album, other):
        under_way.place(place.face, kept, place.how, place.confidence)
    under_way.set_field("person", other, "merged_into", kept)


def take_back_contradicted(under_way: Action) -> None:
    """Take back the older decisions that this action contradicts."""
    new = {change.subject_id for change in under_way.changes if change.subject == "decision"}
    for decision in contradicted(under_way.album):
        if decision not in new:
            under_way.set_field("decision", decision, "is_undone", 1)
