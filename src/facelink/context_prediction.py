"""Stage 5 without training: the context model judges every instance's neighbours."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from facelink.context.features import ContextFeatures
from facelink.context.impostors import ImpostorStatistics
from facelink.errors import InputError
from facelink.link_prediction import Progress
from facelink.models.aggregators import SparseAdjacency
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.graph import NeighborGraph
from facelink.subgraphs import SubgraphBuilder

_FEW = 10
"""Of fewer instances than this nobody has a context; similarity alone has to tell."""

_STRANGERS, _SURE = 0.2, 20.0
"""A pair's cosine at which few instances are as likely one person as not, and how fast that
changes: typical for centred face embedders, whose strangers stay below 0.2 and whose genuine pairs
rarely fall below 0.3."""

_NODES_PER_BATCH = 32_768
"""Nodes judged at a time: about 6 MB of features and 8 MB for each layer of width 64."""


@torch.inference_mode()
def predict_context_likelihoods(
    model: ContextGCN,
    features: NDArray[np.float32],
    graph: NeighborGraph,
    k: int,
    *,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Likelihood that each instance and each of its nearest neighbours are one person.

    Parameters
    ----------
    model
        Network, on the device to use.
    features : float32 (N, D)
        L2-normalised rows, of any embedder; may be memory-mapped. Only the
        similarities of random pairs are taken from them.
    graph
        Nearest neighbours.
    k
        Neighbours that are judged, and that make up the context. What the
        graph does not have is not judged: in a collection of N ≤ k instances
        everyone has N − 1 neighbours.
    progress
        Called after each batch with its number of pivots.

    Returns
    -------
    float32 (N, min(k, K))
        Probabilities in [0, 1], in the order of the neighbour graph; NaN where
        the neighbour is missing. Working memory is bounded by the batch.

    Raises
    ------
    InputError
        If k is below 1, or features and graph are of different collections.
    """
    if k < 1:
        raise InputError(f"k={k}; judge at least 1 neighbour of each instance.")
    if len(features) != graph.n_instances:
        raise InputError(
            f"{len(features)} features but a neighbour graph of {graph.n_instances} instances; "
            "the graph belongs to other features."
        )
    n, k = graph.n_instances, min(k, graph.n_neighbors)
    likelihoods = np.full((n, k), np.nan, dtype=np.float32)
    if likelihoods.size == 0:
        return likelihoods
    context = ContextFeatures(graph, k, ImpostorStatistics.of(features))
    builder = SubgraphBuilder(graph, model.config.subgraphs_at(k))
    step = max(1, _NODES_PER_BATCH // k)
    for start in range(0, n, step):
        pivots = np.arange(start, min(n, start + step), dtype=np.int32)
        batch = builder.build(pivots)
        is_present = np.arange(k) < batch.n_one_hop[:, None]
        nodes = torch.from_numpy(context.of(pivots)[is_present]).to(model.device)
        log_odds = model(
            nodes, SparseAdjacency.from_edges(batch.indptr, batch.columns, model.device)
        )
        likelihoods[start : start + len(pivots)][is_present] = torch.sigmoid(log_odds).cpu().numpy()
        if progress is not None:
            progress(len(pivots))
    if n < _FEW:
        by_similarity = expit(_SURE * (graph.similarities[:, :k] - _STRANGERS))
        likelihoods = np.minimum(likelihoods, by_similarity.astype(np.float32))
    return likelihoods
