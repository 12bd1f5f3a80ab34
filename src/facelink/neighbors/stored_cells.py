"""Cells and how far to look into them, as arrays and metadata of files."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.neighbors.cells import CellIndex
from facelink.neighbors.codes import LARGEST_OF_MEMBERS, Codes
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.visits import NOWHERE, Reach

_REACHES = ("reach_of_cells", "reach_of_parts")

_FARTHEST = 1e4
"""A reach beyond this is none: scatters are at least 0.001, and cosines differ by 2 at most."""

_MOST: dict[type, float] = {np.int8: LARGEST_OF_MEMBERS, np.float32: 1.01}
"""Largest code; values of unit vectors, cosines, and scales of codes, with rounding."""


def cells_to_store(index: DividedCells, reach: Reach) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and the metadata that `stored_cells` reads; without the members."""
    arrays = {
        "codes": index.codes.values,
        "scales": index.codes.scales,
        "centers": index.cells.centers,
        "cohesion": index.cells.cohesion,
        "firsts": index.firsts,
        "part_centers": index.parts.centers,
        "part_cohesion": index.parts.cohesion,
        "part_starts": index.parts.starts,
    }
    reaches = (reach.of_cells, reach.of_parts)
    told = (None if one == -np.inf else one for one in reaches)
    return arrays, dict(zip(_REACHES, told, strict=True))


def stored_cells(
    arrays: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, Any],
    members: NDArray[np.int32],
    n_dimensions: int,
) -> tuple[DividedCells, Reach] | None:
    """Check what compiled loops rely on: shapes, types, ranges, and where places should be.

    Parameters
    ----------
    arrays, metadata
        As from `cells_to_store`, among others.
    members : int32 (N,)
        The members by part.
    n_dimensions : int
        D.

    Returns
    -------
    DividedCells and Reach, or None
        None if they are not those of so many members of such features.
    """
    n_cells, n_parts = (len(arrays.get(name, ())) for name in ("centers", "part_centers"))
    expected = {
        "codes": ((len(members), n_dimensions), np.int8),
        "scales": ((len(members),), np.float32),
        "centers": ((n_cells, n_dimensions), np.float32),
        "cohesion": ((n_cells,), np.float32),
        "firsts": ((n_cells + 1,), np.int64),
        "part_centers": ((n_parts, n_dimensions), np.float32),
        "part_cohesion": ((n_parts,), np.float32),
        "part_starts": ((n_parts + 1,), np.int64),
    }
    for name, (shape, dtype) in expected.items():
        if name not in arrays or arrays[name].shape != shape or arrays[name].dtype != dtype:
            return None
        most = _MOST.get(dtype)
        if most is not None and not _is_within(arrays[name], most):
            return None
    firsts, starts = arrays["firsts"], arrays["part_starts"]
    if not _divides(firsts, n_parts) or not _divides(starts, len(members)):
        return None
    reaches = [metadata.get(name) for name in _REACHES]
    if not all(
        one is None or (isinstance(one, float) and abs(one) <= _FARTHEST) for one in reaches
    ):
        return None
    cells = CellIndex(arrays["centers"], members, starts[firsts], arrays["cohesion"])
    parts = CellIndex(arrays["part_centers"], members, starts, arrays["part_cohesion"])
    of_cells, of_parts = (-np.inf if one is None else one for one in reaches)
    reach = NOWHERE if of_cells == -np.inf else Reach(of_cells, of_parts)
    codes = Codes(arrays["codes"], arrays["scales"])
    return DividedCells(cells, parts, firsts, codes), reach


def _is_within(values: NDArray[Any], most: float) -> bool:
    """Whether no value is larger, either way, or not a number."""
    return values.size == 0 or bool(-most <= values.min() and values.max() <= most)


def _divides(bounds: NDArray[np.int64], end: int) -> bool:
    """Whether bounds go from 0 to an end without turning back."""
    return bool(bounds[0] == 0 and bounds[-1] == end and (np.diff(bounds) >= 0).all())
