"""Groups from judged links, by the ways of merging that suit a link model."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelink.linking import default_threshold
from facelink.links import Links
from facelink.merging.confidence import membership_confidence
from facelink.merging.constraints import Constraints
from facelink.merging.likelihood import LikelihoodMergeResult
from facelink.merging.merge import AnyMergeResult, MergeChoice, MergeMethod, merge_links
from facelink.merging.parts import Each
from facelink.models.context_gcn import ContextGCN
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import LinkModel


@dataclass(frozen=True)
class MergeSettings:
    """How links become groups; the parameters of these names of `LinkageClustering`."""

    merge: MergeChoice = "auto"
    threshold: float | None = None
    threshold_step: float = 0.05
    max_cluster_size: int = 300

    def method(self, model: LinkModel | None) -> MergeMethod:
        """The way of merging: what was asked for, or what suits the model."""
        if self.merge != "auto":
            return self.merge
        is_calibrated = isinstance(model, ContextGCN)
        return "likelihood" if is_calibrated and self.threshold is None else "bfs"

    def starts_at(self, model: LinkModel | None) -> float:
        """Likelihood at which merging with a threshold starts."""
        return default_threshold(model) if self.threshold is None else self.threshold

    def check(
        self,
        model: LinkModel | None,
        n_instances: int,
        must_link: ArrayLike | None,
        cannot_link: ArrayLike | None,
    ) -> None:
        """Raise before long work the `InputError` that merging would raise after it."""
        Constraints.checked(n_instances, must_link, cannot_link)
        nobody = Links(
            np.empty((0, 2), np.int32), np.empty(0, np.float32), np.empty(0, np.bool_), 0, 1
        )
        if self.method(model) == "likelihood":  # its constraints name instances; the rest is bfs's
            merge_judged(nobody, model, replace(self, merge="bfs"))
        else:
            merge_judged(nobody, model, self, must_link, cannot_link)


def merge_judged(
    links: Links,
    model: LinkModel | None,
    settings: MergeSettings,
    must_link: ArrayLike | None = None,
    cannot_link: ArrayLike | None = None,
    *,
    each: Each = map,
) -> AnyMergeResult:
    """Merge links that a model judged.

    Parameters
    ----------
    links
        Judged pairs of N instances.
    model
        The one that judged them, None for cosine similarity: its threshold is
        the default, and the likelihoods of a LinkGCN are calibrated as its
        training found before they are merged by likelihood.
    settings
        The way of merging.
    must_link, cannot_link : integer (M, 2) and (C, 2), optional
        As for `merge_links`.
    each : callable
        As for `merge_by_likelihood`.

    Raises
    ------
    InputError
        As from `merge_links`.
    """
    method = settings.method(model)
    if method == "likelihood" and isinstance(model, LinkGCN):
        honest = model.config.calibration.apply(links.likelihoods)
        links = replace(links, likelihoods=honest)
    return merge_links(
        links,
        method,
        initial_threshold=settings.starts_at(model),
        threshold_step=settings.threshold_step,
        max_cluster_size=settings.max_cluster_size,
        must_link=must_link,
        cannot_link=cannot_link,
        each=each,
    )


def cluster_confidence(links: Links, merged: AnyMergeResult) -> NDArray[np.float32]:
    """Confidence of each face in its cluster, in [0, 1]; see `LinkageClustering`."""
    if isinstance(merged, LikelihoodMergeResult):
        return merged.membership.confidence
    return membership_confidence(links, merged.labels)
