"""One entry to the ways of merging links, chosen by name."""

from typing import Literal, get_args

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.bfs import merge_bfs
from facelink.merging.result import MergeResult
from facelink.merging.threshold import merge_threshold

MergeMethod = Literal["bfs", "threshold"]


def merge_links(
    links: Links,
    method: MergeMethod = "bfs",
    *,
    initial_threshold: float = 0.5,
    threshold_step: float = 0.05,
    max_cluster_size: int = 300,
) -> MergeResult:
    """Group instances along their links.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    method : str
        ``"bfs"``: `merge_bfs`, the paper's. ``"threshold"``: `merge_threshold`
        at `initial_threshold`; the other two settings are not used.
    initial_threshold : float
        Likelihood in [0, 1] below which a link does not join.
    threshold_step : float
        Share of the way to 1 by which each pass raises the threshold, in
        (0, 1].
    max_cluster_size : int
        Greatest number of instances in a cluster, at least 1.

    Returns
    -------
    MergeResult
        Labels of all N instances. Independent of the order of the links.

    Raises
    ------
    InputError
        If the method is unknown or one of its settings is outside its range.
    """
    if method == "bfs":
        return merge_bfs(
            links,
            initial_threshold=initial_threshold,
            threshold_step=threshold_step,
            max_cluster_size=max_cluster_size,
        )
    if method == "threshold":
        return merge_threshold(links, initial_threshold)
    raise InputError(
        f"merge method {method!r} is unknown; choose one of {', '.join(get_args(MergeMethod))}."
    )
