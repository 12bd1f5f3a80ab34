"""An album's neighbour lists and judged links: kept beside it, and computed again where missing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.album.last_look import LastLook
from facelink.album.library import Album
from facelink.album.records import EmbeddingModel
from facelink.blocks import blocks
from facelink.calibration import Calibration
from facelink.context.impostors import ImpostorStatistics
from facelink.errors import InputError
from facelink.features import is_normalized
from facelink.files import load_arrays, save_arrays
from facelink.growing import JudgedNeighbors, find_and_judge, grow_judged
from facelink.link_prediction import Progress
from facelink.merging.placing import Learned
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.graph import MAX_INSTANCES, MISSING, NeighborGraph

_FORMAT = "facelink.album.neighbors"
_VERSION = 2
_LOOKED_AT = ("people", "is_named", "is_set_aside", "same", "different")

_ROW_BLOCK = 65_536
"""Rows checked at a time, so that what that takes stays small."""

_FACES = """
SELECT feature_row, id, coalesce(photo, -1) FROM faces
WHERE model = ? AND junk_reasons IS NULL ORDER BY feature_row
"""


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """Who is compared with whom: all faces of one embedding model but the junk ones.

    Parameters
    ----------
    faces : int64 (N,)
        Numbers of the faces, in the order of the graph.
    photos : int64 (N,)
        Their photographs; −1 for none.
    rows : int64 (N,)
        Their rows of the feature file.
    judged : JudgedNeighbors
        Their neighbours and links.
    last_look : LastLook, optional
        What the last update saw of them.
    """

    faces: NDArray[np.int64]
    photos: NDArray[np.int64]
    rows: NDArray[np.int64]
    judged: JudgedNeighbors
    last_look: LastLook | None = None

    def positions(self, faces: NDArray[np.int64]) -> NDArray[np.int64]:
        """Place of each face number in the order of the graph; −1 where it is not in it."""
        order = np.argsort(self.faces)
        place = np.searchsorted(self.faces, faces, sorter=order).clip(0, len(order) - 1)
        found: NDArray[np.int64] = np.where(self.faces[order[place]] == faces, order[place], -1)
        return found


def neighborhood(
    album: Album,
    model: EmbeddingModel,
    link_model: ContextGCN,
    *,
    progress: Progress | None = None,
) -> Neighborhood | None:
    """Neighbours and links of all faces: those kept from before, and what new faces change.

    Parameters
    ----------
    album
        Open.
    model
        Embedding model.
    link_model
        Judges links.
    progress
        Called with the number of faces judged since the last call.

    Returns
    -------
    Neighborhood or None
        None where there are fewer than two faces to compare. Faces whose links
        this call judged are marked as fresh.
    """
    table = np.array(album.connection.execute(_FACES, (model.id,)).fetchall(), dtype=np.int64)
    if len(table) < 2:
        return None
    stored = album.feature_file(model)
    features = stored.rows(album.n_rows(model))
    rows = table[:, 0]
    kept = _load(album.neighbors_path(model.id), rows)
    if kept is None:
        judged = find_and_judge(
            link_model, _rows_of(features, rows, stored.path), progress=progress
        )
        return Neighborhood(table[:, 1], table[:, 2], rows, judged)
    rows = np.concatenate([kept.rows, np.setdiff1d(rows, kept.rows)])
    judged = grow_judged(
        kept.judged, link_model, _rows_of(features, rows, stored.path), progress=progress
    )
    place = np.searchsorted(table[:, 0], rows)
    last = kept.last_look and kept.last_look.with_more(len(rows) - len(kept.rows))
    return Neighborhood(table[place, 1], table[place, 2], rows, judged, last)


def stored_neighborhood(album: Album, model: EmbeddingModel) -> Neighborhood | None:
    """Neighbours and links as the last update kept them; None if it kept none that still hold."""
    table = np.array(album.connection.execute(_FACES, (model.id,)).fetchall(), dtype=np.int64)
    if len(table) == 0:
        return None
    kept = _load(album.neighbors_path(model.id), table[:, 0])
    if kept is None:
        return None
    place = np.searchsorted(table[:, 0], kept.rows)
    return Neighborhood(table[place, 1], table[place, 2], kept.rows, kept.judged)


def still_holds(album: Album, model: EmbeddingModel, found: Neighborhood | None) -> bool:
    """Whether the album has the very faces that were compared; fewer than two, for None."""
    table = np.array(album.connection.execute(_FACES, (model.id,)).fetchall(), dtype=np.int64)
    if found is None:
        return len(table) < 2
    order = np.argsort(found.rows)
    compared = np.stack([found.rows, found.faces, found.photos], axis=1)[order]
    return np.array_equal(table.reshape(-1, 3), compared)


def keep_neighborhood(album: Album, model: EmbeddingModel, found: Neighborhood) -> None:
    """Write neighbours and links for the next update, whole or not at all."""
    _save(album.neighbors_path(model.id), _Kept(found.rows, found.judged, found.last_look))


def forget_neighbors(album: Album, model: EmbeddingModel, faces: Sequence[int]) -> None:
    """Take faces out of what is kept, and out of others' lists; without them it is removed."""
    path = album.neighbors_path(model.id)
    forgotten = set(faces)
    table = album.connection.execute(_FACES, (model.id,)).fetchall()
    kept = _load(path, np.array([row[0] for row in table if row[1] not in forgotten], np.int64))
    if kept is None:
        path.unlink(missing_ok=True)
    else:
        _save(path, kept)


@dataclass(frozen=True, eq=False)
class _Kept:
    """What the file holds: rows of the feature file, and what is known of their faces."""

    rows: NDArray[np.int64]
    judged: JudgedNeighbors
    last_look: LastLook | None

    def only(self, rows: NDArray[np.int64]) -> "_Kept":
        """Return the same without the faces that are not in these rows."""
        gone = ~np.isin(self.rows, rows)
        if not gone.any():
            return self
        last = self.last_look and self.last_look.without(self.rows, gone)
        return _Kept(self.rows[~gone], self.judged.without(gone), last)


def _rows_of(
    features: NDArray[np.float32], rows: NDArray[np.int64], path: Path
) -> NDArray[np.float32]:
    """Rows of a mapped file, not copied where they are all of them in order.

    Raises
    ------
    InputError
        If they are not of norm 1, as what was added was.
    """
    is_all = len(rows) == len(features) and np.array_equal(rows, np.arange(len(rows)))
    chosen = features if is_all else features[rows]
    if not is_normalized(chosen):
        raise InputError(
            f"features {path}: not what was written; restore the file from a backup of the album."
        )
    return chosen


def _save(path: Path, kept: _Kept) -> None:
    judged, last = kept.judged, kept.last_look
    arrays: dict[str, NDArray[Any]] = {
        "rows": kept.rows,
        "indices": judged.graph.indices,
        "similarities": judged.graph.similarities,
        "likelihoods": judged.likelihoods,
    }
    metadata: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "method": judged.graph.method,
        "n_when_judged": judged.n_when_judged,
        "impostors": [judged.impostors.median, judged.impostors.spread],
        "last_look": None if last is None else _numbers_of(last),
    }
    if last is not None:
        arrays |= {name: getattr(last, name) for name in _LOOKED_AT}
    save_arrays(path, arrays, metadata)


def _load(path: Path, rows: NDArray[np.int64]) -> _Kept | None:
    """Read what was kept of faces in these rows; None if it is missing, damaged or too little."""
    try:
        kept = _read(path)
    except (InputError, KeyError, TypeError, ValueError, OverflowError):  # of any stored type
        return None
    kept = kept.only(rows)
    return kept if len(kept.rows) > kept.judged.graph.n_neighbors else None


def _read(path: Path) -> _Kept:
    arrays, metadata = load_arrays(path, "neighbours")
    if (metadata.get("format"), metadata.get("version")) != (_FORMAT, _VERSION):
        raise InputError(f"neighbours {path}: of another version; they are found again.")
    graph = NeighborGraph(arrays["indices"], arrays["similarities"], metadata["method"])
    judged = JudgedNeighbors(
        graph,
        arrays["likelihoods"],
        _count(metadata["n_when_judged"]),
        np.zeros(graph.n_instances, dtype=np.bool_),
        ImpostorStatistics(*map(_number, metadata["impostors"])),
    )
    kept = _Kept(arrays["rows"], judged, _last_look(arrays, metadata["last_look"]))
    if not _is_of_one_neighborhood(kept):
        raise InputError(f"neighbours {path}: damaged; they are found again.")
    return kept


def _is_of_one_neighborhood(kept: _Kept) -> bool:
    """Whether what came from a file fits together, and is what was kept of faces."""
    rows, graph, likelihoods = kept.rows, kept.judged.graph, kept.judged.likelihoods
    n = graph.n_instances
    if not isinstance(graph.method, str) or graph.n_neighbors < 1:
        return False
    if rows.dtype != np.int64 or rows.shape != (n,):
        return False
    if len(np.unique(rows)) < n or rows.min(initial=0) < 0 or likelihoods.dtype != np.float32:
        return False
    if kept.last_look is not None and len(kept.last_look.people) != n:
        return False
    for block in blocks(n, _ROW_BLOCK):
        is_missing, some = graph.indices[block] == MISSING, likelihoods[block]
        if not np.where(is_missing, np.isnan(some), (some >= 0) & (some <= 1)).all():
            return False
    return True


def _number(value: Any) -> float:
    """A finite number as JSON holds it; `InputError` for anything else."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{value!r:.40} where a number was stored.")
    return float(value)


def _count(value: Any) -> int:
    """A number of faces as JSON holds it; `InputError` for anything else."""
    if not isinstance(value, int) or not 1 <= value <= MAX_INSTANCES:
        raise InputError(f"{value!r:.40} where a number of faces was stored.")
    return value


def _numbers_of(last: LastLook) -> dict[str, Any]:
    calibration = last.learned.calibration
    return {
        "temperature": calibration.temperature,
        "bias": calibration.bias,
        "photo_log_odds": last.learned.photo_log_odds,
        "n_when_learned": last.n_when_learned,
        "with_photo_evidence": last.with_photo_evidence,
    }


def _last_look(arrays: dict[str, NDArray[Any]], numbers: dict[str, Any] | None) -> LastLook | None:
    if numbers is None:
        return None
    calibration = Calibration(_number(numbers["temperature"]), _number(numbers["bias"]))
    return LastLook(
        **{name: arrays[name] for name in _LOOKED_AT},
        learned=Learned(calibration, _number(numbers["photo_log_odds"])),
        n_when_learned=_count(numbers["n_when_learned"]),
        with_photo_evidence=bool(numbers["with_photo_evidence"]),
    )
