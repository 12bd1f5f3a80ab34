"""New faces find their people: planned without writing anything, then done in one action.

A face joins a person, starts a new one together with others, or stays undecided. People with names
only gain faces; those without may also merge. What the user decided is never changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelink.album.decisions import contradicted, merge_into
from facelink.album.estimates import estimates
from facelink.album.history import action
from facelink.album.library import Album
from facelink.album.neighborhood import Neighborhood, keep_neighborhood, neighborhood, still_holds
from facelink.album.records import Candidate, Change, EmbeddingModel
from facelink.album.standing import Standing, standing_of
from facelink.errors import InputError
from facelink.link_prediction import Progress
from facelink.links import Links
from facelink.merging.placing import FREE, KnownGroups, merge_into_groups
from facelink.models.context_gcn import ContextGCN

_SMALL_CHANGE = 0.01
"""Confidences are written where they changed by more."""


@dataclass(frozen=True)
class Joining:
    """Faces that join one person, and the people who become part of them.

    Parameters
    ----------
    person : int, optional
        None for someone new.
    faces : tuple of int
        Undecided faces that join.
    merged : tuple of int
        People whose faces all join.
    """

    person: int | None
    faces: tuple[int, ...]
    merged: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class UpdatePlan:
    """What an update of one embedding model's faces would do.

    Parameters
    ----------
    model : EmbeddingModel
        Whose faces these are.
    joinings : tuple of Joining
        By person, new ones last.
    confidences : dict of int to float
        Of each face that has a person afterwards, in [0, 1].
    candidates : tuple of Candidate
        Of the faces that stay undecided. A person that joining number j makes anew is
        called −2 − j here and in the suggestions.
    suggestions : tuple of (int, int, float, int)
        Two people who may be one, how likely, and their links.
    n_undecided : int
        Faces that stay undecided.
    photo_log_odds : float
        What two faces in one photograph count for here; 0 where switched off.
    found : Neighborhood
        To keep for the next update.
    """

    model: EmbeddingModel
    joinings: tuple[Joining, ...]
    confidences: dict[int, float]
    candidates: tuple[Candidate, ...]
    suggestions: tuple[tuple[int, int, float, int], ...]
    n_undecided: int
    photo_log_odds: float
    found: Neighborhood


def judge_faces(
    album: Album, link_model: ContextGCN, *, progress: Progress | None = None
) -> dict[EmbeddingModel, Neighborhood]:
    """Judge all faces' links: the part of an update that no decision changes.

    Parameters
    ----------
    album
        Open.
    link_model
        Judges links.
    progress
        Called with the number of faces judged since the last call.

    Returns
    -------
    dict of EmbeddingModel to Neighborhood
        Of each embedding model with at least two faces to compare.
    """
    found = {
        model: neighborhood(album, model, link_model, progress=progress) for model in album.models()
    }
    return {model: one for model, one in found.items() if one is not None}


def plan_update(
    album: Album,
    link_model: ContextGCN,
    *,
    with_photo_evidence: bool = True,
    progress: Progress | None = None,
    judged: Mapping[EmbeddingModel, Neighborhood] | None = None,
) -> list[UpdatePlan]:
    """Find out what an update would do; nothing is written.

    Parameters
    ----------
    album
        Open.
    link_model
        Judges links.
    with_photo_evidence
        Count two faces in one photograph as evidence for two people, as much
        as this album's groups say.
    progress
        Called with the number of faces judged since the last call.
    judged
        From `judge_faces`, made before; judged again where the album has other faces by now.

    Returns
    -------
    list of UpdatePlan
        One for each embedding model with at least two faces to compare.

    Raises
    ------
    InputError
        If the album's decisions and places contradict each other, which none
        of its commands leaves behind, or its features are damaged.
    """
    broken = contradicted(album)
    if broken:
        raise InputError(
            f"{len(broken)} decisions contradict where faces are placed, the first is decision "
            f"{broken[0]}; facelink album audit --fix repairs that."
        )
    if judged is None or not all(
        still_holds(album, model, judged.get(model)) for model in album.models()
    ):
        judged = judge_faces(album, link_model, progress=progress)
    return [
        _plan(model, found, standing_of(album, found), with_photo_evidence)
        for model, found in judged.items()
    ]


def apply_plans(album: Album, plans: list[UpdatePlan]) -> list[Change]:
    """Do what was planned, as one action, and keep the neighbours.

    Parameters
    ----------
    album
        Open for writing, not written to since the plans were made.
    plans
        From `plan_update`.

    Returns
    -------
    list of Change
        Everything that changed, which `undo` can take back.
    """
    number_of: dict[tuple[EmbeddingModel, int], int] = {}
    with action(album, "update") as under_way:
        for plan in plans:
            for place, joining in enumerate(plan.joinings):
                whose = under_way.new_person() if joining.person is None else joining.person
                number_of[plan.model, _provisional(place)] = whose
                for other in joining.merged:
                    merge_into(under_way, whose, other)
                for face in joining.faces:
                    under_way.place(face, whose, "automatic", plan.confidences[face])
        _write_estimates(album, plans, number_of)
    for plan in plans:
        keep_neighborhood(album, plan.model, plan.found)
    return under_way.changes


def update_album(
    album: Album, link_model: ContextGCN, *, with_photo_evidence: bool = True
) -> list[Change]:
    """Plan and apply at once; see `plan_update` and `apply_plans`."""
    return apply_plans(
        album, plan_update(album, link_model, with_photo_evidence=with_photo_evidence)
    )


def _plan(
    model: EmbeddingModel, found: Neighborhood, standing: Standing, with_photo_evidence: bool
) -> UpdatePlan:
    links = _without(found.judged.links(), standing.is_set_aside)
    placing = merge_into_groups(
        links,
        KnownGroups(standing.people, standing.is_named),
        is_fresh=found.judged.is_fresh,
        must_link=standing.same,
        cannot_link=standing.different,
        photos=found.photos if with_photo_evidence else None,
    )
    labels = placing.merged.labels
    person_of_label = _survivors(labels, standing)
    joinings = _joinings(labels, person_of_label, found.faces, standing)
    for place, joining in enumerate(joinings):
        if joining.person is None:
            member = found.positions(np.array(joining.faces[:1]))
            person_of_label[labels[member]] = _provisional(place)
    is_placed = (np.bincount(labels)[labels] > 1) | (standing.people != FREE)
    confidence = placing.merged.membership.confidence
    candidates, suggestions = estimates(placing, person_of_label, is_placed, found, standing)
    return UpdatePlan(
        model,
        joinings,
        dict(zip(found.faces[is_placed].tolist(), confidence[is_placed].tolist(), strict=True)),
        candidates,
        suggestions,
        int((~is_placed & ~standing.is_set_aside).sum()),
        placing.in_one_photo.log_odds if with_photo_evidence else 0.0,
        found,
    )


def _provisional(place: int) -> int:
    """What the new person of a joining is called until they have a number."""
    return -2 - place


def _without(links: Links, left_out: NDArray[np.bool_]) -> Links:
    kept = ~left_out[links.pairs].any(axis=1)
    return Links(
        links.pairs[kept],
        links.likelihoods[kept],
        links.one_sided[kept],
        links.n_instances,
        links.n_neighbors,
    )


def _survivors(labels: NDArray[np.int64], standing: Standing) -> NDArray[np.int64]:
    """Person that stays of each label, (C,); −1 where it holds none.

    One with a name comes first, then the one with most faces, then the oldest.
    """
    survivors = np.full(labels.max(initial=-1) + 1, FREE, dtype=np.int64)
    known = np.flatnonzero(standing.people != FREE)
    people, first, sizes = np.unique(standing.people[known], return_index=True, return_counts=True)
    is_named = standing.is_named[known[first]]
    worst_first = np.lexsort((-people, sizes, is_named))
    survivors[labels[known[first]][worst_first]] = people[worst_first]
    return survivors


def _joinings(
    labels: NDArray[np.int64],
    person_of_label: NDArray[np.int64],
    faces: NDArray[np.int64],
    standing: Standing,
) -> tuple[Joining, ...]:
    sizes = np.bincount(labels)
    survivor = person_of_label[labels]
    joins = (standing.people != survivor) | ((survivor == FREE) & (sizes[labels] > 1))
    members: dict[int, list[int]] = {}
    for place in np.flatnonzero(joins).tolist():
        members.setdefault(int(labels[place]), []).append(place)
    joinings = []
    for label, places in members.items():
        here = np.array(places)
        was = standing.people[here]
        person = int(person_of_label[label])
        joinings.append(
            Joining(
                None if person == FREE else person,
                tuple(faces[here[was == FREE]].tolist()),
                tuple(np.unique(was[was != FREE]).tolist()),
            )
        )
    return tuple(sorted(joinings, key=lambda one: (one.person is None, one.person or 0, one.faces)))


def _write_estimates(
    album: Album, plans: list[UpdatePlan], number_of: dict[tuple[EmbeddingModel, int], int]
) -> None:
    """Write confidences, candidates and suggestions; they are no part of the history."""
    connection = album.connection
    before = dict(
        connection.execute("SELECT face, confidence FROM memberships WHERE how = 'automatic'")
    )
    for table in ("candidates", "suggestions"):
        connection.execute(f"DELETE FROM {table}")
    for plan in plans:
        connection.executemany(
            "UPDATE memberships SET confidence = ? WHERE face = ? AND how = 'automatic'",
            [
                (value, face)
                for face, value in plan.confidences.items()
                if face in before
                and (before[face] is None or abs(before[face] - value) > _SMALL_CHANGE)
            ],
        )
        connection.executemany(
            "INSERT INTO candidates VALUES (?, ?, ?)",
            [
                (one.face, number_of.get((plan.model, one.person), one.person), one.likelihood)
                for one in plan.candidates
            ],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO suggestions VALUES (?, ?, ?, ?)",
            [
                (*sorted(number_of.get((plan.model, one), one) for one in pair), likelihood, n)
                for *pair, likelihood, n in plan.suggestions
            ],
        )
