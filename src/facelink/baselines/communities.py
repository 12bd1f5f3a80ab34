"""Communities of a weighted neighbour graph: Louvain, FC-ES, Infomap.

Louvain comes from scikit-network (the extra ``benchmark``). Infomap is under the GPL and
never a dependency of facelink: it takes part where the user has installed it.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facelink.baselines.method import Package
from facelink.baselines.shared_neighbors import (
    cut_graph,
    edge_probabilities,
    jaccard_overlaps,
)
from facelink.baselines.view import FaceView, edges
from facelink.baselines.whispers import whisper
from facelink.neighbors.graph import MISSING, NeighborGraph

LOUVAIN = Package("sknetwork", "pip install 'facelink[benchmark]'.")
"""What `group_by_louvain` needs."""

INFOMAP = Package(
    "infomap", "it is under the GPL and no part of facelink; to compare, pip install infomap."
)
"""What the methods by Infomap need."""

MEAN_OVERLAP = 0.01
"""Least mean overlap within a group of `group_by_louvain`, pairs that are no neighbours
counting 0. Several times as much already cuts people who have more than k faces."""

_LOUVAIN_TOLERANCE = 1e-7
"""Least gain of a pass, as a share of all edge weight; thousands of groups gain little each."""


def group_by_louvain(view: FaceView, cosine: float) -> NDArray[np.int64]:
    """Louvain on neighbours that are at least so similar, weighed by the overlap of their lists.

    The lists are cut at the same cosine before their Jaccard overlap is
    taken: at full length those of people with few faces overlap by strangers.
    Groups gain by pairs whose overlap is above `MEAN_OVERLAP` and lose by
    those below it, pairs without an edge counting 0 (the constant Potts
    model). Modularity instead would join what is small beside the whole graph:
    people of two faces.
    """
    overlaps = _overlap_matrix(cut_graph(view.graph, cosine))
    return _louvain(overlaps, MEAN_OVERLAP, view.seed)


def group_by_early_stopping(view: FaceView, probability: float) -> NDArray[np.int64]:
    """FC-ES's edges, grouped by Chinese whispers.

    Source: FC-ES (arXiv 2408.13431): each face's neighbours, nearest first,
    become edges until the first whose `edge_probabilities` is below the
    threshold. FC-ES groups these directed edges by Infomap
    (`group_by_early_stopping_and_infomap`); here, so that no GPL package is
    needed, Chinese whispers passes labels along them in both directions, a
    mutual edge counting twice.
    """
    rows, nodes, weights = _stopped_edges(view, probability)
    matrix = sparse.csr_array((weights, (rows, nodes)), shape=(view.n_faces, view.n_faces))
    undirected = sparse.triu(matrix + matrix.T, k=1).tocoo()
    pairs = np.stack(undirected.coords, axis=1).astype(np.int32)
    return whisper(view.n_faces, pairs, undirected.data, view.seed)


def group_by_early_stopping_and_infomap(view: FaceView, probability: float) -> NDArray[np.int64]:
    """FC-ES as published: its directed edges, grouped by two-level Infomap."""
    return _infomap(view.n_faces, *_stopped_edges(view, probability), view.seed)


def group_by_infomap(view: FaceView, cosine: float) -> NDArray[np.int64]:
    """Two-level Infomap on every face's neighbours that are at least so similar."""
    pairs, similarities = view.shared("edges", lambda: edges(view.graph))
    kept = similarities >= np.float32(cosine)
    first, second = pairs[kept].T
    return _infomap(view.n_faces, first, second, similarities[kept], view.seed, directed=False)


def _stopped_edges(
    view: FaceView, probability: float
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Rows, neighbours and weights of the edges before each face's first weak one."""
    indices = view.graph.indices
    likely = view.shared("edge probabilities", lambda: edge_probabilities(view.graph))
    goes_on = (likely >= np.float32(probability)) & (indices != MISSING)
    rows, columns = np.nonzero(np.logical_and.accumulate(goes_on, axis=1))
    return rows, indices[rows, columns], likely[rows, columns]


def _overlap_matrix(graph: NeighborGraph) -> sparse.csr_array:
    overlaps = jaccard_overlaps(graph)
    rows, columns = np.nonzero(graph.indices != MISSING)
    entries = (overlaps[rows, columns].astype(np.float64), (rows, graph.indices[rows, columns]))
    directed = sparse.csr_array(entries, shape=(graph.n_instances, graph.n_instances))
    return directed.maximum(directed.T).tocsr()


def _louvain(weights: sparse.csr_array, resolution: float, seed: int) -> NDArray[np.int64]:
    from sknetwork.clustering import Louvain

    n_faces = weights.shape[0]
    total = float(weights.sum())
    if total == 0:
        return np.arange(n_faces)
    found = Louvain(
        # in units of the mean weight over all pairs, in which scikit-network counts it
        resolution=resolution * n_faces**2 / total,
        modularity="potts",
        tol_optimization=_LOUVAIN_TOLERANCE,
        tol_aggregation=_LOUVAIN_TOLERANCE,
        return_probs=False,
        return_aggregate=False,
        random_state=seed,
    )
    labels: NDArray[np.int64] = found.fit_predict(sparse.csr_matrix(weights)).astype(np.int64)
    return labels


def _infomap(
    n_faces: int,
    rows: NDArray[np.integer[Any]],
    nodes: NDArray[np.integer[Any]],
    weights: NDArray[np.float32],
    seed: int,
    *,
    directed: bool = True,
) -> NDArray[np.int64]:
    """Labels of the communities; −1 for faces without an edge."""
    from infomap import Infomap

    network = Infomap(two_level=True, directed=directed, silent=True, seed=seed + 1, num_trials=1)
    labels = np.full(n_faces, -1, dtype=np.int64)
    if not len(rows):
        return labels
    links = zip(rows.tolist(), nodes.tolist(), weights.tolist(), strict=True)
    network.add_links(tuple(links))
    with warnings.catch_warnings():
        # version 2 warns of what version 3 will call otherwise; older ones know only this
        warnings.simplefilter("ignore")
        network.run()
        modules = network.get_modules()
    for node, module in modules.items():
        labels[node] = module
    return labels
