"""An album on the disk: a folder with a database, features, and what can be computed again.

::

    holiday.album/
      album.sqlite        photographs, faces, people, decisions, history (SQLite, WAL)
      features-1.bin      features of embedding model 1
      neighbors-1.safetensors   its neighbour lists and judged links; may be deleted
      lock.sqlite         held by the one process that writes
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facelink.album.features_file import FeatureFile
from facelink.album.lock import Holder, write_lock
from facelink.album.records import EmbeddingModel
from facelink.album.schema import MIGRATIONS, check_schema, check_version, migrate
from facelink.errors import FacelinkError, InputError, OutputError
from facelink.files import make_folder

DATABASE, LOCK = "album.sqlite", "lock.sqlite"

_FIRST_FILES = ("lock.", ".lock.", f"{DATABASE}-")
"""How the names of files begin that a command may leave which was killed as it made an album."""

_ROWS = """
SELECT models.n_rows, faces.id, faces.feature_row
FROM models LEFT JOIN faces ON faces.id = (
    SELECT id FROM faces WHERE model = models.id AND feature_row < 0
    UNION ALL SELECT id FROM faces WHERE model = models.id AND feature_row >= models.n_rows
    LIMIT 1
) WHERE models.id = ?
"""
"""Rows of a model's features, and a face without one: two searches of an index, however many faces.
One statement, since others may add faces between two."""

_STRAY_ERASURE = """
SELECT feature_row FROM erasures WHERE model = :model AND (
    feature_row NOT BETWEEN 0 AND :n_rows - 1
    OR EXISTS (SELECT 1 FROM faces WHERE faces.model = erasures.model
        AND faces.feature_row = erasures.feature_row)
) LIMIT 1
"""
"""A row to overwrite that there is not, or that a face still has: rows are never given twice."""

_READ_WAIT_SECONDS = 30.0
"""How long SQLite waits for another process to finish a commit."""


@dataclass(frozen=True, eq=False)
class Album:
    """An open album. Used by one thread at a time.

    Parameters
    ----------
    folder : Path
        Where it is.
    connection : sqlite3.Connection
        To its database, outside a transaction.
    may_write : bool
        Whether this process holds its lock.
    """

    folder: Path
    connection: sqlite3.Connection
    may_write: bool

    def models(self) -> list[EmbeddingModel]:
        """Embedding models that made this album's features, in the order they came."""
        rows = self.connection.execute("SELECT id, name, n_features FROM models ORDER BY id")
        return [EmbeddingModel(*row) for row in rows]

    def feature_file(self, model: EmbeddingModel) -> FeatureFile:
        """Open the features of one model; `InputError` if they are missing or damaged."""
        return FeatureFile.open(self.feature_path(model.id), model.n_features)

    def feature_path(self, model_id: int) -> Path:
        """Where the features of one model are."""
        return self.folder / f"features-{model_id}.bin"

    def neighbors_path(self, model_id: int) -> Path:
        """Where the neighbour lists of one model are kept."""
        return self.folder / f"neighbors-{model_id}.safetensors"

    def n_rows(self, model: EmbeddingModel) -> int:
        """Rows of a model's features that the album knows; every face refers to one of them.

        Raises
        ------
        InputError
            If the database gives a number below 0, or a face without a row.
        """
        n_rows, face, row = self.connection.execute(_ROWS, (model.id,)).fetchone()
        if n_rows < 0:
            raise self.damage("models", model.id, f"n_rows={n_rows}, below 0")
        if face is not None:
            raise self.damage(
                "faces", face, f"feature_row={row}, but {model.name} has {n_rows} rows"
            )
        return int(n_rows)

    def damage(self, table: str, row: int, what: str) -> InputError:
        """Say what is wrong with a row that SQLite itself finds nothing wrong with."""
        return InputError(
            f"album {self.folder}: row {row} of table {table}: {what}; the database is damaged. "
            "Restore it from a backup."
        )

    def count(self, query: str, *values: Any) -> int:
        """First number that a query gives."""
        return int(self.connection.execute(query, values).fetchone()[0])

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block does, on the disk when this ends, or none of it.

        Raises
        ------
        OutputError
            If this process does not hold the lock, or the disk is full.
        """
        if not self.may_write:
            raise OutputError(f"{self.folder} is open for reading only; open it for writing.")
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise OutputError(f"cannot write {self.folder}: {error}; it is as it was.") from error
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")


@contextlib.contextmanager
def open_album(folder: Path | str) -> Iterator[Album]:
    """Open an album for reading, while others may be writing.

    Parameters
    ----------
    folder
        The album's folder.

    Raises
    ------
    InputError
        If there is no album, it is damaged, or of another version.
    OutputError
        If its disk fails.
    """
    folder = _existing(folder)
    with _connected(folder, "ro" if _may_share(folder) else "ro&immutable=1") as connection:
        version = check_version(connection)
        if version < len(MIGRATIONS):
            raise InputError(
                f"{folder} has version {version}, this facelink reads {len(MIGRATIONS)}; any "
                "command that writes, such as facelink album update, brings it up to date."
            )
        check_schema(connection, version)
        yield Album(folder, connection, may_write=False)


@contextlib.contextmanager
def edit_album(
    folder: Path | str,
    command: str,
    *,
    create: bool = False,
    wait_seconds: float = 0.0,
    on_wait: Callable[[Holder | None], None] | None = None,
) -> Iterator[Album]:
    """Open an album for writing; nobody else can until the block ends.

    Parameters
    ----------
    folder
        The album's folder.
    command
        What a second process is told is being done.
    create
        Make the album if there is none; its folder is for its owner only.
    wait_seconds, on_wait
        As for `write_lock`.

    Raises
    ------
    InputError
        If there is no album, it is damaged, or of a newer version.
    OutputError
        If another process writes to it, or it cannot be made.
    """
    folder = _made(folder) if create else _existing(folder)
    lock = write_lock(folder / LOCK, command, wait_seconds=wait_seconds, on_wait=on_wait)
    with lock, _connected(folder, "rwc" if create else "rw") as connection:
        check_schema(connection, check_version(connection))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        migrate(connection)
        album = Album(folder, connection, may_write=True)
        for unfinished in folder.glob(".*.part*"):  # by commands that were killed
            unfinished.unlink()
        erase_features(album)
        yield album


def erase_features(album: Album) -> None:
    """Overwrite the features of faces that are gone; what a killed command left to do included.

    Raises
    ------
    InputError
        If the database is damaged: a row to overwrite that the file does not have, or that a
        face still has. Nothing is overwritten then.
    """
    for model in album.models():
        rows = album.connection.execute(
            "SELECT feature_row FROM erasures WHERE model = ? ORDER BY feature_row", (model.id,)
        ).fetchall()
        if rows:
            known = {"model": model.id, "n_rows": album.n_rows(model)}
            stray = album.connection.execute(_STRAY_ERASURE, known).fetchone()
            if stray is not None:
                raise album.damage(
                    "erasures", stray[0], f"no row of {model.name} that is free to be overwritten"
                )
            album.feature_file(model).erase(np.array(rows, dtype=np.int64)[:, 0])
            with album.transaction() as connection:
                connection.execute("DELETE FROM erasures WHERE model = ?", (model.id,))


def _existing(folder: Path | str) -> Path:
    folder = Path(folder)
    if not (folder / DATABASE).is_file():
        raise InputError(
            f"album {folder}: no album there ({DATABASE} is missing); check the path, or make one "
            "with facelink album add."
        )
    return folder


def _may_share(folder: Path) -> bool:
    """Whether others may be writing: nobody is where the folder cannot be written to.

    SQLite would make files beside the database even to read it.
    """
    return os.access(folder, os.W_OK) or (folder / f"{DATABASE}-wal").exists()


def _made(folder: Path | str) -> Path:
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"album {folder}: this is a file; an album is a folder.")
    is_other = folder.is_dir() and not (folder / DATABASE).exists()
    if is_other and not all(path.name.startswith(_FIRST_FILES) for path in folder.iterdir()):
        raise OutputError(
            f"album {folder}: the folder holds other files; choose a new or empty one."
        )
    try:
        make_folder(folder, mode=0o700)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror or error}.") from error
    if is_other and os.name == "posix":  # made by somebody else, with the rights they chose
        try:
            folder.chmod(0o700)
        except OSError as error:
            if folder.stat().st_uid == os.geteuid():  # a disk that knows no such rights
                return folder
            raise OutputError(
                f"album {folder}: cannot keep the folder for its owner only "
                f"({error.strerror or error}); choose a new one."
            ) from error
    return folder


@contextlib.contextmanager
def _connected(folder: Path, mode: str) -> Iterator[sqlite3.Connection]:
    uri = f"{(folder / DATABASE).resolve().as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(
            uri, uri=True, timeout=_READ_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise InputError(f"album {folder}: {error}; check its permissions.") from error
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
    except FacelinkError:
        raise
    except Exception as error:  # what stands in a damaged database can make any code fail
        if _is_of_the_disk(error):
            raise OutputError(
                f"album {folder}: {error}; check its permissions and the room on its disk."
            ) from error
        damage = _damage(connection, error)
        if damage is None:
            raise
        raise InputError(
            f"album {folder}: {damage}; the database is damaged or no album. Restore it from a "
            "backup."
        ) from error
    finally:
        connection.close()


def _is_of_the_disk(error: Exception) -> bool:
    """Whether it tells of the disk, permissions or other processes, not of what is stored."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR


def _damage(connection: sqlite3.Connection, error: Exception) -> str | None:
    """What is wrong with a database, if that is why something failed."""
    is_undecodable = str(error).startswith("Could not decode to UTF-8")
    if type(error) is sqlite3.DatabaseError or is_undecodable:  # its subclasses are no damage
        return str(error).partition(" with text")[0]
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        found = connection.execute("PRAGMA integrity_check (1)").fetchone()[0]
    except (sqlite3.Error, UnicodeDecodeError) as unreadable:
        return None if _is_of_the_disk(unreadable) else str(unreadable)
    return None if found == "ok" else str(found)
