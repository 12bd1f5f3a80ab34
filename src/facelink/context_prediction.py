"""Stage 5 without training: the context model judges every instance's neighbours."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from facelink.context.features import ContextFeatures
from facelink.context.impostors import ImpostorStatistics
from facelink.context.small import LARGEST, SimilarityScale
from facelink.errors import InputError
from facelink.link_prediction import Progress
from facelink.models.aggregators import SparseAdjacency
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.graph import NeighborGraph
from facelink.subgraphs import SubgraphBuilder

_SIZES, _SIMILARITY_SHARES = (20, 50), (1.0, 0.7)
"""Faces of a collection, and the share of similarity alone in the log-odds there and, up to
`LARGEST`, beyond; the rest is what the context says. In larger collections it decides alone."""

_LEAST_LIKELIHOOD = 1e-4
"""Likelihoods are cut here and at 1 less this before they are mixed."""

_NODES_PER_BATCH = 32_768
"""Nodes judged at a time: about 6 MB of features and 8 MB for each layer of width 64."""


def predict_context_likelihoods(
    model: ContextGCN,
    features: NDArray[np.float32],
    graph: NeighborGraph,
    k: int,
    *,
    pivots: NDArray[np.integer] | None = None,
    impostors: ImpostorStatistics | None = None,
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
    pivots : integer (P,), optional
        Instances to judge; by default all of them.
    impostors
        Of the collection; by default measured.
    progress
        Called after each batch with its number of pivots.

    Returns
    -------
    float32 (P, min(k, K))
        Probabilities in [0, 1], in the order of the neighbour graph; NaN where
        the neighbour is missing. Working memory is bounded by the batch.

    Raises
    ------
    InputError
        If k is below 1, features and graph are of different collections, or
        a pivot is not one of their instances.
    """
    everyone = np.arange(graph.n_instances) if pivots is None else pivots
    return ContextJudge(model, features, graph, k, impostors).likelihoods(everyone, progress)


def pivots_per_batch(k: int) -> int:
    """Pivots that are judged at a time, where k neighbours of each are.

    Parts of a collection that are whole numbers of batches are judged exactly
    as they are within all of it.
    """
    return max(1, _NODES_PER_BATCH // max(1, k))


class ContextJudge:
    """Judges pivots of one collection; what concerns all of it is computed once.

    Parameters
    ----------
    model, features, graph, k, impostors
        As for `predict_context_likelihoods`.

    Raises
    ------
    InputError
        As from `predict_context_likelihoods`.
    """

    def __init__(
        self,
        model: ContextGCN,
        features: NDArray[np.float32],
        graph: NeighborGraph,
        k: int,
        impostors: ImpostorStatistics | None = None,
    ) -> None:
        if k < 1:
            raise InputError(f"k={k}; judge at least 1 neighbour of each instance.")
        if len(features) != graph.n_instances:
            raise InputError(
                f"{len(features)} features but a neighbour graph of {graph.n_instances} instances; "
                "the graph belongs to other features."
            )
        self.model, self.graph, self.k = model, graph, min(k, graph.n_neighbors)
        if graph.n_instances == 0 or self.k == 0:
            return
        impostors = impostors or ImpostorStatistics.of(features)
        self._context = ContextFeatures(graph, self.k, impostors)
        self._builder = SubgraphBuilder(graph, model.config.subgraphs_at(self.k))
        is_small = graph.n_instances <= LARGEST
        self._scale = SimilarityScale.of(features) if is_small else None

    @torch.inference_mode()
    def likelihoods(
        self, pivots: NDArray[np.integer], progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Judge pivots (P,): likelihoods of their neighbours, float32 (P, min(k, K))."""
        judged = np.full((len(pivots), self.k), np.nan, dtype=np.float32)
        if judged.size == 0:
            return judged
        step = pivots_per_batch(self.k)
        for start in range(0, len(pivots), step):
            block = np.asarray(pivots[start : start + step], dtype=np.int32)
            self._judge(block, judged[start : start + len(block)])
            if progress is not None:
                progress(len(block))
        if self._scale is None:
            return judged
        n = self.graph.n_instances
        is_one_person = self._scale.is_one_person
        share = 1.0 if is_one_person else float(np.interp(n, _SIZES, _SIMILARITY_SHARES))
        similarities = self.graph.similarities[pivots, : self.k]
        return _mixed(judged, self._scale.likelihoods(similarities), share)

    def _judge(self, pivots: NDArray[np.int32], judged: NDArray[np.float32]) -> None:
        """Fill the rows of one batch of pivots."""
        batch, device = self._builder.build(pivots), self.model.device
        is_present = np.arange(self.k) < batch.n_one_hop[:, None]
        nodes = torch.from_numpy(self._context.of(pivots)[is_present]).to(device)
        log_odds = self.model(
            nodes, SparseAdjacency.from_edges(batch.indptr, batch.columns, device)
        )
        judged[is_present] = torch.sigmoid(log_odds).cpu().numpy()


def _mixed(
    likelihoods: NDArray[np.float32], others: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """Likelihoods with this share of the others' log-odds; NaN where there are none."""
    log_odds = (1 - share) * _log_odds(likelihoods) + share * _log_odds(others)
    mixed: NDArray[np.float32] = np.where(np.isnan(likelihoods), np.nan, expit(log_odds))
    return mixed.astype(np.float32)


def _log_odds(likelihoods: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-odds of likelihoods, those of 0 and 1 as of the nearest that merging tells apart."""
    clipped = np.clip(likelihoods.astype(np.float64), _LEAST_LIKELIHOOD, 1 - _LEAST_LIKELIHOOD)
    odds: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds
