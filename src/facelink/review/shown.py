"""What the page shows of an album, as plain values for JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from facelink.album.evidence import Evidence
from facelink.album.hidden import faces_set_aside, hidden_people
from facelink.album.library import Album
from facelink.album.queries import (
    PeopleOrder,
    candidates,
    people,
    person,
    placements,
    representative,
    undecided,
)
from facelink.album.records import Person, Suggestion
from facelink.album.suggestions import SplitSuggestion, merge_suggestions
from facelink.review.undoing import chains, to_redo, to_undo

Shown = dict[str, Any]

_SIDE_FACES = 12
"""Faces shown of each side of a question."""

_NAMES = """
SELECT people.id, people.name, count(memberships.face) FROM people
LEFT JOIN memberships ON memberships.person = people.id
WHERE people.name IS NOT NULL AND people.merged_into IS NULL
AND instr(lower(people.name), lower(?)) > 0
GROUP BY people.id ORDER BY instr(lower(people.name), lower(?)), 3 DESC, people.name LIMIT ?
"""

_FILES = """
SELECT faces.id, photos.path, faces.external_id FROM faces
LEFT JOIN photos ON photos.id = faces.photo WHERE faces.id IN (SELECT value FROM json_each(?))
"""

_COUNTS = """
SELECT (SELECT count(*) FROM faces),
    (SELECT count(DISTINCT person) FROM memberships
        JOIN people ON people.id = person WHERE is_hidden = 0),
    (SELECT count(*) FROM people WHERE name IS NOT NULL AND merged_into IS NULL)
"""


def counts(album: Album) -> Shown:
    """Numbers of faces, people and names, and what undo and redo would do."""
    faces, n_people, names = album.connection.execute(_COUNTS).fetchone()
    return {"faces": faces, "people": n_people, "named": names, **undo_state(album)}


def undo_state(album: Album) -> Shown:
    """What undo and redo would do; None for nothing."""
    undoing, redoing = to_undo(album), to_redo(album)
    return {
        "undo": None if undoing is None else undoing.cause,
        "redo": None if redoing is None else redoing.cause,
    }


def people_page(album: Album, order: PeopleOrder, limit: int, offset: int) -> list[Shown]:
    """People of a page of the grid."""
    found = people(album, order=order, limit=limit, offset=offset)
    return [_shown_person(album, one) for one in found]


def person_page(album: Album, person_id: int, limit: int, offset: int) -> Shown:
    """One person with a page of faces, the most doubtful first."""
    places = placements(album, person_id, limit=limit, offset=offset)
    files = _files(album, [one.face for one in places])
    faces = [
        {
            "id": one.face,
            "how": one.how,
            "confidence": one.confidence,
            "file": files[one.face],
        }
        for one in places
    ]
    return {**_shown_person(album, person(album, person_id)), "faces": faces}


def pairs(album: Album, evidence: Evidence, limit: int, offset: int) -> list[Shown]:
    """Questions whether two people are one, with what speaks for it."""
    found = merge_suggestions(album, evidence, limit=limit, offset=offset)
    return [_shown_pair(album, one) for one in found]


def split(album: Album, found: SplitSuggestion) -> Shown:
    """Show the question whether one person is two: both sides of the weakest cut."""
    part = set(found.faces)
    members = [place.face for place in placements(album, found.person)]
    rest = [face for face in members if face not in part]
    return {
        "person": _shown_person(album, person(album, found.person)),
        "likelihood": found.likelihood,
        "part": list(found.faces),
        "part_shown": list(found.faces)[:_SIDE_FACES],
        "rest_shown": rest[:_SIDE_FACES],
        "n_rest": len(rest),
    }


def undecided_page(album: Album, limit: int, offset: int) -> list[Shown]:
    """Faces of nobody yet, with whom they may be of."""
    waiting = undecided(album, limit=limit, offset=offset)
    files = _files(album, [face.id for face in waiting])
    return [
        {
            "id": face.id,
            "file": files[face.id],
            "candidates": [
                {
                    **_shown_person(album, person(album, one.person)),
                    "likelihood": one.likelihood,
                }
                for one in candidates(album, face.id)
            ],
        }
        for face in waiting
    ]


def names(album: Album, text: str, limit: int) -> list[Shown]:
    """People whose names contain a text, those that begin with it first."""
    rows = album.connection.execute(_NAMES, (text, text, limit))
    return [{"id": number, "name": name, "n_faces": n_faces} for number, name, n_faces in rows]


def history(album: Album, limit: int, offset: int) -> list[Shown]:
    """Actions of a page, the latest first, and whether they are in force."""
    return [asdict(chain) for chain in chains(album, limit=limit, offset=offset)]


def hidden_page(album: Album, limit: int, offset: int) -> list[Shown]:
    """People of a page of those who are left out of lists."""
    return [_shown_person(album, one) for one in hidden_people(album, limit=limit, offset=offset)]


def aside_page(album: Album, limit: int, offset: int) -> list[Shown]:
    """Faces of a page of those that were set aside."""
    found = faces_set_aside(album, limit=limit, offset=offset)
    return [{"id": one.face, "kind": one.kind} for one in found]


def _files(album: Album, faces: list[int]) -> dict[int, str | None]:
    """What each face's photograph is called, without its folder, or else the face itself."""
    rows = album.connection.execute(_FILES, (json.dumps(faces),))
    return {
        face: external_id if path is None else Path(path).name for face, path, external_id in rows
    }


def _shown_person(album: Album, one: Person) -> Shown:
    return {
        "id": one.id,
        "name": one.name,
        "n_faces": one.n_faces,
        "is_hidden": one.is_hidden,
        "face": representative(album, one.id),
        "least": album.connection.execute(
            "SELECT min(confidence) FROM memberships WHERE person = ?", (one.id,)
        ).fetchone()[0],
    }


def _shown_pair(album: Album, one: Suggestion) -> Shown:
    return {
        "likelihood": one.likelihood,
        "n_links": one.n_links,
        "evidence": [list(pair) for pair in one.faces],
        "people": [
            {
                **_shown_person(album, person(album, side)),
                "faces": [place.face for place in placements(album, side)[-_SIDE_FACES:]][::-1],
            }
            for side in (one.person, one.other)
        ],
    }
