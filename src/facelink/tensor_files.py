"""Safetensors files larger than memory: written array by array, read as maps of the file.

Source: the format of https://github.com/huggingface/safetensors, which is 8 bytes with the
length of a JSON header, the header, and the arrays one after the other. The library's own
functions for numpy hold all arrays in memory once more.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.blocks import blocks

_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "uint16": "U16",
    "float16": "F16",
    "int32": "I32",
    "uint32": "U32",
    "float32": "F32",
    "int64": "I64",
    "uint64": "U64",
    "float64": "F64",
}
_TYPES = {stored: np.dtype(name).newbyteorder("<") for name, stored in _NAMES.items()}

_ALIGNMENT = 8
_BLOCK_BYTES = 1 << 26


def write_tensors(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write named arrays as a safetensors file; memory is that of one array that is not contiguous.

    Parameters
    ----------
    path
        File to write, not renamed or flushed here.
    arrays
        Name to array, of bool, integers or floats.
    metadata
        Text for the header.

    Raises
    ------
    TypeError
        If the format does not know the dtype of an array.
    OSError
        If the disk is full or the file cannot be written.
    """
    # The widest first, so that all of them are aligned.
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in names:
        array = arrays[name]
        if array.dtype.name not in _NAMES:
            raise TypeError(f"array {name!r} of {array.dtype}: safetensors does not know it")
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": array.shape,
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            array = np.asarray(arrays[name], order="C").reshape(-1)
            plain = array.astype(array.dtype.newbyteorder("<"), copy=False).view(np.uint8)
            for block in blocks(len(plain), _BLOCK_BYTES):
                stream.write(plain[block].data)


def map_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Map the arrays of a file whose header was checked against its size.

    Returns
    -------
    dict
        Name to array. The system reads a part when it is used and may drop it
        again; what is written to an array stays in memory and never reaches
        the file. Arrays that do not lie at a multiple of their width, which
        only other programs write, are copied.

    Raises
    ------
    TypeError
        If a dtype is one that numpy lacks, as bfloat16.
    """
    with path.open("rb") as stream:
        n_header = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(n_header))
    header.pop("__metadata__", None)
    return {name: _mapped(path, 8 + n_header, **entry) for name, entry in header.items()}


def _mapped(
    path: Path, data_start: int, dtype: str, shape: list[int], data_offsets: list[int]
) -> NDArray[Any]:
    if dtype not in _TYPES:
        raise TypeError(f"numpy lacks {'bfloat16' if dtype == 'BF16' else dtype}")
    stored = _TYPES[dtype]
    if data_offsets[0] == data_offsets[1]:
        return np.empty(shape, dtype=stored)
    at = data_start + data_offsets[0]
    array: NDArray[Any] = np.memmap(path, stored, "c", at, tuple(shape)).view(np.ndarray)
    is_plain = array.flags.aligned and sys.byteorder == "little"
    return array if is_plain else array.astype(stored.newbyteorder("="))
