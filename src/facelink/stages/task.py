"""What a run computes: settings checked against the features and the model, before long work."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.features import is_normalized
from facelink.labels import check_labels, check_labels_path, load_labels
from facelink.linking import subgraph_settings
from facelink.models.compiled import TABLE_BYTES, projected_bytes
from facelink.models.device import Precision, choose_device, runs_in_bfloat16
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import CONTEXT, COSINE, LinkModel, load_link_model
from facelink.neighbors.prepared import check_request, chosen_method
from facelink.neighbors.shards import check_shards
from facelink.pairs import load_pairs
from facelink.stages.content import FileContent, hash_of_array, hash_of_model
from facelink.stages.engine import Engine, LocalEngine
from facelink.stages.folder import STAGES
from facelink.stages.manifest import Manifest, Origin
from facelink.stages.memory import machine_memory_bytes
from facelink.stages.settings import RunSettings
from facelink.stages.work import FeaturesFile
from facelink.subgraphs import SubgraphSettings

_TABLE_SHARE = 2
"""Part of the memory that projected features of all faces may take: mapped files need room too."""


@dataclass(frozen=True, eq=False)
class Task:
    """Everything that decides the result of a run, checked.

    Parameters
    ----------
    settings : RunSettings
        As they were given, but for a device that was left open where the engine
        knows better.
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
    restart : bool
        Whether what the run's folder holds is of no use.
    in_one_process : bool
        Whether blocks are worked on one after another, and not by several processes.
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
    restart: bool = False
    in_one_process: bool = True

    @classmethod
    def load(
        cls,
        settings: RunSettings,
        work: Path,
        *,
        restart: bool = False,
        engine: Engine | type[Engine] = LocalEngine,
    ) -> Self:
        """Load what the settings name, and check that all of it fits together.

        Parameters
        ----------
        settings
            Of the run.
        work
            Its folder, which is only read, if it is there.
        restart
            Whether what it holds is of no use.
        engine
            What works on it, or its kind.

        Raises
        ------
        InputError
            If it does not fit, the run began with other features, or the
            features would go with what is of no use.
        OutputError
            If the labels could not be written after the run.
        """
        settings = settings.on(engine.auto_device)
        if settings.out is not None:
            check_labels_path(settings.out)
        device = choose_device(settings.device)
        model = load_link_model(settings.model, device)
        runs_in_bfloat16(settings.precision, device)
        if restart:
            _check_outside(settings.features, work)
        content, facts = _inspected(settings, work, restart=restart)
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
            restart,
            engine.in_one_process,
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
    def device(self) -> torch.device:
        """Where networks run and exact searches compare: here, not on another machine."""
        return choose_device(self.settings.device)

    @property
    def precision(self) -> Precision:
        """Of a LinkGCN; other models know one only."""
        if not isinstance(self.model, LinkGCN):
            return "float32"
        in_bfloat16 = runs_in_bfloat16(self.settings.precision, self.device)
        return "bfloat16" if in_bfloat16 else "float32"

    @property
    def search_method(self) -> str:
        """How neighbours are searched, where it is left open too."""
        return chosen_method(self.settings.neighbor_method, self.n_faces, self.device)

    @property
    def model_source(self) -> str:
        """The model's name, or its folder as an absolute path."""
        name = self.settings.model
        return name if name in (CONTEXT, COSINE) else str(Path(name).absolute())

    @cached_property
    def model_hash(self) -> str:
        """Of its config and weights."""
        return hash_of_model(self.model)

    @property
    def memory_bytes(self) -> int:
        """Memory that the run may take."""
        return self.settings.memory_bytes or machine_memory_bytes()

    @cached_property
    def table_bytes(self) -> int:
        """Size of a LinkGCN's projected features of all faces; 0 if each batch projects its own.

        That is so where they do not fit into half of the memory, or, of several
        processes, into 6 GiB of each. A GPU looks after its own memory.
        """
        if not isinstance(self.model, LinkGCN) or self.device.type != "cpu":
            return 0
        most = self.memory_bytes // _TABLE_SHARE
        if not self.in_one_process:
            most = min(most, TABLE_BYTES)
        n_bytes = projected_bytes(self.model, self.n_faces, self.precision == "bfloat16")
        return n_bytes if n_bytes <= most else 0

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
        """What decides the neighbours; exact ones depend on no recall and no seed."""
        settings = {"k": self.subgraphs.n_neighbors, "neighbor_method": self.search_method}
        if self.search_method != "exact":
            settings |= {"recall": self.settings.recall, "seed": self.settings.seed}
        return Origin("neighbors", settings, {"features": self.features_origin.hash})

    @property
    def likelihoods_origin(self) -> Origin:
        """What decides the likelihoods of each pivot's links, to the bit."""
        settings = {
            "model": self.model_hash,
            "k_at_hop": list(self.subgraphs.k_at_hop),
            "n_edge_neighbors": self.subgraphs.n_edge_neighbors,
            "include_pivot": self.subgraphs.include_pivot,
            "device": self.device.type,
            "precision": self.precision,
        }
        if isinstance(self.model, LinkGCN) and self.device.type == "cpu":
            settings["all_projected_at_once"] = self.table_bytes > 0
        inputs = {"features": self.features_origin.hash, "neighbors": self.neighbors_origin.hash}
        return Origin("likelihoods", settings, inputs)

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

    @property
    def origins(self) -> list[Origin]:
        """What decides the result of each stage, in order."""
        return [
            self.features_origin,
            self.neighbors_origin,
            self.likelihoods_origin,
            self.links_origin,
            self.labels_origin,
        ]

    def useful(self, work: Path) -> Iterator[Manifest | None]:
        """Manifest of each stage in the run's folder of which something is kept, in order."""
        is_useful = not self.restart
        for origin in self.origins:
            manifest = Manifest.read(work / origin.stage)
            is_useful &= manifest is not None and manifest.origin == origin.hash
            yield manifest if is_useful else None


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
    """Of the kinds of files, only .bin does not say how wide its rows are."""
    dim = settings.dim if settings.features.suffix.lower() == ".bin" else None
    return Origin("features", {"dim": dim}, {"features": content.hash})


def _source(settings: RunSettings) -> FeaturesFile:
    return FeaturesFile(settings.features.absolute(), settings.dim)


def _normalized_path(work: Path) -> Path:
    return work.absolute() / "features" / "features.npy"


def _check_outside(features: Path, work: Path) -> None:
    """Raise `InputError` if the features are in a stage of a run that is to be forgotten."""
    if any(features.resolve().is_relative_to((work / stage).resolve()) for stage in STAGES):
        raise InputError(
            f"features {features} are the run's own, which --restart removes; move them to another "
            "place first."
        )


def _inspected(
    settings: RunSettings, work: Path, *, restart: bool
) -> tuple[FileContent, Mapping[str, Any]]:
    """Content and facts of the features: as the run knows them, or from the file."""
    manifest = None if restart else Manifest.read(work / "features")
    before = None if manifest is None else FileContent.from_value(manifest.facts.get("content"))
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
