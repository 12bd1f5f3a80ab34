"""Arrays in files, as features, labels and neighbour graphs share them.

No header is trusted: an array is read only if the file can hold what its header
claims, and pickled objects are never loaded.
"""

import io
import math
import struct
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.files import existing_file, reading

_MAX_DEFLATE_RATIO = 1032  # deflate spends at least 2 bits on each run of 258 bytes
_MAX_PARQUET_RATIO = 4096  # far above what labels that repeat and features reach
_MIN_PARQUET_BYTES = 1 << 26  # what any file may unpack to; a million equal labels take few bytes
_MAX_HEADER_BYTES = 10_000  # numpy's own limit, which it applies only after reading them

_HEADER_PARSERS = {
    (1, 0): ("<H", np.lib.format.read_array_header_1_0),
    (2, 0): ("<I", np.lib.format.read_array_header_2_0),
}
"""Version of a ``.npy`` header: how its length is stored, and what reads it."""


def known_suffix(path: Path | str, known: Iterable[str], what: str) -> str:
    """Return the suffix of `path` in lower case, or say which ones are known."""
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        raise InputError(
            f"{what} {path}: unknown kind of file {suffix!r}; choose one of {', '.join(known)}."
        )
    return suffix


def only_name(names: Iterable[str], preferred: Iterable[str], where: str, needed: str) -> str:
    """Return the only one of `names`, or the only one among them that is `preferred`.

    Parameters
    ----------
    names
        Arrays or columns of a file that would do.
    preferred
        Names that decide if there are several.
    where, needed
        The file and what it should hold, for the message.

    Raises
    ------
    InputError
        If there is no such name, or several.
    """
    found = list(names)
    chosen = [name for name in found if name in preferred] or found
    if not chosen:
        raise InputError(f"{where}: no {needed}.")
    if len(chosen) > 1:
        raise InputError(
            f"{where}: {', '.join(map(repr, chosen))} could each be the {needed}; keep one of "
            f"them, or call one {' or '.join(map(repr, preferred))}."
        )
    return chosen[0]


class ArrayHeader(NamedTuple):
    """What the header of a ``.npy`` array claims about the data behind it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    offset: int

    @classmethod
    def read(cls, stream: IO[bytes]) -> "ArrayHeader":
        """Parse the header at the start of `stream`, leaving the stream behind it.

        Raises
        ------
        ValueError
            If there is none.
        """
        version = np.lib.format.read_magic(stream)
        if version not in _HEADER_PARSERS:
            raise ValueError(f"version {version} of the .npy format holds no plain numbers")
        length_format, parse = _HEADER_PARSERS[version]
        prefix = stream.read(struct.calcsize(length_format))
        (length,) = struct.unpack(length_format, prefix)
        if length > _MAX_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes, more than {_MAX_HEADER_BYTES}")
        shape, is_fortran, dtype = parse(io.BytesIO(prefix + stream.read(length)))
        return cls(shape, dtype, is_fortran, stream.tell())

    def check(self, n_bytes: int, where: str) -> None:
        """Raise `InputError` unless plain values of this shape fit into `n_bytes` bytes.

        Rows without values count a byte each, since a graph of them would cost more.
        """
        if self.dtype.hasobject:
            raise InputError(
                f"{where}: holds pickled Python objects, which are never loaded because they can "
                "run code; save it again as a plain array of numbers of one shape."
            )
        n_values = math.prod(self.shape) * self.dtype.itemsize
        claimed = self.offset + max(n_values, math.prod(self.shape[:1]))
        if any(length < 0 for length in self.shape) or claimed > n_bytes:
            raise InputError(
                f"{where}: the header claims {self.dtype} {self.shape}, {claimed} bytes, but there "
                f"are {n_bytes}; it is truncated, write it again."
            )


def read_npy(path: Path | str, what: str) -> NDArray[Any]:
    """Memory-map a ``.npy`` file; `InputError` if it is truncated, pickled or no such file."""
    path = existing_file(path, what)
    with reading(path, what, ".npy"):
        with path.open("rb") as stream:
            header = ArrayHeader.read(stream)
        header.check(path.stat().st_size, f"{what} {path}")
        return np.memmap(
            path,
            dtype=header.dtype,
            mode="r",
            offset=header.offset,
            shape=header.shape,
            order="F" if header.is_fortran else "C",
        )


def npz_headers(path: Path | str, what: str) -> dict[str, ArrayHeader]:
    """Return name and header of every array of a ``.npz`` file, without reading the arrays."""
    path = existing_file(path, what)
    headers = {}
    with reading(path, what, ".npz"), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(_member(archive, name)) as stream:
                    headers[name.removesuffix(".npy")] = ArrayHeader.read(stream)
    return headers


def read_npz(path: Path | str, what: str, name: str) -> NDArray[Any]:
    """Read one array of a ``.npz`` file; `InputError` if it is truncated or pickled."""
    path = existing_file(path, what)
    with reading(path, what, ".npz"), zipfile.ZipFile(path) as archive:
        member = _member(archive, f"{name}.npy")
        is_stored = member.compress_type == zipfile.ZIP_STORED
        n_packed = min(member.compress_size, path.stat().st_size)
        n_bytes = min(member.file_size, n_packed * (1 if is_stored else _MAX_DEFLATE_RATIO))
        with archive.open(member) as stream:
            ArrayHeader.read(stream).check(n_bytes, f"{what} {path}, array {name!r}")
        with archive.open(member) as stream:
            array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def read_parquet(
    path: Path, what: str, names: Sequence[str], *, texts: Sequence[str] = ()
) -> pa.Table:
    """Read columns of a Parquet file.

    Parameters
    ----------
    path, what
        The file, and what it is called in messages.
    names
        Columns.
    texts
        Those of text: they come as dictionaries, so that repeats cost little.

    Raises
    ------
    InputError
        If the columns would unpack to far more than the file can have been made from.
    """
    with pyarrow.parquet.ParquetFile(path, read_dictionary=list(texts)) as stored:
        check_parquet(stored, path, what)
        return stored.read(columns=list(names))


def check_parquet(
    stored: pyarrow.parquet.ParquetFile, path: Path, what: str, *, n_each: int = 1
) -> None:
    """Raise `InputError` if a file claims far more than it can have been made from.

    Parameters
    ----------
    stored, path, what
        The file, and what it is called in messages.
    n_each
        Values that every row takes, even one without a value.
    """
    # The metadata of single columns is not asked: damaged, it ends the process in pyarrow.
    groups = map(stored.metadata.row_group, range(stored.num_row_groups))
    claimed = sum(max(group.total_byte_size, 8 * group.num_rows * n_each) for group in groups)
    most = max(_MIN_PARQUET_BYTES, _MAX_PARQUET_RATIO * path.stat().st_size)
    if claimed > most:
        raise InputError(
            f"{what} {path}: claims to hold {claimed} bytes in {path.stat().st_size}; it is "
            "damaged, or write it as .npy."
        )


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Find one file of an archive, if it is packed as numpy packs it.

    Of other methods no one can tell how much they unpack to.
    """
    member = archive.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed by another method than numpy's")
    return member
