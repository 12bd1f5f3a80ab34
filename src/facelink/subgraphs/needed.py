"""The nodes of a batch in the order in which the layers of a network stop needing them.

Only 1-hop nodes are classified. The last layer is computed for them alone, the
layer before it for them and their neighbours, and so on inward, so that with
nodes ordered by their distance to the 1-hop nodes of their subgraph (in edges)
each layer computes the first rows of its input and nothing else.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.subgraphs.batch import SubgraphBatch


@dataclass(frozen=True, eq=False)
class NeededNodes:
    """A `SubgraphBatch` with its M nodes in the order of need.

    1-hop nodes come first, pivot by pivot and nearest first; then those one
    edge from them, and so on; nodes that no layer needs come last.

    Parameters
    ----------
    pivots : int32 (P,)
        Instance ids of the pivots.
    nodes : int32 (M,)
        Instance ids.
    owners : int32 (M,)
        Position in `pivots` of the subgraph that each node belongs to.
    indptr : int64 (M + 1,)
        CSR row starts of the adjacency.
    columns : int32 (E,)
        CSR columns: rows of this order, ascending within a row.
    n_rows : tuple of int (layers + 1,)
        Rows that are needed of the network's input, then of each layer's
        output; the last is the number of 1-hop nodes.
    """

    pivots: NDArray[np.int32]
    nodes: NDArray[np.int32]
    owners: NDArray[np.int32]
    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]
    n_rows: tuple[int, ...]


def order_by_need(batch: SubgraphBatch, n_layers: int) -> NeededNodes:
    """Order the nodes of a batch for a network of this many graph convolutions.

    The order of a subgraph's nodes among themselves does not depend on what
    else is in the batch. Not parallel: threads may call it at the same time.
    """
    order, n_reached = _order(
        batch.node_offsets, batch.n_one_hop, batch.indptr, batch.columns, n_layers
    )
    owners, indptr, columns = _reorder(order, batch.node_offsets, batch.indptr, batch.columns)
    n_rows = tuple(int(n) for n in n_reached[::-1])
    return NeededNodes(batch.pivots, batch.nodes[order], owners, indptr, columns, n_rows)


@njit(nogil=True, cache=True)
def _order(
    node_offsets: NDArray[np.int64],
    n_one_hop: NDArray[np.int32],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    n_layers: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Rows by their distance from 1-hop nodes; number of rows within 0, 1, … edges of them."""
    n_nodes = len(indptr) - 1
    order = np.empty(n_nodes, dtype=np.int32)
    is_reached = np.zeros(n_nodes, dtype=np.bool_)
    n_reached = np.zeros(n_layers + 1, dtype=np.int64)
    n = 0
    for pivot in range(len(n_one_hop)):
        first = node_offsets[pivot]
        for row in range(first, first + n_one_hop[pivot]):
            order[n] = row
            is_reached[row] = True
            n += 1
    n_reached[0] = n
    start = 0
    for distance in range(1, n_layers + 1):
        stop = n
        for place in range(start, stop):
            for edge in range(indptr[order[place]], indptr[order[place] + 1]):
                row = columns[edge]
                if not is_reached[row]:
                    is_reached[row] = True
                    order[n] = row
                    n += 1
        n_reached[distance] = n
        start = stop
    for row in range(n_nodes):
        if not is_reached[row]:
            order[n] = row
            n += 1
    return order, n_reached


@njit(nogil=True, cache=True)
def _reorder(
    order: NDArray[np.int32],
    node_offsets: NDArray[np.int64],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """Owners and adjacency with the rows in this order, columns ascending."""
    n_nodes = len(order)
    places = np.empty(n_nodes, dtype=np.int32)
    owner_of_row = np.empty(n_nodes, dtype=np.int32)
    for place in range(n_nodes):
        places[order[place]] = place
    for owner in range(len(node_offsets) - 1):
        owner_of_row[node_offsets[owner] : node_offsets[owner + 1]] = owner
    owners = np.empty(n_nodes, dtype=np.int32)
    new_indptr = np.zeros(n_nodes + 1, dtype=np.int64)
    new_columns = np.empty(len(columns), dtype=np.int32)
    n = 0
    for place in range(n_nodes):
        row = order[place]
        owners[place] = owner_of_row[row]
        first = n
        for edge in range(indptr[row], indptr[row + 1]):
            column = places[columns[edge]]
            slot = n
            while slot > first and new_columns[slot - 1] > column:
                new_columns[slot] = new_columns[slot - 1]
                slot -= 1
            new_columns[slot] = column
            n += 1
        new_indptr[place + 1] = n
    return owners, new_indptr, new_columns
