"""The features of one embedding model: rows in a file that only grows.

Rows are on the disk before the album commits the faces that refer to them. What a killed command
leaves after them, whole rows or a torn one, belongs to nobody and is cut off by the next writer.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError, OutputError
from facelink.files import written_beside

_HEADER = struct.Struct("<8sII48x")
_MAGIC = b"flfeatur"
_VERSION = 1


@dataclass(frozen=True)
class FeatureFile:
    """Features float32 (N, D), L2-normalised, in a file of 64 bytes and 4·D for each row.

    Parameters
    ----------
    path : Path
        The file.
    n_features : int
        Width D.
    """

    path: Path
    n_features: int

    @classmethod
    def create(cls, path: Path, n_features: int) -> "FeatureFile":
        """Make a file without rows, or open the one that a killed command made."""
        if not path.exists():
            with written_beside(path) as temporary:
                temporary.write_bytes(_HEADER.pack(_MAGIC, _VERSION, n_features))
        return cls.open(path, n_features)

    @classmethod
    def open(cls, path: Path, n_features: int) -> "FeatureFile":
        """Check that a file holds features of this width.

        Raises
        ------
        InputError
            If it is missing, no feature file, or of another version or width.
        """
        try:
            with path.open("rb") as stream:
                header = stream.read(_HEADER.size)
        except OSError as error:
            raise InputError(
                f"features {path}: {error.strerror}; restore the file from a backup of the album."
            ) from error
        if len(header) < _HEADER.size or not header.startswith(_MAGIC):
            raise InputError(f"features {path}: not a feature file of an album; restore it.")
        _, version, width = _HEADER.unpack(header)
        if version != _VERSION or width != n_features:
            raise InputError(
                f"features {path}: version {version} of width {width}, but version {_VERSION} of "
                f"width {n_features} expected; restore the file that belongs to this album."
            )
        return cls(path, n_features)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return 4 * self.n_features

    def n_whole_rows(self) -> int:
        """Rows that are in the file from first to last byte."""
        return (self.path.stat().st_size - _HEADER.size) // self.row_bytes

    def append(self, n_rows: int, features: NDArray[np.float32]) -> None:
        """Write rows after the first `n_rows` ones, and wait until they are on the disk.

        Parameters
        ----------
        n_rows
            Rows that the album knows; what stands after them is cut off.
        features : float32 (M, D)
            New rows.

        Raises
        ------
        OutputError
            If the disk is full or fails, or rows that the album knows are missing.
        """
        if self.n_whole_rows() < n_rows:
            raise OutputError(
                f"features {self.path}: {self.n_whole_rows()} rows, but the album knows {n_rows}; "
                "restore the file from a backup of the album."
            )
        try:
            with self.path.open("rb+") as stream:
                stream.truncate(_HEADER.size + n_rows * self.row_bytes)
                stream.seek(0, os.SEEK_END)
                stream.write(np.ascontiguousarray(features, dtype="<f4").tobytes())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror or error}. The album is as it was; "
                "free some space."
            ) from error

    def rows(self, n_rows: int) -> NDArray[np.float32]:
        """Map the first rows, read-only.

        Parameters
        ----------
        n_rows
            Rows that the album knows.

        Returns
        -------
        float32 (n_rows, D)
            Memory-mapped; rows that are appended later are not in it.

        Raises
        ------
        InputError
            If the file has fewer.
        """
        if n_rows == 0:
            return np.empty((0, self.n_features), dtype=np.float32)
        if self.n_whole_rows() < n_rows:
            raise InputError(
                f"features {self.path}: {self.n_whole_rows()} rows, but the album knows {n_rows}; "
                "restore the file from a backup of the album."
            )
        return np.memmap(
            self.path, dtype="<f4", mode="r", offset=_HEADER.size, shape=(n_rows, self.n_features)
        )

    def erase(self, rows: NDArray[np.int64]) -> None:
        """Overwrite rows with zeros, on the disk when this returns.

        Raises
        ------
        InputError
            If the file does not have one of them; nothing is written then.
        """
        n_rows = self.n_whole_rows()
        if rows.min(initial=0) < 0 or rows.max(initial=-1) >= n_rows:
            raise InputError(
                f"features {self.path}: rows {rows.min()} to {rows.max()} to overwrite, but there "
                f"are {n_rows}; restore the file from a backup of the album."
            )
        with self.path.open("rb+") as stream:
            for row in rows.tolist():
                stream.seek(_HEADER.size + row * self.row_bytes)
                stream.write(bytes(self.row_bytes))
            stream.flush()
            os.fsync(stream.fileno())
