"""Deleting a person for good: nothing about them stays in the album's files."""

from facelink.album.library import Album, erase_features
from facelink.album.neighborhood import forget_neighbors
from facelink.album.queries import person

_MERGED = """
WITH RECURSIVE gone (id) AS (
    SELECT ? UNION SELECT people.id FROM people JOIN gone ON people.merged_into = gone.id
)
SELECT id FROM gone
"""


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
    album.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(faces)
