"""Stage 6: weighted links in, cluster labels out."""

from facelink.merging.bfs import merge_bfs
from facelink.merging.confidence import membership_confidence
from facelink.merging.merge import MergeMethod, merge_links
from facelink.merging.result import MergeResult, UncuttableCluster
from facelink.merging.threshold import merge_threshold

__all__ = [
    "MergeMethod",
    "MergeResult",
    "UncuttableCluster",
    "membership_confidence",
    "merge_bfs",
    "merge_links",
    "merge_threshold",
]
