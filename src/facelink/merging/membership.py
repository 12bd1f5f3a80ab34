"""How sure each face's place is: confidence, outlier score, and the group it would go to next."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange
from numpy.typing import NDArray

from facelink.links import Links
from facelink.merging.evidence import BLOCKED, log_odds_units, mean_evidence
from facelink.merging.rows import links_of_instances, other_end

NO_CLUSTER = -1
"""Runner-up of a face that has no link to another cluster than its own."""


@dataclass(frozen=True, eq=False)
class Membership:
    """Where each face belongs, as probabilities of three exclusive cases.

    A face belongs to its own cluster, to its runner-up, or to nobody that is
    there; their odds are those of the evidence, and the odds of nobody are 1.

    Parameters
    ----------
    confidence : float32 (N,)
        Probability in [0, 1] of the case that the labels chose: the face's own
        cluster, or nobody for a face alone.
    outlier_score : float32 (N,)
        Probability in [0, 1] that the face belongs to nobody who is there.
    runner_up : int64 (N,)
        The other cluster with the most evidence, equal evidence to the smaller
        label; −1 if no link leads to another cluster it may join.
    """

    confidence: NDArray[np.float32]
    outlier_score: NDArray[np.float32]
    runner_up: NDArray[np.int64]


def judge_membership(
    links: Links,
    labels: NDArray[np.int64],
    n_neighbors: int,
    cannot_link: NDArray[np.int32] | None = None,
) -> Membership:
    """Weigh each face's links with its own cluster against those with others and with none.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    labels : int64 (N,)
        Clusters, consecutive from 0.
    n_neighbors : int
        Neighbours k that each instance lists.
    cannot_link : int32 (C, 2), optional
        Pairs that are two people: rules a cluster out as a runner-up.

    Returns
    -------
    Membership
        Independent of the order of the links and the number of threads. Memory
        12 bytes per link.
    """
    blocked = np.empty((0, 2), dtype=np.int32) if cannot_link is None else cannot_link
    n_instances, sizes = len(labels), np.bincount(labels, minlength=1)
    membership = Membership(
        np.empty(n_instances, dtype=np.float32),
        np.empty(n_instances, dtype=np.float32),
        np.full(n_instances, NO_CLUSTER, dtype=np.int64),
    )
    _judge(
        _Rows(links.pairs, *links_of_instances(n_instances, links.pairs)),
        log_odds_units(links.likelihoods),
        _Rows(blocked, *links_of_instances(n_instances, blocked)),
        labels,
        sizes,
        n_neighbors,
        np.full((get_num_threads(), len(sizes)), -1, dtype=np.int32),
        membership.confidence,
        membership.outlier_score,
        membership.runner_up,
    )
    return membership


class _Rows(NamedTuple):
    """Pairs, and which of them each instance has."""

    pairs: NDArray[np.int32]
    starts: NDArray[np.int64]
    links: NDArray[np.integer]


@njit(parallel=True, nogil=True, cache=True)
def _judge(
    rows: _Rows,
    log_odds: NDArray[np.int32],
    blocked: _Rows,
    labels: NDArray[np.int64],
    sizes: NDArray[np.int64],
    n_neighbors: int,
    places: NDArray[np.int32],
    confidence: NDArray[np.float32],
    outlier_score: NDArray[np.float32],
    runner_up: NDArray[np.int64],
) -> None:
    for instance in prange(len(labels)):
        own = labels[instance]
        clusters, totals, counts = _sums_by_cluster(
            instance, rows, log_odds, blocked, labels, places[get_thread_id()]
        )
        own_odds, runner_odds, most = 0.0, 0.0, -np.inf
        if sizes[own] > 1:
            own_odds = np.exp(mean_evidence(totals[0], counts[0], 1, sizes[own] - 1, n_neighbors))
        best = NO_CLUSTER
        for place in range(1, len(clusters)):
            label = clusters[place]
            evidence = mean_evidence(totals[place], counts[place], 1, sizes[label], n_neighbors)
            if evidence > most or (evidence == most and label < best):
                most, best = evidence, label
        if best >= 0:
            runner_odds = np.exp(most)
        runner_up[instance] = best
        chosen = own_odds if sizes[own] > 1 else 1.0
        confidence[instance] = chosen / (1 + own_odds + runner_odds)
        outlier_score[instance] = 1 / (1 + own_odds + runner_odds)


@njit(nogil=True, cache=True)
def _sums_by_cluster(
    instance: int,
    rows: _Rows,
    log_odds: NDArray[np.int32],
    blocked: _Rows,
    labels: NDArray[np.int64],
    place_of: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Clusters that an instance has links with, its own first; sums and numbers of the links.

    `place_of` is −1 everywhere, before and after.
    """
    touched = rows.links[rows.starts[instance] : rows.starts[instance + 1]]
    clusters = np.empty(len(touched) + 1, dtype=np.int64)
    totals = np.zeros(len(touched) + 1, dtype=np.int64)
    counts = np.zeros(len(touched) + 1, dtype=np.int64)
    clusters[0] = labels[instance]
    place_of[clusters[0]] = 0
    n_clusters = 1
    for link in touched:
        label = labels[other_end(rows.pairs, link, instance)]
        place = place_of[label]
        if place < 0:
            place = n_clusters
            place_of[label] = place
            clusters[place] = label
            n_clusters += 1
        totals[place] += log_odds[link]
        counts[place] += 1
    for pair in blocked.links[blocked.starts[instance] : blocked.starts[instance + 1]]:
        place = place_of[labels[other_end(blocked.pairs, pair, instance)]]
        if place >= 0:
            totals[place] = BLOCKED
    place_of[clusters[:n_clusters]] = -1
    return clusters[:n_clusters], totals[:n_clusters], counts[:n_clusters]
