"""Connected components of a graph given as pairs, and of a family of nested graphs.

Both are one compiled union-find: ids stay integers throughout, the cost is
nearly linear in the number of pairs (30 million take seconds), and the order
and direction of the pairs never change the result.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.errors import InputError


def connected_components(n_instances: int, pairs: NDArray[np.int32]) -> NDArray[np.int64]:
    """Label the connected components of an undirected graph.

    Parameters
    ----------
    n_instances : int
        Number of instances N, with or without pairs.
    pairs : int32 (L, 2)
        Instance ids from 0 to N − 1, in any order; repeated pairs do no harm.

    Returns
    -------
    labels : int64 (N,)
        Consecutive from 0, numbered by the smallest instance id of each
        component. An instance without pairs is a component of its own.

    Raises
    ------
    InputError
        If a pair names an instance that does not exist.
    """
    _check_ids(n_instances, pairs)
    components = Components(n_instances)
    components.join(pairs)
    return components.labels()


class Components:
    """Connected components of a graph whose pairs come a block at a time."""

    def __init__(self, n_instances: int) -> None:
        self._parents = np.arange(n_instances, dtype=np.int32)
        self._sizes = np.ones(n_instances, dtype=np.int32)

    def join(self, pairs: NDArray[np.int32]) -> None:
        """Add pairs (L, 2) of ids from 0 to N − 1, which are not checked."""
        _join_pairs(self._parents, self._sizes, np.ascontiguousarray(pairs))

    def labels(self) -> NDArray[np.int64]:
        """Labels (N,) as from `connected_components`."""
        labels: NDArray[np.int64] = _labels(self._parents)
        return labels


def largest_nested_components(
    n_instances: int,
    pairs: NDArray[np.int32],
    n_graphs_with_pair: NDArray[np.integer],
    n_graphs: int,
    max_size: int,
) -> tuple[NDArray[np.int64], int]:
    """For each instance, the largest of its components that still fits a size limit.

    Graphs 0, 1, …, n_graphs − 1 lose pairs and never gain any, so that the
    components of one lie within those of the graph before. Each instance gets
    its component in the first graph where that has at most `max_size`
    instances, or else its component in the last graph.

    One sweep from the last graph to the first does it for every graph at
    once: the pairs that a graph has beyond the next one are added, and those
    that end up in a component above the limit are left out of the result.
    Only the pairs that join two components on the way are weighed; they are a
    maximum spanning forest, whose restriction to any one of the graphs has
    the same components as that graph. The cost does not depend on the number
    of graphs.

    Parameters
    ----------
    n_instances : int
        Number of instances N.
    pairs : int32 (L, 2)
        Instance ids from 0 to N − 1.
    n_graphs_with_pair : integer (L,)
        How many graphs hold the pair, from 0 to `n_graphs`: graphs 0 up to,
        but not including, this number.
    n_graphs : int
        Number of graphs, at least 1.
    max_size : int
        Greatest number of instances that a component should have.

    Returns
    -------
    labels : int64 (N,)
        As from `connected_components`.
    n_graphs_needed : int
        How many graphs, from the first on, had to be looked at; at least 1.

    Raises
    ------
    InputError
        If a pair names an instance that does not exist.
    """
    _check_ids(n_instances, pairs)
    # Two bytes hold the counts of any usual schedule, and numpy sorts those in linear time.
    counts = n_graphs_with_pair.astype(np.min_scalar_type(-n_graphs))
    most_graphs_first = np.argsort(counts, kind="stable")[::-1]
    labels, n_graphs_needed = _largest_nested_components(
        n_instances, np.ascontiguousarray(pairs), counts, most_graphs_first, n_graphs, max_size
    )
    return labels, int(n_graphs_needed)


def _check_ids(n_instances: int, pairs: NDArray[np.int32]) -> None:
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= n_instances):
        raise InputError(
            f"pairs name instances from {pairs.min()} to {pairs.max()}, but there are "
            f"{n_instances}: ids must run from 0 to {n_instances - 1}."
        )


@njit(cache=True)
def _join_pairs(
    parents: NDArray[np.int32], sizes: NDArray[np.int32], pairs: NDArray[np.int32]
) -> None:
    for pair in range(len(pairs)):
        _unite(parents, sizes, pairs[pair, 0], pairs[pair, 1])


@njit(cache=True)
def _largest_nested_components(
    n_instances: int,
    pairs: NDArray[np.int32],
    n_graphs_with_pair: NDArray[np.integer],
    most_graphs_first: NDArray[np.int64],
    n_graphs: int,
    max_size: int,
) -> tuple[NDArray[np.int64], int]:
    # `whole` holds the components of the current graph, `fitting` what the result keeps of them.
    whole_parents = np.arange(n_instances, dtype=np.int32)
    whole_sizes = np.ones(n_instances, dtype=np.int32)
    fitting_parents = np.arange(n_instances, dtype=np.int32)
    fitting_sizes = np.ones(n_instances, dtype=np.int32)
    joining = np.empty(max(n_instances, 1), dtype=np.int64)
    n_graphs_needed = 1
    position = 0
    while position < len(pairs) and n_graphs_with_pair[most_graphs_first[position]] > 0:
        count = n_graphs_with_pair[most_graphs_first[position]]
        # Of the pairs in exactly `count` graphs, only those that join two components matter: the
        # ends of the others are together, or kept apart, by pairs that have been dealt with.
        n_joining = 0
        while position < len(pairs) and n_graphs_with_pair[most_graphs_first[position]] == count:
            link = most_graphs_first[position]
            if _unite(whole_parents, whole_sizes, pairs[link, 0], pairs[link, 1]):
                joining[n_joining] = link
                n_joining += 1
            position += 1
        for link in joining[:n_joining]:
            size = whole_sizes[find_root(whole_parents, pairs[link, 0])]
            if size <= max_size or count == n_graphs:
                _unite(fitting_parents, fitting_sizes, pairs[link, 0], pairs[link, 1])
            else:
                n_graphs_needed = max(n_graphs_needed, count + 1)
    return _labels(fitting_parents), n_graphs_needed


@njit(cache=True)
def find_root(parents: NDArray[np.int32], instance: int) -> int:
    """Representative of a component; halves the path to it on the way."""
    while parents[instance] != instance:
        parents[instance] = parents[parents[instance]]
        instance = parents[instance]
    return instance


@njit(cache=True)
def _unite(parents: NDArray[np.int32], sizes: NDArray[np.int32], first: int, second: int) -> bool:
    """Join two components under the larger one's root; False if they were one already."""
    larger, smaller = find_root(parents, first), find_root(parents, second)
    if larger == smaller:
        return False
    if sizes[larger] < sizes[smaller]:
        larger, smaller = smaller, larger
    parents[smaller] = larger
    sizes[larger] += sizes[smaller]
    return True


@njit(cache=True)
def _labels(parents: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number the components by their smallest instance."""
    labels = np.empty(len(parents), dtype=np.int64)
    label_of_root = np.full(len(parents), -1, dtype=np.int32)
    n_labels = 0
    for instance in range(len(parents)):
        root = find_root(parents, instance)
        if label_of_root[root] < 0:
            label_of_root[root] = n_labels
            n_labels += 1
        labels[instance] = label_of_root[root]
    return labels
