"""Stage 3: Instance Pivot Subgraphs, the context in which links are judged."""

from facelink.subgraphs.batch import PivotSubgraph, SubgraphBatch
from facelink.subgraphs.builder import SubgraphBuilder
from facelink.subgraphs.needed import NeededNodes, order_by_need
from facelink.subgraphs.settings import SubgraphSettings

__all__ = [
    "NeededNodes",
    "PivotSubgraph",
    "SubgraphBatch",
    "SubgraphBuilder",
    "SubgraphSettings",
    "order_by_need",
]
