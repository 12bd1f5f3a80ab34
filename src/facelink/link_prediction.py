"""Stage 5: every instance is a pivot once, which gives a likelihood for each of its neighbours.

Source: L-GCN (arXiv 1903.11306), sections 3.1 and 3.4.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Literal, get_args

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.judging import pivot_judge
from facelink.links import Links
from facelink.models.compiled import TABLE_BYTES
from facelink.models.device import Precision, runs_in_bfloat16
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings

CombineDirections = Literal["mean", "max", "min"]
Progress = Callable[[int], None]
"""Called with the number of pivots done since the last call."""


def predict_links(
    model: LinkGCN,
    features: NDArray[np.float32],
    graph: NeighborGraph,
    settings: SubgraphSettings | None = None,
    *,
    combine: CombineDirections = "mean",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Links:
    """Judge every instance's links with its k1 nearest neighbours and combine both directions.

    Parameters
    ----------
    model
        Network, on the device to use.
    features : float32 (N, D)
        L2-normalised rows; may be memory-mapped.
    graph
        Neighbours, at least as many as the settings need.
    settings
        Subgraphs; by default those stored with the model.
    combine
        How the likelihoods of (p, q) and (q, p) become one: their true mean,
        the greater or the smaller. A pair seen from one side only keeps its
        likelihood and is marked.
    precision
        Of the matrix products: ``"float32"``, ``"bfloat16"`` (likelihoods
        differ by up to about 0.01) or ``"auto"``, which is bfloat16 where the
        device has it.
    progress
        Called after each batch with its number of pivots.

    Returns
    -------
    Links
        One link for each pair of which at least one lists the other.

    Raises
    ------
    InputError
        If widths do not fit: features and model, graph and settings; or for
        an unknown `combine` or `precision`.
    """
    _check_combine(combine)
    likelihoods = predict_likelihoods(
        model, features, graph, settings, precision=precision, progress=progress
    )
    return combine_directions(graph, likelihoods, combine)


def predict_likelihoods(
    model: LinkGCN,
    features: NDArray[np.float32],
    graph: NeighborGraph,
    settings: SubgraphSettings | None = None,
    *,
    pivots: NDArray[np.integer] | None = None,
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Likelihood that each pivot is linked with each of its k1 nearest neighbours.

    Parameters
    ----------
    pivots : integer (P,), optional
        Instances to judge; by default all of them, in order.
    precision
        As for `predict_links`.

    Returns
    -------
    float32 (P, k1)
        Probabilities in [0, 1], in the order of the neighbour graph; NaN where
        the neighbour is missing. Working memory is bounded by the batch. The
        model is judged in eval mode and left in the mode it was in.

    Raises
    ------
    InputError
        If widths do not fit, or a pivot is not an instance of the graph.
    """
    everyone = np.arange(graph.n_instances) if pivots is None else np.asarray(pivots)
    judge = LinkJudge(model, features, graph, settings, precision=precision)
    return judge.likelihoods(everyone, progress)


class LinkJudge:
    """Judges pivots of one collection; what concerns all of it is computed once.

    Parameters
    ----------
    model, features, graph, settings, precision
        As for `predict_links`.
    table_bytes
        On a CPU, most memory for the first layer's products of all features;
        if they take more, each batch computes its own.

    Raises
    ------
    InputError
        As from `predict_likelihoods`.
    """

    def __init__(
        self,
        model: LinkGCN,
        features: NDArray[np.float32],
        graph: NeighborGraph,
        settings: SubgraphSettings | None = None,
        *,
        precision: Precision = "auto",
        table_bytes: int = TABLE_BYTES,
    ) -> None:
        settings = settings or model.config.subgraphs
        in_bfloat16 = runs_in_bfloat16(precision, model.device)
        model.check_features(features)
        if len(features) != graph.n_instances:
            raise InputError(
                f"{len(features)} features but a neighbour graph of {graph.n_instances} instances; "
                "the graph belongs to other features."
            )
        self.model, self.k = model, settings.k_at_hop[0]
        builder = SubgraphBuilder(graph, settings)
        self._judge = pivot_judge(model, features, builder, in_bfloat16, table_bytes)

    def likelihoods(
        self, pivots: NDArray[np.integer], progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Judge pivots (P,): likelihoods of their neighbours, float32 (P, k1)."""
        likelihoods = np.full((len(pivots), self.k), np.nan, dtype=np.float32)
        with _judging(self.model):
            for rows, n_one_hop, judged in self._judge(pivots):
                is_present = np.arange(self.k) < n_one_hop[:, None]
                likelihoods[rows][is_present] = judged
                if progress is not None:
                    progress(len(n_one_hop))
        return likelihoods


@contextlib.contextmanager
def _judging(model: LinkGCN) -> Iterator[None]:
    """Put the model into eval mode for the block, whatever happens in it."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def similarity_links(graph: NeighborGraph, k1: int) -> Links:
    """Links by cosine similarity alone: likelihood (1 + cosine) / 2, the baseline.

    Parameters
    ----------
    graph
        Neighbours, at least k1 of them.
    k1
        Nearest neighbours of each instance that are linked with it.

    Raises
    ------
    InputError
        If the graph is narrower than k1.
    """
    graph.require((k1,), 1)
    return combine_directions(graph, similarity_likelihoods(graph.similarities[:, :k1]))


def similarity_likelihoods(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Likelihoods (1 + cosine) / 2, float32; NaN where the neighbour is missing."""
    likelihoods = np.where(np.isneginf(similarities), np.nan, (1 + similarities) / 2)
    return likelihoods.astype(np.float32)


def combine_directions(
    graph: NeighborGraph,
    likelihoods: NDArray[np.float32],
    combine: CombineDirections = "mean",
    *,
    of: NDArray[np.bool_] | None = None,
) -> Links:
    """Make one link of each pair's two directed likelihoods.

    Parameters
    ----------
    graph
        The graph whose first k1 columns were judged.
    likelihoods : float32 (N, k1)
        As returned by `predict_likelihoods` for all instances.
    combine
        ``"mean"``, ``"max"`` or ``"min"``.
    of : bool (N,), optional
        Only pairs with one of these instances; by default all.

    Returns
    -------
    Links
        Pairs ordered by the pivot that lists them first. Time N·k1² at the
        most, memory that of the result.

    Raises
    ------
    InputError
        For an unknown `combine`, or likelihoods of another shape than N rows
        of at most K.
    """
    _check_combine(combine)
    _check_fit(graph, likelihoods)
    offsets = link_offsets(graph.indices[:, : likelihoods.shape[1]], of=of)
    return combine_rows(graph, likelihoods, offsets, 0, int(offsets[-1]), combine, of=of)


def link_offsets(
    neighbors: NDArray[np.int32], *, of: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Where each pivot's links begin among all links.

    Parameters
    ----------
    neighbors : int32 (N, k1)
        The columns of a graph's indices that are judged; may be mapped.
    of : bool (N,), optional
        As for `combine_directions`.

    Returns
    -------
    int64 (N + 1,)
        Row numbers, ascending from 0; the last is the number of links. Memory
        is twice that of the result, besides the neighbours.
    """
    offsets = np.zeros(len(neighbors) + 1, dtype=np.int64)
    np.cumsum(_count_pairs(neighbors, _asked(len(neighbors), of)), out=offsets[1:])
    return offsets


def combine_rows(
    graph: NeighborGraph,
    likelihoods: NDArray[np.float32],
    offsets: NDArray[np.int64],
    start: int,
    stop: int,
    combine: CombineDirections = "mean",
    *,
    of: NDArray[np.bool_] | None = None,
) -> Links:
    """Some of the links of `combine_directions`, bit for bit, without the others.

    Parameters
    ----------
    graph, likelihoods, combine, of
        As for `combine_directions`; may be mapped.
    offsets : int64 (N + 1,)
        As from `link_offsets` for the same columns and `of`.
    start, stop : int
        Rows among all links, from `start` up to `stop`; a range may begin and
        end between two links of one pivot.

    Returns
    -------
    Links
        Memory is that of the result and of at most two pivots' other links.

    Raises
    ------
    InputError
        As from `combine_directions`.
    """
    _check_combine(combine)
    _check_fit(graph, likelihoods)
    neighbors = graph.indices[:, : likelihoods.shape[1]]
    first = int(np.searchsorted(offsets, start, "right")) - 1
    last = max(first, int(np.searchsorted(offsets, stop, "left")))
    places = offsets[first : last + 1] - offsets[first]
    pairs = np.empty((places[-1], 2), dtype=np.int32)
    combined = np.empty(places[-1], dtype=np.float32)
    one_sided = np.empty(places[-1], dtype=np.bool_)
    asked, choice = _asked(len(neighbors), of), get_args(CombineDirections).index(combine)
    _fill_pairs(neighbors, asked, likelihoods, choice, first, places, pairs, combined, one_sided)
    rows = slice(int(start - offsets[first]), int(stop - offsets[first]))
    n_neighbors = max(1, likelihoods.shape[1])
    return Links(pairs[rows], combined[rows], one_sided[rows], graph.n_instances, n_neighbors)


def _asked(n_instances: int, of: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    return np.ones(n_instances, dtype=np.bool_) if of is None else of


def _check_fit(graph: NeighborGraph, likelihoods: NDArray[np.float32]) -> None:
    if likelihoods.shape[0] != graph.n_instances or likelihoods.shape[1] > graph.n_neighbors:
        raise InputError(
            f"likelihoods of shape {likelihoods.shape} do not fit a graph of {graph.indices.shape}"
            "; judge all instances of this graph."
        )


def _check_combine(combine: str) -> None:
    if combine not in get_args(CombineDirections):
        raise InputError(
            f"combine={combine!r}; choose one of {', '.join(get_args(CombineDirections))}."
        )


@njit(cache=True)
def _rank_of(neighbors: NDArray[np.int32], row: int, instance: int) -> int:
    """Place of `instance` in a row of the graph, −1 if it is not there."""
    for rank in range(neighbors.shape[1]):
        if neighbors[row, rank] == instance:
            return rank
    return -1


@njit(parallel=True, cache=True)
def _count_pairs(neighbors: NDArray[np.int32], asked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pairs that each row is the one to list: those not listed by a row with a smaller id."""
    counts = np.zeros(len(neighbors), dtype=np.int64)
    for row in prange(len(neighbors)):
        for neighbor in neighbors[row]:
            if neighbor == MISSING or not (asked[row] or asked[neighbor]):
                continue
            if neighbor > row or _rank_of(neighbors, neighbor, row) < 0:
                counts[row] += 1
    return counts


@njit(parallel=True, cache=True)
def _fill_pairs(
    neighbors: NDArray[np.int32],
    asked: NDArray[np.bool_],
    likelihoods: NDArray[np.float32],
    choice: int,
    first: int,
    places: NDArray[np.int64],
    pairs: NDArray[np.int32],
    combined: NDArray[np.float32],
    one_sided: NDArray[np.bool_],
) -> None:
    """Links of consecutive rows from `first` on; the first of each has its place in the arrays."""
    for row in prange(first, first + len(places) - 1):
        place = places[row - first]
        for rank in range(neighbors.shape[1]):
            neighbor = neighbors[row, rank]
            if neighbor == MISSING or not (asked[row] or asked[neighbor]):
                continue
            back = _rank_of(neighbors, neighbor, row)
            if neighbor < row and back >= 0:
                continue
            there = likelihoods[row, rank]
            if back < 0:
                value = there
            elif choice == 0:
                value = (there + likelihoods[neighbor, back]) / np.float32(2)
            elif choice == 1:
                value = max(there, likelihoods[neighbor, back])
            else:
                value = min(there, likelihoods[neighbor, back])
            pairs[place, 0] = min(row, neighbor)
            pairs[place, 1] = max(row, neighbor)
            combined[place] = value
            one_sided[place] = back < 0
            place += 1
