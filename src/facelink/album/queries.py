"""What an album holds, read from its tables."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facelink.album.library import Album
from facelink.album.records import (
    Box,
    Candidate,
    Decision,
    Face,
    Person,
    Photo,
    PhotoState,
    Place,
    Placement,
)
from facelink.errors import InputError

PeopleOrder = Literal["size", "doubt", "id"]

_PHOTO = (
    "SELECT id, path, size, mtime_ns, content_hash, width, height, state, reason, taken_at "
    "FROM photos"
)

_PLACES = """
SELECT id, path, size, mtime_ns, content_hash, state, 0 FROM photos UNION ALL
SELECT photos.id, copies.path, photos.size, copies.mtime_ns, content_hash, state, 1
FROM copies JOIN photos ON photos.id = copies.photo
"""

_FACE_COLUMNS = (
    "faces.id, faces.photo, faces.model, faces.feature_row, faces.box_left, faces.box_top, "
    "faces.box_width, faces.box_height, faces.landmarks, faces.detection_score, "
    "faces.sharpness, faces.size, faces.junk_reasons, faces.external_id"
)

_PERSON = """
SELECT people.id, people.name, people.is_hidden, people.merged_into, count(memberships.face)
FROM people LEFT JOIN memberships ON memberships.person = people.id
"""

_ORDERS: dict[PeopleOrder, str] = {
    "size": "count(memberships.face) DESC, people.id",
    "doubt": "min(memberships.confidence), people.id",
    "id": "people.id",
}

_UNDECIDED = """
FROM faces WHERE faces.junk_reasons IS NULL
AND NOT EXISTS (SELECT 1 FROM memberships WHERE memberships.face = faces.id)
AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.face = faces.id
    AND decisions.other IS NULL AND decisions.is_undone = 0)
"""


def photos(album: Album, *, state: PhotoState | None = None) -> list[Photo]:
    """All photographs, or those in one state, by path."""
    where, values = ("", ()) if state is None else (" WHERE state = ?", (state,))
    rows = album.connection.execute(f"{_PHOTO}{where} ORDER BY path", values)
    return [_photo(row) for row in rows]


def photo_at(album: Album, path: Path) -> Photo | None:
    """Photograph of a path, if the album knows it."""
    row = album.connection.execute(f"{_PHOTO} WHERE path = ?", (str(path),)).fetchone()
    return None if row is None else _photo(row)


def places(album: Album) -> list[Place]:
    """Files of all photographs, by photograph, its own path first and then copies by path."""
    rows = album.connection.execute(f"{_PLACES} ORDER BY 1, 7, 2")
    return [
        Place(photo, Path(path), size, mtime_ns, content_hash, state, bool(is_copy))
        for photo, path, size, mtime_ns, content_hash, state, is_copy in rows
    ]


def paths_of(album: Album, photo: int) -> list[Path]:
    """Every file with a photograph's content, its own path first."""
    rows = album.connection.execute(
        "SELECT path, 0 FROM photos WHERE id = :photo UNION ALL "
        "SELECT path, 1 FROM copies WHERE photo = :photo ORDER BY 2, 1",
        {"photo": photo},
    )
    return [Path(row[0]) for row in rows]


def face(album: Album, face_id: int) -> Face:
    """One face; `InputError` if the album has none of that number."""
    row = album.connection.execute(
        f"SELECT {_FACE_COLUMNS} FROM faces WHERE id = ?", (face_id,)
    ).fetchone()
    if row is None:
        raise InputError(f"the album has no face {face_id}; it may have been forgotten.")
    return _face(album, row)


def faces_of_photo(album: Album, photo: int) -> list[Face]:
    """Faces in a photograph, by number."""
    rows = album.connection.execute(
        f"SELECT {_FACE_COLUMNS} FROM faces WHERE photo = ? ORDER BY id", (photo,)
    )
    return [_face(album, row) for row in rows]


def thumbnail(album: Album, face_id: int) -> bytes | None:
    """JPEG of a face, if there is one."""
    row = album.connection.execute(
        "SELECT jpeg FROM thumbnails WHERE face = ?", (face_id,)
    ).fetchone()
    return None if row is None else bytes(row[0])


def people(
    album: Album,
    *,
    order: PeopleOrder = "size",
    with_hidden: bool = False,
    limit: int = -1,
    offset: int = 0,
) -> list[Person]:
    """People with faces or a name.

    Parameters
    ----------
    album
        Open.
    order
        ``"size"``: those with most faces first; ``"doubt"``: those with the
        least certain face first; ``"id"``.
    with_hidden
        Also those who are left out of lists.
    limit, offset
        A page; −1 is no limit.
    """
    hidden = "" if with_hidden else "AND people.is_hidden = 0"
    rows = album.connection.execute(
        f"{_PERSON} WHERE people.merged_into IS NULL {hidden} GROUP BY people.id "
        "HAVING count(memberships.face) > 0 OR people.name IS NOT NULL "
        f"ORDER BY {_ORDERS[order]} LIMIT ? OFFSET ?",
        (limit, offset),
    )
    return [_person(row) for row in rows]


def person(album: Album, person_id: int) -> Person:
    """One person; `InputError` if the album has none of that number."""
    row = album.connection.execute(
        f"{_PERSON} WHERE people.id = ? GROUP BY people.id", (person_id,)
    ).fetchone()
    if row is None:
        raise InputError(f"the album has no person {person_id}; they may have been forgotten.")
    return _person(row)


def placements(
    album: Album, person_id: int, *, limit: int = -1, offset: int = 0
) -> list[Placement]:
    """Faces of a person, the most doubtful first."""
    rows = album.connection.execute(
        "SELECT face, person, how, confidence FROM memberships WHERE person = ? "
        "ORDER BY confidence, face LIMIT ? OFFSET ?",
        (person_id, limit, offset),
    )
    return [Placement(*row) for row in rows]


def faces_of(album: Album, person_id: int) -> NDArray[np.int64]:
    """Numbers of a person's faces, int64 (S,), ascending."""
    rows = album.connection.execute(
        "SELECT face FROM memberships WHERE person = ? ORDER BY face", (person_id,)
    )
    return np.array([row[0] for row in rows], dtype=np.int64)


def placement(album: Album, face_id: int) -> Placement | None:
    """Whom a face is of; None while it is undecided."""
    row = album.connection.execute(
        "SELECT face, person, how, confidence FROM memberships WHERE face = ?", (face_id,)
    ).fetchone()
    return None if row is None else Placement(*row)


def representative(album: Album, person_id: int) -> int | None:
    """The face that most surely is of a person: one the user placed, or the most confident."""
    row = album.connection.execute(
        "SELECT face FROM memberships WHERE person = ? "
        "ORDER BY how = 'user' DESC, confidence DESC, face LIMIT 1",
        (person_id,),
    ).fetchone()
    return None if row is None else int(row[0])


def undecided(album: Album, *, limit: int = -1, offset: int = 0) -> list[Face]:
    """Faces that are placed nowhere, neither junk nor set aside by the user; by number."""
    rows = album.connection.execute(
        f"SELECT {_FACE_COLUMNS} {_UNDECIDED} ORDER BY faces.id LIMIT ? OFFSET ?", (limit, offset)
    )
    return [_face(album, row) for row in rows]


def n_undecided(album: Album) -> int:
    """Number of faces that `undecided` lists in all."""
    return album.count(f"SELECT count(*) {_UNDECIDED}")


def candidates(album: Album, face_id: int) -> list[Candidate]:
    """Whom an undecided face may be of, the likeliest first, as the last update saw it."""
    rows = album.connection.execute(
        "SELECT face, person, likelihood FROM candidates WHERE face = ? "
        "ORDER BY likelihood DESC, person",
        (face_id,),
    )
    return [Candidate(*row) for row in rows]


def decisions(album: Album, *, with_undone: bool = False) -> list[Decision]:
    """What the user decided, in order."""
    where = "" if with_undone else "WHERE is_undone = 0"
    rows = album.connection.execute(
        f"SELECT id, kind, face, other, batch, is_undone FROM decisions {where} ORDER BY id"
    )
    return [
        Decision(number, kind, first, other, batch, bool(is_undone))
        for number, kind, first, other, batch, is_undone in rows
    ]


def features_of(album: Album, found: Face) -> NDArray[np.float32]:
    """Feature of one face, (D,)."""
    model = next(model for model in album.models() if model.id == found.model)
    rows = album.feature_file(model).rows(album.n_rows(model))
    return np.array(rows[found.feature_row])


def _photo(row: tuple[Any, ...]) -> Photo:
    return Photo(Path(row[1]), *row[2:], id=row[0])


def _face(album: Album, row: tuple[Any, ...]) -> Face:
    try:
        return _checked_face(row)
    except (ValueError, TypeError, RecursionError) as error:
        raise album.damage("faces", row[0], str(error).rstrip(".")) from error


def _checked_face(row: tuple[Any, ...]) -> Face:
    face_id, photo, model, feature_row, left, top, width, height, landmarks, *rest = row
    score, sharpness, size, junk_reasons, external_id = rest
    return Face(
        id=face_id,
        photo=photo,
        model=model,
        feature_row=feature_row,
        box=None if left is None else Box(left, top, width, height),
        landmarks=None if landmarks is None else _landmarks(landmarks),
        detection_score=score,
        sharpness=sharpness,
        size=size,
        junk_reasons=() if junk_reasons is None else _junk_reasons(junk_reasons),
        external_id=external_id,
    )


def _landmarks(stored: bytes) -> NDArray[np.float32]:
    if len(stored) != 40:
        raise ValueError(f"landmarks of {len(stored)} bytes, not 40")
    return np.frombuffer(stored, dtype="<f4").reshape(5, 2)


def _junk_reasons(stored: str) -> tuple[str, ...]:
    reasons = json.loads(stored)
    if not isinstance(reasons, list) or not all(isinstance(one, str) for one in reasons):
        raise ValueError(f"junk_reasons={stored!r:.40}, no list of words")
    return tuple(reasons)


def _person(row: tuple[Any, ...]) -> Person:
    return Person(row[0], row[1], bool(row[2]), row[3], row[4])
