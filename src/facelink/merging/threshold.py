"""Merging with one threshold: the paper's simple approach."""

import numpy as np

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.components import connected_components
from facelink.merging.result import MergeResult


def merge_threshold(links: Links, threshold: float) -> MergeResult:
    """Take the connected components of the links with at least this likelihood.

    Source: section 3.4 of the paper, where it is the simple approach whose
    result depends strongly on the threshold; `merge_bfs` is the paper's answer.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    threshold : float
        Least likelihood of a link that joins, in [0, 1]. It is compared as
        float32, like the likelihoods: 0.7 keeps a link that was stored as 0.7.

    Returns
    -------
    MergeResult
        One pass, without a size cap. Independent of the order of the links.

    Raises
    ------
    InputError
        If the threshold is outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> pairs = np.array([[0, 1], [1, 2]], dtype=np.int32)
    >>> likelihoods = np.array([0.9, 0.2], dtype=np.float32)
    >>> links = Links(pairs, likelihoods, np.zeros(2, dtype=bool), n_instances=3)
    >>> merge_threshold(links, 0.5).labels.tolist()
    [0, 0, 1]
    """
    check_threshold("threshold", threshold)
    joined = links.pairs[links.likelihoods >= np.float32(threshold)]
    labels = connected_components(links.n_instances, joined)
    return MergeResult(labels, uncuttable=(), n_passes=1, final_threshold=float(threshold))


def check_threshold(name: str, value: float) -> None:
    """Raise `InputError` if `value` is not a likelihood."""
    if not 0 <= value <= 1:
        raise InputError(
            f"{name}={value}, but it is compared with likelihoods, which lie in [0, 1]; "
            "choose a value from that range, such as 0.5."
        )
