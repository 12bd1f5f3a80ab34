"""An album's neighbour lists and judged links: kept beside it, and computed again where missing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.album.library import Album
from facelink.album.records import EmbeddingModel
from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays
from facelink.growing import JudgedNeighbors, find_and_judge, grow_judged
from facelink.link_prediction import Progress
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.graph import NeighborGraph

_FORMAT = "facelink.album.neighbors"
_VERSION = 1

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
    """

    faces: NDArray[np.int64]
    photos: NDArray[np.int64]
    rows: NDArray[np.int64]
    judged: JudgedNeighbors

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
    features = album.feature_file(model).rows(album.n_rows(model))
    rows = table[:, 0]
    kept = _load(album.neighbors_path(model.id))
    if kept is None or not np.isin(kept[0], rows).all():
        judged = find_and_judge(link_model, features[rows], progress=progress)
    else:
        rows = np.concatenate([kept[0], np.setdiff1d(rows, kept[0])])
        judged = grow_judged(kept[1], link_model, features[rows], progress=progress)
    place = np.searchsorted(table[:, 0], rows)
    return Neighborhood(table[place, 1], table[place, 2], rows, judged)


def stored_neighborhood(album: Album, model: EmbeddingModel) -> Neighborhood | None:
    """Neighbours and links as the last update kept them; None if it kept none that still hold."""
    table = np.array(album.connection.execute(_FACES, (model.id,)).fetchall(), dtype=np.int64)
    kept = _load(album.neighbors_path(model.id))
    if kept is None or len(table) == 0 or not np.isin(kept[0], table[:, 0]).all():
        return None
    rows, judged = kept
    place = np.searchsorted(table[:, 0], rows)
    return Neighborhood(table[place, 1], table[place, 2], rows, judged)


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
    judged = found.judged
    save_arrays(
        album.neighbors_path(model.id),
        {
            "rows": found.rows,
            "indices": judged.graph.indices,
            "similarities": judged.graph.similarities,
            "likelihoods": judged.likelihoods,
        },
        {
            "format": _FORMAT,
            "version": _VERSION,
            "method": judged.graph.method,
            "n_when_judged": judged.n_when_judged,
        },
    )


def _load(path: Path) -> tuple[NDArray[np.int64], JudgedNeighbors] | None:
    """Read what was kept; None if it is missing, damaged or of another version."""
    try:
        arrays, metadata = load_arrays(path, "neighbours")
        if (metadata.get("format"), metadata.get("version")) != (_FORMAT, _VERSION):
            return None
        graph = NeighborGraph(arrays["indices"], arrays["similarities"], metadata["method"])
        nobody = np.zeros(graph.n_instances, dtype=np.bool_)
        judged = JudgedNeighbors(graph, arrays["likelihoods"], metadata["n_when_judged"], nobody)
    except (InputError, KeyError):
        return None
    rows = arrays.get("rows")
    return None if rows is None or len(rows) != graph.n_instances else (rows, judged)
