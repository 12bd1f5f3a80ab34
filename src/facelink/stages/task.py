"""What a run computes: settings checked against the features and the model, before long work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.features import is_normalized
from facelink.labels import check_labels, check_labels_path, load_labels
from facelink.linking import subgraph_settings
from facelink.models.device import choose_device, runs_in_bfloat16
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import CONTEXT, COSINE, LinkModel, load_link_model
from facelink.neighbors.prepared import check_request, chosen_method
from facelink.neighbors.shards import check_shards
from facelink.pairs import load_pairs
from facelink.stages.content import FileContent, hash_of, hash_of_array
from facelink.stages.manifest import Manifest, Origin
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
    content : FileContent
        Of the file of features.
    features : FeaturesFile
        Normalised features: that file, or a copy in the run's folder.
    shape : tuple of int
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
    content: FileContent
    features: FeaturesFile
    shape: tuple[int, int]
    model: LinkModel | None
    subgraphs: SubgraphSettings
    must_link: NDArray[np.int64] | None
    cannot_link: NDArray[np.int64] | None
    labels_true: NDArray[np.int64] | None

    @classmethod
    def load(cls, settings: RunSettings, work: Path) -> Self:
        """Load what the settings name, and check that all of it fits together.

        Parameters
        ----------
        settings
            Of the run.
        work
            Its folder, which is only read, if it is there.

        Raises
        ------
        InputError
            If it does not fit, or the run began with other features.
        OutputError
            If the labels could not be written after the run.
        """
        if settings.out is not None:
            check_labels_path(settings.out)
        device = choose_device(settings.device)
        model = load_link_model(settings.model, device)
        runs_in_bfloat16(settings.precision, device)
        content, facts = _inspected(settings, work)
        source = _source(settings)
        n, dim = facts["n_faces"], facts["n_dimensions"]
        if isinstance(model, LinkGCN):
            model.check_features(np.empty((0, dim), dtype=np.float32))
        subgraphs = subgraph_settings(model, n, settings.k_at_hop, settings.n_edge_neighbors)
        check_request(n, subgraphs.n_neighbors, settings.neighbor_method)
        if settings.index_shards > 1:
            method = chosen_method(settings.neighbor_method, n, device)
            check_shards(n, method, settings.index_shards)
        must_link, cannot_link = _pairs(settings.must_link), _pairs(settings.cannot_link)
        settings.merging.check(model, n, must_link, cannot_link)
        return cls(
            settings,
            content,
            source if facts["used_as_they_are"] else FeaturesFile(_normalized_path(work)),
            (n, dim),
            model,
            subgraphs,
            must_link,
            cannot_link,
            _labels_true(settings.labels_true, n),
        )

    @property
    def n_faces(self) -> int:
        """N."""
        return self.shape[0]

    @property
    def source(self) -> FeaturesFile:
        """The features as they were given."""
        return _source(self.settings)

    @property
    def model_source(self) -> str:
        """The model's name, or its folder as an absolute path."""
        name = self.settings.model
        return name if name in (CONTEXT, COSINE) else str(Path(name).absolute())

    @property
    def uses_features_as_they_are(self) -> bool:
        """Whether the file that was given is normalised and can be mapped."""
        return self.features == self.source

    @property
    def facts(self) -> dict[str, Any]:
        """What is to be known of the features, as JSON values."""
        return {
            "n_faces": self.n_faces,
            "n_dimensions": self.shape[1],
            "used_as_they_are": self.uses_features_as_they_are,
            "content": self.content.as_dict(),
        }

    @property
    def features_origin(self) -> Origin:
        """What decides the normalised features."""
        return _features_origin(self.settings, self.content)

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
            {"features": self.features_origin.hash},
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
            {"features": self.features_origin.hash, "neighbors": self.neighbors_origin.hash},
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


def _labels_true(path: Path | None, n_faces: int) -> NDArray[np.int64] | None:
    if path is None:
        return None
    labels = load_labels(path)
    check_labels(labels, n_faces, f"labels_true {path}")
    return labels


def _features_origin(settings: RunSettings, content: FileContent) -> Origin:
    return Origin("features", {"dim": settings.dim}, {"features": content.hash})


def _source(settings: RunSettings) -> FeaturesFile:
    return FeaturesFile(settings.features.absolute(), settings.dim)


def _normalized_path(work: Path) -> Path:
    return work.absolute() / "features" / "features.npy"


def _inspected(settings: RunSettings, work: Path) -> tuple[FileContent, Mapping[str, Any]]:
    """Content and facts of the features: as the run knows them, or from the file."""
    manifest = Manifest.read(work / "features")
    known = None if manifest is None else manifest.facts.get("content")
    before = None if known is None else FileContent(**known)
    content = FileContent.of(settings.features, before)
    if before is not None and before.hash != content.hash:
        raise InputError(
            f"features {settings.features} are not those that the run in {work} began with: their "
            "content has changed. Give the earlier file, another --work folder, or --restart to "
            "begin anew."
        )
    same = manifest is not None and manifest.origin == _features_origin(settings, content).hash
    if manifest is not None and manifest.is_complete and same:
        return content, manifest.facts
    return content, _facts_of(_source(settings))


def _facts_of(source: FeaturesFile) -> dict[str, Any]:
    stored = source.open_rows()
    return {
        "n_faces": stored.shape[0],
        "n_dimensions": stored.shape[1],
        "used_as_they_are": (
            source.is_mapped and isinstance(stored, np.ndarray) and is_normalized(stored)
        ),
    }
