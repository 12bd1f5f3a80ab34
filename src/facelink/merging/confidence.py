"""How sure the links are of each instance's place in its cluster."""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from facelink.errors import InputError
from facelink.links import Links

NOT_CLUSTERED = -1


def membership_confidence(links: Links, labels: ArrayLike) -> NDArray[np.float32]:
    """Judge each instance's place in its cluster by all of its judged links.

    Not from the paper. An instance that shares a cluster gets the mean
    likelihood of its links into that cluster, those below the merge threshold
    included: one strong link among many weak ones gives a low confidence. An
    instance alone gets 1 − its greatest likelihood to anyone: it is as surely
    alone as its best link is surely wrong.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    labels : integer (N,)
        Cluster of each instance; −1 (not clustered) is alone.

    Returns
    -------
    confidence : float32 (N,)
        Probabilities in [0, 1]. 1 for an instance alone that has no links; 0
        for one whose cluster holds nobody it was compared with, which merging
        along the links never makes.

    Raises
    ------
    InputError
        If the number of labels is not N.
    """
    label_array = np.asarray(labels)
    if label_array.shape != (links.n_instances,):
        raise InputError(
            f"labels of shape {label_array.shape} for links between {links.n_instances} "
            "instances; give the labels that were merged from these links."
        )
    _, groups, sizes = np.unique(label_array, return_inverse=True, return_counts=True)
    alone = (sizes[groups] == 1) | (label_array == NOT_CLUSTERED)
    confidence: NDArray[np.float32] = _confidence(links.pairs, links.likelihoods, groups, alone)
    return confidence


@njit(cache=True)
def _confidence(
    pairs: NDArray[np.int32],
    likelihoods: NDArray[np.float32],
    groups: NDArray[np.int64],
    alone: NDArray[np.bool_],
) -> NDArray[np.float32]:
    within_sum = np.zeros(len(groups), dtype=np.float64)
    n_within = np.zeros(len(groups), dtype=np.int64)
    greatest = np.zeros(len(groups), dtype=np.float32)
    for link in range(len(pairs)):
        likelihood = likelihoods[link]
        same_group = groups[pairs[link, 0]] == groups[pairs[link, 1]]
        for instance in pairs[link]:
            greatest[instance] = max(greatest[instance], likelihood)
            if same_group:
                within_sum[instance] += likelihood
                n_within[instance] += 1
    confidence = np.zeros(len(groups), dtype=np.float32)
    for instance in range(len(groups)):
        if alone[instance]:
            confidence[instance] = 1 - greatest[instance]
        elif n_within[instance] > 0:
            confidence[instance] = within_sum[instance] / n_within[instance]
    return confidence
