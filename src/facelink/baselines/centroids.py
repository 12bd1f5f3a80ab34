"""Methods around centres or exemplars: K-means, spectral clustering, affinity propagation."""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import eigsh
from sklearn.cluster import AffinityPropagation, KMeans, MiniBatchKMeans

from facelink.baselines.method import n_clusters_of
from facelink.baselines.view import FaceView, edges, symmetric_matrix

MAX_ITERATIONS = 30
"""Of K-means; what is left to gain after it is below what another seed changes."""

SPREAD_STARTS = 1_000
"""Up to so many clusters K-means starts from spread faces (k-means++), from random ones above,
where spreading them takes longer than the clustering."""

SPECTRAL_WIDTH = 128
"""Eigenvectors of the spectral embedding, at most. As many as clusters would be thousands."""

_EIGENVALUE_TOLERANCE = 1e-4


def group_by_kmeans(view: FaceView, share: float) -> NDArray[np.int64]:
    """K-means into a share of the number of faces."""
    return _kmeans(view.features, n_clusters_of(view, share), view.seed)


def group_by_minibatch_kmeans(view: FaceView, share: float) -> NDArray[np.int64]:
    """Mini-batch K-means into a share of the number of faces."""
    n_clusters = n_clusters_of(view, share)
    found = MiniBatchKMeans(
        n_clusters,
        init=_start(n_clusters),
        n_init=1,
        max_iter=MAX_ITERATIONS,
        batch_size=max(1024, n_clusters),
        random_state=view.seed,
    )
    return _quietly(found, view.features)


def group_by_spectrum(view: FaceView, share: float) -> NDArray[np.int64]:
    """Spectral clustering of the neighbour graph into a share of the number of faces.

    Source: Ng, Jordan, Weiss (2001): K-means on the normalised rows of the
    leading eigenvectors of D^-½ A D^-½. As many eigenvectors as clusters, but
    at most `SPECTRAL_WIDTH`, are computed once and serve the whole grid.
    """
    n_clusters = n_clusters_of(view, share)
    vectors = view.shared(
        "eigenvectors", lambda: _leading_eigenvectors(_normalized_adjacency(view), view.seed)
    )
    rows = vectors[:, : max(n_clusters, 2)]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return _kmeans(rows / np.where(lengths > 0, lengths, 1), n_clusters, view.seed)


def group_by_affinity_propagation(view: FaceView, preference: float) -> NDArray[np.int64]:
    """Affinity propagation on the cosines of all pairs; faces stay alone if it does not settle."""
    cosines = view.shared("similarities", lambda: view.features @ view.features.T)
    found = AffinityPropagation(
        damping=0.9, preference=preference, affinity="precomputed", random_state=view.seed
    )
    return _quietly(found, cosines.astype(np.float64))


def _kmeans(rows: NDArray[np.floating], n_clusters: int, seed: int) -> NDArray[np.int64]:
    found = KMeans(
        n_clusters, init=_start(n_clusters), n_init=1, max_iter=MAX_ITERATIONS, random_state=seed
    )
    return _quietly(found, rows)


def _start(n_clusters: int) -> str:
    return "k-means++" if n_clusters <= SPREAD_STARTS else "random"


def _quietly(
    estimator: KMeans | MiniBatchKMeans | AffinityPropagation, rows: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Labels; that duplicates leave fewer clusters, or that rounds ended early, is no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        labels: NDArray[np.int64] = estimator.fit_predict(rows).astype(np.int64)
    return labels


def _normalized_adjacency(view: FaceView) -> sparse.csr_array:
    """D^-½ A D^-½, where A holds the positive cosines of neighbours and D their sums."""
    pairs, similarities = edges(view.graph)
    adjacency = symmetric_matrix(view.n_faces, pairs, np.maximum(similarities, 0))
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = sparse.diags_array(1 / np.sqrt(np.where(degrees > 0, degrees, 1)))
    return (scale @ adjacency @ scale).tocsr()


def _leading_eigenvectors(matrix: sparse.csr_array, seed: int) -> NDArray[np.float64]:
    """Eigenvectors (N, ≤ `SPECTRAL_WIDTH`) of a symmetric matrix, the greatest first."""
    n_faces = matrix.shape[0]
    width = min(SPECTRAL_WIDTH, n_faces - 1)
    if n_faces <= 2 * SPECTRAL_WIDTH:
        _, vectors = np.linalg.eigh(matrix.toarray())
    else:
        start = np.random.default_rng(seed).uniform(-1, 1, n_faces)
        _, vectors = eigsh(matrix, width, which="LA", v0=start, tol=_EIGENVALUE_TOLERANCE)
    leading: NDArray[np.float64] = vectors[:, ::-1][:, :width]
    return leading
