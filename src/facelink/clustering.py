"""The whole path from features to people: `LinkageClustering.fit` names its stages in order."""

import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from facelink.errors import InputError
from facelink.features import normalize_features
from facelink.grouping import MergeSettings, cluster_confidence, merge_judged
from facelink.growing import JudgedNeighbors, grow_judged
from facelink.link_prediction import (
    CombineDirections,
    Progress,
    combine_directions,
)
from facelink.linking import judge_links, subgraph_settings
from facelink.links import Links
from facelink.merging.confidence import NOT_CLUSTERED
from facelink.merging.likelihood import LikelihoodMergeResult
from facelink.merging.membership import Membership, judge_membership
from facelink.merging.merge import AnyMergeResult, MergeChoice
from facelink.models.context_gcn import ContextGCN
from facelink.models.device import Precision, choose_device, runs_in_bfloat16
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import CONTEXT, COSINE, LinkModel, load_link_model
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.newcomers import place_newcomers
from facelink.subgraphs import SubgraphSettings


def _can_grow(clustering: "LinkageClustering") -> bool:
    """Whether faces can be added: links of the context model, merged by likelihood."""
    by_likelihood = clustering.merge == "likelihood" or (
        clustering.merge == "auto" and clustering.threshold is None
    )
    is_context = not isinstance(clustering.model, LinkGCN) and clustering.model != COSINE
    return by_likelihood and is_context


class LinkageClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Groups faces by person: links judged by a link model, then merged.

    By default nothing has to be trained or guessed: the context model that
    ships with facelink judges links, for any embedder, and groups follow from
    their likelihoods. With a trained `LinkGCN` the path is the paper's.

    Source: L-GCN (arXiv 1903.11306), section 3. The stages are those of the
    paper: nearest neighbours, Instance Pivot Subgraphs, link prediction, link
    merging.

    Parameters
    ----------
    model : LinkGCN, ContextGCN, path or name
        A trained model, which stays as it is, or the folder of one.
        ``"context"``: the context model that ships with facelink.
        ``"cosine"``: a link's likelihood is (1 + cosine) / 2, the baseline
        that does not look at context.
    k_at_hop : sequence of int, optional
        Neighbours followed at each hop; the first is the number of links that
        are judged for each face, the only one for the context model. By
        default those of the model, or 80; the default adapts to collections
        that are smaller.
    n_edge_neighbors : int, optional
        u: nearest neighbours of a node that may become its edges. By default
        that of the model; the context model's follows from k and is not
        chosen.
    neighbor_method : {"auto", "exact", "ivf", "hnsw"}
        How neighbours are found.
    combine : {"mean", "max", "min"}
        How the likelihoods of (p, q) and (q, p) become one.
    merge : {"auto", "likelihood", "bfs", "threshold"}
        By the links' likelihoods alone, which needs no threshold; the paper's
        threshold-raising BFS; or plain components. ``"auto"``: by likelihood
        for the context model unless a threshold is given, the paper's
        otherwise.
    threshold : float, optional
        Likelihood at which merging starts. By default the one that training
        stored with the model, 0.75 for cosine links, 0.5 for the context
        model's. Merging by likelihood has none.
    threshold_step : float
        Share of the way to 1 that the threshold rises between two passes.
    max_cluster_size : int
        Components above it are cut further (``"bfs"``).
    must_link, cannot_link : integer (M, 2) and (C, 2), optional
        Pairs of faces that are one person for certain, or two; merging by
        likelihood honours them exactly.
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
        Confidence of each face in its cluster, in [0, 1]. Merged by
        likelihood: `Membership.confidence`. Otherwise its links' mean
        likelihood within the cluster, or for a face alone, one minus its
        greatest likelihood of being linked with anyone.
    outlier_scores_ : float32 (N,)
        Probability in [0, 1] that a face belongs to nobody who is there.
    runner_up_ : int64 (N,)
        The other cluster that each face would most likely belong to; −1 where
        no link leads to another one.
    links_ : Links
        The judged links.
    neighbor_graph_ : NeighborGraph
        The neighbours they connect.
    merge_result_ : MergeResult or LikelihoodMergeResult
        The labels with what merging tells about them, such as clusters that
        it could not cut below `max_cluster_size`, or the links as they were
        calibrated on this collection.
    features_ : float32 (N, D)
        The faces, L2-normalised, for those that come later.
    n_features_in_ : int
        Width D of the features.

    Examples
    --------
    >>> from facelink.synthetic import SyntheticSettings, make_faces
    >>> faces = make_faces(SyntheticSettings(n_faces=300, n_features=64), seed=1)
    >>> LinkageClustering().fit_predict(faces.features).shape
    (300,)
    """

    def __init__(
        self,
        model: LinkModel | Path | str = CONTEXT,
        *,
        k_at_hop: tuple[int, ...] | None = None,
        n_edge_neighbors: int | None = None,
        neighbor_method: str = "auto",
        combine: CombineDirections = "mean",
        merge: MergeChoice = "auto",
        threshold: float | None = None,
        threshold_step: float = 0.05,
        max_cluster_size: int = 300,
        must_link: ArrayLike | None = None,
        cannot_link: ArrayLike | None = None,
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
        self.must_link = must_link
        self.cannot_link = cannot_link
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
        links = judge_links(
            model, features, graph, settings,
            combine=self.combine, precision=self.precision, progress=progress,
        )  # fmt: skip
        merged = merge_judged(links, model, self._merging(), self.must_link, self.cannot_link)
        self._judged: JudgedNeighbors | None = None
        self.features_ = features
        self.neighbor_graph_ = graph
        self.links_ = links
        self.merge_result_ = merged
        self.labels_: NDArray[np.int64] = merged.labels
        membership = _membership(links, merged)
        self.outlier_scores_ = membership.outlier_score
        self.runner_up_ = membership.runner_up
        self.probabilities_ = cluster_confidence(links, merged)
        return self

    def fit_predict(self, X: ArrayLike, y: object = None, **fit_params: Any) -> NDArray[np.int64]:
        """`fit`, then the labels, int64 (N,)."""
        return self.fit(X, y, **fit_params).labels_

    @available_if(_can_grow)
    def partial_fit(
        self, X: ArrayLike, y: object = None, *, progress: Progress | None = None
    ) -> Self:
        """Add faces: they join the groups there are or start new ones; no earlier label changes.

        The first call is `fit`. Only the new faces and those whose neighbour
        lists they enter are judged again, so that the cost of a face does not
        grow with the number of people. Two earlier groups never merge, not
        even two faces alone; an album (`facelink.album`) does that where the
        user has not named them.

        Parameters
        ----------
        X : float (M, D)
            Features of the new faces.
        y
            Ignored.
        progress
            Called with the number of faces judged since the last call.

        Raises
        ------
        AttributeError
            With another model than ``"context"``, or other merging than by
            likelihood: the method is not there.
        InputError
            If the model is a trained one of another kind than the context model.
        """
        if not hasattr(self, "labels_"):
            return self.fit(X, y, progress=progress)
        features, judged, merged = self._placed(X, progress)
        self.features_, self._judged = features, judged
        self.neighbor_graph_, self.links_ = judged.graph, judged.links(self.combine)
        self.merge_result_, self.labels_ = merged, merged.labels
        self.outlier_scores_ = merged.membership.outlier_score
        self.runner_up_ = merged.membership.runner_up
        self.probabilities_ = merged.membership.confidence
        return self

    @available_if(_can_grow)
    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Say which group faces would join, without adding them.

        They are looked at together: faces of one person who come with each
        other help each other.

        Parameters
        ----------
        X : float (M, D)
            Features of the faces.

        Returns
        -------
        int64 (M,)
            Labels as in `labels_`; −1 for a face of nobody who is there.

        Raises
        ------
        InputError
            As `partial_fit` does.
        """
        check_is_fitted(self)
        labels = self._placed(X, None)[2].labels[len(self.labels_) :]
        return np.where(labels > self.labels_.max(), NOT_CLUSTERED, labels)

    def _placed(
        self, X: ArrayLike, progress: Progress | None
    ) -> tuple[NDArray[np.float32], JudgedNeighbors, LikelihoodMergeResult]:
        """All features, their links, and all labels after new faces have come."""
        X = validate_data(self, X, dtype=(np.float32, np.float64, np.float16), reset=False)
        features = np.concatenate([self.features_, normalize_features(X)])
        model = self._loaded_model()
        if not isinstance(model, ContextGCN):
            raise InputError(
                f"model={self.model!r}: faces can be added with the context model only; fit all of "
                "them anew, or use model='context'."
            )
        before = self._judged
        if before is None:
            before = JudgedNeighbors.of(model, self.features_, self.neighbor_graph_)
        k = None if self.k_at_hop is None else tuple(self.k_at_hop)
        judged = grow_judged(before, model, features, k_at_hop=k, progress=progress)
        links = judged.links(self.combine)
        return features, judged, place_newcomers(links, self.labels_, is_fresh=judged.is_fresh)

    def _loaded_model(self) -> LinkModel | None:
        device = choose_device(self.device)
        if isinstance(self.model, LinkModel):
            return copy.deepcopy(self.model).to(device).eval()
        return load_link_model(self.model, device)

    def _check(self, model: LinkModel | None, features: NDArray[np.float32]) -> None:
        """Raise before long work what its last steps would raise: they run on nobody."""
        if isinstance(model, LinkGCN):
            model.check_features(features)
        runs_in_bfloat16(self.precision, choose_device(self.device))
        nobody = NeighborGraph(np.empty((0, 1), np.int32), np.empty((0, 1), np.float32))
        combine_directions(nobody, nobody.similarities, self.combine)
        self._merging().check(model, len(features), self.must_link, self.cannot_link)

    def _neighbors(
        self,
        features: NDArray[np.float32],
        settings: SubgraphSettings,
        given: NeighborGraph | None,
    ) -> NeighborGraph:
        if given is None:
            return find_neighbors(
                features,
                settings.n_neighbors,
                self.neighbor_method,
                seed=self.random_state,
                device=choose_device(self.device),
            )
        if given.n_instances != len(features):
            raise InputError(
                f"the neighbour graph has {given.n_instances} instances but there are "
                f"{len(features)} features; give the graph that was made from them, or none."
            )
        return given

    def _merging(self) -> MergeSettings:
        return MergeSettings(self.merge, self.threshold, self.threshold_step, self.max_cluster_size)


def _membership(links: Links, merged: AnyMergeResult) -> Membership:
    if isinstance(merged, LikelihoodMergeResult):
        return merged.membership
    return judge_membership(links, merged.labels, links.n_neighbors or 1)
