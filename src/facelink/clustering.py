"""The whole path from features to people: `LinkageClustering.fit` names its stages in order."""

import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import validate_data

from facelink.errors import InputError
from facelink.features import normalize_features
from facelink.link_prediction import (
    CombineDirections,
    Progress,
    combine_directions,
    predict_links,
    similarity_links,
)
from facelink.links import Links
from facelink.merging.confidence import membership_confidence
from facelink.merging.merge import MergeMethod, merge_links
from facelink.merging.result import MergeResult
from facelink.models.device import Precision, choose_device, runs_in_bfloat16
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphSettings

SIMILARITY_THRESHOLD = 0.75
"""Default threshold without a model: likelihood (1 + cosine) / 2, so a cosine of 0.5."""


class LinkageClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Groups faces by person: links judged by a link model, then merged.

    Source: L-GCN (arXiv 1903.11306), section 3. The stages are those of the
    paper: nearest neighbours, Instance Pivot Subgraphs, link prediction, link
    merging.

    Parameters
    ----------
    model : LinkGCN or path, optional
        A trained `LinkGCN`, which stays as it is, or the folder of one. None:
        a link's likelihood is (1 + cosine) / 2, the baseline that does not
        look at context.
    k_at_hop : sequence of int, optional
        Neighbours followed at each hop; the first is the number of links that
        are judged for each face. By default those of the model, or 80; the
        default adapts to collections that are smaller.
    n_edge_neighbors : int, optional
        u: nearest neighbours of a node that may become its edges. By default
        that of the model.
    neighbor_method : {"auto", "exact", "ivf", "hnsw"}
        How neighbours are found.
    combine : {"mean", "max", "min"}
        How the likelihoods of (p, q) and (q, p) become one.
    merge : {"bfs", "threshold"}
        The paper's threshold-raising BFS, or plain components.
    threshold : float, optional
        Likelihood at which merging starts. By default the one that training
        stored with the model, or 0.75 without a model.
    threshold_step : float
        Share of the way to 1 that the threshold rises between two passes.
    max_cluster_size : int
        Components above it are cut further (``"bfs"``).
    device : str
        Where the model runs: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    precision : {"auto", "float32", "bfloat16"}
        Of the model's matrix products; ``"auto"`` is bfloat16 where the
        device has it.
    random_state : int
        Seeds the sample on which an approximate search measures its recall.

    Attributes
    ----------
    labels_ : int64 (N,)
        Person of each face, consecutive from 0; a face alone has its own label.
    probabilities_ : float32 (N,)
        Confidence of each face in its cluster, in [0, 1]: its links' mean
        likelihood within the cluster, or for a face alone, one minus its
        greatest likelihood of being linked with anyone.
    links_ : Links
        The judged links.
    neighbor_graph_ : NeighborGraph
        The neighbours they connect.
    merge_result_ : MergeResult
        The labels with what merging tells about them, such as clusters that
        it could not cut below `max_cluster_size`.
    n_features_in_ : int
        Width D of the features.

    Examples
    --------
    >>> from facelink.synthetic import SyntheticSettings, make_faces
    >>> faces = make_faces(SyntheticSettings(n_faces=300, n_features=64), seed=1)
    >>> LinkageClustering(threshold=0.7).fit_predict(faces.features).shape
    (300,)
    """

    def __init__(
        self,
        model: LinkGCN | Path | str | None = None,
        *,
        k_at_hop: tuple[int, ...] | None = None,
        n_edge_neighbors: int | None = None,
        neighbor_method: str = "auto",
        combine: CombineDirections = "mean",
        merge: MergeMethod = "bfs",
        threshold: float | None = None,
        threshold_step: float = 0.05,
        max_cluster_size: int = 300,
        device: str = "auto",
        precision: Precision = "auto",
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.k_at_hop = k_at_hop
        self.n_edge_neighbors = n_edge_neighbors
        self.neighbor_method = neighbor_method
        self.combine = combine
        self.merge = merge
        self.threshold = threshold
        self.threshold_step = threshold_step
        self.max_cluster_size = max_cluster_size
        self.device = device
        self.precision = precision
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        neighbor_graph: NeighborGraph | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Group faces by person.

        Parameters
        ----------
        X : float (N, D)
            Features, one row per face; normalised here.
        y
            Ignored.
        neighbor_graph
            Neighbours found before; searched by default.
        progress
            Called with the number of pivots judged since the last call.

        Raises
        ------
        InputError
            If features, graph, model and settings do not fit together.
        """
        X = validate_data(self, X, dtype=(np.float32, np.float64, np.float16))
        features = normalize_features(X)
        model = self._loaded_model()
        self._check(model, features)
        settings = subgraph_settings(model, len(features), self.k_at_hop, self.n_edge_neighbors)
        graph = self._neighbors(features, settings, neighbor_graph)
        links = self._judge(model, features, graph, settings, progress)
        merged = self._merge(links, model)
        self.neighbor_graph_ = graph
        self.links_ = links
        self.merge_result_ = merged
        self.labels_: NDArray[np.int64] = merged.labels
        self.probabilities_ = membership_confidence(links, merged.labels)
        return self

    def fit_predict(self, X: ArrayLike, y: object = None, **fit_params: Any) -> NDArray[np.int64]:
        """`fit`, then the labels, int64 (N,)."""
        return self.fit(X, y, **fit_params).labels_

    def _loaded_model(self) -> LinkGCN | None:
        device = choose_device(self.device)
        if self.model is None:
            return None
        if isinstance(self.model, LinkGCN):
            return copy.deepcopy(self.model).to(device)
        return LinkGCN.from_pretrained(self.model, device)

    def _check(self, model: LinkGCN | None, features: NDArray[np.float32]) -> None:
        """Raise before long work what its last steps would raise: they run on nobody."""
        if model is not None:
            model.check_features(features)
            runs_in_bfloat16(self.precision, model.device)
        nobody = NeighborGraph(np.empty((0, 1), np.int32), np.empty((0, 1), np.float32))
        self._merge(combine_directions(nobody, nobody.similarities, self.combine), model)

    def _neighbors(
        self,
        features: NDArray[np.float32],
        settings: SubgraphSettings,
        given: NeighborGraph | None,
    ) -> NeighborGraph:
        if given is None:
            return find_neighbors(
                features, settings.n_neighbors, self.neighbor_method, seed=self.random_state
            )
        if given.n_instances != len(features):
            raise InputError(
                f"the neighbour graph has {given.n_instances} instances but there are "
                f"{len(features)} features; give the graph that was made from them, or none."
            )
        return given

    def _judge(
        self,
        model: LinkGCN | None,
        features: NDArray[np.float32],
        graph: NeighborGraph,
        settings: SubgraphSettings,
        progress: Progress | None,
    ) -> Links:
        if model is None:
            return similarity_links(graph, settings.k_at_hop[0])
        return predict_links(
            model,
            features,
            graph,
            settings,
            combine=self.combine,
            precision=self.precision,
            progress=progress,
        )

    def _merge(self, links: Links, model: LinkGCN | None) -> MergeResult:
        return merge_links(
            links,
            self.merge,
            initial_threshold=default_threshold(model)
            if self.threshold is None
            else self.threshold,
            threshold_step=self.threshold_step,
            max_cluster_size=self.max_cluster_size,
        )


def default_threshold(model: LinkGCN | None) -> float:
    """Likelihood at which merging starts: the model's, or that of plain similarity."""
    return SIMILARITY_THRESHOLD if model is None else model.config.initial_threshold


def subgraph_settings(
    model: LinkGCN | None,
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
    default = SubgraphSettings() if model is None else model.config.subgraphs
    default = default.limited_to(n_instances - 1)
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
