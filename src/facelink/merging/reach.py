"""How far a change reaches: the free faces whose place it can decide, and the links that tell.

Groups come together along positive links, and free faces are attached along any. What no chain of
such links connects with the change meets the same evidence as before it, and stays as it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelink.links import Links
from facelink.merging.components import Components, connected_components
from facelink.merging.evidence import log_odds_units
from facelink.merging.placing import KnownGroups, Learned, concerns_new


@dataclass(frozen=True, eq=False)
class Reach:
    """What has to be merged again after a change.

    Parameters
    ----------
    links : Links
        Those that can decide something, between any of the N faces.
    may_come : bool (N,)
        Free faces that may find another place; all of their links are there.
    """

    links: Links
    may_come: NDArray[np.bool_]


def reach_of(
    links: Links,
    known: KnownGroups,
    is_touched: NDArray[np.bool_],
    *,
    is_fresh: NDArray[np.bool_],
    must_link: NDArray[np.int64],
    learned: Learned,
) -> Reach:
    """Find out what a change reaches.

    Parameters
    ----------
    links : Links
        All links of free faces and of groups with a touched face; of others
        where there are any.
    known : KnownGroups
        Where the N faces are already.
    is_touched : bool (N,)
        Faces about which something changed.
    is_fresh : bool (N,)
        Faces whose links were judged anew.
    must_link : int64 (M, 2)
        Pairs that are one person for certain.
    learned : Learned
        What the likelihoods are merged by.
    """
    is_free = ~known.is_known
    links = links.only(concerns_new(links, known, is_fresh))
    joined = np.concatenate([known.pairs(), must_link]).astype(np.int32)
    start = connected_components(links.n_instances, joined)
    core = _all_with_one(start, is_touched)
    beside = _and_those_beside(links, core) & (core | is_free)
    components = Components(links.n_instances)
    components.join(joined)
    components.join(links.pairs[_may_be_positive(links, learned)])
    reached = _all_with_one(components.labels(), beside) & is_free
    may_come = _and_those_beside(links, reached) & is_free
    between_known = ~is_free[links.pairs].any(axis=1)
    between_known &= start[links.pairs[:, 0]] != start[links.pairs[:, 1]]
    return Reach(links.only(may_come[links.pairs].any(axis=1) | between_known), may_come)


def _all_with_one(labels: NDArray[np.int64], marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark everyone whose label one of those marked has."""
    has_one = np.zeros(labels.max(initial=-1) + 1, dtype=np.bool_)
    has_one[labels[marked]] = True
    found: NDArray[np.bool_] = has_one[labels]
    return found


def _and_those_beside(links: Links, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark those with a link to one that is marked, too."""
    found = marked.copy()
    found[links.pairs[marked[links.pairs].any(axis=1)]] = True
    return found


def _may_be_positive(links: Links, learned: Learned) -> NDArray[np.bool_]:
    """Links that speak for one person before or after calibration: merging uses either."""
    highest = np.maximum(links.likelihoods, learned.calibration.apply(links.likelihoods))
    positive: NDArray[np.bool_] = log_odds_units(highest) > 0
    return positive
