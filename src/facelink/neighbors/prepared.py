"""A search that is made ready once and then gives the neighbours of any block of instances."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays
from facelink.neighbors.cell_search import CellSearch
from facelink.neighbors.exact import (
    N_SPARE_CANDIDATES,
    TO_CHECK_BY,
    Found,
    Propose,
    RecallSample,
    search_candidates,
    search_exactly,
)
from facelink.neighbors.graph import MAX_INSTANCES
from facelink.neighbors.on_device import propose_on
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.stored_cells import cells_to_store, stored_cells

METHODS = ("auto", "exact", "ivf", "hnsw")

AUTO_EXACT_LIMIT = 100_000
"""`method="auto"` searches exactly up to this many instances."""

AUTO_EXACT_LIMIT_ON_CUDA = 2_000_000
"""The same on a GPU; by arithmetic: 2·10¹⁵ operations of 256-d products, a minute at 40 TFLOP/s."""

_MOST_AIMS = 5
"""Times that it is chosen how far IVF looks: once, and again where less is found than was aimed at.
What was chosen suits the instances it was chosen by, and others need a little more: more than all
that those need, if nearly everything is to be found. And similarities by codes are rounded, which
matters where all features have much in common."""

_HNSW_LINKS = 32
_LEAST_GAIN = 1e-4
"""Recall that looking twice as far has to add: what no walk gets to is not worth comparing all."""

_FORMAT, _VERSION = "facelink.neighbor_search", 4


@dataclass(frozen=True, eq=False)
class PreparedSearch:
    """Finds the neighbours of any instances, the same ones whatever the blocks and their order.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows; may be memory-mapped, and is not copied.
    n_neighbors : int
        k.
    method : str
        ``"exact"``, ``"ivf"`` or ``"hnsw"``.
    recall : float, optional
        Share of a sample's true neighbours that it finds; None for exact. The
        instances had no part in choosing how IVF looks, unless nearly all was
        asked for and those that had were not enough.
    cells : CellSearch, optional
        How IVF looks.
    walk : faiss.IndexHNSW, optional
        The navigable graph.
    device : torch.device, optional
        Where ``"exact"`` compares; by default the processor. The neighbours
        are the same.
    """

    features: NDArray[np.float32]
    n_neighbors: int
    method: str
    recall: float | None = None
    cells: CellSearch | None = None
    walk: Any = None
    device: torch.device | None = None

    @classmethod
    def prepare(
        cls,
        features: NDArray[np.float32],
        n_neighbors: int,
        method: str = "auto",
        *,
        recall_target: float = 0.98,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> Self:
        """Train what the method needs, and measure its recall on 2,000 instances.

        Parameters and errors are those of `find_neighbors`.
        """
        n = len(features)
        check_request(n, n_neighbors, method)
        if not 0 < recall_target <= 1:
            raise InputError(f"recall_target={recall_target}; choose a share in (0, 1].")
        method = chosen_method(method, n, device)
        features = np.ascontiguousarray(features, dtype=np.float32)
        if method == "exact":
            return cls(features, n_neighbors, method, device=device)
        search = cls(features, n_neighbors, method)
        if method == "hnsw":
            return search._walking_far_enough(recall_target, seed)
        return search.looking_into(DividedCells.build(features, seed), recall_target, seed)

    def looking_into(self, index: DividedCells, recall_target: float, seed: int = 0) -> Self:
        """Return an IVF search that looks as far as a recall needs.

        Parameters
        ----------
        index : DividedCells
            Cells of the features.
        recall_target
            As of `find_neighbors`.
        seed
            Of the samples by which that is chosen and checked.
        """
        to_choose, to_check, both = RecallSample.draw_to_choose_and_check(
            self.features, self.n_neighbors, seed
        )
        aim = recall_target
        for _ in range(_MOST_AIMS):
            cells = CellSearch.for_recall(self.features, index, to_choose, aim)
            search = replace(self, method="ivf", cells=cells)
            found = search.rows(to_check.instances)[1]
            missing = recall_target - to_check.surely_found(found)
            if missing <= 0 or to_choose is both:
                break
            if aim == 1:
                to_choose = both
            aim = min(1.0, aim + missing)
        return replace(search, recall=to_check.recall(found))

    def rows(self, instances: NDArray[np.int64]) -> Found:
        """Find the neighbours of some instances.

        Parameters
        ----------
        instances : int64 (S,)
            Any instances in any order.

        Returns
        -------
        int32 and float32 (S, k)
            Their rows of the `NeighborGraph`.
        """
        if self.method == "exact":
            propose = None
            if self.device is not None and self.device.type != "cpu":
                propose = propose_on(self.device, self.features)
            return search_exactly(self.features, instances, self.n_neighbors, propose)
        found = search_candidates(self._propose(), self.features, instances, self.n_neighbors)
        return found[0], found[1]

    def save(self, path: Path | str) -> None:
        """Write all but the features, whole or not at all: .safetensors.

        Raises
        ------
        InputError
            For ``"hnsw"``, whose graph is not kept in files.
        OutputError
            If the file cannot be written.
        """
        if self.method == "hnsw":
            raise InputError("method='hnsw' cannot be kept in a file; choose 'ivf' or 'exact'.")
        arrays: dict[str, NDArray[Any]] = {}
        metadata = {
            "format": _FORMAT,
            "version": _VERSION,
            "n_instances": len(self.features),
            "n_neighbors": self.n_neighbors,
            "method": self.method,
            "recall": self.recall,
        }
        if self.cells is not None:
            arrays, reaches = cells_to_store(self.cells.index, self.cells.reach)
            arrays["members"] = self.cells.index.cells.members
            metadata |= {"n_first": self.cells.n_first, **reaches}
        save_arrays(path, arrays, metadata)

    @classmethod
    def load(
        cls,
        path: Path | str,
        features: NDArray[np.float32],
        *,
        device: torch.device | None = None,
    ) -> Self:
        """Map what `save` wrote into memory.

        Parameters
        ----------
        path
            A file of `save`.
        features : float32 (N, D)
            The features that the search was prepared for.
        device : torch.device, optional
            As of the search.

        Raises
        ------
        InputError
            If the file is damaged, of another kind, or was prepared for other
            features as far as their shape tells.
        """
        arrays, metadata = load_arrays(path, "prepared search", mapped=True)
        where = f"prepared search {path}"
        if metadata.get("format") != _FORMAT or metadata.get("version") != _VERSION:
            raise InputError(f"{where}: not written by this version of facelink; prepare it again.")
        features = np.ascontiguousarray(features, dtype=np.float32)
        if metadata.get("n_instances") != len(features):
            raise InputError(
                f"{where}: prepared for {metadata.get('n_instances')} instances, but there are "
                f"{len(features)}; prepare it again."
            )
        method, k, recall = (metadata.get(name) for name in ("method", "n_neighbors", "recall"))
        if method not in ("exact", "ivf") or not isinstance(k, int) or not 1 <= k < len(features):
            raise InputError(f"{where}: method {method!r} for k={k}; prepare it again.")
        if method == "exact":
            return cls(features, k, method, device=device)
        return cls(features, k, method, recall, _cells_in(arrays, metadata, features, where))

    def _walking_far_enough(self, recall_target: float, seed: int) -> Self:
        """Keep twice as many instances in sight until enough is found, or no more is."""
        sample = RecallSample.draw(self.features, self.n_neighbors, seed, size=TO_CHECK_BY)
        search = replace(self, walk=_navigable_graph(self.features))
        width, before = self.n_neighbors + 1 + N_SPARE_CANDIDATES, -1.0
        while True:
            search.walk.hnsw.efSearch = width
            found = search.rows(sample.instances)[1]
            recall = sample.recall(found)
            if sample.surely_found(found) >= recall_target:
                return replace(search, recall=recall)
            if recall - before < _LEAST_GAIN:
                search.walk.hnsw.efSearch = width // 2
                return replace(search, recall=before)
            width, before = 2 * width, recall

    def _propose(self) -> Propose:
        cells, walk, features = self.cells, self.walk, self.features
        if cells is not None:
            return lambda instances, n: cells.search(features, instances, n)
        return lambda instances, n: walk.search(features[instances], n)[1]


def _cells_in(
    arrays: dict[str, NDArray[Any]],
    metadata: dict[str, Any],
    features: NDArray[np.float32],
    where: str,
) -> CellSearch:
    """Check that a file's cells are those of the features, as far as their shape tells."""
    n, dim = features.shape
    n_first, members = metadata.get("n_first"), arrays.get("members", np.empty(0))
    found = None
    if members.shape == (n,) and members.dtype == np.int32:
        found = stored_cells(arrays, metadata, members, dim)
    if found is None or not isinstance(n_first, int) or not 1 <= n_first <= found[0].cells.n_cells:
        raise InputError(f"{where}: its cells do not suit features {features.shape}; prepare anew.")
    is_there = np.zeros(n, dtype=np.bool_)
    if members.min() >= 0 and members.max() < n:
        is_there[members] = True
    if not is_there.all():
        raise InputError(f"{where}: its cells do not hold each instance once; prepare it again.")
    return CellSearch(found[0], metadata["n_neighbors"], n_first, found[1])


def check_request(n_instances: int, n_neighbors: int, method: str) -> None:
    """Raise `InputError` for an unknown method or numbers that do not go together."""
    if method not in METHODS:
        raise InputError(f"method={method!r}; choose one of {', '.join(METHODS)}.")
    if n_instances > MAX_INSTANCES:
        raise InputError(f"{n_instances} instances; at most {MAX_INSTANCES} are supported.")
    if n_instances < 2:
        raise InputError(
            f"n_samples={n_instances}: neighbours need at least 2 instances; add more features."
        )
    if not 1 <= n_neighbors < n_instances:
        raise InputError(
            f"{n_neighbors} neighbours asked for, but each of {n_instances} instances has "
            f"{n_instances - 1} others; choose k from 1 to {n_instances - 1}, or add features."
        )


def chosen_method(method: str, n_instances: int, device: torch.device | None = None) -> str:
    """How neighbours are searched, where it was left open too."""
    if method != "auto":
        return method
    is_cuda = device is not None and device.type == "cuda"
    limit = AUTO_EXACT_LIMIT_ON_CUDA if is_cuda else AUTO_EXACT_LIMIT
    return "exact" if n_instances <= limit else "ivf"


def _navigable_graph(features: NDArray[np.float32]) -> faiss.Index:
    index = faiss.IndexHNSWFlat(features.shape[1], _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.add(features)
    return index
