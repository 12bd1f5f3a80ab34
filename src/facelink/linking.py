"""Links by any model: the settings it needs, its likelihoods, and where merging starts.

What differs between a LinkGCN, a ContextGCN and plain cosine similarity is decided
here and nowhere after it.
"""

import numpy as np
from numpy.typing import NDArray

from facelink.context_prediction import predict_context_likelihoods
from facelink.errors import InputError
from facelink.link_prediction import (
    CombineDirections,
    Progress,
    combine_directions,
    predict_links,
    similarity_links,
)
from facelink.links import Links
from facelink.models.context_gcn import ContextGCN
from facelink.models.device import Precision
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import LinkModel
from facelink.neighbors.graph import NeighborGraph
from facelink.subgraphs import SubgraphSettings

SIMILARITY_THRESHOLD = 0.75
"""Default threshold for cosine links: likelihood (1 + cosine) / 2, so a cosine of 0.5."""


def judge_links(
    model: LinkModel | None,
    features: NDArray[np.float32],
    graph: NeighborGraph,
    settings: SubgraphSettings,
    *,
    combine: CombineDirections = "mean",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Links:
    """Judge every face's links with its neighbours by any model, or by cosine similarity alone.

    Parameters
    ----------
    model
        None: the likelihood is (1 + cosine) / 2.
    features : float32 (N, D)
        L2-normalised rows.
    graph
        Their neighbours.
    settings
        As from `subgraph_settings`.
    combine, precision, progress
        As for `predict_links`.
    """
    k = settings.k_at_hop[0]
    if model is None:
        return similarity_links(graph, k)
    if isinstance(model, ContextGCN):
        judged = predict_context_likelihoods(model, features, graph, k, progress=progress)
        return combine_directions(graph, judged, combine)
    return predict_links(
        model, features, graph, settings, combine=combine, precision=precision, progress=progress
    )


def default_threshold(model: LinkModel | None) -> float:
    """Likelihood at which merging starts: the model's, or that of cosine links."""
    if model is None:
        return SIMILARITY_THRESHOLD
    return model.config.initial_threshold if isinstance(model, LinkGCN) else 0.5


def subgraph_settings(
    model: LinkModel | None,
    n_instances: int,
    k_at_hop: tuple[int, ...] | None = None,
    n_edge_neighbors: int | None = None,
) -> SubgraphSettings:
    """Settings for a collection: the model's, or those asked for.

    Defaults adapt to fewer instances than they need; what was asked for does
    not.

    Raises
    ------
    InputError
        If there are fewer than 2 instances, or more neighbours are asked for
        than there are other instances.
    """
    if n_instances < 2:
        raise InputError(
            f"n_samples={n_instances}: links need at least 2 instances; add more features."
        )
    default = model.config.subgraphs if isinstance(model, LinkGCN) else SubgraphSettings()
    default = default.limited_to(n_instances - 1)
    if isinstance(model, ContextGCN):
        default = _context_settings(model, default.k_at_hop[0], k_at_hop, n_edge_neighbors)
        k_at_hop = None
    settings = SubgraphSettings(
        default.k_at_hop if k_at_hop is None else k_at_hop,
        default.n_edge_neighbors if n_edge_neighbors is None else n_edge_neighbors,
        default.include_pivot,
    )
    if settings.n_neighbors >= n_instances:
        raise InputError(
            f"k_at_hop={settings.k_at_hop} and n_edge_neighbors={settings.n_edge_neighbors} need "
            f"{settings.n_neighbors} neighbours, but each of {n_instances} instances has "
            f"{n_instances - 1} others; lower them to at most {n_instances - 1}, or leave them "
            "out to have them chosen."
        )
    return settings


def _context_settings(
    model: ContextGCN,
    k: int,
    k_at_hop: tuple[int, ...] | None,
    n_edge_neighbors: int | None,
) -> SubgraphSettings:
    """Settings of the context model at k, or at the one number of neighbours that is asked for."""
    if n_edge_neighbors is not None or (k_at_hop is not None and len(k_at_hop) > 1):
        raise InputError(
            f"k_at_hop={k_at_hop} and n_edge_neighbors={n_edge_neighbors} with the context model; "
            "it looks one hop far and chooses its edges, so give one number of neighbours or none."
        )
    return model.config.subgraphs_at(
        k if k_at_hop is None else SubgraphSettings(k_at_hop).k_at_hop[0]
    )
