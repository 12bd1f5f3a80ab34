"""The tables of an album, and how an older album becomes one of this version.

What cannot be computed again is here and in the feature files. Neighbour lists and judged
links can be, and lie in files of their own beside them.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from functools import cache

from facelink.errors import InputError

APPLICATION_ID = 0x666C_6161
"""Marks the file as an album ("flaa"), where SQLite and `file` look for it."""

_VERSION_1 = """
CREATE TABLE photos (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    state TEXT NOT NULL CHECK (state IN ('present', 'missing', 'unreadable')),
    reason TEXT
) STRICT;
CREATE INDEX photos_by_hash ON photos (content_hash);

-- n_rows: rows of the feature file that faces may refer to. Rows after them were written by a
-- command that did not live to commit.
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    n_features INTEGER NOT NULL CHECK (n_features > 0),
    n_rows INTEGER NOT NULL DEFAULT 0
) STRICT;

-- landmarks: ten little-endian float32. junk_reasons: a JSON list, NULL for a face to place.
CREATE TABLE faces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    photo INTEGER REFERENCES photos (id),
    model INTEGER NOT NULL REFERENCES models (id),
    feature_row INTEGER NOT NULL,
    box_left REAL,
    box_top REAL,
    box_width REAL,
    box_height REAL,
    landmarks BLOB,
    detection_score REAL,
    sharpness REAL,
    size REAL,
    junk_reasons TEXT,
    external_id TEXT,
    UNIQUE (model, feature_row),
    UNIQUE (model, external_id)
) STRICT;
CREATE INDEX faces_by_photo ON faces (photo);

CREATE TABLE thumbnails (
    face INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE,
    jpeg BLOB NOT NULL
) STRICT;

CREATE TABLE people (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT CHECK (name <> ''),
    is_hidden INTEGER NOT NULL DEFAULT 0 CHECK (is_hidden IN (0, 1)),
    merged_into INTEGER REFERENCES people (id)
) STRICT;
CREATE INDEX people_by_name ON people (name) WHERE name IS NOT NULL;

-- confidence: NULL until an update has judged the place.
CREATE TABLE memberships (
    face INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE,
    person INTEGER NOT NULL REFERENCES people (id),
    how TEXT NOT NULL CHECK (how IN ('automatic', 'user')),
    confidence REAL CHECK (confidence BETWEEN 0 AND 1)
) STRICT;
CREATE INDEX memberships_by_person ON memberships (person, confidence);

-- Whom an undecided face may be of; made anew by every update.
CREATE TABLE candidates (
    face INTEGER NOT NULL REFERENCES faces (id) ON DELETE CASCADE,
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    likelihood REAL NOT NULL CHECK (likelihood BETWEEN 0 AND 1),
    PRIMARY KEY (face, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX candidates_by_person ON candidates (person);

-- Pairs of people who may be one; made anew by every update.
CREATE TABLE suggestions (
    person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    other INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    likelihood REAL NOT NULL CHECK (likelihood BETWEEN 0 AND 1),
    n_links INTEGER NOT NULL,
    PRIMARY KEY (person, other),
    CHECK (person < other)
) STRICT, WITHOUT ROWID;
CREATE INDEX suggestions_by_other ON suggestions (other);

CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cause TEXT NOT NULL,
    time TEXT NOT NULL,
    undoes INTEGER UNIQUE REFERENCES batches (id)
) STRICT;

CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('same', 'different', 'not_a_face', 'ignore')),
    face INTEGER NOT NULL REFERENCES faces (id) ON DELETE CASCADE,
    other INTEGER REFERENCES faces (id) ON DELETE CASCADE,
    batch INTEGER NOT NULL REFERENCES batches (id),
    is_undone INTEGER NOT NULL DEFAULT 0 CHECK (is_undone IN (0, 1)),
    CHECK ((kind IN ('same', 'different')) = (other IS NOT NULL)),
    CHECK (other IS NULL OR face < other)
) STRICT;
CREATE INDEX decisions_by_face ON decisions (face);
CREATE INDEX decisions_by_other ON decisions (other) WHERE other IS NOT NULL;

CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    batch INTEGER NOT NULL REFERENCES batches (id),
    subject TEXT NOT NULL CHECK (subject IN ('face', 'person', 'decision')),
    subject_id INTEGER NOT NULL,
    field TEXT NOT NULL,
    before ANY,
    after ANY
) STRICT;
CREATE INDEX history_by_batch ON history (batch);
CREATE INDEX history_by_subject ON history (subject, subject_id);

-- Rows of the feature files whose faces are gone, still to be overwritten.
CREATE TABLE erasures (
    model INTEGER NOT NULL REFERENCES models (id),
    feature_row INTEGER NOT NULL,
    PRIMARY KEY (model, feature_row)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER erase_features AFTER DELETE ON faces BEGIN
    INSERT INTO erasures VALUES (old.model, old.feature_row);
END;
"""

_VERSION_2 = """
-- ISO 8601, the camera's own time: an offset from UTC only where it gave one.
ALTER TABLE photos ADD COLUMN taken_at TEXT;

-- Further places of a photograph: files of the same size and content as the one at photos.path.
-- No path is in both tables.
CREATE TABLE copies (
    path TEXT PRIMARY KEY,
    photo INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,
    mtime_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX copies_by_photo ON copies (photo);
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2)
"""Script n makes an album of version n out of one of version n − 1; never edited, only added to."""


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring an album, or an empty file, to the newest version; each step whole or not at all.

    Parameters
    ----------
    connection
        Outside a transaction.
    migrations
        Scripts in order.

    Raises
    ------
    InputError
        As `check_version` does.
    """
    version = check_version(connection, len(migrations))
    for number, script in enumerate(migrations[version:], start=version + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {number}; COMMIT;"
            )
        except sqlite3.Error:
            connection.rollback()
            raise


def check_schema(connection: sqlite3.Connection, version: int) -> None:
    """Refuse a database whose tables, indices and triggers are not those of its version.

    A trigger or view of somebody else would run with what an album does.

    Raises
    ------
    InputError
        If one is missing, different or of nobody knows whom.
    """
    found, expected = _schema_of(connection), _expected_schema(MIGRATIONS[:version])
    for name in sorted(found.keys() | expected.keys(), key=repr):
        if found.get(name) != expected.get(name):
            how = "missing" if name not in found else "not that of this version"
            raise InputError(
                f"the album's {name!r} is {how}; the database is damaged or somebody changed it. "
                "Restore it from a backup."
            )


def _schema_of(connection: sqlite3.Connection) -> dict[str, tuple[str, str, str]]:
    """Kind, table and definition of everything but what SQLite keeps for itself."""
    rows = connection.execute(
        "SELECT name, type, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\'"
    )
    return {name: (kind, table, definition) for name, kind, table, definition in rows}


@cache
def _expected_schema(migrations: tuple[str, ...]) -> dict[str, tuple[str, str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in migrations:
            connection.executescript(script)
        return _schema_of(connection)


def check_version(connection: sqlite3.Connection, newest: int = len(MIGRATIONS)) -> int:
    """Version of an album; 0 for an empty file.

    Raises
    ------
    InputError
        If the file is of a newer facelink, or an SQLite file of another program.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    n_tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and (version or application or n_tables):
        raise InputError(
            f"this SQLite file has application id {application:#x}, an album has "
            f"{APPLICATION_ID:#x}; it belongs to another program."
        )
    if version > newest:
        raise InputError(
            f"the album has version {version}, this facelink reads up to {newest}; use the "
            "newer facelink that wrote it."
        )
    return version
