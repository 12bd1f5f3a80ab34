"""facelink groups faces by person: linkage-based clustering with a graph convolution network.

The stages, in the order of the data (docs/design.md):

1. `load_features`, `load_labels`: files -> arrays
2. `find_neighbors`: features -> `NeighborGraph`
3. `SubgraphBuilder`: pivots -> `SubgraphBatch`
4. `ContextGCN` (ships trained) or `LinkGCN` (the paper's): subgraphs -> logits of the 1-hop nodes
5. `predict_links`: every instance a pivot once -> `Links`
6. `merge_by_likelihood`, `merge_links`: links -> labels
7. `clustering_scores`: labels against the true ones

`LinkageClustering` is all of them; `train_link_gcn` and `train_context_gcn` make models.
"""

from facelink.clustering import LinkageClustering
from facelink.errors import FacelinkError, InputError, OutputError
from facelink.features import load_features
from facelink.labels import load_labels, save_labels
from facelink.link_prediction import predict_links
from facelink.links import Links
from facelink.merging.likelihood import merge_by_likelihood
from facelink.merging.merge import merge_links
from facelink.metrics import clustering_scores
from facelink.models.config import LinkGCNConfig
from facelink.models.context_gcn import ContextGCN
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings
from facelink.training.context.trainer import train_context_gcn
from facelink.training.trainer import train_link_gcn

__version__ = "0.1.0"

__all__ = [
    "ContextGCN",
    "FacelinkError",
    "InputError",
    "LinkGCN",
    "LinkGCNConfig",
    "LinkageClustering",
    "Links",
    "NeighborGraph",
    "OutputError",
    "SubgraphBuilder",
    "SubgraphSettings",
    "__version__",
    "clustering_scores",
    "find_neighbors",
    "load_features",
    "load_labels",
    "merge_by_likelihood",
    "merge_links",
    "predict_links",
    "save_labels",
    "train_context_gcn",
    "train_link_gcn",
]
