"""Merging with a rising threshold: the paper's pseudo label propagation."""

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.components import largest_nested_components
from facelink.merging.result import MergeResult, UncuttableCluster
from facelink.merging.threshold import check_threshold

ROUNDS_TO_ONE = 1 - 2.0**-25
"""Float32 has no number from here up to 1: as a threshold this means exactly 1."""

FINEST_STEP = 1e-5
"""A smaller `threshold_step` acts like this one, which makes 1.7 million passes from 0.5 to 1."""


def merge_bfs(
    links: Links,
    *,
    initial_threshold: float = 0.5,
    threshold_step: float = 0.05,
    max_cluster_size: int = 300,
    first_pass_without_threshold: bool = False,
) -> MergeResult:
    """Cut links below a threshold that rises until every component fits the size cap.

    Source: section 3.4 of the paper. Each pass cuts the links below its
    threshold and spreads a pseudo label through what stays connected.
    Components of up to `max_cluster_size` instances are clusters; larger ones
    wait in a queue for the next pass, at a higher threshold, until the queue
    is empty. The paper does not say how the threshold rises; here, as in the
    authors' code, t becomes t + (1 − t) · `threshold_step`, and 1 once
    float32 has no number between t and 1.

    The passes are not run one by one. A threshold that rises only cuts, so
    the components of one pass lie within those of the pass before, and a
    cluster is the largest component of at most `max_cluster_size` instances:
    `largest_nested_components` finds it for all passes in one sweep. The
    result is that of the loop over the queue; the cost is one sort and one
    union-find, however many passes the schedule has.

    The authors' code differs: its first pass looks at no likelihood, it does
    not end where a component above the cap is held by likelihoods of 1, and
    its t starts from the lowest likelihood of all.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    initial_threshold : float
        Least likelihood of a link that counts in the first pass, in [0, 1].
        Thresholds are compared as float32, like the likelihoods.
    threshold_step : float
        Share of the way to 1 by which each pass raises the threshold, in
        (0, 1].
    max_cluster_size : int
        Greatest number of instances in a cluster, at least 1.
    first_pass_without_threshold : bool
        Use every link in the first pass, whatever its likelihood, as the
        authors' code does. The second pass is at the first raised threshold.
        For comparison only: any component that fits the cap is then accepted
        without a look at its likelihoods.

    Returns
    -------
    MergeResult
        Every cluster keeps the cap, or is listed in `uncuttable` because only
        links of likelihood exactly 1 hold it together. Independent of the
        order of the links.

    Raises
    ------
    InputError
        If an argument is outside its range.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = np.array([[0, 1], [1, 2], [2, 3]], dtype=np.int32)
    >>> likelihoods = np.array([0.9, 0.6, 0.9], dtype=np.float32)
    >>> links = Links(pairs, likelihoods, np.zeros(3, dtype=bool), n_instances=4)
    >>> merge_bfs(links, max_cluster_size=4).labels.tolist()
    [0, 0, 0, 0]
    >>> merge_bfs(links, max_cluster_size=3).labels.tolist()
    [0, 0, 1, 1]
    """
    check_threshold("initial_threshold", initial_threshold)
    _check_step_and_cap(threshold_step, max_cluster_size)
    thresholds = _threshold_schedule(
        initial_threshold, threshold_step, first_pass_without_threshold
    )
    n_passes_with_link = np.searchsorted(
        thresholds.astype(np.float32), links.likelihoods, side="right"
    )
    labels, n_passes = largest_nested_components(
        links.n_instances, links.pairs, n_passes_with_link, len(thresholds), max_cluster_size
    )
    return MergeResult(
        labels,
        uncuttable=_clusters_above(max_cluster_size, labels),
        n_passes=n_passes,
        final_threshold=float(thresholds[n_passes - 1]),
    )


def _threshold_schedule(
    initial_threshold: float, threshold_step: float, first_pass_without_threshold: bool
) -> NDArray[np.float64]:
    """Thresholds of all passes, ascending; the last one is 1 in float32."""
    step = max(threshold_step, FINEST_STEP)
    thresholds = [float(initial_threshold)]
    while thresholds[-1] < ROUNDS_TO_ONE:
        thresholds.append(thresholds[-1] + (1 - thresholds[-1]) * step)
    if first_pass_without_threshold:
        thresholds = [0.0, *(thresholds[1:] or [1.0])]
    return np.array(thresholds)


def _clusters_above(
    max_cluster_size: int, labels: NDArray[np.int64]
) -> tuple[UncuttableCluster, ...]:
    sizes = np.bincount(labels)
    too_large = np.flatnonzero(sizes > max_cluster_size)
    return tuple(UncuttableCluster(int(label), int(sizes[label])) for label in too_large)


def _check_step_and_cap(threshold_step: float, max_cluster_size: int) -> None:
    if not 0 < threshold_step <= 1:
        raise InputError(
            f"threshold_step={threshold_step}, but each pass must raise the threshold by a share "
            "in (0, 1] of what is left to 1; choose a value such as 0.05."
        )
    if max_cluster_size < 1:
        raise InputError(
            f"max_cluster_size={max_cluster_size}, but a cluster has at least 1 instance; "
            "choose the size of the largest person to expect, such as 300."
        )
