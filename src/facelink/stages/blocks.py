"""A stage's arrays on the disk, finished block by block.

Each array is one ``.npy`` file, made in full size before the first block and then written in place,
block by block. Whether rows are finished is not seen from the file but from the stage's manifest: a
block is written, flushed to the disk, and only then entered there with its checksums, by a manifest
that is written beside the old one and renamed. Killed at any point, a run therefore finds each
block entered and whole, or not entered and to be done again.

One file per array instead of one per block, because later stages map whole arrays: nothing has to
be joined, which would need twice the disk (3.3 GB for the neighbours of 5.2 million faces), and any
NumPy reads them. Its size is reserved where the system can, so that a disk that is too small is
noticed before the hours, not after them. Any process can look at the rows that are finished.
"""

import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facelink.arrays import ArrayHeader
from facelink.errors import OutputError
from facelink.files import existing_file, make_folder, reading
from facelink.stages.content import hash_of_array, hash_of_bytes
from facelink.stages.engine import Arrays, Block
from facelink.stages.manifest import FinishedBlock, Manifest, Origin


@dataclass(frozen=True)
class ArraySpec:
    """An array that has one row for each of a stage's rows.

    Parameters
    ----------
    dtype : str
        As NumPy writes it, such as ``"<f4"``.
    row_shape : tuple of int
        Shape of a row; empty for a number.
    """

    dtype: str
    row_shape: tuple[int, ...] = ()

    @classmethod
    def of(cls, array: NDArray[Any]) -> Self:
        """Describe an array that is there."""
        return cls(array.dtype.str, array.shape[1:])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.row_shape, dtype=np.int64))

    def header(self, n_rows: int) -> bytes:
        """Bytes of a ``.npy`` file before the values."""
        stream = io.BytesIO()
        described = {
            "descr": self.dtype,
            "fortran_order": False,
            "shape": (n_rows, *self.row_shape),
        }
        np.lib.format.write_array_header_1_0(stream, described)
        return stream.getvalue()


class BlockStore:
    """A folder with a stage's manifest and arrays.

    `existing` and `begin` make one.

    Parameters
    ----------
    folder
        Of this stage alone.
    specs
        Arrays by name.
    manifest
        What is finished.
    """

    def __init__(self, folder: Path, specs: Mapping[str, ArraySpec], manifest: Manifest) -> None:
        self.folder = folder
        self.specs = dict(specs)
        self.manifest = manifest

    @classmethod
    def begin(
        cls, folder: Path, origin: Origin, specs: Mapping[str, ArraySpec], n_rows: int
    ) -> Self:
        """Start anew: files of full size, nothing in them; what was there before is gone.

        Raises
        ------
        OutputError
            If the folder cannot be written or the disk is too small.
        """
        with _writing(folder):
            make_folder(folder)
            for path in folder.iterdir():
                path.unlink()
        store = cls(folder, specs, Manifest.begin(origin, n_rows))
        for name in store.specs:
            store._make_file(name)
        store._keep(store.manifest)
        return store

    @classmethod
    def existing(
        cls,
        folder: Path,
        origin: Origin,
        specs: Mapping[str, ArraySpec],
        tell: Callable[[str], object],
    ) -> Self | None:
        """Return what an earlier run has left, if it is of the same origin.

        Every finished block is read and compared with its checksum. One that
        is damaged is told of, and taken out of the manifest: it is missing
        again. None if there is nothing, or it is of another origin.

        Raises
        ------
        OutputError
            If a damaged file cannot be mended.
        """
        manifest = Manifest.read(folder)
        if manifest is None or manifest.origin != origin.hash:
            return None
        store = cls(folder, specs, manifest)
        for name in store.specs:
            if not store._has_its_form(name):
                tell(f"{store._path(name)} is damaged or cut short; its blocks are checked.")
                store._make_file(name)
        intact = tuple(block for block in manifest.blocks if store._is_intact(block))
        for block in manifest.blocks:
            if block not in intact:
                rows = f"rows {block.start:,} to {block.stop - 1:,}"
                tell(f"{manifest.stage}: {rows} are damaged on the disk and are done again.")
        if len(intact) < len(manifest.blocks):
            store._keep(manifest.with_blocks(intact))
        return store

    def missing(self, block_rows: int) -> list[Block]:
        """Rows that are not finished, in blocks of at most so many rows."""
        return self.manifest.missing(block_rows)

    def write(self, block: Block, arrays: Arrays, seconds: float = 0.0) -> None:
        """Put a block's rows on the disk, then enter it in the manifest.

        Raises
        ------
        OutputError
            If it cannot be written; what was finished before stays finished.
        """
        rows = {
            name: np.ascontiguousarray(arrays[name], dtype=spec.dtype)
            for name, spec in self.specs.items()
        }
        for name, array in rows.items():
            self._write_rows(name, block, array)
        finished = FinishedBlock(
            block.start,
            block.stop,
            sum(array.nbytes for array in rows.values()),
            {name: hash_of_array(array) for name, array in rows.items()},
            seconds,
        )
        self._keep(self.manifest.with_block(finished))

    def enter_seconds(self, seconds: float) -> None:
        """Enter what was taken besides blocks, so that it counts if the run ends before its end."""
        self._keep(self.manifest.with_seconds(seconds))

    def complete(self, facts: Mapping[str, Any], **measured: Any) -> None:
        """Enter that nothing is missing, what the stage found out, and what it took."""
        self._keep(self.manifest.completed(facts, **measured))

    def file(self, name: str) -> Path:
        """Where a further file of the stage is, or is to be written."""
        return self.folder / name

    def enter_file(self, name: str) -> None:
        """Enter a further file, which is written, in the manifest."""
        self._keep(self.manifest.with_file(name, hash_of_bytes(self.file(name)) or ""))

    def has_file(self, name: str) -> bool:
        """Whether a further file is there, and is what was entered."""
        path, known = self.file(name), self.manifest.files.get(name)
        return path.is_file() and known is not None and hash_of_bytes(path) == known

    def remove_files(self, pattern: str) -> None:
        """Remove further files whose names fit; they are then as if they had not been made.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        with _writing(self.folder):
            for path in self.folder.glob(pattern):
                path.unlink()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array, mapped into memory as by `mapped`."""
        return {name: mapped(self._path(name)) for name in self.specs}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _n_bytes(self, name: str) -> int:
        spec, n_rows = self.specs[name], self.manifest.n_rows
        return len(spec.header(n_rows)) + n_rows * spec.row_bytes

    def _make_file(self, name: str) -> None:
        """Write the header and reserve the rest; what is behind the header stays."""
        path = self._path(name)
        header, n_bytes = self.specs[name].header(self.manifest.n_rows), self._n_bytes(name)
        with _writing(path), path.open("rb+" if path.exists() else "wb") as stream:
            stream.write(header)
            stream.flush()
            os.truncate(stream.fileno(), n_bytes)
            _reserve(stream.fileno(), n_bytes)
            os.fsync(stream.fileno())

    def _has_its_form(self, name: str) -> bool:
        """Whether an array's file has the right size and header."""
        path, header = self._path(name), self.specs[name].header(self.manifest.n_rows)
        if not path.is_file() or path.stat().st_size != self._n_bytes(name):
            return False
        with path.open("rb") as stream:
            return stream.read(len(header)) == header

    def _is_intact(self, block: FinishedBlock) -> bool:
        """Whether the rows of a block are what was written."""
        for name, spec in self.specs.items():
            start = len(spec.header(self.manifest.n_rows)) + block.start * spec.row_bytes
            n_bytes = (block.stop - block.start) * spec.row_bytes
            if hash_of_bytes(self._path(name), start, n_bytes) != block.checksums.get(name):
                return False
        return True

    def _write_rows(self, name: str, block: Block, rows: NDArray[Any]) -> None:
        spec, path = self.specs[name], self._path(name)
        with _writing(path), path.open("rb+") as stream:
            stream.seek(len(spec.header(self.manifest.n_rows)) + block.start * spec.row_bytes)
            stream.write(rows.reshape(-1).view("u1").data)
            stream.flush()
            os.fsync(stream.fileno())

    def _keep(self, manifest: Manifest) -> None:
        manifest.write(self.folder)
        self.manifest = manifest


def mapped(path: Path) -> NDArray[Any]:
    """Map a stage's ``.npy`` file into memory.

    Pages are private to the process: what it writes into the array never
    reaches the file. (They are not marked as read-only, because compiled loops
    would have to be compiled once more for that.)

    Raises
    ------
    InputError
        If the file is missing, cut short or not such a file.
    """
    path = existing_file(path, "array")
    with reading(path, "array", ".npy"):
        with path.open("rb") as stream:
            header = ArrayHeader.read(stream)
        header.check(path.stat().st_size, f"array {path}")
        if 0 in header.shape:
            return np.empty(header.shape, dtype=header.dtype)
        return np.asarray(np.memmap(path, header.dtype, "c", header.offset, header.shape))


def _reserve(descriptor: int, n_bytes: int) -> None:
    """Have the system set aside the bytes of a file, where it and the kind of disk can."""
    if not n_bytes or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, n_bytes)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}. What is finished stays; free some "
            "space, or see that the folder can be written, and run again."
        ) from error
