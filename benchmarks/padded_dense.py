"""The comparison: the pipeline of the paper in its plain form, on padded dense matrices.

A Python feeder builds the subgraph of one pivot at a time with dictionaries and
fills a dense adjacency; the subgraphs of a batch are padded with zeros to the
greatest number of nodes that the settings allow; G = g(X, A) is a dense matrix and
each layer computes [X ‖ GX] W + b by dense products. All arithmetic is float32.

The weights are those of a given `LinkGCN`, so that both must give the same
scores. Nothing here is slower than this form has to be: membership is looked up in
a dictionary, G is made once where it does not depend on the layer, gradients are
off while judging, and only 1-hop nodes reach the classifier. In one point it
differs from the authors' code: while training, the padding does not enter the input
norm, so that its loss must equal that of `LinkGCN`, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.harness import NETWORK, SUBGRAPHS, Stopwatch
from facelink.models.layers import EdgeAttention, GraphConv
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.subgraphs import SubgraphSettings

_NORM_EPS = 1e-5
_ATTENTION_SLOPE = 0.2
_NO_EDGE = -1e9
"""A score whose exponential is zero beside any cosine or attention score."""


@dataclass(frozen=True, eq=False)
class PaddedBatch:
    """B subgraphs, each padded to n nodes; 1-hop nodes come first, nearest first.

    Parameters
    ----------
    residuals : float32 (B, n, D)
        x_q − x_p of each node; zeros in the padding.
    pivots : float32 (B, D)
        x_p of each subgraph.
    adjacency : float32 (B, n, n)
        Symmetric, ones at edges.
    is_node, is_one_hop : bool (B, n)
        What is not padding, and what is classified.
    """

    residuals: Tensor
    pivots: Tensor
    adjacency: Tensor
    is_node: Tensor
    is_one_hop: Tensor


@dataclass(frozen=True, eq=False)
class PaddedFeeder:
    """Builds padded batches in Python, pivot by pivot.

    `as_authors` does what the published pipeline of the paper's authors does: node
    ids stay array scalars, membership is looked up by going through the list of
    nodes, and each edge is written into a tensor. Otherwise a dictionary is asked
    and edges are written into an array, which is several times faster.
    """

    features: NDArray[np.float32]
    graph: NeighborGraph
    settings: SubgraphSettings
    as_authors: bool = False

    def batch(self, pivots: Sequence[int]) -> PaddedBatch:
        """Subgraphs of these pivots."""
        size = self.settings.max_nodes
        shape = (len(pivots), size)
        residuals = np.zeros((*shape, self.features.shape[1]), dtype=np.float32)
        tensor = torch.zeros((*shape, size))
        array = tensor.numpy()
        is_node = np.zeros(shape, dtype=np.bool_)
        is_one_hop = np.zeros(shape, dtype=np.bool_)
        for row, pivot in enumerate(pivots):
            hops = self._hops(pivot)
            nodes = [node for hop in hops for node in hop]
            if self.settings.include_pivot:
                nodes.append(pivot)
            residuals[row, : len(nodes)] = self.features[nodes] - self.features[pivot]
            if self.as_authors:
                self._join_as_authors([np.int32(node) for node in nodes], tensor[row])
            else:
                self._join(nodes, array[row])
            is_node[row, : len(nodes)] = True
            is_one_hop[row, : len(hops[0])] = True
        return PaddedBatch(
            torch.from_numpy(residuals),
            torch.from_numpy(self.features[np.asarray(pivots)]),
            tensor,
            torch.from_numpy(is_node),
            torch.from_numpy(is_one_hop),
        )

    def _hops(self, pivot: int) -> list[list[int]]:
        """Nodes first reached at each hop; the pivot is none of them."""
        seen = {pivot}
        hops: list[list[int]] = []
        sources = [pivot]
        for k in self.settings.k_at_hop:
            reached = []
            for source in sources:
                for neighbor in self._neighbors(source, k):
                    if neighbor not in seen:
                        seen.add(neighbor)
                        reached.append(neighbor)
            hops.append(reached)
            sources = reached
        return hops

    def _join(self, nodes: list[int], adjacency: NDArray[np.float32]) -> None:
        """Fill in the edges between nodes of one subgraph."""
        places = {node: place for place, node in enumerate(nodes)}
        for node, place in places.items():
            for neighbor in self._neighbors(node, self.settings.n_edge_neighbors):
                if neighbor in places:
                    adjacency[place, places[neighbor]] = 1
                    adjacency[places[neighbor], place] = 1

    def _join_as_authors(self, nodes: list[np.int32], adjacency: Tensor) -> None:
        """Fill in the same edges the slow way."""
        places = {node: place for place, node in enumerate(nodes)}
        for node in nodes:
            for neighbor in self.graph.indices[node, : self.settings.n_edge_neighbors]:
                if neighbor in nodes:
                    adjacency[places[node], places[neighbor]] = 1
                    adjacency[places[neighbor], places[node]] = 1

    def _neighbors(self, instance: int, k: int) -> list[int]:
        nearest = self.graph.indices[instance, :k].tolist()
        return [neighbor for neighbor in nearest if neighbor != MISSING]


class PaddedDenseGCN(nn.Module):
    """A `LinkGCN` on padded dense batches; the parameters are shared with it.

    Source: L-GCN (arXiv 1903.11306), section 3.3. In training mode the input norm
    takes its statistics from the batch's nodes; the running ones stay.
    """

    def __init__(self, model: LinkGCN) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: PaddedBatch) -> Tensor:
        """Logits of all 1-hop nodes, pivot by pivot and nearest first, (L, 2)."""
        values = self._normalized(batch)
        fixed = self._fixed_aggregation(batch)
        for conv in cast(list[GraphConv], list(self.model.convs)):
            aggregation = fixed
            if conv.attention is not None:
                aggregation = _attention(conv.attention, values, batch.adjacency)
            both = torch.cat((values, torch.bmm(aggregation, values)), dim=2)
            values = functional.relu(both @ conv.weight + conv.bias)
        logits: Tensor = self.model.classifier(values[batch.is_one_hop])
        return logits

    def _normalized(self, batch: PaddedBatch) -> Tensor:
        norm = self.model.input_norm
        mean, variance = norm.running_mean, norm.running_var
        if self.training:
            variance, mean = torch.var_mean(batch.residuals[batch.is_node], dim=0, correction=0)
        return (batch.residuals - mean) * torch.rsqrt(variance + _NORM_EPS)

    def _fixed_aggregation(self, batch: PaddedBatch) -> Tensor:
        """G (B, n, n) where it is the same for all layers; A itself for attention."""
        config, adjacency = self.model.config, batch.adjacency
        if config.aggregator == "weighted":
            features = batch.residuals + batch.pivots[:, None]
            return _softmax_of_edges(torch.bmm(features, features.mT), adjacency)
        if config.aggregator == "attention":
            return adjacency
        degrees = adjacency.sum(dim=2).clamp(min=1)
        if config.mean_normalization == "symmetric":
            return adjacency / (degrees[:, :, None] * degrees[:, None, :]).sqrt()
        return adjacency / degrees[:, :, None]


def _softmax_of_edges(scores: Tensor, adjacency: Tensor) -> Tensor:
    """Softmax over the edges of each node; zeros elsewhere and for nodes without edges."""
    return scores.masked_fill(adjacency == 0, _NO_EDGE).softmax(dim=-1) * adjacency


def _attention(attention: EdgeAttention, values: Tensor, adjacency: Tensor) -> Tensor:
    """G (B, n, n) of one layer; the pairs of one subgraph at a time, for memory's sake."""
    own_weight, neighbor_weight = attention.hidden_weight.chunk(2)
    aggregations = []
    for nodes, edges in zip(values, adjacency, strict=True):
        own, neighbors = nodes @ own_weight, nodes @ neighbor_weight
        hidden = own[:, None, :] + neighbors[None, :, :] + attention.hidden_bias
        scores = functional.leaky_relu(hidden, _ATTENTION_SLOPE) @ attention.score_weight
        aggregations.append(_softmax_of_edges(scores[:, :, 0], edges))
    return torch.stack(aggregations)


@torch.inference_mode()
def predict_likelihoods_padded(
    model: LinkGCN,
    features: NDArray[np.float32],
    graph: NeighborGraph,
    settings: SubgraphSettings,
    pivots: NDArray[np.integer],
    *,
    batch_size: int = 16,
    as_authors: bool = False,
    stopwatch: Stopwatch | None = None,
) -> NDArray[np.float32]:
    """What `facelink.link_prediction.predict_likelihoods` gives, (P, k1), by the plain way.

    The stages `SUBGRAPHS` and `NETWORK` are timed. The model is left in eval mode.
    """
    stopwatch = stopwatch or Stopwatch()
    feeder = PaddedFeeder(features, graph, settings, as_authors)
    network = PaddedDenseGCN(model).eval()
    likelihoods = np.full((len(pivots), settings.k_at_hop[0]), np.nan, dtype=np.float32)
    for start in range(0, len(pivots), batch_size):
        with stopwatch.stage(SUBGRAPHS):
            batch = feeder.batch(pivots[start : start + batch_size].tolist())
        with stopwatch.stage(NETWORK):
            judged = torch.softmax(network(batch), dim=1)[:, 1]
        is_one_hop = batch.is_one_hop[:, : likelihoods.shape[1]].numpy()
        likelihoods[start : start + batch_size][is_one_hop] = judged.numpy()
    return likelihoods
