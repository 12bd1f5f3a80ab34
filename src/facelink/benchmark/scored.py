"""A grouping and what it reached: the one form in which studies are kept and shown."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from facelink.links import Links
from facelink.metrics import ClusteringScores, group_ids

METRIC_COLUMNS = (
    "pairwise F",
    "pairwise P / R",
    "BCubed F",
    "BCubed P / R",
    "NMI",
    "clusters",
    "seconds",
)
"""Column heads of `metric_cells`: metrics always come together."""

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Scored:
    """One way of grouping one collection, and what it reached.

    Parameters
    ----------
    method : str
        How tables call it.
    scores : ClusteringScores
        Against the true people.
    seconds : float
        Wall-clock time of the steps that the study compares.
    link_ap : float, optional
        Average precision of its links' likelihoods, in [0, 1], where it judges links.
    threshold : float, optional
        Link likelihood at which it was cut, where it has a threshold.
    """

    method: str
    scores: ClusteringScores
    seconds: float
    link_ap: float | None = None
    threshold: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def metric_cells(scored: Scored) -> tuple[str, ...]:
    """Cells for `METRIC_COLUMNS`."""
    pairwise, bcubed = scored.scores.pairwise, scored.scores.bcubed
    return (
        percent(pairwise.fscore),
        f"{percent(pairwise.precision)} / {percent(pairwise.recall)}",
        percent(bcubed.fscore),
        f"{percent(bcubed.precision)} / {percent(bcubed.recall)}",
        percent(scored.scores.nmi_arithmetic),
        f"{scored.scores.n_clusters:,}",
        f"{scored.seconds:.2f}",
    )


def link_average_precision(links: Links, labels_true: NDArray[np.int64]) -> float | None:
    """Average precision of the links' likelihoods, in [0, 1].

    None where no link is true, or all are: then there is nothing to rank.
    """
    identities = group_ids(labels_true, "labels_true")
    is_linked = identities[links.pairs[:, 0]] == identities[links.pairs[:, 1]]
    if is_linked.all() or not is_linked.any():
        return None
    return float(average_precision_score(is_linked, links.likelihoods))


def percent(share: float | None) -> str:
    """Percentage with two decimals, as the field's tables have it; a dash for None."""
    return "–" if share is None else f"{100 * share:.2f}"


def timed(work: Callable[[], Outcome]) -> tuple[Outcome, float]:
    """What some work gives, and the seconds that it took."""
    start = perf_counter()
    outcome = work()
    return outcome, perf_counter() - start
