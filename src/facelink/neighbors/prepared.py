"""A search that is prepared once, can be kept in a file, and finds any instances' neighbours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays
from facelink.neighbors.cells import CellIndex
from facelink.neighbors.search import (
    Found,
    Propose,
    RecallSample,
    check_request,
    chosen_method,
    hnsw_index,
    proposals,
    search_candidates,
    search_exactly,
)

_FORMAT = "facelink.search"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class PreparedSearch:
    """The k nearest neighbours of instances of a collection, by one method.

    `prepare` or `load` make one.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows; may be memory-mapped.
    n_neighbors : int
        k.
    method : str
        ``"exact"``, ``"ivf"`` or ``"hnsw"``.
    sample : RecallSample, optional
        What the recall of an approximate method is measured on.
    cells : CellIndex, optional
        Those of ``"ivf"``.
    n_cells : int
        Cells that ``"ivf"`` looks into for each instance.
    graph : faiss index, optional
        That of ``"hnsw"``.
    """

    features: NDArray[np.float32]
    n_neighbors: int
    method: str
    sample: RecallSample | None = None
    cells: CellIndex | None = None
    n_cells: int = 0
    graph: faiss.Index | None = None

    @classmethod
    def prepare(
        cls,
        features: NDArray[np.float32],
        n_neighbors: int,
        method: str = "auto",
        *,
        recall_target: float = 0.98,
        seed: int = 0,
    ) -> Self:
        """Do what is done once before a search; parameters as for `find_neighbors`.

        Raises
        ------
        InputError
            As from `find_neighbors`.
        """
        check_request(len(features), n_neighbors, method, recall_target)
        method = chosen_method(method, len(features))
        if method == "exact":
            return cls(features, n_neighbors, method)
        sample = RecallSample.draw(features, n_neighbors, seed)
        if method == "hnsw":
            return cls(
                features, n_neighbors, method, sample, graph=hnsw_index(features, n_neighbors)
            )
        cells = CellIndex.build(features, seed)
        n_cells = cells.cells_needed(sample.instances, sample.neighbors, recall_target)
        return cls(features, n_neighbors, method, sample, cells, n_cells)

    def rows(self, instances: NDArray[np.int64]) -> Found:
        """Rows of the neighbour graph.

        Parameters
        ----------
        instances : int64 (S,)
            Whose neighbours are sought.

        Returns
        -------
        int32 and float32 (S, k)
            Ids and similarities, as `NeighborGraph` holds them.
        """
        if self.method == "exact":
            return search_exactly(self.features, instances, self.n_neighbors)
        indices, similarities, _ = search_candidates(
            self._proposals(), self.features, instances, self.n_neighbors
        )
        return indices, similarities

    def _proposals(self) -> Propose:
        cells, n_cells, graph = self.cells, self.n_cells, self.graph
        if graph is not None:
            return proposals(graph, self.features)
        if cells is None:
            raise InputError(f"a prepared search by {self.method!r} without what it searches.")
        return lambda instances, n_candidates: cells.search(instances, n_cells, n_candidates)

    def recall(self, similarities: NDArray[np.float32]) -> float | None:
        """Recall of a finished graph from its similarities (N, k); None of an exact search."""
        if self.sample is None:
            return None
        return self.sample.recall(similarities[self.sample.instances])

    def save(self, path: Path | str) -> None:
        """Write all but the features as one safetensors file, whole or not at all.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {}
        if self.sample is not None:
            arrays |= {
                "sample": self.sample.instances,
                "sample_neighbors": self.sample.neighbors,
                "sample_similarities": self.sample.similarities,
            }
        if self.cells is not None:
            arrays |= {
                "centers": self.cells.centers,
                "members": self.cells.members,
                "starts": self.cells.starts,
            }
        if self.graph is not None:
            arrays["graph"] = faiss.serialize_index(self.graph)
        save_arrays(
            path,
            arrays,
            {
                "format": _FORMAT,
                "version": _VERSION,
                "method": self.method,
                "n_neighbors": self.n_neighbors,
                "n_cells": self.n_cells,
            },
        )

    @classmethod
    def load(cls, path: Path | str, features: NDArray[np.float32]) -> Self:
        """Read a search written by `save`, of the same features.

        Raises
        ------
        InputError
            If the file is not one.
        """
        arrays, metadata = load_arrays(path, "prepared search")
        if (metadata.get("format"), metadata.get("version")) != (_FORMAT, _VERSION):
            raise InputError(f"prepared search {path}: not one of this version; prepare it again.")
        try:
            sample = cells = graph = None
            if "sample" in arrays:
                names = ("sample", "sample_neighbors", "sample_similarities")
                sample = RecallSample(*(arrays[name] for name in names))
            if metadata["method"] == "ivf":
                cells = CellIndex(
                    features, *(arrays[name] for name in ("centers", "members", "starts"))
                )
            if metadata["method"] == "hnsw":
                graph = faiss.deserialize_index(arrays["graph"])
            return cls(
                features,
                metadata["n_neighbors"],
                metadata["method"],
                sample,
                cells,
                metadata["n_cells"],
                graph,
            )
        except KeyError as error:
            raise InputError(
                f"prepared search {path}: {error} is missing; prepare it again."
            ) from error
