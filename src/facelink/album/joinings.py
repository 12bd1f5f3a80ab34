"""From labels to people: who stays of each group, and whom it gains."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelink.album.standing import Standing
from facelink.merging.placing import FREE


@dataclass(frozen=True)
class Joining:
    """Faces that join one person, and the people who become part of them.

    Parameters
    ----------
    person : int, optional
        None for someone new.
    faces : tuple of int
        Undecided faces that join.
    merged : tuple of int
        People whose faces all join.
    """

    person: int | None
    faces: tuple[int, ...]
    merged: tuple[int, ...]


def survivors(labels: NDArray[np.int64], standing: Standing) -> NDArray[np.int64]:
    """Person that stays of each label, (C,); −1 where it holds none.

    One with a name comes first, then the one with most faces, then the oldest.

    Parameters
    ----------
    labels : int64 (N,)
        Group of each face, consecutive from 0.
    standing
        Whose faces they are.
    """
    survivor = np.full(labels.max(initial=-1) + 1, FREE, dtype=np.int64)
    known = np.flatnonzero(standing.people != FREE)
    people, first, sizes = np.unique(standing.people[known], return_index=True, return_counts=True)
    is_named = standing.is_named[known[first]]
    worst_first = np.lexsort((-people, sizes, is_named))
    survivor[labels[known[first]][worst_first]] = people[worst_first]
    return survivor


def is_joining(
    labels: NDArray[np.int64], person_of_label: NDArray[np.int64], standing: Standing
) -> NDArray[np.bool_]:
    """Faces, (N,), that get another person than they have."""
    survivor = person_of_label[labels]
    is_new = (survivor == FREE) & (np.bincount(labels)[labels] > 1)
    differs: NDArray[np.bool_] = (standing.people != survivor) | is_new
    return differs


def joinings_of(
    labels: NDArray[np.int64],
    person_of_label: NDArray[np.int64],
    joins: NDArray[np.bool_],
    faces: NDArray[np.int64],
    standing: Standing,
) -> tuple[Joining, ...]:
    """What each person gains, new people last.

    Parameters
    ----------
    labels : int64 (N,)
        Group of each face.
    person_of_label : int64 (C,)
        From `survivors`.
    joins : bool (N,)
        From `is_joining`.
    faces : int64 (N,)
        Numbers of the faces.
    standing
        Whose faces they are.
    """
    members: dict[int, list[int]] = {}
    for place in np.flatnonzero(joins).tolist():
        members.setdefault(int(labels[place]), []).append(place)
    joinings = []
    for label, places in members.items():
        here = np.array(places)
        was = standing.people[here]
        person = int(person_of_label[label])
        joinings.append(
            Joining(
                None if person == FREE else person,
                tuple(faces[here[was == FREE]].tolist()),
                tuple(np.unique(was[was != FREE]).tolist()),
            )
        )
    return tuple(sorted(joinings, key=lambda one: (one.person is None, one.person or 0, one.faces)))
