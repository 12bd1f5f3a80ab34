"""Instance Pivot Subgraphs (IPS): the context in which a pivot's links are judged.

Source: L-GCN (arXiv 1903.11306), section 3.2. For a pivot p:

1. the nodes V_p are the neighbours of p up to h hops, k_i of them followed at
   hop i, without p itself;
2. node features are residuals x_q − x_p (taken by the model, not stored here);
3. of the u nearest neighbours of each node in the whole collection, those in
   V_p become edges.

The authors' code keeps p as a node of its own subgraph; `include_pivot` does so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray
from scipy import sparse

from facelink.errors import InputError
from facelink.neighbors.graph import MISSING, NeighborGraph


@dataclass(frozen=True)
class SubgraphSettings:
    """Which instances surround a pivot and which of them are joined.

    Parameters
    ----------
    k_at_hop
        Neighbours followed at each hop (k1, k2, …); its length is h. The
        paper tests with (80, 5) and trains with (200, 10).
    n_edge_neighbors
        u: nearest neighbours of a node that may become its edges (test 5,
        training 10).
    include_pivot
        Keep the pivot as a node, as the authors' code does.

    Raises
    ------
    InputError
        If there is no hop, or a count is not a whole number of at least 1.
    """

    k_at_hop: tuple[int, ...] = (80, 5)
    n_edge_neighbors: int = 5
    include_pivot: bool = False

    def __post_init__(self) -> None:
        hops = tuple(self.k_at_hop)
        if not hops or not all(_is_count(k) for k in hops):
            raise InputError(
                f"k_at_hop={hops}; give at least one hop, each with a whole number of at least 1."
            )
        if not _is_count(self.n_edge_neighbors):
            raise InputError(
                f"n_edge_neighbors={self.n_edge_neighbors}; give a whole number of at least 1."
            )
        object.__setattr__(self, "k_at_hop", tuple(int(k) for k in hops))
        object.__setattr__(self, "n_edge_neighbors", int(self.n_edge_neighbors))

    def limited_to(self, n_neighbors: int) -> "SubgraphSettings":
        """The same settings with every count cut to the neighbours that exist."""
        return SubgraphSettings(
            tuple(min(k, n_neighbors) for k in self.k_at_hop),
            min(self.n_edge_neighbors, n_neighbors),
            self.include_pivot,
        )

    @property
    def n_neighbors(self) -> int:
        """Width of the neighbour graph that these settings read."""
        return max(*self.k_at_hop, self.n_edge_neighbors)

    @property
    def max_nodes(self) -> int:
        """Upper bound of the nodes of one subgraph: k1 (1 + k2 (1 + …)), plus the pivot."""
        total, at_hop = 0, 1
        for k in self.k_at_hop:
            at_hop *= k
            total += at_hop
        return total + self.include_pivot


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and bool(value >= 1)


@dataclass(frozen=True, eq=False)
class PivotSubgraph:
    """One Instance Pivot Subgraph, for looking at.

    Parameters
    ----------
    pivot : int
        The instance whose links are judged.
    nodes : int32 (n,)
        Instance ids; 1-hop neighbours first, nearest first.
    hops : int8 (n,)
        Hop at which each node was reached; 0 for an included pivot.
    adjacency : scipy CSR (n, n)
        Symmetric, ones at edges, no self-loops.
    """

    pivot: int
    nodes: NDArray[np.int32]
    hops: NDArray[np.int8]
    adjacency: sparse.csr_matrix


@dataclass(frozen=True, eq=False)
class SubgraphBatch:
    """Several Instance Pivot Subgraphs as one block-diagonal sparse graph, without padding.

    P pivots, M nodes in all, E directed edges (each undirected edge twice).
    The nodes of one subgraph are contiguous: 1-hop neighbours first, nearest
    first, then hop 2, …, an included pivot last.

    Parameters
    ----------
    pivots : int32 (P,)
        Instance ids of the pivots.
    node_offsets : int64 (P + 1,)
        Nodes of subgraph i are ``node_offsets[i]:node_offsets[i + 1]``.
    n_one_hop : int32 (P,)
        Number of 1-hop nodes of each subgraph; they carry the loss.
    nodes : int32 (M,)
        Instance ids.
    hops : int8 (M,)
        Hop of each node.
    indptr : int64 (M + 1,)
        CSR row starts of the adjacency.
    columns : int32 (E,)
        CSR columns: rows of this batch, ascending within a row.
    """

    pivots: NDArray[np.int32]
    node_offsets: NDArray[np.int64]
    n_one_hop: NDArray[np.int32]
    nodes: NDArray[np.int32]
    hops: NDArray[np.int8]
    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.pivots)

    @property
    def owners(self) -> NDArray[np.int64]:
        """Position in `pivots` of the subgraph that each node belongs to, int64 (M,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.node_offsets))

    @property
    def one_hop_rows(self) -> NDArray[np.int64]:
        """Rows of all 1-hop nodes, pivot by pivot and nearest first, int64 (sum of n_one_hop,)."""
        n_before = np.cumsum(self.n_one_hop, dtype=np.int64) - self.n_one_hop
        rows: NDArray[np.int64] = np.arange(self.n_one_hop.sum(), dtype=np.int64)
        rows += np.repeat(self.node_offsets[:-1] - n_before, self.n_one_hop)
        return rows

    def __getitem__(self, position: int) -> PivotSubgraph:
        """Take one subgraph out of the batch; negative positions count from the end."""
        position = range(len(self))[position]
        start, stop = self.node_offsets[position], self.node_offsets[position + 1]
        first, last = self.indptr[start], self.indptr[stop]
        size = int(stop - start)
        adjacency = sparse.csr_matrix(
            (
                np.ones(int(last - first), dtype=np.float32),
                self.columns[first:last] - start,
                self.indptr[start : stop + 1] - first,
            ),
            shape=(size, size),
        )
        return PivotSubgraph(
            int(self.pivots[position]), self.nodes[start:stop], self.hops[start:stop], adjacency
        )


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
    _edge_indptr: NDArray[np.int64] = field(init=False, repr=False)
    _edge_columns: NDArray[np.int32] = field(init=False, repr=False)
    _positions: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.graph.require(self.settings.k_at_hop, self.settings.n_edge_neighbors)
        indptr, columns = _symmetric_neighbors(self.graph.indices, self.settings.n_edge_neighbors)
        object.__setattr__(self, "_edge_indptr", indptr)
        object.__setattr__(self, "_edge_columns", columns)
        positions = np.full((get_num_threads(), self.graph.n_instances), -1, dtype=np.int32)
        object.__setattr__(self, "_positions", positions)

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
        position arrays are shared. Work and memory grow with the batch only.
        """
        pivot_ids = self._checked(np.asarray(pivots))
        max_nodes = min(self.settings.max_nodes, self.graph.n_instances)
        shape = (len(pivot_ids), max_nodes)
        node_table = np.empty(shape, dtype=np.int32)
        degree_table = np.empty(shape, dtype=np.int32)
        hop_ends = np.zeros((len(pivot_ids), len(self.settings.k_at_hop)), dtype=np.int32)
        n_nodes = np.zeros(len(pivot_ids), dtype=np.int32)
        _collect_nodes(
            self.graph.indices,
            pivot_ids,
            np.asarray(self.settings.k_at_hop),
            self.settings.include_pivot,
            self._edge_indptr,
            self._edge_columns,
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
        _fill_edges(
            node_offsets,
            nodes,
            hop_ends,
            self._edge_indptr,
            self._edge_columns,
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
