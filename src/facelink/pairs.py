"""Pairs of faces in files: what a person has decided about who is who."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.arrays import known_suffix, read_npy
from facelink.errors import InputError
from facelink.files import existing_file

_SUFFIXES = (".csv", ".txt", ".npy")
_SEPARATORS = re.compile(r"[,;\s]+")


def load_pairs(path: Path | str) -> NDArray[np.int64]:
    """Read pairs of face numbers.

    Parameters
    ----------
    path
        ``.csv`` or ``.txt``: two whole numbers per line, separated by a comma,
        semicolon or white space; a first line of names and empty lines are
        skipped. ``.npy``: integers of shape (M, 2).

    Returns
    -------
    int64 (M, 2)
        Numbers of faces, from 0. That they exist is checked where they are used.

    Raises
    ------
    InputError
        If the file cannot be read as such pairs; the message names the line.
    """
    if known_suffix(path, _SUFFIXES, "pairs") == ".npy":
        pairs = read_npy(path, "pairs")
        if pairs.dtype.kind not in "iu" or pairs.ndim != 2 or pairs.shape[1] != 2:
            raise InputError(
                f"pairs {path}: {pairs.dtype} of shape {pairs.shape}; give integers of shape "
                "(M, 2)."
            )
        return pairs.astype(np.int64)
    try:
        lines = existing_file(path, "pairs").read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"pairs {path}: not text ({error}); give two numbers per line.") from error
    rows = [
        _pair(line, f"pairs {path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip() and not (number == 1 and not any(sign.isdigit() for sign in line))
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def _pair(line: str, where: str) -> tuple[int, int]:
    try:
        first, second = (int(text) for text in _SEPARATORS.split(line.strip()))
    except ValueError as error:
        raise InputError(f"{where}: {line!r:.60}; give two face numbers, as 12,40.") from error
    return first, second
