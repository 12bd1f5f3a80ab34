"""An update that looks again only where something changed since the last one.

What the last update came to still holds for everyone whom the change does not reach: they meet the
same evidence, weighed by what was learned at the last look at everyone. Faces of which something is
new, and all whose place that can decide, are merged as if everyone was.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facelink.album.last_look import LastLook
from facelink.album.neighborhood import Neighborhood
from facelink.album.standing import Standing
from facelink.links import Links
from facelink.merging.likelihood import recalibrated
from facelink.merging.membership import judge_membership
from facelink.merging.placing import FREE, KnownGroups, Placing, merge_into_groups
from facelink.merging.reach import reach_of

SMALLEST = 2_000
"""Faces of an album below which everyone is looked at: that takes a moment, and tells more."""

LEARN_AT = 1.1
"""Everyone is looked at again once there are so many times the faces of the last time."""

MOST_TOUCHED = 0.25
"""Share of the faces about which something changed that is worth a look at everyone."""


def touched_faces(
    found: Neighborhood, standing: Standing, with_photo_evidence: bool
) -> NDArray[np.bool_] | None:
    """Faces about which something changed since the last update, (N,).

    Parameters
    ----------
    found, standing
        The faces, and what is settled about them.
    with_photo_evidence
        Whether two faces in one photograph count as evidence.

    Returns
    -------
    bool (N,) or None
        None where everyone should be looked at.
    """
    last, n = found.last_look, len(found.faces)
    if last is None or n < SMALLEST or n >= LEARN_AT * last.n_when_learned:
        return None
    if last.with_photo_evidence != with_photo_evidence:
        return None
    touched = found.judged.is_fresh | (last.people != standing.people)
    touched |= last.is_named != standing.is_named
    touched |= last.is_set_aside != standing.is_set_aside
    for before, now in ((last.same, standing.same), (last.different, standing.different)):
        touched[_places_of_difference(found, before, found.rows[now])] = True
    was_with = last.people[touched & (last.people != FREE)]
    touched |= np.isin(last.people, np.unique(was_with[was_with >= 0]))
    return None if touched.sum() > MOST_TOUCHED * n else touched


def place_again(
    found: Neighborhood, standing: Standing, last: LastLook, is_touched: NDArray[np.bool_]
) -> tuple[Placing, NDArray[np.bool_]]:
    """Merge what a change reaches, with all others where they are.

    Parameters
    ----------
    found, standing
        The faces, and what is settled about them.
    last
        What the last update saw.
    is_touched : bool (N,)
        From `touched_faces`.

    Returns
    -------
    placing : Placing
        Labels of everyone; links and membership of those looked at.
    is_asked : bool (N,)
        Faces that were looked at: all of the groups in which something changed.
    """
    known = KnownGroups(standing.people, standing.is_named)
    is_concerned = is_touched | _shares(standing.people, is_touched) | ~known.is_known
    links = _links_of(found, standing, is_concerned)
    reach = reach_of(
        links,
        known,
        is_touched,
        is_fresh=found.judged.is_fresh,
        must_link=standing.same,
        learned=last.learned,
    )
    placing = merge_into_groups(
        reach.links,
        known,
        is_fresh=found.judged.is_fresh,
        must_link=standing.same,
        cannot_link=standing.different,
        photos=found.photos if last.with_photo_evidence else None,
        learned=last.learned,
        may_come=reach.may_come,
    )
    labels = placing.merged.labels
    is_asked = _shares(labels, is_touched | _has_moved(labels, standing.people))
    if (is_asked <= is_concerned).all():
        links = links.only(_has_end(links, is_asked))
    else:
        links = _links_of(found, standing, is_asked)
    links = recalibrated(links, labels, placing.merged.calibration)
    membership = judge_membership(
        links, labels, links.n_neighbors or 1, standing.different.astype(np.int32)
    )
    merged = replace(placing.merged, links=links, membership=membership)
    return replace(placing, merged=merged), is_asked


def _links_of(found: Neighborhood, standing: Standing, faces: NDArray[np.bool_]) -> Links:
    return found.judged.links(of=faces).without(standing.is_set_aside)


def _has_end(links: Links, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    has_end: NDArray[np.bool_] = marked[links.pairs[:, 0]] | marked[links.pairs[:, 1]]
    return has_end


def _shares(groups: NDArray[np.int64], marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Faces of groups, numbered from 0, in which one is marked."""
    shares: NDArray[np.bool_] = np.isin(groups, np.unique(groups[marked & (groups >= 0)]))
    return shares


def _has_moved(labels: NDArray[np.int64], people: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Faces that share a label with one of another person, or of none."""
    lowest = np.full(labels.max(initial=-1) + 1, np.iinfo(np.int64).max)
    highest = np.full_like(lowest, np.iinfo(np.int64).min)
    np.minimum.at(lowest, labels, people)
    np.maximum.at(highest, labels, people)
    is_free_group = (highest == FREE) & (np.bincount(labels, minlength=1) > 1)
    moved: NDArray[np.bool_] = ((lowest != highest) | is_free_group)[labels]
    return moved


def _places_of_difference(
    found: Neighborhood, before: NDArray[np.int64], now: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Places of faces in pairs of rows that are in one of two lists only."""
    pairs = set(map(tuple, before.tolist())) ^ set(map(tuple, now.tolist()))
    rows = np.array(sorted(pairs), dtype=np.int64).reshape(-1)
    return np.flatnonzero(np.isin(found.rows, rows))
