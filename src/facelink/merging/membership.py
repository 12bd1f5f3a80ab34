"""How sure each face's place is: confidence, outlier score, and the group it would go to next."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.links import Links
from facelink.merging.evidence import BLOCKED, added, log_odds_units, mean_evidence
from facelink.merging.rows import link_ends

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
        Independent of the order of the links. Memory 16 bytes per link.
    """
    blocked = np.empty((0, 2), dtype=np.int32) if cannot_link is None else cannot_link
    confidence, outlier_score, runner_up = _judge(
        np.concatenate([links.pairs, blocked]),
        log_odds_units(links.likelihoods),
        labels,
        np.bincount(labels, minlength=1),
        n_neighbors,
    )
    return Membership(confidence, outlier_score, runner_up)


@njit(cache=True)
def _judge(
    pairs: NDArray[np.int32],
    log_odds: NDArray[np.int32],
    labels: NDArray[np.int64],
    sizes: NDArray[np.int64],
    n_neighbors: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    n_instances = len(labels)
    starts, ends = link_ends(n_instances, pairs)
    confidence = np.empty(n_instances, dtype=np.float32)
    outlier_score = np.empty(n_instances, dtype=np.float32)
    runner_up = np.full(n_instances, NO_CLUSTER, dtype=np.int64)
    totals = np.zeros(len(sizes), dtype=np.int64)
    counts = np.zeros(len(sizes), dtype=np.int64)
    for instance in range(n_instances):
        own = labels[instance]
        touched = ends[starts[instance] : starts[instance + 1]]
        for end in touched:
            pair = end // 2
            label = labels[pairs[pair, end % 2]]
            if pair < len(log_odds):
                totals[label] = added(totals[label], log_odds[pair])
                counts[label] += 1
            else:
                totals[label] = BLOCKED
        own_odds, runner_odds, most = 0.0, 0.0, -np.inf
        if sizes[own] > 1:
            own_odds = np.exp(
                mean_evidence(totals[own], counts[own], 1, sizes[own] - 1, n_neighbors)
            )
        for end in touched:
            label = labels[pairs[end // 2, end % 2]]
            if label == own or counts[label] == 0:
                continue
            evidence = mean_evidence(totals[label], counts[label], 1, sizes[label], n_neighbors)
            if evidence > most or (evidence == most and label < runner_up[instance]):
                most, runner_up[instance] = evidence, label
        if runner_up[instance] >= 0:
            runner_odds = np.exp(most)
        chosen = own_odds if sizes[own] > 1 else 1.0
        confidence[instance] = chosen / (1 + own_odds + runner_odds)
        outlier_score[instance] = 1 / (1 + own_odds + runner_odds)
        for end in touched:
            label = labels[pairs[end // 2, end % 2]]
            totals[label] = 0
            counts[label] = 0
    return confidence, outlier_score, runner_up
