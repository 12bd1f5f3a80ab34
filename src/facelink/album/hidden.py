"""Who and what the user does not want to see, and how it comes back."""

from collections.abc import Sequence

from facelink.album.history import action
from facelink.album.library import Album
from facelink.album.queries import person
from facelink.album.records import Change, Decision, Person
from facelink.errors import InputError

_ASIDE = """
SELECT id, kind, face, other, batch, is_undone FROM decisions
WHERE other IS NULL AND is_undone = 0
"""


def hidden_people(album: Album, *, limit: int = -1, offset: int = 0) -> list[Person]:
    """People who are left out of lists, the latest first; −1 is no limit."""
    rows = album.connection.execute(
        "SELECT id FROM people WHERE is_hidden = 1 AND merged_into IS NULL "
        "ORDER BY id DESC LIMIT ? OFFSET ?",
        (limit, offset),
    ).fetchall()
    return [person(album, row[0]) for row in rows]


def faces_set_aside(album: Album, *, limit: int = -1, offset: int = 0) -> list[Decision]:
    """Decisions that faces are none, or of no interest, the latest first; −1 is no limit."""
    rows = album.connection.execute(f"{_ASIDE} ORDER BY id DESC LIMIT ? OFFSET ?", (limit, offset))
    return [
        Decision(number, kind, face, other, batch, bool(is_undone))
        for number, kind, face, other, batch, is_undone in rows
    ]


def n_hidden(album: Album) -> int:
    """Number of people and faces that `hidden_people` and `faces_set_aside` list in all."""
    return album.count(
        "SELECT (SELECT count(*) FROM people WHERE is_hidden = 1 AND merged_into IS NULL) "
        "+ (SELECT count(*) FROM decisions WHERE other IS NULL AND is_undone = 0)"
    )


def bring_back(album: Album, faces: Sequence[int]) -> list[Change]:
    """Faces that were set aside are undecided again.

    Raises
    ------
    InputError
        If there are no faces, or one of them is not set aside.
    """
    chosen = sorted(set(faces))
    if not chosen:
        raise InputError("no faces to bring back; give at least one.")
    decided = {}
    for face in chosen:
        found = album.connection.execute(f"{_ASIDE} AND face = ?", (face,)).fetchall()
        if not found:
            raise InputError(f"face {face} is not set aside; there is nothing to bring back.")
        decided[face] = [row[0] for row in found]
    with action(album, f"{len(chosen)} faces brought back") as under_way:
        for decisions in decided.values():
            for decision in decisions:
                under_way.set_field("decision", decision, "is_undone", 1)
    return under_way.changes
