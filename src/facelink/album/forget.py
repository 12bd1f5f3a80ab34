"""Deleting a person for good: nothing about them stays in the album's files."""

import sqlite3
from collections.abc import Sequence

from facelink.album.library import Album, erase_features
from facelink.album.neighborhood import forget_neighbors
from facelink.album.queries import person
from facelink.errors import OutputError

_MERGED = """
WITH RECURSIVE gone (id) AS (
    SELECT ? UNION SELECT people.id FROM people JOIN gone ON people.merged_into = gone.id
)
SELECT id FROM gone
"""

_NAMES = """
SELECT name FROM people WHERE id = :person
UNION SELECT before FROM history WHERE subject = 'person' AND field = 'name'
    AND subject_id = :person
UNION SELECT after FROM history WHERE subject = 'person' AND field = 'name'
    AND subject_id = :person
"""

_NAMING = " faces are of "
"""What stood before a name at the end of an action's cause, as earlier versions wrote it."""


def forget_person(album: Album, person_id: int) -> int:
    """Delete a person, those who were merged into them, and all their faces.

    Rows, features, thumbnails, decisions and history are overwritten, not only
    marked as free, and nothing of them stays in what was computed from the
    features. The photographs stay where they are and are not looked at again unless they
    change. This cannot be undone.

    Parameters
    ----------
    album
        Open for writing.
    person_id
        Whom to forget.

    Returns
    -------
    int
        Faces that were deleted.

    Raises
    ------
    InputError
        If there is no such person.
    OutputError
        If another process reads the album all the while: what it sees stays on the disk until it
        has ended.
    """
    person(album, person_id)
    people = album.connection.execute(_MERGED, (person_id,)).fetchall()
    faces = [
        row
        for one in people
        for row in album.connection.execute("SELECT face FROM memberships WHERE person = ?", one)
    ]
    for model in album.models():  # first: what is computed again may be missing, but not stay
        forget_neighbors(album, model, [face for (face,) in faces])
    with album.transaction() as connection:
        for face in faces:
            connection.execute(
                "DELETE FROM history WHERE subject = 'decision' AND subject_id IN "
                "(SELECT id FROM decisions WHERE ? IN (face, other))",
                face,
            )
            connection.execute(
                "DELETE FROM history WHERE subject = 'face' AND subject_id = ?", face
            )
            connection.execute("DELETE FROM faces WHERE id = ?", face)
        _take_names_from_causes(connection, people)
        connection.executemany(
            "DELETE FROM history WHERE subject = 'person' AND subject_id = ?", people
        )
        connection.executemany(
            "DELETE FROM history WHERE field IN ('person', 'merged_into') AND ? IN (before, after)",
            people,
        )
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.executemany("DELETE FROM people WHERE id = ?", people)
    erase_features(album)
    album.connection.execute("VACUUM")
    (is_busy, *_) = album.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:  # no exception of SQLite's: it waited for the reader, and gave up
        raise OutputError(
            f"person {person_id} is deleted, but what was known of them is still in the files of "
            f"{album.folder}, which another process reads. End it, and run any command that "
            "writes, such as facelink album update: it removes the rest."
        )
    return len(faces)


def _take_names_from_causes(connection: sqlite3.Connection, people: Sequence[tuple[int]]) -> None:
    """Say "someone" in causes that end with a name that one of these people has or had."""
    endings = tuple(
        _NAMING + name
        for (one,) in people
        for (name,) in connection.execute(_NAMES, {"person": one})
        if isinstance(name, str)
    )
    for batch, cause in connection.execute("SELECT id, cause FROM batches").fetchall():
        if cause.endswith(endings):
            unnamed = cause.partition(_NAMING)[0] + _NAMING + "someone"
            connection.execute("UPDATE batches SET cause = ? WHERE id = ?", (unnamed, batch))
