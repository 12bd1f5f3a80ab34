"""The faces of an album as every export sees them, read once."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facelink.album.library import Album
from facelink.album.records import Box
from facelink.errors import InputError

FaceState = Literal["person", "hidden", "undecided", "not_a_face", "ignored", "junk"]
"""Where a face stands: with a person, or one who is left out of lists; with nobody yet; set aside
by the user; or not placed because nobody would recognise it."""

_FACES = """
SELECT faces.id, photos.path, faces.box_left, faces.box_top, faces.box_width, faces.box_height,
    faces.junk_reasons IS NOT NULL, memberships.person, people.name, people.is_hidden,
    memberships.confidence, memberships.how = 'user', faces.external_id,
    (SELECT kind FROM decisions WHERE decisions.face = faces.id AND decisions.other IS NULL
        AND decisions.is_undone = 0 ORDER BY decisions.id DESC LIMIT 1)
FROM faces LEFT JOIN photos ON photos.id = faces.photo
LEFT JOIN memberships ON memberships.face = faces.id
LEFT JOIN people ON people.id = memberships.person
ORDER BY photos.path, faces.id
"""

_WHOLE_NAMES = """
WITH RECURSIVE found (id, merged_into) AS (
    SELECT id, merged_into FROM people WHERE {condition}
    UNION SELECT people.id, people.merged_into FROM people JOIN found
        ON people.id = found.merged_into
)
SELECT id FROM found WHERE merged_into IS NULL
"""

_MAX_NAMES_IN_MESSAGE = 5


@dataclass(frozen=True)
class ExportedFace:
    """A face, where it is and whose.

    Parameters
    ----------
    face : int
        Its number in the album.
    photo : Path, optional
        The photograph; None for a face that came without one.
    box : Box, optional
        Where it is, in pixels of the upright photograph.
    state : str
        See `FaceState`.
    person : int, optional
        Whose it is; None if it is placed nowhere.
    name : str, optional
        What the user calls the person.
    confidence : float, optional
        Probability in [0, 1] that the place is right; None until an update has judged it.
    is_decided : bool
        Whether the user put it there, or set it aside.
    external_id : str, optional
        What the face is called where it came from.
    """

    face: int
    photo: Path | None
    box: Box | None
    state: FaceState
    person: int | None
    name: str | None
    confidence: float | None
    is_decided: bool
    external_id: str | None


@dataclass(frozen=True)
class ExportedPerson:
    """A person and their faces, by photograph and number.

    Parameters
    ----------
    person : int
        Their number.
    name : str, optional
        What the user calls them.
    faces : tuple of ExportedFace
        At least one.
    """

    person: int
    name: str | None
    faces: tuple[ExportedFace, ...]

    @property
    def title(self) -> str:
        """The name, or the number of someone without."""
        return f"person {self.person}" if self.name is None else self.name


def read_faces(album: Album) -> list[ExportedFace]:
    """All faces of an album, ordered by photograph and number."""
    return [_exported(row) for row in album.connection.execute(_FACES)]


def find_people(album: Album, wanted: Sequence[str]) -> frozenset[int]:
    """Numbers of the people who are called so, or have these numbers.

    A name is compared as it is written; everyone who has it is meant. A person who was
    merged into another stands for that one.

    Raises
    ------
    InputError
        If nobody is called so.
    """
    found: set[int] = set()
    for text in wanted:
        people = _numbers(album, "name = ?", text)
        if not people and text.isdecimal():
            people = _numbers(album, "id = ?", int(text))
        if not people:
            raise InputError(f"nobody in the album is called {text!r}; {_known_names(album)}.")
        found.update(people)
    return frozenset(found)


def chosen_faces(
    faces: Iterable[ExportedFace], people: Collection[int] | None = None, min_faces: int = 1
) -> list[ExportedFace]:
    """Leave out what the user does not want.

    Parameters
    ----------
    faces
        Of the whole album.
    people
        Only faces of these; by default all faces, whether placed or not.
    min_faces
        People without a name need so many faces.
    """
    every = list(faces)
    n_faces = Counter(face.person for face in every)
    return [
        face
        for face in every
        if (people is None or face.person in people)
        and (face.person is None or face.name is not None or n_faces[face.person] >= min_faces)
    ]


def people_of(faces: Iterable[ExportedFace]) -> list[ExportedPerson]:
    """Gather faces by person, those with most faces first; faces of nobody are left out."""
    groups: dict[int, list[ExportedFace]] = {}
    for face in faces:
        if face.person is not None:
            groups.setdefault(face.person, []).append(face)
    people = [
        ExportedPerson(person, members[0].name, tuple(members))
        for person, members in groups.items()
    ]
    return sorted(people, key=lambda one: (-len(one.faces), one.person))


def _numbers(album: Album, condition: str, value: str | int) -> list[int]:
    query = _WHOLE_NAMES.format(condition=condition)
    return [row[0] for row in album.connection.execute(query, (value,))]


def _known_names(album: Album) -> str:
    rows = album.connection.execute(
        "SELECT DISTINCT name FROM people WHERE name IS NOT NULL AND merged_into IS NULL "
        "ORDER BY name"
    ).fetchall()
    if not rows:
        return "no person has a name yet, give numbers of facelink album people"
    names = ", ".join(row[0] for row in rows[:_MAX_NAMES_IN_MESSAGE])
    more = len(rows) - _MAX_NAMES_IN_MESSAGE
    return f"there are {names}" + (f" and {more} more names" if more > 0 else "")


def _exported(row: tuple[Any, ...]) -> ExportedFace:
    face, path, left, top, width, height, is_junk, person, name, is_hidden, *rest = row
    confidence, is_placed_by_user, external_id, aside = rest
    return ExportedFace(
        face=face,
        photo=None if path is None else Path(path),
        box=None if left is None else Box(left, top, width, height),
        state=_state(person, bool(is_hidden), aside, bool(is_junk)),
        person=person,
        name=name,
        confidence=confidence,
        is_decided=bool(is_placed_by_user) or (person is None and aside is not None),
        external_id=external_id,
    )


def _state(person: int | None, is_hidden: bool, aside: str | None, is_junk: bool) -> FaceState:
    if person is not None:
        return "hidden" if is_hidden else "person"
    if aside is not None:
        return "not_a_face" if aside == "not_a_face" else "ignored"
    return "junk" if is_junk else "undecided"
