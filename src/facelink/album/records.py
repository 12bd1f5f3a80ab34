"""What an album holds, as plain records: photographs, faces, people, decisions and changes.

Ids are whole numbers that an album gives once and never again.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError

PhotoState = Literal["present", "missing", "unreadable"]
DecisionKind = Literal["same", "different", "not_a_face", "ignore"]
Placed = Literal["automatic", "user"]
Subject = Literal["face", "person", "decision"]

PAIR_DECISIONS: tuple[DecisionKind, ...] = ("same", "different")
"""Decisions about two faces; the others are about one."""

FieldValue = str | int | None
"""What a field of a person, a face's place or a decision can hold."""


@dataclass(frozen=True)
class Box:
    """Where a face is, in pixels of the photograph turned upright.

    Parameters
    ----------
    left, top, width, height : float
        The corner may lie outside the photograph; width and height are above 0.

    Raises
    ------
    InputError
        If the box has no area, or one of the numbers is missing.
    """

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        numbers = (self.left, self.top, self.width, self.height)
        if None in numbers:
            raise InputError(f"face box {numbers}: a number is missing.")
        if not (self.width > 0 and self.height > 0):
            raise InputError(
                f"face box at {self.left}, {self.top} of {self.width} × {self.height} pixels; both "
                "must be above 0."
            )


@dataclass(frozen=True)
class NewPhoto:
    """A photograph as a scan found it.

    Parameters
    ----------
    path : Path
        Absolute; one photograph of the album for each. Of a file that lies in several
        places, the place that was known first.
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change, in nanoseconds since 1970.
    content_hash : str
        Of the whole file; empty where it could not be read.
    width, height : int, optional
        Pixels, upright.
    state : str
        ``"present"``, ``"missing"`` or ``"unreadable"``.
    reason : str, optional
        Why it is unreadable.
    taken_at : str, optional
        When the camera took it, in its own time (ISO 8601), with an offset from UTC
        where it gave one.
    """

    path: Path
    size: int
    mtime_ns: int
    content_hash: str
    width: int | None = None
    height: int | None = None
    state: PhotoState = "present"
    reason: str | None = None
    taken_at: str | None = None


@dataclass(frozen=True)
class Photo(NewPhoto):
    """A photograph of the album.

    Parameters
    ----------
    id : int
        Its number.
    """

    id: int = field(kw_only=True)


@dataclass(frozen=True)
class Place:
    """A file where a photograph of the album is, or was when it was last seen.

    Parameters
    ----------
    photo : int
        Number of the photograph; other places have the same content.
    path : Path
        The file.
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change, in nanoseconds since 1970.
    content_hash : str
        Of the photograph; empty where it could never be read.
    state : str
        Of the photograph.
    is_copy : bool
        Whether it is one of the further places, not the photograph's own path.
    """

    photo: int
    path: Path
    size: int
    mtime_ns: int
    content_hash: str
    state: PhotoState
    is_copy: bool


@dataclass(frozen=True)
class LostFace:
    """A face that the user had said something about, gone with a photograph's old content.

    Parameters
    ----------
    face : int
        Its number.
    path : Path
        File whose content is another now.
    person : int, optional
        Whose face it was.
    name : str, optional
        What that person is called.
    n_decisions : int
        Decisions about it that were in force.
    """

    face: int
    path: Path
    person: int | None
    name: str | None
    n_decisions: int


@dataclass(frozen=True, eq=False)
class NewFace:
    """A face to add to an album.

    Parameters
    ----------
    feature : float32 (D,)
        Its embedding; normalised when it is added.
    box : Box, optional
        Where it is; None for a face that came without a photograph.
    landmarks : float32 (5, 2), optional
        Eyes, nose and corners of the mouth, in pixels of the upright photograph.
    detection_score : float, optional
        Of the detector, in [0, 1].
    sharpness : float, optional
        As the detector's side measures it; greater is sharper.
    size : float, optional
        Pixels across.
    junk_reasons : tuple of str
        Why nobody would recognise it; a junk face is kept but never placed.
    thumbnail : bytes, optional
        A small JPEG.
    external_id : str, optional
        What the face is called where it came from; one face of a model for each.
    """

    feature: NDArray[np.float32]
    box: Box | None = None
    landmarks: NDArray[np.float32] | None = None
    detection_score: float | None = None
    sharpness: float | None = None
    size: float | None = None
    junk_reasons: tuple[str, ...] = ()
    thumbnail: bytes | None = None
    external_id: str | None = None


@dataclass(frozen=True, eq=False)
class Face:
    """A face of the album. What is described at `NewFace` is not described again.

    Parameters
    ----------
    id : int
        Its number.
    photo : int, optional
        Photograph that it is in.
    model : int
        Embedding model whose features it has; faces of two models never meet.
    feature_row : int
        Row of that model's feature file.
    """

    id: int
    photo: int | None
    model: int
    feature_row: int
    box: Box | None
    landmarks: NDArray[np.float32] | None
    detection_score: float | None
    sharpness: float | None
    size: float | None
    junk_reasons: tuple[str, ...]
    external_id: str | None

    @property
    def is_junk(self) -> bool:
        """Whether it is kept but never placed."""
        return bool(self.junk_reasons)


@dataclass(frozen=True)
class EmbeddingModel:
    """A model that made features: its number, name and width D of its features."""

    id: int
    name: str
    n_features: int


@dataclass(frozen=True)
class Person:
    """Someone, or a group of faces that may be someone.

    Parameters
    ----------
    id : int
        Stays the same for ever.
    name : str, optional
        What the user calls them; a person with a name is never changed but to gain faces.
    is_hidden : bool
        Left out of lists.
    merged_into : int, optional
        The person that all faces of this one went to.
    n_faces : int
        Faces that are placed here.
    """

    id: int
    name: str | None
    is_hidden: bool
    merged_into: int | None
    n_faces: int


@dataclass(frozen=True)
class Placement:
    """Whom a face is of, who said so, and how surely.

    Parameters
    ----------
    face, person : int
        Their numbers.
    how : str
        ``"automatic"`` or ``"user"``.
    confidence : float, optional
        Probability in [0, 1]; None until an update has judged the place.
    """

    face: int
    person: int
    how: Placed
    confidence: float | None


@dataclass(frozen=True)
class Decision:
    """Something that the user said, kept for ever, undone or not.

    Parameters
    ----------
    id : int
        Its number; later ones are greater.
    kind : str
        ``"same"`` or ``"different"`` person, of two faces; ``"not_a_face"`` or
        ``"ignore"``, of one.
    face, other : int, int or None
        The faces it is about, the smaller id first.
    batch : int
        The action it was part of.
    is_undone : bool
        Whether the user took it back.
    """

    id: int
    kind: DecisionKind
    face: int
    other: int | None
    batch: int
    is_undone: bool


@dataclass(frozen=True)
class Change:
    """One field of one thing, before and after an action.

    Parameters
    ----------
    subject : str
        ``"face"``, ``"person"`` or ``"decision"``.
    subject_id : int
        Which.
    field : str
        ``"person"`` or ``"how"`` of a face; ``"name"``, ``"is_hidden"`` or ``"merged_into"`` of a
        person; ``"is_undone"`` of a decision.
    before, after : str, int or None
        Its value.
    """

    subject: Subject
    subject_id: int
    field: str
    before: FieldValue
    after: FieldValue


@dataclass(frozen=True)
class Batch:
    """One action, whose changes are undone together.

    Parameters
    ----------
    id : int
        Its number; later ones are greater.
    cause : str
        What was done, such as ``"update"`` or ``"name person 3"``.
    time : str
        When, in UTC (ISO 8601).
    undoes : int, optional
        The action that this one undid.
    undone_by : int, optional
        The action that undid this one.
    """

    id: int
    cause: str
    time: str
    undoes: int | None
    undone_by: int | None


@dataclass(frozen=True)
class Candidate:
    """A person whom an undecided face may be of, and how likely that is (in [0, 1])."""

    face: int
    person: int
    likelihood: float


@dataclass(frozen=True)
class Suggestion:
    """A question to the user: whether these two people are one.

    Parameters
    ----------
    person, other : int
        The two, the smaller id first.
    likelihood : float
        That they are one, in [0, 1].
    n_links : int
        Pairs of their faces that were compared.
    faces : tuple of (int, int)
        The pairs of their faces that speak most for it, the most likely first.
    """

    person: int
    other: int
    likelihood: float
    n_links: int
    faces: tuple[tuple[int, int], ...]
