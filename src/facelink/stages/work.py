"""What each stage does with a block of rows: small descriptions that any process can open."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink import context_prediction, judging
from facelink.context_prediction import ContextJudge
from facelink.errors import InputError
from facelink.features import normalize_rows, open_features, open_rows
from facelink.link_prediction import (
    CombineDirections,
    LinkJudge,
    combine_rows,
    similarity_likelihoods,
)
from facelink.models.context_gcn import ContextGCN
from facelink.models.device import Precision, choose_device
from facelink.models.loading import CONTEXT, COSINE, LinkModel, load_link_model
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.prepared import PreparedSearch
from facelink.parquet_rows import ParquetRows
from facelink.stages.blocks import mapped
from facelink.stages.content import hash_of_model
from facelink.stages.engine import Arrays, Block
from facelink.subgraphs import SubgraphSettings

SEARCH_NAME = "search.safetensors"
OFFSETS_NAME = "offsets.npy"
_COPIES_OF_PARQUET = 2


@dataclass(frozen=True)
class FeaturesFile:
    """A file of features.

    Parameters
    ----------
    path : Path
        As for `open_features`.
    dim : int, optional
        Their width, where the file does not say it.
    """

    path: Path
    dim: int | None = None

    def open(self) -> NDArray[Any]:
        """Features (N, D) as they are stored; memory-mapped if the kind of file allows it."""
        return np.asarray(open_features(self.path, dim=self.dim))

    def open_rows(self) -> NDArray[Any] | ParquetRows:
        """The same, but read as far as rows are asked for where that is possible."""
        return open_rows(self.path, dim=self.dim)

    def moved(self, where: Callable[[Path], Path]) -> "FeaturesFile":
        """The same file elsewhere."""
        return replace(self, path=where(self.path))

    @property
    def is_mapped(self) -> bool:
        """Whether the kind of file allows that."""
        return self.path.suffix.lower() in (".npy", ".bin", ".safetensors")

    def n_rows_held(self, n_faces: int) -> int:
        """Rows, of so many, that are in memory while some are read, besides mapped files.

        Those of Parquet count twice: as they are read, and as one array.
        """
        if self.path.suffix.lower() == ".parquet":
            return _COPIES_OF_PARQUET * ParquetRows(self.path).most_rows_at_once
        return 0 if self.is_mapped else n_faces


@dataclass(frozen=True)
class NormalizeRows:
    """Features as they are stored → ``features`` float32 (rows, D) of norm 1."""

    source: FeaturesFile

    def moved(self, where: Callable[[Path], Path]) -> "NormalizeRows":
        """The same work on a file elsewhere."""
        return replace(self, source=self.source.moved(where))

    def open(self) -> Callable[[Block], Arrays]:
        """Map the file."""
        stored, name = self.source.open_rows(), f"features {self.source.path}"
        return lambda block: {
            "features": normalize_rows(stored, block.start, block.stop, name=name)
        }


@dataclass(frozen=True)
class FindNeighbors:
    """Normalised features → ``indices`` int32 and ``similarities`` float32 (rows, k).

    Parameters
    ----------
    features : FeaturesFile
        Normalised ones.
    search : Path
        File of a `PreparedSearch`.
    device : str
        Where an exact one compares, as for `choose_device`.
    """

    features: FeaturesFile
    search: Path
    device: str = "cpu"

    def moved(self, where: Callable[[Path], Path]) -> "FindNeighbors":
        """The same work on files elsewhere."""
        return replace(self, features=self.features.moved(where), search=where(self.search))

    def open(self) -> Callable[[Block], Arrays]:
        """Read the prepared search."""
        device = choose_device(self.device)
        search = PreparedSearch.load(self.search, self.features.open(), device=device)

        def find(block: Block) -> Arrays:
            indices, similarities = search.rows(np.arange(block.start, block.stop))
            return {"indices": indices, "similarities": similarities}

        return find


@dataclass(frozen=True)
class JudgePivots:
    """Features and neighbours → ``likelihoods`` float32 (rows, k1) of each pivot's links.

    Parameters
    ----------
    features : FeaturesFile
        Normalised ones.
    neighbors : Path
        Folder of the neighbours' arrays.
    model : str
        As for `LinkageClustering`, by its name or folder.
    model_hash : str
        What the model has to be, as of `hash_of_model`.
    device, precision : str
        As for `LinkageClustering`; not ``"auto"``, which every machine may read
        otherwise.
    subgraphs : SubgraphSettings
        Those to judge.
    table_bytes : int
        As for `LinkJudge`.
    """

    features: FeaturesFile
    neighbors: Path
    model: str
    model_hash: str
    device: str
    precision: Precision
    subgraphs: SubgraphSettings
    table_bytes: int

    def moved(self, where: Callable[[Path], Path]) -> "JudgePivots":
        """The same work on files elsewhere; a model in a folder goes with them."""
        is_folder = self.model not in (CONTEXT, COSINE)
        return replace(
            self,
            features=self.features.moved(where),
            neighbors=where(self.neighbors),
            model=str(where(Path(self.model))) if is_folder else self.model,
        )

    def pivots_per_batch(self, model: LinkModel | None) -> int:
        """Pivots of a batch of the model: blocks of whole batches give what one block would."""
        if model is None:
            return 1
        if isinstance(model, ContextGCN):
            return context_prediction.pivots_per_batch(self.subgraphs.k_at_hop[0])
        return judging.pivots_per_batch(self.subgraphs, model.device)

    def open(self) -> Callable[[Block], Arrays]:
        """Load the model, and compute what concerns all of the collection.

        Raises
        ------
        InputError
            If the model is another by now, or damaged.
        """
        model = load_link_model(self.model, choose_device(self.device))
        if hash_of_model(model) != self.model_hash:
            raise InputError(
                f"model {self.model}: it has changed since the run began. What is finished is "
                "kept; let nobody write it, and run again."
            )
        graph, k = open_graph(self.neighbors), self.subgraphs.k_at_hop[0]
        if model is None:
            similarities = graph.similarities[:, :k]
            return lambda block: {
                "likelihoods": similarity_likelihoods(similarities[block.start : block.stop])
            }
        features = self.features.open()
        judge: ContextJudge | LinkJudge
        if isinstance(model, ContextGCN):
            judge = ContextJudge(model, features, graph, k)
        else:
            judge = LinkJudge(
                model,
                features,
                graph,
                self.subgraphs,
                precision=self.precision,
                table_bytes=self.table_bytes,
            )
        return lambda block: {"likelihoods": judge.likelihoods(np.arange(block.start, block.stop))}


@dataclass(frozen=True)
class CombineLinks:
    """Neighbours and likelihoods → rows of the arrays of `Links`: ``pairs`` and the others.

    Parameters
    ----------
    neighbors, likelihoods : Path
        Folders of these stages' arrays.
    offsets : Path
        File of `link_offsets`: a block of links is found by it among the pivots.
    combine : str
        As for `combine_directions`.
    """

    neighbors: Path
    likelihoods: Path
    offsets: Path
    combine: CombineDirections

    def moved(self, where: Callable[[Path], Path]) -> "CombineLinks":
        """The same work on files elsewhere."""
        return replace(
            self,
            neighbors=where(self.neighbors),
            likelihoods=where(self.likelihoods),
            offsets=where(self.offsets),
        )

    def open(self) -> Callable[[Block], Arrays]:
        """Map the files."""
        graph, offsets = open_graph(self.neighbors), mapped(self.offsets)
        likelihoods = mapped(self.likelihoods / "likelihoods.npy")

        def combined(block: Block) -> Arrays:
            links = combine_rows(graph, likelihoods, offsets, block.start, block.stop, self.combine)
            return {
                "pairs": links.pairs,
                "likelihoods": links.likelihoods,
                "one_sided": links.one_sided,
            }

        return combined


def open_graph(folder: Path, **facts: Any) -> NeighborGraph:
    """Map the arrays of finished neighbours; facts are the graph's method and recall.

    Their checksums were compared when the run began, or when they were fetched.
    """
    indices, similarities = mapped(folder / "indices.npy"), mapped(folder / "similarities.npy")
    return NeighborGraph.of_checked(indices, similarities, **facts)
