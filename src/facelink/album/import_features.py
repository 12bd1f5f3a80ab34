"""Faces that were embedded elsewhere come into an album from files."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.album.additions import add_faces, embedding_model
from facelink.album.library import Album
from facelink.album.records import NewFace
from facelink.errors import InputError
from facelink.files import existing_file

_ID_COLUMNS = ("id", "path", "face", "name")


def import_features(
    album: Album,
    features: NDArray[np.float32],
    *,
    model_name: str,
    ids: list[str],
) -> list[int]:
    """Add one face for each row; those whose id the album has from this model are left out.

    Parameters
    ----------
    album
        Open for writing.
    features : float32 (N, D)
        One row per face.
    model_name
        What the model that made them is called.
    ids
        What each face is called, N different ones.

    Returns
    -------
    list of int
        Numbers of the faces that were added.

    Raises
    ------
    InputError
        If there are not N different ids, or the model has another width here.
    """
    if len(ids) != len(features):
        raise InputError(f"{len(ids)} ids for {len(features)} faces; give one for each.")
    often, n_times = Counter(ids).most_common(1)[0]
    if n_times > 1:
        raise InputError(f"id {often!r} stands {n_times} times; every face needs one of its own.")
    model = embedding_model(album, model_name, features.shape[1])
    faces = [NewFace(row, external_id=one) for row, one in zip(features, ids, strict=True)]
    return add_faces(album, model, faces)


def load_ids(path: Path | str) -> list[str]:
    """Read what faces are called.

    Parameters
    ----------
    path
        ``.csv`` with a header: the column ``id``, ``path``, ``face`` or
        ``name``, or else the only one. Anything else: one id per line, UTF-8.

    Raises
    ------
    InputError
        If the file is missing, empty, no text, or has no such column.
    """
    path = existing_file(path, "ids")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"ids {path}: not UTF-8 text ({error.reason}); convert it.") from error
    if path.suffix.lower() != ".csv":
        return text.splitlines()
    rows = csv.DictReader(text.splitlines())
    names = list(rows.fieldnames or ())
    column = next((name for name in _ID_COLUMNS if name in names), None)
    if column is None and len(names) != 1:
        raise InputError(
            f"ids {path}: columns {', '.join(names)}; name one of them {_ID_COLUMNS[0]!r}."
        )
    return [row[column or names[0]] for row in rows]
