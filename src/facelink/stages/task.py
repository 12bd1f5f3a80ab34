"""What a run computes: settings checked against the features and the model, before long work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.labels import check_labels, check_labels_path, load_labels
from facelink.linking import subgraph_settings
from facelink.models.device import choose_device, runs_in_bfloat16
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import LinkModel, load_link_model
from facelink.neighbors.search import check_request
from facelink.pairs import load_pairs
from facelink.stages.content import hash_of, hash_of_array
from facelink.stages.manifest import Origin
from facelink.stages.settings import RunSettings
from facelink.stages.work import FeaturesFile
from facelink.subgraphs import SubgraphSettings


@dataclass(frozen=True, eq=False)
class Task:
    """Everything that decides the result of a run, checked.

    Parameters
    ----------
    settings : RunSettings
        As they were given.
    features : FeaturesFile
        Normalised features.
    features_hash : str
        Of their origin.
    n_faces, n_dimensions : int
        N, D.
    model : LinkGCN, ContextGCN or None
        As from `load_link_model`.
    subgraphs : SubgraphSettings
        What is judged; its `n_neighbors` are searched.
    must_link, cannot_link : int64 (M, 2) and (C, 2), optional
        Pairs that are one person for certain, or two.
    labels_true : int64 (N,), optional
        True labels.
    """

    settings: RunSettings
    features: FeaturesFile
    features_hash: str
    n_faces: int
    n_dimensions: int
    model: LinkModel | None
    subgraphs: SubgraphSettings
    must_link: NDArray[np.int64] | None
    cannot_link: NDArray[np.int64] | None
    labels_true: NDArray[np.int64] | None

    @classmethod
    def of(
        cls,
        settings: RunSettings,
        features: FeaturesFile,
        features_hash: str,
        shape: tuple[int, int],
    ) -> "Task":
        """Load what the settings name, and check that all of it fits together.

        Raises
        ------
        InputError
            If it does not.
        """
        n, dim = shape
        device = choose_device(settings.device)
        model = load_link_model(settings.model, device)
        runs_in_bfloat16(settings.precision, device)
        if isinstance(model, LinkGCN):
            model.check_features(np.empty((0, dim), dtype=np.float32))
        subgraphs = subgraph_settings(model, n, settings.k_at_hop, settings.n_edge_neighbors)
        check_request(n, subgraphs.n_neighbors, settings.neighbor_method, settings.recall)
        must_link, cannot_link = _pairs(settings.must_link), _pairs(settings.cannot_link)
        settings.merging.check(model, n, must_link, cannot_link)
        labels_true = None
        if settings.labels_true is not None:
            labels_true = load_labels(settings.labels_true)
            check_labels(labels_true, n, f"labels_true {settings.labels_true}")
        return cls(
            settings, features, features_hash, n, dim,
            model, subgraphs, must_link, cannot_link, labels_true,
        )  # fmt: skip

    @property
    def neighbors_origin(self) -> Origin:
        """What decides the neighbours."""
        return Origin(
            "neighbors",
            {
                "k": self.subgraphs.n_neighbors,
                "neighbor_method": self.settings.neighbor_method,
                "recall": self.settings.recall,
                "seed": self.settings.seed,
            },
            {"features": self.features_hash},
        )

    @property
    def likelihoods_origin(self) -> Origin:
        """What decides the likelihoods of each pivot's links."""
        return Origin(
            "likelihoods",
            {
                "model": hash_of_model(self.model),
                "k_at_hop": list(self.subgraphs.k_at_hop),
                "n_edge_neighbors": self.subgraphs.n_edge_neighbors,
                "include_pivot": self.subgraphs.include_pivot,
                "device": choose_device(self.settings.device).type,
                "precision": self.settings.precision,
            },
            {"features": self.features_hash, "neighbors": self.neighbors_origin.hash},
        )

    @property
    def links_origin(self) -> Origin:
        """What decides the links."""
        inputs = {
            "neighbors": self.neighbors_origin.hash,
            "likelihoods": self.likelihoods_origin.hash,
        }
        return Origin("links", {"combine": self.settings.combine}, inputs)

    @property
    def labels_origin(self) -> Origin:
        """What decides the labels."""
        merging = self.settings.merging
        return Origin(
            "labels",
            {
                "merge": merging.method(self.model),
                "threshold": merging.starts_at(self.model),
                "threshold_step": merging.threshold_step,
                "max_cluster_size": merging.max_cluster_size,
                "must_link": _hash_of_pairs(self.must_link),
                "cannot_link": _hash_of_pairs(self.cannot_link),
            },
            {"links": self.links_origin.hash},
        )


def check_outputs(settings: RunSettings) -> None:
    """Fail before long work if the labels could not be written after it."""
    if settings.out is not None:
        check_labels_path(settings.out)


def hash_of_model(model: LinkModel | None) -> str:
    """Hash of a model's config and weights, wherever they are."""
    if model is None:
        return "cosine"
    weights = {
        name: hash_of_array(np.ascontiguousarray(value.cpu().numpy()))
        for name, value in model.state_dict().items()
    }
    return hash_of([_plain(model.config.as_dict()), weights])


def _plain(value: Any) -> Any:
    """JSON form of nested dictionaries and tuples."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _pairs(path: Path | None) -> NDArray[np.int64] | None:
    return None if path is None else load_pairs(path)


def _hash_of_pairs(pairs: NDArray[np.int64] | None) -> str | None:
    return None if pairs is None else hash_of_array(np.ascontiguousarray(pairs))


def wrong_features(path: Path, work: Path) -> InputError:
    """The error for features that are not those a run began with."""
    return InputError(
        f"features {path} are not those that the run in {work} began with: their content has "
        "changed. Give the earlier file, another --work folder, or --restart to begin anew."
    )
