"""Stage 1: face features, from a file or an array to L2-normalised float32 rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import ArrayLike, NDArray
from safetensors import safe_open
from safetensors.numpy import save as serialize_arrays

from facelink.arrays import (
    known_suffix,
    npz_headers,
    only_name,
    read_npy,
    read_npz,
)
from facelink.errors import InputError
from facelink.files import existing_file, reading, written_beside
from facelink.parquet_rows import ParquetRows
from facelink.tensor_files import map_tensors

UNIT_NORM_TOLERANCE = 1e-6
"""Rows whose norm is this close to 1 count as normalised: rounding a unit vector to float32 moves
its norm by less than 1e-7, and norms summed in float32 are off by a few 1e-7."""

_BLOCK_VALUES = 1 << 20  # values normalised at a time, 8 MiB as float64


def load_features(
    path: Path | str, *, dim: int | None = None, n_instances: int | None = None
) -> NDArray[np.float32]:
    """Read face features from a file and L2-normalise them.

    Parameters
    ----------
    path
        Read by its suffix:

        - ``.npy``: float16, float32 or float64 (N, D), memory-mapped;
        - ``.npz``, ``.safetensors``: the array ``features``, or else the only
          two-dimensional array of floats; the latter memory-mapped;
        - ``.bin``: row-major little-endian float32 without a header,
          memory-mapped; needs `dim` or `n_instances`;
        - ``.parquet``: the column of lists of floats ``features`` or
          ``embedding``, or else the only one.
    dim
        Width D. Compared with what the file says, where it says so.
    n_instances
        Number of rows N, likewise.

    Returns
    -------
    float32 (N, D)
        Rows of norm 1. Still a memory map if the file is mapped and holds
        normalised float32 rows.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated or of an unknown kind, holds
        pickled objects or no features, disagrees with `dim` or `n_instances`,
        or if `normalize_features` refuses its values.
    """
    stored = open_features(path, dim=dim, n_instances=n_instances)
    return normalize_features(stored, name=f"features {path}")


def open_features(
    path: Path | str, *, dim: int | None = None, n_instances: int | None = None
) -> NDArray[Any]:
    """Read face features from a file as they are stored there.

    Parameters
    ----------
    path, dim, n_instances
        As for `load_features`.

    Returns
    -------
    float16, float32, float64 or integer (N, D)
        Not normalised; a memory map of ``.npy``, ``.bin`` and ``.safetensors``
        files, into which nothing is ever written.

    Raises
    ------
    InputError
        As from `load_features`, but for what its values are.
    """
    stored = open_rows(path, dim=dim, n_instances=n_instances)
    return stored if isinstance(stored, np.ndarray) else stored[:]


def open_rows(
    path: Path | str, *, dim: int | None = None, n_instances: int | None = None
) -> NDArray[Any] | ParquetRows:
    """Open face features, those of Parquet files to be read a row group at a time.

    Parameters and errors are those of `open_features`; what is wrong with a
    row of a Parquet file shows when it is read.
    """
    suffix = known_suffix(path, (*_READERS, ".bin"), "features")
    path = existing_file(path, "features")
    for name, count in (("dim", dim), ("n_instances", n_instances)):
        if count is not None and count < 1:
            raise InputError(f"{name}={count}; it must be at least 1.")
    stored = _read_bin(path, dim, n_instances) if suffix == ".bin" else _READERS[suffix](path)
    for axis, what, expected in ((0, "rows", n_instances), (1, "dimensions", dim)):
        if stored.ndim == 2 and expected is not None and stored.shape[axis] != expected:
            raise InputError(
                f"features {path}: {stored.shape[axis]} {what}, but {expected} expected; the file "
                "is truncated or belongs to other data."
            )
    if isinstance(stored, ParquetRows):
        _check_not_empty(stored.shape, f"features {path}")
        return stored
    return _as_matrix(stored, f"features {path}")


def normalize_features(features: ArrayLike, *, name: str = "features") -> NDArray[np.float32]:
    """Scale every row to Euclidean norm 1, block by block.

    Parameters
    ----------
    features : float16, float32, float64 or integer (N, D)
        Any array-like, read-only memory maps included. Rows may be so long or
        short that their squares leave the range of their type.
    name
        What messages call them.

    Returns
    -------
    float32 (N, D)
        C-contiguous. `features` itself, uncopied, if it is a C-contiguous
        float32 array whose rows all have norm 1 within `UNIT_NORM_TOLERANCE`.

    Raises
    ------
    InputError
        If there are no rows or columns, the array is not two-dimensional or
        not numeric, a value is NaN or infinite, or a row is all zeros.

    Examples
    --------
    >>> normalize_features([[3.0, 4.0]])
    array([[0.6, 0.8]], dtype=float32)
    """
    array = _as_matrix(features, name)
    if is_normalized(array):
        unchanged: NDArray[np.float32] = array
        return unchanged
    return normalize_rows(array, 0, len(array), name=name)


def is_normalized(features: NDArray[Any]) -> bool:
    """Whether features (N, D) can be used as they are: C-contiguous float32, rows of norm 1."""
    return (
        features.dtype == np.float32
        and features.flags.c_contiguous
        and all(_has_unit_rows(features[rows]) for rows in _row_blocks(features, 0, len(features)))
    )


def normalize_rows(
    features: NDArray[Any] | ParquetRows, start: int, stop: int, *, name: str = "features"
) -> NDArray[np.float32]:
    """Scale the rows from `start` up to `stop` of features (N, D) to norm 1; float32.

    Raises
    ------
    InputError
        If a value is NaN or infinite, or a row is all zeros.
    """
    normalized = np.empty((stop - start, features.shape[1]), dtype=np.float32)
    for rows in _row_blocks(features, start, stop):
        unit = _unit_rows(features[rows], rows.start, name)
        normalized[rows.start - start : rows.stop - start] = unit
    return normalized


def save_features(path: Path | str, features: ArrayLike) -> None:
    """Write features as float32, whole or not at all.

    Parameters
    ----------
    path
        ``.npy``, ``.npz``, ``.bin``, ``.safetensors`` or ``.parquet``.
    features : (N, D)
        Written as they are, normalised or not.

    Raises
    ------
    InputError
        For an unknown suffix, or features that are not a numeric matrix.
    OutputError
        If the file cannot be written; what stood under `path` is unchanged.
    """
    write = _WRITERS[known_suffix(path, _WRITERS, "features")]
    array = np.ascontiguousarray(_as_matrix(features, "features"), dtype=np.float32)
    with written_beside(path) as temporary:
        write(temporary, array)


def _as_matrix(features: ArrayLike, name: str) -> NDArray[Any]:
    """Return a numeric array (N, D) with N, D ≥ 1; arrays and memory maps as they are."""
    try:
        array = features if isinstance(features, np.memmap) else np.asarray(features)
    except ValueError as error:
        raise InputError(f"{name}: rows of different lengths ({error}).") from error
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: values of type {array.dtype}; give float16, float32 or float64.")
    if array.ndim != 2:
        raise InputError(
            f"{name}: shape {array.shape}, expected (N, D), one row per face; a single face is "
            "features.reshape(1, -1)."
        )
    _check_not_empty(array.shape, name)
    return array


def _check_not_empty(shape: tuple[int, ...], name: str) -> None:
    if 0 in shape:
        raise InputError(f"{name}: shape {shape}; at least one row and one column needed.")


def _row_blocks(features: NDArray[Any] | ParquetRows, start: int, stop: int) -> list[slice]:
    n_rows = max(1, _BLOCK_VALUES // features.shape[1])
    return [slice(first, min(stop, first + n_rows)) for first in range(start, stop, n_rows)]


def _has_unit_rows(block: NDArray[np.float32]) -> bool:
    with np.errstate(invalid="ignore"):
        norms = np.sqrt(np.einsum("nd,nd->n", block, block, dtype=np.float64))
    return bool((np.abs(norms - 1) <= UNIT_NORM_TOLERANCE).all())


def _unit_rows(block: NDArray[Any], first_row: int, name: str) -> NDArray[np.float64]:
    """Normalise rows in float64; dividing by the largest value first keeps squares in range."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = block.astype(np.float64)
    largest = np.abs(values).max(axis=1, keepdims=True)
    unusable = np.flatnonzero(~np.isfinite(largest) | (largest == 0))
    if len(unusable):
        row = unusable[0]
        if largest[row] == 0:
            raise InputError(
                f"{name}: row {first_row + row} is all zeros, which has no direction; drop that "
                "face or compute its features again."
            )
        column = np.flatnonzero(~np.isfinite(values[row]))[0]
        raise InputError(
            f"{name}: row {first_row + row} holds {values[row, column]} in column {column}; values "
            "must be finite, without NaN or inf. Drop that face or compute its features again."
        )
    values /= largest
    values /= np.sqrt(np.einsum("nd,nd->n", values, values))[:, None]
    return values


def _read_npz(path: Path) -> NDArray[Any]:
    matrices = [
        name
        for name, header in npz_headers(path, "features").items()
        if name == "features" or (len(header.shape) == 2 and header.dtype.kind == "f")
    ]
    name = only_name(matrices, ["features"], f"features {path}", "two-dimensional array of floats")
    return read_npz(path, "features", name)


def _read_safetensors(path: Path) -> NDArray[Any]:
    with reading(path, "features", ".safetensors"), safe_open(path, framework="np") as stored:
        slices = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118
        matrices = [
            name
            for name, array in slices.items()
            if name == "features"
            or (len(array.get_shape()) == 2 and array.get_dtype() in ("F16", "F32", "F64"))
        ]
        needed = "two-dimensional array of F16, F32 or F64"
        name = only_name(matrices, ["features"], f"features {path}", needed)
        return map_tensors(path)[name]


def _read_bin(path: Path, dim: int | None, n_instances: int | None) -> NDArray[Any]:
    known = dim or n_instances
    if known is None:
        raise InputError(
            f"features {path}: a .bin file does not store its width; give the dimension D (--dim) "
            "or the number of faces N (labels give it)."
        )
    size = path.stat().st_size
    other, rest = divmod(size, 4 * known)
    if rest:
        raise InputError(
            f"features {path}: {size} bytes are not a multiple of {4 * known}, the bytes of "
            f"{known} float32 {'per face' if dim else 'per dimension'}; the file is truncated or "
            f"{'dim' if dim else 'n_instances'}={known} is wrong."
        )
    shape = (other, known) if dim else (known, other)
    with reading(path, "features", ".bin"):
        return np.memmap(path, dtype="<f4", mode="r", shape=shape)


def _write_parquet(path: Path, features: NDArray[np.float32]) -> None:
    flat = pa.array(features.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, features.shape[1])
    pyarrow.parquet.write_table(pa.table({"features": column}), path)


_READERS: dict[str, Callable[[Path], NDArray[Any] | ParquetRows]] = {
    ".npy": lambda path: read_npy(path, "features"),
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".parquet": ParquetRows,
}

_WRITERS: dict[str, Callable[[Path, NDArray[np.float32]], object]] = {
    ".npy": lambda path, features: np.save(path, features, allow_pickle=False),
    ".npz": lambda path, features: np.savez(path, features=features),
    ".bin": lambda path, features: features.astype("<f4").tofile(path),
    ".safetensors": lambda path, features: path.write_bytes(
        serialize_arrays({"features": features})
    ),
    ".parquet": _write_parquet,
}
