"""Photographs and faces that come into an album."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facelink.album.features_file import FeatureFile
from facelink.album.library import Album, erase_features
from facelink.album.queries import faces_of_photo, photo_at, thumbnail
from facelink.album.records import Box, EmbeddingModel, NewFace, NewPhoto
from facelink.errors import InputError
from facelink.features import normalize_features

_Look = tuple[Box | None, bytes] | None
"""Box and thumbnail of a face; None where there is no picture to compare."""

_FACE = """
INSERT INTO faces (photo, model, feature_row, box_left, box_top, box_width, box_height, landmarks,
    detection_score, sharpness, size, junk_reasons, external_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_PHOTO = """
INSERT INTO photos (path, size, mtime_ns, content_hash, width, height, state, reason, taken_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,
    content_hash = excluded.content_hash, width = excluded.width, height = excluded.height,
    state = excluded.state, reason = excluded.reason, taken_at = excluded.taken_at
RETURNING id
"""


def embedding_model(album: Album, name: str, n_features: int) -> EmbeddingModel:
    """Find the embedding model of a name, or make it known.

    Parameters
    ----------
    album
        Open for writing.
    name
        What the model is called; faces of two models never meet.
    n_features
        Width D of its features.

    Raises
    ------
    InputError
        If the album knows it with another width.
    """
    known = next((model for model in album.models() if model.name == name), None)
    if known is None:
        with album.transaction() as connection:
            row = connection.execute(
                "INSERT INTO models (name, n_features) VALUES (?, ?) RETURNING id",
                (name, n_features),
            ).fetchone()
            known = EmbeddingModel(row[0], name, n_features)
            FeatureFile.create(album.feature_path(known.id), n_features)
    if known.n_features != n_features:
        raise InputError(
            f"embedding model {name!r} has {known.n_features} features in this album, but "
            f"{n_features} are given; give the other model a name of its own."
        )
    return known


def add_photo(
    album: Album, photo: NewPhoto, model: EmbeddingModel, faces: Sequence[NewFace]
) -> list[int]:
    """`add_photos` for one photograph."""
    return add_photos(album, model, [(photo, faces)])


def add_photos(
    album: Album,
    model: EmbeddingModel,
    photos: Sequence[tuple[NewPhoto, Sequence[NewFace]]],
    *,
    keep_known: bool = False,
) -> list[int]:
    """Add photographs with their faces, all or none of them.

    Parameters
    ----------
    album
        Open for writing.
    model
        That made the features.
    photos
        Files, readable or not, with the faces in them. What a path had before
        is replaced, its faces with their places and decisions included, except
        for those that look the same (see `replaced_faces`).
    keep_known
        Replace nothing; leave out faces whose external id is known.

    Returns
    -------
    list of int
        Numbers of the faces that were added.

    Raises
    ------
    InputError
        If a feature is not of the model's width or has no direction.
    OutputError
        If they cannot be written; nothing is changed then.
    """
    if keep_known:
        seen = _external_ids(album, model)
        unseen = [(photo, _unseen(faces, seen)) for photo, faces in photos]
        return _add(album, model, unseen, [], keep_known=True)
    replaced: list[int] = []
    news: list[tuple[NewPhoto, Sequence[NewFace]]] = []
    for photo, faces in photos:
        old = {look for _, look in _faces_at(album, model, photo.path)} - {None}
        news.append((photo, [face for face in faces if _look(face) not in old]))
        replaced += replaced_faces(album, model, photo.path, faces)
    return _add(album, model, news, replaced)


def replaced_faces(
    album: Album, model: EmbeddingModel, path: Path, faces: Sequence[NewFace]
) -> list[int]:
    """Faces of a photograph that are not among those found in its new content.

    A face with the same box and the same thumbnail, byte for byte, is among them:
    programs that write a title or a rating into a file leave its pixels alone.
    """
    looks = {_look(face) for face in faces} - {None}
    return [face for face, look in _faces_at(album, model, path) if look not in looks]


def add_faces(album: Album, model: EmbeddingModel, faces: Sequence[NewFace]) -> list[int]:
    """Add faces that come without photographs; those whose external id is known are left out.

    Parameters
    ----------
    album
        Open for writing.
    model
        That made the features.
    faces
        The faces.

    Returns
    -------
    list of int
        Numbers of the faces that were added.

    Raises
    ------
    InputError, OutputError
        As `add_photos` does.
    """
    return _add(album, model, [(None, _unseen(faces, _external_ids(album, model)))], [])


def record_photos(album: Album, photos: Sequence[NewPhoto]) -> None:
    """Write down files' states, sizes, times or hashes, all or none; their faces stay."""
    with album.transaction():
        for photo in photos:
            _insert_photo(album, photo)


def _external_ids(album: Album, model: EmbeddingModel) -> set[str]:
    rows = album.connection.execute(
        "SELECT external_id FROM faces WHERE model = ? AND external_id IS NOT NULL", (model.id,)
    )
    return {row[0] for row in rows}


def _unseen(faces: Sequence[NewFace], seen: set[str]) -> list[NewFace]:
    """Faces whose external id is not among those seen, which theirs are added to."""
    news = []
    for new in faces:
        if new.external_id is None or new.external_id not in seen:
            news.append(new)
        if new.external_id is not None:
            seen.add(new.external_id)
    return news


def _look(face: NewFace) -> _Look:
    return None if face.thumbnail is None else (face.box, face.thumbnail)


def _faces_at(album: Album, model: EmbeddingModel, path: Path) -> list[tuple[int, _Look]]:
    """Faces in the photograph of a path, and what those of this model look like."""
    photo = photo_at(album, path)
    faces = [] if photo is None else faces_of_photo(album, photo.id)
    looks: list[tuple[int, _Look]] = []
    for face in faces:
        picture = thumbnail(album, face.id) if face.model == model.id else None
        looks.append((face.id, None if picture is None else (face.box, picture)))
    return looks


def _add(
    album: Album,
    model: EmbeddingModel,
    photos: Sequence[tuple[NewPhoto | None, Sequence[NewFace]]],
    replaced: list[int],
    *,
    keep_known: bool = False,
) -> list[int]:
    """Features first, on the disk; then the rows that refer to them, in one transaction."""
    n_rows = album.n_rows(model)
    faces = [new for _, found in photos for new in found]
    if faces:
        features = normalize_features(_stacked(faces, model))
        album.feature_file(model).append(n_rows, features)
    ids: list[int] = []
    with album.transaction() as connection:
        connection.executemany("DELETE FROM faces WHERE id = ?", [(face,) for face in replaced])
        for photo, found in photos:
            known = None if photo is None or not keep_known else _photo_id(album, photo.path)
            photo_id = _insert_photo(album, photo) if photo and known is None else known
            for new in found:
                ids.append(_insert_face(album, new, photo_id, model.id, n_rows + len(ids)))
        connection.execute(
            "UPDATE models SET n_rows = ? WHERE id = ?", (n_rows + len(ids), model.id)
        )
    if replaced:
        erase_features(album)
    return ids


def _stacked(faces: Sequence[NewFace], model: EmbeddingModel) -> np.ndarray:
    for new in faces:
        if np.shape(new.feature) != (model.n_features,):
            raise InputError(
                f"a feature of shape {np.shape(new.feature)} for {model.name!r}, whose features "
                f"have {model.n_features} values; give one row per face, of one model."
            )
    return np.stack([new.feature for new in faces])


def _photo_id(album: Album, path: Path) -> int | None:
    """Photograph that has a file as its own or as a further place."""
    row = album.connection.execute(
        "SELECT id FROM photos WHERE path = :path UNION ALL "
        "SELECT photo FROM copies WHERE path = :path",
        {"path": str(path)},
    ).fetchone()
    return None if row is None else int(row[0])


def _insert_photo(album: Album, photo: NewPhoto) -> int:
    row = album.connection.execute(
        _PHOTO,
        (
            str(photo.path), photo.size, photo.mtime_ns, photo.content_hash,
            photo.width, photo.height, photo.state, photo.reason, photo.taken_at,
        ),
    ).fetchone()  # fmt: skip
    return int(row[0])


def _insert_face(album: Album, new: NewFace, photo: int | None, model: int, row: int) -> int:
    box = new.box
    corner = (None,) * 4 if box is None else (box.left, box.top, box.width, box.height)
    landmarks = new.landmarks
    cursor = album.connection.execute(
        _FACE,
        (
            photo, model, row, *corner,
            None if landmarks is None else np.asarray(landmarks, dtype="<f4").tobytes(),
            new.detection_score, new.sharpness, new.size,
            json.dumps(new.junk_reasons) if new.junk_reasons else None, new.external_id,
        ),
    )  # fmt: skip
    face = int(cursor.lastrowid or 0)
    if new.thumbnail is not None:
        album.connection.execute("INSERT INTO thumbnails VALUES (?, ?)", (face, new.thumbnail))
    return face
