"""Instance Pivot Subgraphs as data: one for looking at, many as one sparse graph."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


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
