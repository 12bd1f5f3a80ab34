"""Decisions as the page asks for them: one action each, to be undone with one key."""

from collections.abc import Sequence

from facelink.album.decisions import merge_people, say_same, take_back_contradicted
from facelink.album.history import action
from facelink.album.library import Album
from facelink.album.queries import face, person, placement, representative
from facelink.album.records import Change
from facelink.errors import InputError


def merge(album: Album, first: int, other: int, kept: int | None) -> list[Change]:
    """Two people are one; where nobody says who stays, it is the one with a name, or the first.

    Raises
    ------
    InputError
        If both have names, not the same, and nobody says which stays; or as `merge_people` does.
    """
    if kept is None:
        _check_names(album, first, other)
        is_only_other_named = person(album, first).name is None and person(album, other).name
        kept = other if is_only_other_named else first
    return merge_people(album, kept, other if kept == first else first)


def same(album: Album, first: int, other: int) -> list[Change]:
    """Two faces are of one person; `InputError` as of `merge`, of their people, and `say_same`."""
    places = [placement(album, one) for one in (first, other)]
    if places[0] is not None and places[1] is not None:
        _check_names(album, places[0].person, places[1].person)
    return say_same(album, first, other)


def assign_to_new(album: Album, faces: Sequence[int], name: str) -> list[Change]:
    """Faces are together of someone new, who has a name.

    Raises
    ------
    InputError
        If there are no faces, the album has not all of them, or the name is blank.
    """
    chosen = _known(album, faces)
    clean = name.strip()
    if not clean:
        raise InputError("a blank name; give one that can be read.")
    # Not the name: it would stay in the history of whoever is forgotten.
    with action(album, f"{len(chosen)} faces are of someone new") as under_way:
        whose = under_way.new_person(clean)
        for one in chosen:
            under_way.place(one, whose, "user", 1.0)
        for one in chosen[1:]:
            under_way.decide("same", chosen[0], one)
        take_back_contradicted(under_way)
    return under_way.changes


def reject_faces(album: Album, faces: Sequence[int]) -> list[Change]:
    """Faces are not of the people they are placed at: they become undecided, and stay away.

    Raises
    ------
    InputError
        If there are no faces, or one of them is placed nowhere.
    """
    chosen = _known(album, faces)
    whose = {}
    for one in chosen:
        place = placement(album, one)
        if place is None:
            raise InputError(f"face {one} is undecided; there is nobody to take it from.")
        whose[one] = place.person
    with action(album, f"{len(chosen)} faces are not who they were placed at") as under_way:
        for one in chosen:
            under_way.place(one, None)
        for one in chosen:
            staying = representative(album, whose[one])
            if staying is not None:
                under_way.decide("different", one, staying)
        take_back_contradicted(under_way)
    return under_way.changes


def _check_names(album: Album, first: int, other: int) -> None:
    names = [person(album, one).name for one in (first, other)]
    if None not in names and names[0] != names[1]:
        raise InputError(
            f"person {first} is called {names[0]} and person {other} {names[1]}; merge them, and "
            f"say whose name stays: kept={first} or kept={other}."
        )


def _known(album: Album, faces: Sequence[int]) -> list[int]:
    if not faces:
        raise InputError("no faces; give at least one.")
    return [face(album, one).id for one in sorted(set(faces))]
