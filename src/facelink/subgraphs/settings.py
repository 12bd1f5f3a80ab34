"""Which instances surround a pivot: hops and counts of an Instance Pivot Subgraph."""

from dataclasses import dataclass

import numpy as np

from facelink.errors import InputError


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
        If there is no hop, a count is not a whole number of at least 1, or
        `include_pivot` is not a bool.
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
        if not isinstance(self.include_pivot, (bool, np.bool_)):
            raise InputError(f"include_pivot={self.include_pivot!r}; give True or False.")
        object.__setattr__(self, "k_at_hop", tuple(int(k) for k in hops))
        object.__setattr__(self, "n_edge_neighbors", int(self.n_edge_neighbors))
        object.__setattr__(self, "include_pivot", bool(self.include_pivot))

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
