"""Where an album's photographs lie: moved, copied, or overwritten by one another.

A photograph is one content. Files of the same content are its places, and its faces are in the
album once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from facelink.album.decisions import take_back_contradicted
from facelink.album.history import Action, action
from facelink.album.library import Album, erase_features
from facelink.album.queries import faces_of_photo
from facelink.album.records import LostFace
from facelink.photos.records import PhotoFile

_LOST = """
SELECT faces.id, photos.path, memberships.person, people.name,
    (SELECT count(*) FROM decisions WHERE face = faces.id AND is_undone = 0)
    + (SELECT count(*) FROM decisions WHERE other = faces.id AND is_undone = 0) AS n_decisions
FROM faces JOIN photos ON photos.id = faces.photo
LEFT JOIN memberships ON memberships.face = faces.id
LEFT JOIN people ON people.id = memberships.person
WHERE faces.id = ? AND (n_decisions > 0 OR memberships.how = 'user')
"""

_DOUBLES = """
SELECT content_hash, id FROM photos
WHERE content_hash IN (
    SELECT content_hash FROM photos WHERE content_hash <> ''
    GROUP BY content_hash HAVING count(*) > 1
)
ORDER BY content_hash, state <> 'present', id
"""


@dataclass(frozen=True)
class Arrangement:
    """Every file of one photograph.

    Parameters
    ----------
    photo : int
        Its number.
    files : tuple of PhotoFile
        The one that is its own path first; at least one.
    is_there : bool
        Whether these files hold its content now; if not, the only one is where it
        was last seen.
    """

    photo: int
    files: tuple[PhotoFile, ...]
    is_there: bool = True


def lost_faces(album: Album, faces: Sequence[int]) -> list[LostFace]:
    """List those of some faces that the user has placed or decided something about."""
    rows = [album.connection.execute(_LOST, (face,)).fetchone() for face in faces]
    return [LostFace(row[0], Path(row[1]), *row[2:]) for row in rows if row is not None]


def arrange_places(album: Album, arranged: Sequence[Arrangement]) -> list[LostFace]:
    """Write down where photographs are, all or none of it.

    Paths may change hands among them in any way. A photograph that is not among
    them and whose path one of them takes is overwritten: it leaves the album with
    its faces.

    Parameters
    ----------
    album
        Open for writing.
    arranged
        Each photograph and each path at most once.

    Returns
    -------
    list of LostFace
        Faces of overwritten photographs that the user had said something about.
    """
    lost: list[LostFace] = []
    photos = [(one.photo,) for one in arranged]
    with album.transaction() as connection:
        connection.executemany("DELETE FROM copies WHERE photo = ?", photos)
        # A number is no absolute path, so that nobody has it.
        connection.executemany("UPDATE photos SET path = id WHERE id = ?", photos)
        for one in arranged:
            for file in one.files:
                lost += _make_room(album, file.path)
            _write_places(album, one)
    erase_features(album)
    return lost


def add_copies(
    album: Album, files: Sequence[tuple[PhotoFile, str]], lost: list[LostFace]
) -> list[PhotoFile]:
    """Make files places of the photographs with their contents.

    Parameters
    ----------
    album
        Open for writing.
    files
        New to the album, with their content hashes.
    lost
        As `arrange_places` returns them; more are appended.

    Returns
    -------
    list of PhotoFile
        Files whose content the album does not have.
    """
    alone = []
    with album.transaction() as connection:
        for file, digest in files:
            row = connection.execute(
                "SELECT id FROM photos WHERE content_hash = ? AND state = 'present'", (digest,)
            ).fetchone()
            if row is None:
                alone.append(file)
            else:
                lost += _make_room(album, file.path)
                connection.execute(
                    "INSERT INTO copies VALUES (?, ?, ?)", (str(file.path), row[0], file.mtime_ns)
                )
    erase_features(album)
    return alone


def fold_doubles(album: Album) -> int:
    """Make photographs of one content one photograph; what the user said of any of them holds.

    Albums of an earlier version kept every file as a photograph, with faces of
    its own.

    Returns
    -------
    int
        Photographs that became places of others.
    """
    rows = album.connection.execute(_DOUBLES).fetchall()
    if not rows:
        return 0
    n_folded = 0
    with action(album, "copies of a photograph are one photograph") as under_way:
        for _, same in groupby(rows, key=lambda row: str(row[0])):
            (_, kept), *others = same
            for _, other in others:
                _fold(under_way, kept, other)
            n_folded += len(others)
        take_back_contradicted(under_way)
    erase_features(album)
    return n_folded


def _make_room(album: Album, path: Path) -> list[LostFace]:
    """Take a path from the photograph that has it."""
    connection = album.connection
    connection.execute("DELETE FROM copies WHERE path = ?", (str(path),))
    row = connection.execute("SELECT id FROM photos WHERE path = ?", (str(path),)).fetchone()
    if row is None:
        return []
    faces = [face.id for face in faces_of_photo(album, row[0])]
    lost = lost_faces(album, faces)
    connection.execute("DELETE FROM faces WHERE photo = ?", row)
    connection.execute("DELETE FROM photos WHERE id = ?", row)
    return lost


def _write_places(album: Album, arranged: Arrangement) -> None:
    first, *copies = arranged.files
    if arranged.is_there:
        album.connection.execute(
            "UPDATE photos SET path = ?, size = ?, mtime_ns = ?, state = 'present', reason = NULL "
            "WHERE id = ?",
            (str(first.path), first.size, first.mtime_ns, arranged.photo),
        )
    else:
        album.connection.execute(
            "UPDATE photos SET path = ? WHERE id = ?", (str(first.path), arranged.photo)
        )
    album.connection.executemany(
        "INSERT INTO copies (path, photo, mtime_ns) VALUES (?, ?, ?)",
        [(str(copy.path), arranged.photo, copy.mtime_ns) for copy in copies],
    )


def _fold(under_way: Action, kept: int, other: int) -> None:
    """Make one photograph a place of another of the same content."""
    album, connection = under_way.album, under_way.album.connection
    twins = {(face.model, face.box): face.id for face in faces_of_photo(album, kept)}
    for face in faces_of_photo(album, other):
        twin = twins.get((face.model, face.box))
        if twin is None:
            connection.execute("UPDATE faces SET photo = ? WHERE id = ?", (kept, face.id))
        else:
            _fold_face(under_way, twin, face.id)
    connection.execute("UPDATE copies SET photo = ? WHERE photo = ?", (kept, other))
    path, mtime_ns, state = connection.execute(
        "DELETE FROM photos WHERE id = ? RETURNING path, mtime_ns, state", (other,)
    ).fetchone()
    if state == "present":
        connection.execute("INSERT INTO copies VALUES (?, ?, ?)", (path, kept, mtime_ns))


def _fold_face(under_way: Action, kept: int, other: int) -> None:
    """Give a face the place of its twin, where that is surer, and its decisions."""
    connection = under_way.album.connection
    (whose, how), (mine, my_how) = under_way.place_of(other), under_way.place_of(kept)
    if whose is not None and (mine is None or (how == "user" != my_how)):
        under_way.place(kept, whose, "user" if how == "user" else "automatic")
    under_way.place(other, None)
    decisions = connection.execute(
        "SELECT id, face, other FROM decisions WHERE ? IN (face, other)", (other,)
    ).fetchall()
    for decision, *ends in decisions:
        about = sorted({kept if end == other else end for end in ends if end is not None})
        if len(about) == sum(end is not None for end in ends):
            face, second = about[0], about[1] if len(about) > 1 else None
            connection.execute(
                "UPDATE decisions SET face = ?, other = ? WHERE id = ?", (face, second, decision)
            )
    connection.execute("DELETE FROM faces WHERE id = ?", (other,))
