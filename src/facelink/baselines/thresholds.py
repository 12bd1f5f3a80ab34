"""Links from a cosine on: components (the paper's Fig. 1b), density, and both hierarchies."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components as sparse_components
from scipy.spatial.distance import pdist
from sklearn.cluster import DBSCAN, HDBSCAN, linkage_tree

from facelink.baselines.view import FaceView, edges, symmetric_matrix
from facelink.merging.components import connected_components

DBSCAN_MIN_SAMPLES = 3
"""Faces that make one a core, itself counted; with 2, DBSCAN is connected components."""

_LEAST_DISTANCE = 1e-6
"""Duplicates are this far apart: sparse spanning trees take 0 for no edge."""

_FARTHEST = 2.0
"""Euclidean distance of opposite unit vectors: joins what the neighbour graph does not."""


def group_by_components(view: FaceView, cosine: float) -> NDArray[np.int64]:
    """Connected components of the neighbours that are at least so similar."""
    pairs, similarities = view.shared("edges", lambda: edges(view.graph))
    return connected_components(view.n_faces, pairs[similarities >= np.float32(cosine)])


def group_by_single_linkage(view: FaceView, cosine: float) -> NDArray[np.int64]:
    """Single linkage over all pairs, cut at a cosine.

    Its tree is scikit-learn's, of Euclidean distances, which order pairs of
    unit vectors as cosines do. Time N² D, memory linear.
    """
    tree = view.shared("single-linkage tree", lambda: _single_linkage(view.features))
    return _cut(tree, float(np.sqrt(max(2 - 2 * cosine, 0.0))))


def group_by_average_linkage(view: FaceView, cosine: float) -> NDArray[np.int64]:
    """Average linkage over all pairs, cut where the mean cosine of two groups falls below.

    Its tree is SciPy's, from the distances 1 − cosine of all pairs: 8 N² bytes.
    """
    tree = view.shared("average-linkage tree", lambda: _average_linkage(view.features))
    return _cut(tree, 1 - cosine)


def group_by_dbscan(view: FaceView, cosine: float) -> NDArray[np.int64]:
    """DBSCAN whose neighbourhoods are the edges of the graph with at least this cosine."""
    distances = view.shared("cosine distances", lambda: _cosine_distances(view))
    found = DBSCAN(eps=1 - cosine, min_samples=DBSCAN_MIN_SAMPLES, metric="precomputed")
    labels: NDArray[np.int64] = found.fit_predict(distances).astype(np.int64)
    return labels


def group_by_hdbscan(view: FaceView, min_cluster_size: float) -> NDArray[np.int64]:
    """HDBSCAN on the Euclidean distances of the neighbour graph.

    scikit-learn takes a sparse graph only if it is connected: its components
    are joined at the greatest distance there is.
    """
    distances = view.shared("Euclidean distances", lambda: _connected_distances(view))
    size = min(int(min_cluster_size), view.n_faces)
    found = HDBSCAN(
        min_cluster_size=size,
        min_samples=min(size, view.graph.n_neighbors),
        metric="precomputed",
        copy=True,
    )
    labels: NDArray[np.int64] = found.fit_predict(distances).astype(np.int64)
    return labels


def _single_linkage(features: NDArray[np.float32]) -> NDArray[np.float64]:
    children, _, n_leaves, _, distances = linkage_tree(
        features.astype(np.float64), linkage="single", return_distance=True
    )
    sizes = np.ones(n_leaves + len(children))
    for step, (first, second) in enumerate(children):
        sizes[n_leaves + step] = sizes[first] + sizes[second]
    return np.column_stack([children, distances, sizes[n_leaves:]])


def _average_linkage(features: NDArray[np.float32]) -> NDArray[np.float64]:
    halves = pdist(features, "sqeuclidean")  # of unit vectors: 2 (1 − cosine)
    halves /= 2
    tree: NDArray[np.float64] = linkage(halves, "average")
    return tree


def _cut(tree: NDArray[np.float64], distance: float) -> NDArray[np.int64]:
    labels: NDArray[np.int64] = fcluster(tree, distance, "distance").astype(np.int64)
    return labels


def _cosine_distances(view: FaceView) -> sparse.csr_array:
    """1 − cosine of the graph's edges, both directions; each row by ascending distance."""
    pairs, similarities = edges(view.graph)
    values = np.maximum(1 - similarities.astype(np.float64), 0)
    return symmetric_matrix(view.n_faces, pairs, values)


def _connected_distances(view: FaceView) -> sparse.csr_array:
    pairs, similarities = edges(view.graph)
    values = np.sqrt(np.maximum(2 - 2 * similarities.astype(np.float64), _LEAST_DISTANCE**2))
    n_groups, groups = sparse_components(
        symmetric_matrix(view.n_faces, pairs, values), directed=False
    )
    if n_groups > 1:
        _, first = np.unique(groups, return_index=True)
        bridges = np.stack([np.full(n_groups - 1, first[0]), first[1:]], axis=1).astype(np.int32)
        pairs = np.concatenate([pairs, bridges])
        values = np.concatenate([values, np.full(len(bridges), _FARTHEST)])
    return symmetric_matrix(view.n_faces, pairs, values)
