"""Stage 1: one whole number per face, read from and written to the formats of the field."""

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import ArrayLike, NDArray

from facelink.arrays import (
    known_suffix,
    npz_headers,
    only_name,
    read_npy,
    read_npz,
    read_parquet,
)
from facelink.errors import InputError
from facelink.files import check_writable, existing_file, reading, written_beside

LABEL_NAMES = ("label", "labels", "person", "identity", "cluster")
"""What the array of a ``.npz`` file or the column of a table is called that holds the labels."""

_OTHER_NAMES = ("index", "id", "path", "", "__index_level_0__")  # pandas writes the last two


def load_labels(path: Path | str) -> NDArray[np.int64]:
    """Read the label of every face.

    Parameters
    ----------
    path
        Read by its suffix:

        - ``.npy``: whole numbers (N,) or (N, 1);
        - ``.npz``: the array called as in `LABEL_NAMES`, or else the only one;
        - ``.meta``, ``.txt``: one integer per line;
        - ``.csv`` with a header, ``.parquet``: the column called as in
          `LABEL_NAMES`, or else the only one besides ``index``, ``id`` and
          ``path``. Names are numbered by first appearance. A column ``index``
          gives the order: 0 … N − 1, each once.

    Returns
    -------
    int64 (N,)
        Labels in the order of the faces.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated or of an unknown kind, holds
        pickled objects, no labels or several candidates for them, or if a
        label is missing or not a whole number.
    """
    read = _READERS[known_suffix(path, _READERS, "labels")]
    labels = read(existing_file(path, "labels"))
    if not len(labels):
        raise InputError(f"labels {path}: no labels in the file; it needs one per face.")
    return labels


def save_labels(path: Path | str, labels: ArrayLike) -> None:
    """Write labels, whole or not at all.

    Parameters
    ----------
    path
        ``.npy``, ``.npz`` (array ``labels``), ``.meta`` or ``.txt`` (one per
        line), ``.csv`` or ``.parquet`` (columns ``index`` and ``label``).
    labels : integer (N,)
        One label per face.

    Raises
    ------
    InputError
        For an unknown suffix, or labels that are not whole numbers.
    OutputError
        If the file cannot be written; what stood under `path` is unchanged.
    """
    write = _WRITERS[known_suffix(path, _WRITERS, "labels")]
    whole = _as_labels(np.asarray(labels), "labels")
    with written_beside(path) as temporary:
        write(temporary, whole)


def check_labels_path(path: Path | str) -> None:
    """Fail before long work if `save_labels` could not write to `path` after it.

    Raises
    ------
    InputError
        For a suffix that `save_labels` does not know.
    OutputError
        If `path` is a folder or stands where nothing can be written.
    """
    check_labels_kind(path)
    check_writable(path)


def check_labels_kind(path: Path | str) -> None:
    """Raise `InputError` for a suffix that `save_labels` does not know."""
    known_suffix(path, _WRITERS, "labels")


def check_labels(labels: NDArray[np.integer[Any]], n_instances: int, name: str = "labels") -> None:
    """Raise `InputError` unless there is one label for each of `n_instances` faces."""
    if len(labels) != n_instances:
        raise InputError(
            f"{name}: {len(labels)} labels for {n_instances} faces; they must agree, one label "
            "per face in the same order. They may belong to other features."
        )


def _as_labels(values: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Convert whole numbers of any type, (N,) or (N, 1), to int64 (N,)."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(f"{where}: shape {values.shape}; labels need the shape (N,) or (N, 1).")
    if values.dtype.kind not in "fiu":
        raise InputError(
            f"{where}: values of type {values.dtype}; whole numbers needed (names may stand in the "
            "label column of a CSV or Parquet file)."
        )
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            values = values.astype(np.float64)
            is_label = (np.abs(values) < 2.0**63) & (values == np.trunc(values))
    else:
        is_label = values <= np.iinfo(np.int64).max
    for row in np.flatnonzero(~is_label)[:1]:
        raise InputError(
            f"{where}: row {row} holds {values[row]}; every face needs a whole number below 2^63."
        )
    return values.astype(np.int64)


def _parsed(texts: Iterable[str]) -> NDArray[Any]:
    """Return texts as int64 or float64 if they all are such numbers, else as they are."""
    texts = [text.strip() for text in texts]
    if not any("_" in text for text in texts):  # int("1_1") is 11, but the name 1_1 is not
        for convert, dtype in ((int, np.int64), (float, np.float64)):
            try:
                return np.array([convert(text) for text in texts], dtype=dtype)
            except (ValueError, OverflowError):
                continue
    return np.array(texts, dtype=object)


def _numbered(names: NDArray[np.object_], where: str) -> NDArray[np.int64]:
    """Number names by first appearance."""
    numbers: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name:
            raise InputError(f"{where}: row {row} has no label; every face needs one.")
        numbers.setdefault(name, len(numbers))
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _read_npz(path: Path) -> NDArray[np.int64]:
    names = npz_headers(path, "labels")
    name = only_name(names, LABEL_NAMES, f"labels {path}", "array of labels")
    return _as_labels(read_npz(path, "labels", name), f"labels {path}, array {name!r}")


def _read_lines(path: Path) -> NDArray[np.int64]:
    with reading(path, "labels", "text"):
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    numbers = _parsed(lines)
    if numbers.dtype != np.int64:
        is_number = (_parsed([line]).dtype == np.int64 for line in lines)
        row = list(is_number).index(False)
        raise InputError(
            f"labels {path}: line {row + 1} holds {lines[row][:40]!r}; every line needs one "
            "integer below 2^63."
        )
    return numbers


def _read_csv(path: Path) -> NDArray[np.int64]:
    where = f"labels {path}"
    with reading(path, "labels", "CSV"), path.open(encoding="utf-8-sig", newline="") as stream:
        text = stream.read().rstrip("\r\n")
        rows = csv.reader(io.StringIO(text, newline=""))
        header = [name.strip() for name in next(rows, [])]
        if _parsed(header).dtype != object:
            raise InputError(
                f"{where}: the first line, {','.join(header)[:40]!r}, is no header; put the names "
                "of the columns there, for example index,label."
            )
        places = {name: header.index(name) for name in _wanted_columns(header, where)}
        texts: dict[str, list[str]] = {name: [] for name in places}
        for cells in rows:
            if len(cells) != len(header):
                raise InputError(
                    f"{where}: line {rows.line_num} has {len(cells)} values, but the header names "
                    f"{len(header)} columns; complete it, and quote values that hold a comma."
                )
            for name, place in places.items():
                texts[name].append(cells[place])
    return _labels_of_table({name: _parsed(column) for name, column in texts.items()}, where)


def _read_parquet(path: Path) -> NDArray[np.int64]:
    where = f"labels {path}"
    with reading(path, "labels", "Parquet"):
        schema = pyarrow.parquet.read_schema(path)
        wanted = _wanted_columns(schema.names, where)
        texts = [name for name in wanted if _is_text(schema.field(name).type)]
        table = read_parquet(path, "labels", wanted, texts=texts)
        return _labels_of_table(
            {name: _values_of_column(table[name], f"{where}, column {name!r}") for name in wanted},
            where,
        )


def _values_of_column(column: Any, where: str) -> NDArray[Any]:
    """Turn a Parquet column of numbers or text into a numpy array."""
    for row in np.flatnonzero(column.is_null().to_numpy())[:1]:
        raise InputError(f"{where}: row {row} has no value; every face needs one.")
    if pa.types.is_dictionary(column.type):
        encoded = column.combine_chunks()
        if encoded.dictionary.null_count:
            raise InputError(f"{where}: a value is missing in its dictionary; write it again.")
        distinct = _values_of_column(pa.chunked_array([encoded.dictionary]), where)
        repeated: NDArray[Any] = distinct[encoded.indices.to_numpy()]
        return repeated
    if _is_text(column.type):
        return _parsed(column.to_pylist())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise InputError(f"{where}: values of type {column.type}; whole numbers or text needed.")
    values: NDArray[Any] = column.to_numpy()
    return values


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _wanted_columns(names: Iterable[str], where: str) -> list[str]:
    """Return the name of the column of labels and, if there is one, of the index."""
    names = list(names)
    candidates = [name for name in names if name not in _OTHER_NAMES]
    label = only_name(candidates, LABEL_NAMES, where, "column of labels")
    return [label, "index"] if "index" in names else [label]


def _labels_of_table(columns: dict[str, NDArray[Any]], where: str) -> NDArray[np.int64]:
    """Return the labels of the first column, ordered by the column ``index`` if there is one."""
    name, values = next(iter(columns.items()))
    column = f"{where}, column {name!r}"
    labels = _numbered(values, column) if values.dtype == object else _as_labels(values, column)
    if "index" not in columns:
        return labels
    index = _as_labels(columns["index"], f"{where}, column 'index'")
    order = np.argsort(index, kind="stable")
    for position in np.flatnonzero(index[order] != np.arange(len(index)))[:1]:
        raise InputError(
            f"{where}: column 'index' must hold each number from 0 to {len(index) - 1} once, but "
            f"{index[order[position]]} stands where {position} should; number the faces anew or "
            "drop the column."
        )
    return labels[order]


def _write_lines(path: Path, labels: NDArray[np.int64]) -> None:
    path.write_text("".join(f"{label}\n" for label in labels.tolist()), newline="\n")


def _write_csv(path: Path, labels: NDArray[np.int64]) -> None:
    lines = (f"{row},{label}\n" for row, label in enumerate(labels.tolist()))
    path.write_text("index,label\n" + "".join(lines), newline="\n")


def _write_parquet(path: Path, labels: NDArray[np.int64]) -> None:
    table = pa.table({"index": np.arange(len(labels)), "label": labels})
    pyarrow.parquet.write_table(table, path)


_READERS: dict[str, Callable[[Path], NDArray[np.int64]]] = {
    ".npy": lambda path: _as_labels(read_npy(path, "labels"), f"labels {path}"),
    ".npz": _read_npz,
    ".meta": _read_lines,
    ".txt": _read_lines,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}

_WRITERS: dict[str, Callable[[Path, NDArray[np.int64]], object]] = {
    ".npy": lambda path, labels: np.save(path, labels, allow_pickle=False),
    ".npz": lambda path, labels: np.savez(path, labels=labels),
    ".meta": _write_lines,
    ".txt": _write_lines,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
