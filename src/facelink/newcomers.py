"""New faces among groups that stay as they are: whom they join, with the labels there were."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facelink.links import Links
from facelink.merging.likelihood import LikelihoodMergeResult
from facelink.merging.membership import NO_CLUSTER
from facelink.merging.placing import FREE, KnownGroups, merge_into_groups


def place_newcomers(
    links: Links, labels: NDArray[np.int64], *, is_fresh: NDArray[np.bool_] | None = None
) -> LikelihoodMergeResult:
    """Merge the last faces into the groups of the first ones, which neither merge nor split.

    Parameters
    ----------
    links : Links
        Judged pairs of all N faces.
    labels : int64 (n,)
        Groups of the first n faces, consecutive from 0.
    is_fresh : bool (N,), optional
        Faces whose links were judged anew; by default all.

    Returns
    -------
    LikelihoodMergeResult
        The first n labels are those given; new groups have the numbers after
        them, in the order of their first faces.
    """
    n_earlier = len(labels)
    groups = np.full(links.n_instances, FREE, dtype=np.int64)
    groups[:n_earlier] = labels
    known = KnownGroups(groups, groups != FREE)
    merged = merge_into_groups(links, known, is_fresh=is_fresh).merged
    label_of = np.full(merged.n_clusters, NO_CLUSTER, dtype=np.int64)
    label_of[merged.labels[:n_earlier]] = labels
    new = label_of == NO_CLUSTER
    label_of[new] = labels.max(initial=-1) + 1 + np.arange(new.sum())
    runner_up = merged.membership.runner_up
    runner_up = np.where(runner_up == NO_CLUSTER, NO_CLUSTER, label_of[runner_up])
    return replace(
        merged,
        labels=label_of[merged.labels],
        membership=replace(merged.membership, runner_up=runner_up),
    )
