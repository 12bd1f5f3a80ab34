"""Faces from an Immich database, by read-only SQL.

Which tables and columns there are is looked up at run time: names differ between versions, before
and after 3.2, and the tables were called in the plural before that.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from facelink.album.additions import add_photos, embedding_model
from facelink.album.library import Album
from facelink.album.named_groups import NamedGroup, place_named
from facelink.album.records import Box, NewFace, NewPhoto
from facelink.errors import InputError

_PAGE = 2_000
"""Faces read at a time: 4 MiB of embeddings."""

_FACES = ("asset_face", "asset_faces")
_ASSETS = ("asset", "assets")
_EMBEDDINGS = ("face_search",)
_PEOPLE = "person"
_PERSON_KEYS = (("personGroupId", "personGroupId"), ("personId", "id"))
"""Column of a face, and of a person, that says whose face it is: since 3.2, and before."""

_Read = tuple[NewPhoto, NewFace, NamedGroup | None]

_CORNERS = ("boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2")


class Cursor(Protocol):
    """What is needed of a database's cursor (PEP 249, ``%s`` for values)."""

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Any:
        """Run a query."""

    def fetchall(self) -> Sequence[Sequence[Any]]:
        """Rows of the last query."""


@dataclass(frozen=True)
class ImmichImport:
    """What was read.

    Parameters
    ----------
    faces_added : int
        Faces that the album did not have.
    faces_known : int
        Faces that it had.
    photos : int
        Photographs that the faces read are in.
    people_named : int
        People who came with their names.
    faces_placed : int
        Faces that came to people with names.
    """

    faces_added: int
    faces_known: int
    photos: int
    people_named: int
    faces_placed: int


def import_immich(
    album: Album, url: str, *, model_name: str = "immich", with_names: bool = True
) -> ImmichImport:
    """Add the faces of an Immich database that the album does not have yet, and their names.

    The faces of people who have a name in Immich become people of that name here, hidden
    if they are there; see `named_groups.place_named`. Groups without a name are left to the
    next update, which makes better ones.

    Parameters
    ----------
    album
        Open for writing.
    url
        ``postgresql://user:password@host:port/database``.
    model_name
        What the model that made the embeddings is called here.
    with_names
        Take people's names, too.

    Returns
    -------
    ImmichImport
        Counts.

    Raises
    ------
    InputError
        If the driver is missing, the address is none, the database cannot be
        reached, or it is not one of Immich's.
    """
    connection = _connect(url)
    try:
        cursor: Cursor = connection.cursor()
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()
        n_added = n_read = 0
        photos: set[Path] = set()
        groups: dict[str, NamedGroup] = {}
        for page in read_faces(cursor):
            width = len(page[0][1].feature)
            model = embedding_model(album, model_name, width)
            by_photo: dict[NewPhoto, list[NewFace]] = {}
            for photo, face, group in page:
                by_photo.setdefault(photo, []).append(face)
                if group is not None and with_names:
                    groups[str(face.external_id)] = group
            n_added += len(add_photos(album, model, list(by_photo.items()), keep_known=True))
            n_read += len(page)
            photos |= {photo.path for photo in by_photo}
    finally:
        connection.close()
    n_people, n_placed = (
        place_named(album, model, groups, "names from Immich") if groups else (0, 0)
    )
    return ImmichImport(n_added, n_read - n_added, len(photos), n_people, n_placed)


def read_faces(cursor: Cursor) -> Iterator[list[_Read]]:
    """Read visible faces page by page, by their ids, with the named people whose faces they are.

    Raises
    ------
    InputError
        If tables or columns are missing.
    """
    query = _query(cursor)
    last = ""
    while True:
        cursor.execute(query, (last, _PAGE))
        rows = cursor.fetchall()
        if not rows:
            return
        yield [_face(row) for row in rows]
        last = str(rows[-1][0])


def parse_vector(stored: str | bytes | bytearray | memoryview) -> NDArray[np.float32]:
    """Read a pgvector value, in its text or its binary form.

    Parameters
    ----------
    stored
        ``"[1,2,3]"``, or what ``vector_send`` gives: the number of dimensions
        and an unused number, two bytes each, then big-endian float32.

    Returns
    -------
    float32 (D,)

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> parse_vector("[0.5,2]")
    array([0.5, 2. ], dtype=float32)
    """
    if isinstance(stored, str):
        try:
            return np.array(stored.strip("[]").split(","), dtype=np.float32)
        except ValueError as error:
            raise InputError(f"vector {stored[:40]!r}: numbers between brackets needed.") from error
    raw = bytes(stored)
    if len(raw) < 4 or len(raw) != 4 + 4 * struct.unpack_from(">H", raw)[0]:
        raise InputError(
            f"vector of {len(raw)} bytes; pgvector's binary form has 4 bytes and 4 for each "
            "dimension."
        )
    return np.frombuffer(raw, dtype=">f4", offset=4).astype(np.float32)


def _connect(url: str) -> Any:
    try:
        import pg8000.dbapi
    except ImportError as error:
        raise InputError(
            "reading from Immich needs the PostgreSQL driver pg8000; install facelink[immich]."
        ) from error
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise InputError(
            "--immich needs an address like postgresql://user:password@host:5432/immich."
        )
    try:
        return pg8000.dbapi.connect(
            user=unquote(parts.username or "postgres"),
            password=None if parts.password is None else unquote(parts.password),
            host=parts.hostname or "localhost",
            port=parts.port or 5432,
            database=unquote(parts.path.strip("/")),
        )
    except (pg8000.dbapi.Error, OSError, ValueError) as error:
        raise InputError(
            f"cannot reach the database at {parts.hostname}:{parts.port or 5432}: {error}."
        ) from error


def _columns(cursor: Cursor) -> dict[str, set[str]]:
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    tables: dict[str, set[str]] = {}
    for table, column in cursor.fetchall():
        tables.setdefault(table, set()).add(column)
    return tables


def _table(
    tables: dict[str, set[str]], names: tuple[str, ...], needed: tuple[str, ...]
) -> tuple[str, set[str]]:
    found = next((name for name in names if name in tables), None)
    if found is None:
        raise InputError(
            f"the database has no table {' or '.join(names)}; give the address of Immich's own."
        )
    missing = [column for column in needed if column not in tables[found]]
    if missing:
        raise InputError(
            f"table {found} has no column {missing[0]}; this version of Immich is not known here."
        )
    return found, tables[found]


def _query(cursor: Cursor) -> str:
    """Query for a page of faces after an id; only names that the database has go into it."""
    tables = _columns(cursor)
    faces, columns = _table(tables, _FACES, ("id", "assetId"))
    assets, asset_columns = _table(tables, _ASSETS, ("id", "originalPath"))
    embeddings, _ = _table(tables, _EMBEDDINGS, ("faceId", "embedding"))
    cursor.execute("SELECT count(*) FROM pg_proc WHERE proname = 'vector_send'")
    is_binary = cursor.fetchall()[0][0] > 0
    vector = "vector_send(s.embedding)" if is_binary else "s.embedding::text"
    optional = (*_CORNERS, "imageWidth", "imageHeight")
    chosen = [f'f."{name}"' if name in columns else "NULL" for name in optional]
    shown = [
        *(['f."deletedAt" IS NULL'] if "deletedAt" in columns else []),
        *(['f."isVisible"'] if "isVisible" in columns else []),
        *(['a."deletedAt" IS NULL'] if "deletedAt" in asset_columns else []),
        'f.id::text COLLATE "C" > %s',
    ]
    return (
        f'SELECT f.id::text, {vector}, a."originalPath", {", ".join(chosen)}, '
        f'{_person(tables, columns, asset_columns)} FROM "{faces}" f '
        f'JOIN "{embeddings}" s ON s."faceId" = f.id JOIN "{assets}" a ON a.id = f."assetId" '
        f'WHERE {" AND ".join(shown)} ORDER BY f.id::text COLLATE "C" LIMIT %s'
    )


def _person(tables: dict[str, set[str]], faces: set[str], assets: set[str]) -> str:
    """Whose face it is, as JSON text: key, name, and whether they are hidden; or NULL.

    Since 3.2 every user has an own name for a person; that of the photograph's owner counts.
    """
    people = tables.get(_PEOPLE, set())
    keys = next(((one, own) for one, own in _PERSON_KEYS if one in faces and own in people), None)
    if keys is None or "name" not in people:
        return "NULL"
    hidden = 'p."isHidden"' if "isHidden" in people else "false"
    is_owner = 'AND p."ownerId" = a."ownerId"' if "ownerId" in people & assets else ""
    return (
        f'(SELECT json_build_array(p."{keys[1]}"::text, p.name, {hidden})::text '
        f'FROM "{_PEOPLE}" p WHERE p."{keys[1]}" = f."{keys[0]}" {is_owner} '
        "AND trim(p.name) <> '' ORDER BY p.name LIMIT 1)"
    )


def _face(row: Sequence[Any]) -> _Read:
    face_id, vector, path, left, top, right, bottom, width, height, person = row
    has_box = left is not None and right > left and bottom > top
    box = Box(left, top, right - left, bottom - top) if has_box else None
    photo = NewPhoto(Path(path), 0, 0, "", width, height)
    group = None
    if person is not None:
        key, name, is_hidden = json.loads(person)
        group = NamedGroup(key, name.strip(), bool(is_hidden))
    return photo, NewFace(parse_vector(vector), box=box, external_id=face_id), group
