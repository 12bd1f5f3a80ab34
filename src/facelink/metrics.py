"""Stage 7: how well predicted labels match true ones, whatever the labels are called.

Everything is computed from the sparse contingency table: the pairs (identity,
cluster) that occur, with their integer counts. Cost and memory grow with the
number of faces, never with identities × clusters.

The label −1, in either argument, means "not clustered" or "unknown": each such
face counts as a group of its own.
"""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelink.errors import InputError

UNGROUPED = -1
"""Label of a face that belongs to no group; each counts as a group of its own."""


@dataclass(frozen=True)
class PrecisionRecallF:
    """Precision, recall and their harmonic mean, each in [0, 1].

    Parameters
    ----------
    precision, recall : float
        Shares in [0, 1].
    fscore : float
        2 · precision · recall / (precision + recall); 0 where both are 0.
    """

    precision: float
    recall: float
    fscore: float


@dataclass(frozen=True)
class ClusteringScores:
    """Every score of one clustering, as fractions in [0, 1] (`ari` from −0.5).

    Parameters
    ----------
    n_instances : int
        Faces that were compared.
    n_identities, n_clusters : int
        Groups among the true and among the predicted labels.
    n_singletons : int
        Predicted clusters of one face, those labelled −1 included.
    pairwise : PrecisionRecallF
        From `pairwise_scores`.
    bcubed : PrecisionRecallF
        From `bcubed_scores`.
    nmi_arithmetic, nmi_geometric : float
        Mutual information divided by the arithmetic or geometric mean of the
        two entropies. Published figures may be either: scikit-learn's default
        changed from geometric to arithmetic in version 0.22.
    ari : float
        Rand index adjusted for chance.
    without_singletons : ClusteringScores, optional
        The same over the faces that are not predicted singletons. None where
        that leaves no face, and within that record itself.
    """

    n_instances: int
    n_identities: int
    n_clusters: int
    n_singletons: int
    pairwise: PrecisionRecallF
    bcubed: PrecisionRecallF
    nmi_arithmetic: float
    nmi_geometric: float
    ari: float
    without_singletons: "ClusteringScores | None" = None

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as nested dictionaries of numbers, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Contingency:
    """Counts (int64) of the pairs (identity, cluster) that occur.

    `identity_of_cell` and `cluster_of_cell` index the two arrays of sizes.
    """

    cell_sizes: NDArray[np.int64]
    identity_of_cell: NDArray[np.int64]
    cluster_of_cell: NDArray[np.int64]
    identity_sizes: NDArray[np.int64]
    cluster_sizes: NDArray[np.int64]

    @property
    def n_instances(self) -> int:
        return int(self.cell_sizes.sum())


def clustering_scores(labels_true: ArrayLike, labels_pred: ArrayLike) -> ClusteringScores:
    """Compute every score of a clustering, with and without predicted singletons.

    Parameters
    ----------
    labels_true, labels_pred : integer (N,)
        Identity and cluster of each face; −1 is a group of its own.

    Returns
    -------
    ClusteringScores
        Independent of the order of the faces and of what the labels are.

    Raises
    ------
    InputError
        If the labels are empty, not whole numbers, or of different lengths.

    Examples
    --------
    >>> scores = clustering_scores([0, 0, 0, 1], [5, 5, 6, 7])
    >>> scores.n_clusters, scores.n_singletons, scores.pairwise.precision
    (3, 2, 1.0)
    >>> scores.without_singletons.n_instances
    2
    """
    identities, clusters = _matching_groups(labels_true, labels_pred)
    in_company = np.bincount(clusters)[clusters] > 1
    without_singletons = None
    if in_company.any():
        without_singletons = _scores(
            _contingency(group_ids(identities[in_company]), group_ids(clusters[in_company]))
        )
    return _scores(_contingency(identities, clusters), without_singletons)


def pairwise_scores(labels_true: ArrayLike, labels_pred: ArrayLike) -> PrecisionRecallF:
    """Score the pairs of faces: those in one cluster against those of one identity.

    Parameters
    ----------
    labels_true, labels_pred : integer (N,)
        Identity and cluster of each face; −1 is a group of its own.

    Returns
    -------
    PrecisionRecallF
        Precision is the share of pairs within a cluster that are of one
        identity, recall the share of pairs of one identity that are within a
        cluster. Without any pair there is none to get wrong: precision is 1
        if all clusters are singletons, recall 1 if no identity has two faces.

    Raises
    ------
    InputError
        If the labels are empty, not whole numbers, or of different lengths.
    """
    return _pairwise(_contingency(*_matching_groups(labels_true, labels_pred)))


def bcubed_scores(labels_true: ArrayLike, labels_pred: ArrayLike) -> PrecisionRecallF:
    """Average over the faces how pure their clusters and how complete their identities are.

    This is the F-measure that the paper reports.

    Parameters
    ----------
    labels_true, labels_pred : integer (N,)
        Identity and cluster of each face; −1 is a group of its own.

    Returns
    -------
    PrecisionRecallF
        A face's precision is the share of its cluster that has its identity,
        its recall the share of its identity that is in its cluster, itself
        counted in both.

    Raises
    ------
    InputError
        If the labels are empty, not whole numbers, or of different lengths.
    """
    return _bcubed(_contingency(*_matching_groups(labels_true, labels_pred)))


def group_ids(labels: ArrayLike, name: str = "labels") -> NDArray[np.int64]:
    """Number the groups from 0 by ascending label, then each face labelled −1 by itself.

    Parameters
    ----------
    labels : integer (N,)
        One label for each face.
    name
        What error messages call the labels.

    Returns
    -------
    int64 (N,)
        Group of each face, consecutive from 0.

    Raises
    ------
    InputError
        If the labels are empty, not one per face, or not whole numbers.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} of shape {array.shape}; give one label for each face, (N,).")
    if array.dtype.kind not in "iu":
        raise InputError(f"{name} of type {array.dtype}; labels must be whole numbers.")
    ungrouped = array == UNGROUPED
    groups = np.empty(array.size, dtype=np.int64)
    values, groups[~ungrouped] = np.unique(array[~ungrouped], return_inverse=True)
    groups[ungrouped] = np.arange(len(values), len(values) + np.count_nonzero(ungrouped))
    return groups


def pair_count(group_sizes: NDArray[np.int64]) -> int:
    """Count the unordered pairs of faces within groups of these sizes, exactly."""
    return int((group_sizes * (group_sizes - 1) // 2).sum())


def _matching_groups(
    labels_true: ArrayLike, labels_pred: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    identities = group_ids(labels_true, "labels_true")
    clusters = group_ids(labels_pred, "labels_pred")
    if len(identities) != len(clusters):
        raise InputError(
            f"{len(identities)} true labels but {len(clusters)} predicted ones; both must label "
            "the same faces in the same order."
        )
    return identities, clusters


def _contingency(identities: NDArray[np.int64], clusters: NDArray[np.int64]) -> _Contingency:
    cluster_sizes = np.bincount(clusters)
    n_clusters = len(cluster_sizes)
    cells, cell_sizes = np.unique(identities * n_clusters + clusters, return_counts=True)
    identity_of_cell, cluster_of_cell = np.divmod(cells, n_clusters)
    return _Contingency(
        cell_sizes, identity_of_cell, cluster_of_cell, np.bincount(identities), cluster_sizes
    )


def _scores(
    table: _Contingency, without_singletons: ClusteringScores | None = None
) -> ClusteringScores:
    nmi_arithmetic, nmi_geometric = _normalized_mutual_information(table)
    return ClusteringScores(
        n_instances=table.n_instances,
        n_identities=len(table.identity_sizes),
        n_clusters=len(table.cluster_sizes),
        n_singletons=int(np.count_nonzero(table.cluster_sizes == 1)),
        pairwise=_pairwise(table),
        bcubed=_bcubed(table),
        nmi_arithmetic=nmi_arithmetic,
        nmi_geometric=nmi_geometric,
        ari=_adjusted_rand_index(table),
        without_singletons=without_singletons,
    )


def _pairwise(table: _Contingency) -> PrecisionRecallF:
    in_both = pair_count(table.cell_sizes)
    in_cluster, in_identity = pair_count(table.cluster_sizes), pair_count(table.identity_sizes)
    return _with_fscore(
        precision=in_both / in_cluster if in_cluster else 1.0,
        recall=in_both / in_identity if in_identity else 1.0,
    )


def _bcubed(table: _Contingency) -> PrecisionRecallF:
    # Each of a cell's faces shares its identity and cluster with all of the cell.
    squares = table.cell_sizes**2
    precisions = squares / table.cluster_sizes[table.cluster_of_cell]
    recalls = squares / table.identity_sizes[table.identity_of_cell]
    return _with_fscore(
        precision=float(precisions.sum() / table.n_instances),
        recall=float(recalls.sum() / table.n_instances),
    )


def _with_fscore(precision: float, recall: float) -> PrecisionRecallF:
    total = precision + recall
    return PrecisionRecallF(precision, recall, 2 * precision * recall / total if total else 0.0)


def _normalized_mutual_information(table: _Contingency) -> tuple[float, float]:
    """NMI over the arithmetic and the geometric mean; 1 for one group against one group."""
    identity_entropy = _entropy(table.identity_sizes)
    cluster_entropy = _entropy(table.cluster_sizes)
    if identity_entropy == cluster_entropy == 0:
        return 1.0, 1.0
    # Log of how much likelier a cell is than if identity and cluster were independent.
    log_lift = (
        np.log(table.cell_sizes)
        + np.log(table.n_instances)
        - np.log(table.identity_sizes)[table.identity_of_cell]
        - np.log(table.cluster_sizes)[table.cluster_of_cell]
    )
    information = float((table.cell_sizes * log_lift).sum() / table.n_instances)
    arithmetic_mean = (identity_entropy + cluster_entropy) / 2
    geometric_mean = sqrt(identity_entropy * cluster_entropy)
    return _share(information, arithmetic_mean), _share(information, geometric_mean)


def _share(part: float, whole: float) -> float:
    """Quotient in [0, 1], rid of rounding errors outside; 0 of nothing."""
    return min(max(part / whole, 0.0), 1.0) if whole else 0.0


def _entropy(group_sizes: NDArray[np.int64]) -> float:
    """Entropy in nats of the group of a random face."""
    shares = group_sizes / group_sizes.sum()
    return float(-(shares * np.log(shares)).sum())


def _adjusted_rand_index(table: _Contingency) -> float:
    """ARI from pair counts, which stay exact integers; 1 where the two partitions are equal."""
    n_instances = table.n_instances
    in_both = pair_count(table.cell_sizes)
    in_cluster, in_identity = pair_count(table.cluster_sizes), pair_count(table.identity_sizes)
    if in_both == in_cluster == in_identity:
        return 1.0
    expected = in_cluster * in_identity / (n_instances * (n_instances - 1) // 2)
    return (in_both - expected) / ((in_cluster + in_identity) / 2 - expected)
