"""Pairs of faces in files: what a person has decided about who is who."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.arrays import known_suffix, read_npy
from facelink.errors import InputError
from facelink.files import existing_file, reading

_SUFFIXES = (".csv", ".txt", ".npy")
_SEPARATORS = re.compile(r"[,;\s]+")
_NUMBER = re.compile(r"[0-9]{1,18}")  # every such number is an int64
_LARGEST = np.iinfo(np.int64).max


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
        for row in np.flatnonzero((pairs < 0).any(axis=1) | (pairs > _LARGEST).any(axis=1))[:1]:
            raise InputError(
                f"pairs {path}: row {row} holds {pairs[row].tolist()}; faces are counted from 0."
            )
        return pairs.astype(np.int64)
    path = existing_file(path, "pairs")
    with reading(path, "pairs", "text"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    rows = [
        _pair(line, f"pairs {path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip() and not (number == 1 and not any(sign.isdigit() for sign in line))
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def _pair(line: str, where: str) -> tuple[int, int]:
    texts = _SEPARATORS.split(line.strip())
    if len(texts) != 2 or not all(_NUMBER.fullmatch(text) for text in texts):
        raise InputError(f"{where}: {line!r:.60}; give two face numbers from 0, as 12,40.")
    return int(texts[0]), int(texts[1])
