"""Builds Instance Pivot Subgraphs (IPS): the context in which a pivot's links are judged.

Source: L-GCN (arXiv 1903.11306), section 3.2. For a pivot p:

1. the nodes V_p are the neighbours of p up to h hops, k_i of them followed at
   hop i, without p itself;
2. node features are residuals x_q − x_p (taken by the model, not stored here);
3. of the u nearest neighbours of each node in the whole collection, those in
   V_p become edges.

The authors' code keeps p as a node of its own subgraph; `include_pivot` does so.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.subgraphs.batch import SubgraphBatch
from facelink.subgraphs.settings import SubgraphSettings


@dataclass(frozen=True, eq=False)
class SubgraphBuilder:
    """Builds the Instance Pivot Subgraphs of a collection, many pivots at a time.

    The symmetric u-neighbour graph of the whole collection is made once; each
    subgraph's edges are its rows filtered by a position array per thread.

    Parameters
    ----------
    graph
        Nearest neighbours of every instance.
    settings
        Hops, counts and whether the pivot is a node.

    Raises
    ------
    InputError
        If the graph is narrower than the settings need.
    """

    graph: NeighborGraph
    settings: SubgraphSettings = field(default_factory=SubgraphSettings)
    _adjacency: tuple[NDArray[np.int64], NDArray[np.int32]] = field(init=False, repr=False)
    _positions: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.graph.require(self.settings.k_at_hop, self.settings.n_edge_neighbors)
        adjacency = _symmetric_neighbors(self.graph.indices, self.settings.n_edge_neighbors)
        object.__setattr__(self, "_adjacency", adjacency)
        self._own_positions(get_num_threads())

    def _own_positions(self, n_threads: int) -> None:
        positions = np.full((n_threads, self.graph.n_instances), -1, dtype=np.int32)
        object.__setattr__(self, "_positions", positions)

    def for_one_thread(self) -> "SubgraphBuilder":
        """A builder of the same subgraphs for one of several threads that build at once.

        It shares the adjacency and has a position array of its own: 4 N bytes.
        """
        builder = copy.copy(self)
        builder._own_positions(1)
        return builder

    def build(self, pivots: Sequence[int] | NDArray[np.integer]) -> SubgraphBatch:
        """Build the subgraphs of these pivots.

        Parameters
        ----------
        pivots : integer (P,)
            Instance ids, in any order.

        Raises
        ------
        InputError
            If a pivot is not an instance of the graph.

        Notes
        -----
        Not to be called from two threads at once on one builder: the
        position arrays are shared; give each thread a `for_one_thread`. Work
        and memory grow with the batch only.
        """
        pivot_ids = self._checked(np.asarray(pivots))
        max_nodes = min(self.settings.max_nodes, self.graph.n_instances)
        shape = (len(pivot_ids), max_nodes)
        node_table = np.empty(shape, dtype=np.int32)
        degree_table = np.empty(shape, dtype=np.int32)
        hop_ends = np.zeros((len(pivot_ids), len(self.settings.k_at_hop)), dtype=np.int32)
        n_nodes = np.zeros(len(pivot_ids), dtype=np.int32)
        in_one_thread = len(self._positions) == 1
        collect_nodes = _collect_nodes_serially if in_one_thread else _collect_nodes
        collect_nodes(
            self.graph.indices,
            pivot_ids,
            np.asarray(self.settings.k_at_hop),
            self.settings.include_pivot,
            *self._adjacency,
            self._positions,
            node_table,
            degree_table,
            hop_ends,
            n_nodes,
        )
        node_offsets = np.concatenate(([0], np.cumsum(n_nodes, dtype=np.int64)))
        is_node = np.arange(max_nodes) < n_nodes[:, None]
        nodes = node_table[is_node]
        indptr = np.concatenate(([0], np.cumsum(degree_table[is_node], dtype=np.int64)))
        columns = np.empty(indptr[-1], dtype=np.int32)
        hops = np.empty(len(nodes), dtype=np.int8)
        fill_edges = _fill_edges_serially if in_one_thread else _fill_edges
        fill_edges(
            node_offsets,
            nodes,
            hop_ends,
            *self._adjacency,
            self._positions,
            indptr,
            columns,
            hops,
        )
        return SubgraphBatch(
            pivot_ids, node_offsets, hop_ends[:, 0].copy(), nodes, hops, indptr, columns
        )

    def _checked(self, pivots: NDArray[Any]) -> NDArray[np.int32]:
        n = self.graph.n_instances
        if pivots.size and (pivots.dtype.kind not in "iu" or pivots.ndim != 1):
            raise InputError(
                f"pivots must be a list of instance ids, got {pivots.dtype} of shape "
                f"{pivots.shape}."
            )
        if pivots.size and not 0 <= pivots.min() <= pivots.max() < n:
            bad = pivots.max() if pivots.min() >= 0 else pivots.min()
            raise InputError(
                f"pivot {bad} is not an instance of the neighbour graph; ids run from 0 to {n - 1}."
            )
        return pivots.astype(np.int32)


@njit(cache=True)
def _symmetric_neighbors(
    indices: NDArray[np.int32], n_edge_neighbors: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """CSR of the undirected graph that joins each instance with its u nearest neighbours."""
    n = indices.shape[0]
    counts = np.zeros(n + 1, dtype=np.int64)
    for row in range(n):
        for column in range(n_edge_neighbors):
            neighbor = indices[row, column]
            if neighbor != MISSING:
                counts[row + 1] += 1
                counts[neighbor + 1] += 1
    starts = np.cumsum(counts)
    doubled = np.empty(starts[n], dtype=np.int32)
    cursor = starts[:-1].copy()
    for row in range(n):
        for column in range(n_edge_neighbors):
            neighbor = indices[row, column]
            if neighbor != MISSING:
                doubled[cursor[row]] = neighbor
                cursor[row] += 1
                doubled[cursor[neighbor]] = row
                cursor[neighbor] += 1
    indptr = np.zeros(n + 1, dtype=np.int64)
    n_kept = 0
    for row in range(n):
        members = np.sort(doubled[starts[row] : starts[row + 1]])
        previous = MISSING
        for member in members:
            if member != previous:
                doubled[n_kept] = member
                n_kept += 1
                previous = member
        indptr[row + 1] = n_kept
    return indptr, doubled[:n_kept].copy()


@njit(parallel=True, nogil=True, cache=True)
def _collect_nodes(
    indices: NDArray[np.int32],
    pivots: NDArray[np.int32],
    k_at_hop: NDArray[np.int64],
    include_pivot: bool,
    edge_indptr: NDArray[np.int64],
    edge_columns: NDArray[np.int32],
    positions: NDArray[np.int32],
    node_table: NDArray[np.int32],
    degree_table: NDArray[np.int32],
    hop_ends: NDArray[np.int32],
    n_nodes: NDArray[np.int32],
) -> None:
    """List each pivot's nodes hop by hop and count each node's edges within the subgraph."""
    n_threads = positions.shape[0]
    n_pivots = len(pivots)
    for thread in prange(n_threads):
        position = positions[thread]
        for row in range(n_pivots * thread // n_threads, n_pivots * (thread + 1) // n_threads):
            pivot = pivots[row]
            nodes = node_table[row]
            position[pivot] = 0  # never reached again, at any hop
            n_found = 0
            frontier_start, frontier_stop = 0, 0
            for hop in range(len(k_at_hop)):
                n_sources = 1 if hop == 0 else frontier_stop - frontier_start
                for source in range(n_sources):
                    instance = pivot if hop == 0 else nodes[frontier_start + source]
                    for rank in range(k_at_hop[hop]):
                        neighbor = indices[instance, rank]
                        if neighbor == MISSING:
                            break
                        if position[neighbor] < 0:
                            position[neighbor] = n_found
                            nodes[n_found] = neighbor
                            n_found += 1
                frontier_start, frontier_stop = frontier_stop, n_found
                hop_ends[row, hop] = n_found
            if include_pivot:
                nodes[n_found] = pivot
                n_found += 1
            else:
                position[pivot] = -1
            n_nodes[row] = n_found
            for node in range(n_found):
                instance = nodes[node]
                degree = 0
                for edge in range(edge_indptr[instance], edge_indptr[instance + 1]):
                    if position[edge_columns[edge]] >= 0:
                        degree += 1
                degree_table[row, node] = degree
            for node in range(n_found):
                position[nodes[node]] = -1


_collect_nodes_serially = njit(nogil=True, cache=True)(_collect_nodes.py_func)


@njit(parallel=True, nogil=True, cache=True)
def _fill_edges(
    node_offsets: NDArray[np.int64],
    nodes: NDArray[np.int32],
    hop_ends: NDArray[np.int32],
    edge_indptr: NDArray[np.int64],
    edge_columns: NDArray[np.int32],
    positions: NDArray[np.int32],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    hops: NDArray[np.int8],
) -> None:
    """Write each node's edges as rows of the batch, ascending, and the hop of each node."""
    n_threads = positions.shape[0]
    n_pivots = len(node_offsets) - 1
    for thread in prange(n_threads):
        position = positions[thread]
        for row in range(n_pivots * thread // n_threads, n_pivots * (thread + 1) // n_threads):
            start, stop = node_offsets[row], node_offsets[row + 1]
            hop = 0
            for node in range(start, stop):
                position[nodes[node]] = node - start
                while hop < hop_ends.shape[1] and node - start >= hop_ends[row, hop]:
                    hop += 1
                hops[node] = hop + 1 if hop < hop_ends.shape[1] else 0
            for node in range(start, stop):
                instance = nodes[node]
                first = indptr[node]
                n_filled = 0
                for edge in range(edge_indptr[instance], edge_indptr[instance + 1]):
                    neighbor = position[edge_columns[edge]]
                    if neighbor < 0:
                        continue
                    column = start + neighbor
                    place = first + n_filled
                    while place > first and columns[place - 1] > column:
                        columns[place] = columns[place - 1]
                        place -= 1
                    columns[place] = column
                    n_filled += 1
            for node in range(start, stop):
                position[nodes[node]] = -1


_fill_edges_serially = njit(nogil=True, cache=True)(_fill_edges.py_func)
