"""Stage 6: weighted links in, cluster labels out."""

from facelink.merging.bfs import merge_bfs
from facelink.merging.cluster_pairs import ClusterPairs, merge_evidence
from facelink.merging.confidence import membership_confidence
from facelink.merging.cuts import ClusterCut, weakest_cut
from facelink.merging.likelihood import LikelihoodMergeResult, merge_by_likelihood
from facelink.merging.membership import Membership
from facelink.merging.merge import MergeMethod, merge_links
from facelink.merging.result import MergeResult, UncuttableCluster
from facelink.merging.threshold import merge_threshold

__all__ = [
    "ClusterCut",
    "ClusterPairs",
    "LikelihoodMergeResult",
    "Membership",
    "MergeMethod",
    "MergeResult",
    "UncuttableCluster",
    "membership_confidence",
    "merge_bfs",
    "merge_by_likelihood",
    "merge_evidence",
    "merge_links",
    "merge_threshold",
    "weakest_cut",
]
