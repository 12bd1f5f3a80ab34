"""Faces as a table: CSV for spreadsheets, Parquet for programs."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facelink.album.export.faces import ExportedFace
from facelink.files import written_beside

COLUMNS = pa.schema(
    [
        ("photo", pa.string()),
        ("face", pa.int64()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("width", pa.float64()),
        ("height", pa.float64()),
        ("person", pa.int64()),
        ("name", pa.string()),
        ("confidence", pa.float64()),
        ("state", pa.string()),
        ("decided_by_user", pa.bool_()),
        ("id", pa.string()),
    ]
)
"""One row a face. The box is in pixels of the upright photograph; id is what the face is called
where it was imported from."""

_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet would compute, in some languages also the wide signs
(OWASP, CSV injection)."""

_BOX_DECIMALS, _CONFIDENCE_DECIMALS = 2, 4


def write_csv(path: Path, faces: Sequence[ExportedFace]) -> None:
    """Write faces as CSV: UTF-8, a header, an empty cell for what is not known.

    A text that a spreadsheet would take for a formula, since it starts with ``= + - @`` or a
    tab, gets an apostrophe in front, which spreadsheets take for "this is text". Parquet
    holds every text as it is.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with (
        written_beside(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS.names)
        writer.writerows(map(_cells, faces))


def write_parquet(path: Path, faces: Sequence[ExportedFace]) -> None:
    """Write faces as Parquet; what is not known is null.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    columns = zip(*map(_values, faces), strict=True) if faces else ([] for _ in COLUMNS)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, COLUMNS, strict=True)]
    with written_beside(path) as temporary:
        pq.write_table(pa.Table.from_arrays(arrays, schema=COLUMNS), temporary)


def _values(face: ExportedFace) -> tuple[object, ...]:
    box = face.box
    corner = (None,) * 4 if box is None else (box.left, box.top, box.width, box.height)
    return (
        None if face.photo is None else str(face.photo),
        face.face,
        *corner,
        face.person,
        face.name,
        face.confidence,
        face.state,
        face.is_decided,
        face.external_id,
    )


def _cells(face: ExportedFace) -> list[str]:
    return [_cell(name, value) for name, value in zip(COLUMNS.names, _values(face), strict=True)]


def _cell(column: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(round(value, _CONFIDENCE_DECIMALS if column == "confidence" else _BOX_DECIMALS))
    text = str(value)
    is_text = COLUMNS.field(column).type == pa.string()
    return f"'{text}" if is_text and text.startswith(_FORMULA_STARTS) else text
