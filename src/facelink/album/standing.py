"""Where an update starts: each face's person, and what the user decided about it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelink.album.library import Album
from facelink.album.neighborhood import Neighborhood
from facelink.merging.placing import FREE

_PLACES = """
SELECT memberships.face, memberships.person, people.name IS NOT NULL
FROM memberships JOIN people ON people.id = memberships.person
"""


@dataclass(frozen=True, eq=False)
class Standing:
    """What is settled about the faces of a neighbourhood, in its order.

    Parameters
    ----------
    people : int64 (N,)
        Person of each face; −1 for none.
    is_named : bool (N,)
        Faces of people with names.
    is_set_aside : bool (N,)
        Faces that the user does not want placed.
    same, different : int64 (M, 2) and (C, 2)
        Places of faces that are one person, or two.
    """

    people: NDArray[np.int64]
    is_named: NDArray[np.bool_]
    is_set_aside: NDArray[np.bool_]
    same: NDArray[np.int64]
    different: NDArray[np.int64]


def standing_of(album: Album, found: Neighborhood) -> Standing:
    """Read people and decisions; those about faces that are not compared are left out."""
    n = len(found.faces)
    people = np.full(n, FREE, dtype=np.int64)
    is_named = np.zeros(n, dtype=np.bool_)
    places = np.array(album.connection.execute(_PLACES).fetchall(), dtype=np.int64).reshape(-1, 3)
    at = found.positions(places[:, 0])
    people[at[at >= 0]] = places[at >= 0, 1]
    is_named[at[at >= 0]] = places[at >= 0, 2] == 1
    is_set_aside = np.zeros(n, dtype=np.bool_)
    aside = np.array(
        album.connection.execute(
            "SELECT face FROM decisions WHERE other IS NULL AND is_undone = 0"
        ).fetchall(),
        dtype=np.int64,
    ).reshape(-1)
    at = found.positions(aside)
    is_set_aside[at[at >= 0]] = True
    return Standing(
        people, is_named, is_set_aside, _pairs(album, found, "same"),
        _pairs(album, found, "different"),
    )  # fmt: skip


def _pairs(album: Album, found: Neighborhood, kind: str) -> NDArray[np.int64]:
    rows = album.connection.execute(
        "SELECT face, other FROM decisions WHERE kind = ? AND is_undone = 0", (kind,)
    ).fetchall()
    pairs = found.positions(np.array(rows, dtype=np.int64).reshape(-1)).reshape(-1, 2)
    known: NDArray[np.int64] = pairs[(pairs >= 0).all(axis=1)]
    return known
