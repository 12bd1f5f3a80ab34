"""Every method of a comparison, in the order of its tables."""

from facelink.baselines.centroids import (
    group_by_affinity_propagation,
    group_by_kmeans,
    group_by_minibatch_kmeans,
    group_by_spectrum,
)
from facelink.baselines.communities import (
    INFOMAP,
    LOUVAIN,
    group_by_early_stopping,
    group_by_early_stopping_and_infomap,
    group_by_infomap,
    group_by_louvain,
)
from facelink.baselines.method import Baseline, Parameter, steps
from facelink.baselines.own import group_by_facelink
from facelink.baselines.rank_order import group_by_rank_order
from facelink.baselines.thresholds import (
    group_by_average_linkage,
    group_by_components,
    group_by_dbscan,
    group_by_hdbscan,
    group_by_single_linkage,
)
from facelink.baselines.whispers import group_by_chinese_whispers
from facelink.errors import InputError

_COSINES = steps(0.2, 0.95, 0.01)
_COARSE_COSINES = steps(0.2, 0.9, 0.05)
_CLUSTERS = Parameter("clusters / faces", (0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5))

BASELINES: tuple[Baseline, ...] = (
    Baseline(
        "facelink", "facelink (default)", "context links, likelihood merge", group_by_facelink
    ),
    Baseline(
        "cosine",
        "Cosine threshold",
        "components of the neighbour graph; L-GCN, Fig. 1b",
        group_by_components,
        Parameter("cosine", _COSINES),
    ),
    Baseline(
        "single-linkage",
        "Agglomerative, single linkage",
        "scikit-learn",
        group_by_single_linkage,
        Parameter("cosine", _COSINES),
        max_faces=60_000,
        why="it compares all pairs one by one, which takes N² D operations.",
    ),
    Baseline(
        "average-linkage",
        "Agglomerative, average linkage",
        "SciPy",
        group_by_average_linkage,
        Parameter("mean cosine", steps(0.02, 0.9, 0.01)),
        max_faces=20_000,
        why="the distances of all pairs take 8 N² bytes, 3.2 GB at the limit.",
    ),
    Baseline(
        "dbscan",
        "DBSCAN",
        "scikit-learn, on the neighbour graph",
        group_by_dbscan,
        Parameter("cosine", steps(0.2, 0.9, 0.02)),
    ),
    Baseline(
        "hdbscan",
        "HDBSCAN",
        "scikit-learn, on the neighbour graph",
        group_by_hdbscan,
        Parameter("least faces of a cluster", (2, 3, 4, 5, 8, 12, 20, 40)),
    ),
    Baseline(
        "rank-order",
        "Approximate rank-order (ARO)",
        "Otto et al., arXiv 1604.00989; own code",
        group_by_rank_order,
        Parameter("rank-order distance", steps(0, 2, 0.05)),
    ),
    Baseline(
        "chinese-whispers",
        "Chinese whispers",
        "Biemann 2006; own code",
        group_by_chinese_whispers,
        Parameter("cosine", steps(0.2, 0.9, 0.02)),
    ),
    Baseline(
        "louvain",
        "Neighbour overlap, Louvain",
        "Jaccard weights; scikit-network",
        group_by_louvain,
        Parameter("cosine", steps(0.2, 0.9, 0.02)),
        package=LOUVAIN,
    ),
    Baseline(
        "early-stopping",
        "FC-ES-like, Chinese whispers",
        "arXiv 2408.13431; own code, another grouping",
        group_by_early_stopping,
        Parameter("edge probability", steps(0.1, 0.9, 0.05)),
    ),
    Baseline(
        "infomap",
        "Infomap on cosines",
        "infomap, if the user has it",
        group_by_infomap,
        Parameter("cosine", _COARSE_COSINES),
        package=INFOMAP,
    ),
    Baseline(
        "early-stopping-infomap",
        "FC-ES",
        "arXiv 2408.13431; infomap, if the user has it",
        group_by_early_stopping_and_infomap,
        Parameter("edge probability", steps(0.1, 0.9, 0.05)),
        package=INFOMAP,
    ),
    Baseline(
        "minibatch-kmeans",
        "Mini-batch K-means",
        "scikit-learn",
        group_by_minibatch_kmeans,
        _CLUSTERS,
        max_faces=200_000,
        why="with a share of the faces as clusters, the time grows with N².",
    ),
    Baseline(
        "kmeans",
        "K-means",
        "scikit-learn",
        group_by_kmeans,
        _CLUSTERS,
        max_faces=60_000,
        why="with a share of the faces as clusters, the time grows with N².",
    ),
    Baseline(
        "spectral",
        "Spectral",
        "Ng et al. 2001; SciPy and scikit-learn, on the neighbour graph",
        group_by_spectrum,
        _CLUSTERS,
        max_faces=20_000,
        why="eigenvectors of a graph of that size take hours.",
    ),
    Baseline(
        "affinity-propagation",
        "Affinity propagation",
        "scikit-learn",
        group_by_affinity_propagation,
        Parameter("preference (cosine)", (-2.0, -1.0, -0.5, 0.0, 0.2, 0.4)),
        max_faces=3_000,
        why="it passes messages between all pairs, 200 times over four tables of 8 N² bytes.",
    ),
)


def baseline_called(key: str) -> Baseline:
    """Return the method with this key.

    Raises
    ------
    InputError
        If there is none.
    """
    for baseline in BASELINES:
        if baseline.key == key:
            return baseline
    raise InputError(
        f"method {key!r} is unknown; choose from {', '.join(one.key for one in BASELINES)}."
    )
