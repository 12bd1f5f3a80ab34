"""One entry to the ways of merging links, chosen by name."""

from typing import Literal, get_args

from numpy.typing import ArrayLike

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.bfs import merge_bfs
from facelink.merging.likelihood import LikelihoodMergeResult, merge_by_likelihood
from facelink.merging.parts import Each
from facelink.merging.result import MergeResult
from facelink.merging.threshold import merge_threshold

MergeMethod = Literal["likelihood", "bfs", "threshold"]
MergeChoice = Literal["auto", "likelihood", "bfs", "threshold"]
AnyMergeResult = MergeResult | LikelihoodMergeResult


def merge_links(
    links: Links,
    method: MergeMethod = "bfs",
    *,
    initial_threshold: float = 0.5,
    threshold_step: float = 0.05,
    max_cluster_size: int = 300,
    must_link: ArrayLike | None = None,
    cannot_link: ArrayLike | None = None,
    each: Each = map,
) -> AnyMergeResult:
    """Group instances along their links.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    method : str
        ``"bfs"``: `merge_bfs`, the paper's. ``"threshold"``: `merge_threshold`
        at `initial_threshold`. ``"likelihood"``: `merge_by_likelihood`, which
        has no settings but takes constraints.
    initial_threshold : float
        Likelihood in [0, 1] below which a link does not join.
    threshold_step : float
        Share of the way to 1 by which each pass raises the threshold, in
        (0, 1].
    max_cluster_size : int
        Greatest number of instances in a cluster, at least 1.
    must_link, cannot_link : integer (M, 2) and (C, 2), optional
        Pairs that are one person for certain, or two; for ``"likelihood"``.
    each : callable
        As for `merge_by_likelihood`.

    Returns
    -------
    MergeResult or LikelihoodMergeResult
        Labels of all N instances. Independent of the order of the links.

    Raises
    ------
    InputError
        If the method is unknown, one of its settings is outside its range, or
        it is given constraints that it cannot honour.
    """
    if method == "likelihood":
        return merge_by_likelihood(links, must_link=must_link, cannot_link=cannot_link, each=each)
    if must_link is not None or cannot_link is not None:
        raise InputError(
            f"merge method {method!r} does not know constraints; choose 'likelihood', or leave "
            "must_link and cannot_link out."
        )
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
