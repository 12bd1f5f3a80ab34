"""Features in Parquet files: read a row group at a time, so that none has to fit into memory."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
from numpy.typing import NDArray

from facelink.arrays import check_parquet, only_name
from facelink.errors import InputError
from facelink.files import reading

_KIND = "Parquet"
_COLUMNS = ("features", "embedding")


class ParquetRows:
    """Rows of a column of lists of floats, as a matrix that is read where it is asked for.

    The row group that was read last is kept.

    Parameters
    ----------
    path : Path
        The file. Its column is ``features`` or ``embedding``, or else the only
        one of lists of floats.

    Attributes
    ----------
    shape : (int, int)
        (N, D), D being the length of the first row's list.

    Raises
    ------
    InputError
        If it is damaged or has no such column.
    """

    ndim = 2

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading(path, "features", _KIND), pyarrow.parquet.ParquetFile(path) as stored:
            schema = stored.schema_arrow
            lists = [field.name for field in schema if _is_list_of_floats(field.type)]
            needed = "column that holds one list of floats per face"
            self._column = only_name(lists, _COLUMNS, f"features {path}", needed)
            kind = schema.field(self._column).type
            n_each = kind.list_size if pa.types.is_fixed_size_list(kind) else 1
            check_parquet(stored, path, "features", n_each=n_each)
            groups = range(stored.num_row_groups)
            sizes = [stored.metadata.row_group(group).num_rows for group in groups]
            self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
            self._kept: tuple[int, NDArray[Any]] | None = None
            n_rows = int(self._starts[-1])
            self.shape = (n_rows, self._first_length(stored, sizes) if n_rows else 0)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def most_rows_at_once(self) -> int:
        """Rows of the largest row group."""
        return int(np.diff(self._starts).max(initial=0))

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> NDArray[Any]:
        """Read some rows: a slice without steps, or ids in ascending order.

        Raises
        ------
        InputError
            If rows are missing or of another length than the first one.
        """
        if not isinstance(rows, slice):
            bounds = np.searchsorted(rows, self._starts)
            parts = [
                self._group(group)[rows[start:stop] - self._starts[group]]
                for group, (start, stop) in enumerate(pairwise(bounds.tolist()))
                if start < stop
            ]
            return self._together(parts)
        start, stop, _ = rows.indices(len(self))
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        parts = []
        while first < len(self._starts) - 1 and self._starts[first] < stop:
            begin = self._starts[first]
            parts.append(self._group(first)[max(0, start - begin) : stop - begin])
            first += 1
        return self._together(parts)

    def _together(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.empty((0, self.shape[1]), dtype=np.float16), *parts])

    def _group(self, group: int) -> NDArray[Any]:
        if self._kept is None or self._kept[0] != group:
            self._kept = None  # there is room for one
            self._kept = group, self._read(group)
        return self._kept[1]

    def _read(self, group: int) -> NDArray[Any]:
        with (
            reading(self._path, "features", _KIND),
            pyarrow.parquet.ParquetFile(self._path) as stored,
        ):
            column = stored.read_row_group(group, columns=[self._column])[self._column]
            is_missing = column.is_null().to_numpy()
            lengths = pa.compute.list_value_length(column).to_numpy()
            values = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
        dim = self.shape[1]
        for row in np.flatnonzero(is_missing | (lengths != dim))[:1]:
            held = "no list" if is_missing[row] else f"{lengths[row]:.0f} values, row 0 {dim}"
            raise InputError(
                f"features {self._path}: in column {self._column!r} row "
                f"{self._starts[group] + row} holds {held}; all rows need lists of one length. "
                "Drop that face or compute its features again."
            )
        n_rows = int(self._starts[group + 1] - self._starts[group])
        if len(lengths) != n_rows:
            raise InputError(
                f"features {self._path}: {len(lengths)} rows where the file claims {n_rows}; it is "
                "damaged, write it again."
            )
        return np.concatenate(values).reshape(n_rows, dim)

    def _first_length(self, stored: pyarrow.parquet.ParquetFile, sizes: Sequence[int]) -> int:
        group = int(np.flatnonzero(sizes)[0])
        batches = stored.iter_batches(batch_size=1, row_groups=[group], columns=[self._column])
        first = next(batches).column(0)[0].as_py()
        if first is None:
            raise InputError(
                f"features {self._path}: in column {self._column!r} row 0 holds no list; all rows "
                "need lists of one length. Drop that face or compute its features again."
            )
        return len(first)


def _is_list_of_floats(kind: Any) -> bool:
    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(check(kind) for check in is_list) and bool(pa.types.is_floating(kind.value_type))
