"""New faces find their people: planned without writing anything, then done in one action.

A face joins a person, starts a new one together with others, or stays undecided. People with names
only gain faces; those without may also merge. What the user decided is never changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facelink.album.again import place_again, touched_faces
from facelink.album.asking import replace_questions
from facelink.album.decisions import contradicted, merge_into
from facelink.album.estimates import estimates
from facelink.album.history import action
from facelink.album.joinings import Joining, is_joining, joinings_of, survivors
from facelink.album.last_look import UNSETTLED, LastLook
from facelink.album.library import Album
from facelink.album.neighborhood import Neighborhood, keep_neighborhood, neighborhood, still_holds
from facelink.album.records import Candidate, Change, EmbeddingModel
from facelink.album.standing import Standing, standing_of
from facelink.errors import InputError
from facelink.link_prediction import Progress
from facelink.merging.placing import FREE, KnownGroups, Placing, merge_into_groups
from facelink.models.context_gcn import ContextGCN

_SMALL_CHANGE = 0.01
"""Confidences are written where they changed by more."""

_CONFIDENCE = f"""
UPDATE memberships SET confidence = ? WHERE face = ? AND how = 'automatic'
AND (confidence IS NULL OR abs(confidence - ?) > {_SMALL_CHANGE})
"""


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
        Of each face looked at that has a person afterwards, in [0, 1].
    candidates : tuple of Candidate
        Of the faces looked at that stay undecided. A person that joining number j makes anew is
        called −2 − j here and in the suggestions.
    suggestions : tuple of (int, int, float, int)
        Two people who may be one, how likely, and their links; one of them was
        looked at.
    n_undecided : int
        Faces that stay undecided.
    photo_log_odds : float
        What two faces in one photograph count for here; 0 where switched off.
    found : Neighborhood
        To keep for the next update.
    asked : int64 (M,), optional
        Faces that were looked at, as something changed about their groups; None for everyone.
    """

    model: EmbeddingModel
    joinings: tuple[Joining, ...]
    confidences: dict[int, float]
    candidates: tuple[Candidate, ...]
    suggestions: tuple[tuple[int, int, float, int], ...]
    n_undecided: int
    photo_log_odds: float
    found: Neighborhood
    asked: NDArray[np.int64] | None


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
    standings = {model: standing_of(album, found) for model, found in judged.items()}
    touched = {
        model: touched_faces(found, standings[model], with_photo_evidence)
        for model, found in judged.items()
    }
    if any(one is None for one in touched.values()):
        touched = dict.fromkeys(judged)
    return [
        _plan(model, found, standings[model], with_photo_evidence, touched[model])
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
    model: EmbeddingModel,
    found: Neighborhood,
    standing: Standing,
    with_photo_evidence: bool,
    is_touched: NDArray[np.bool_] | None,
) -> UpdatePlan:
    if is_touched is None or found.last_look is None:
        placing = _place_everyone(found, standing, with_photo_evidence)
        is_asked, n_when_learned = np.ones(len(found.faces), dtype=np.bool_), len(found.faces)
    else:
        placing, is_asked = place_again(found, standing, found.last_look, is_touched)
        n_when_learned = found.last_look.n_when_learned
    labels = placing.merged.labels
    person_of_label = survivors(labels, standing)
    joins = is_joining(labels, person_of_label, standing)
    joinings = joinings_of(labels, person_of_label, joins, found.faces, standing)
    for place, joining in enumerate(joinings):
        if joining.person is None:
            member = found.positions(np.array(joining.faces[:1]))
            person_of_label[labels[member]] = _provisional(place)
    is_placed = (np.bincount(labels)[labels] > 1) | (standing.people != FREE)
    sure = is_placed & is_asked
    confidence = placing.merged.membership.confidence[sure]
    candidates, suggestions = estimates(placing, person_of_label, is_placed, found, standing)
    seen = LastLook(
        np.where(joins, UNSETTLED, standing.people),
        standing.is_named,
        standing.is_set_aside,
        found.rows[standing.same],
        found.rows[standing.different],
        placing.learned,
        n_when_learned,
        with_photo_evidence,
    )
    return UpdatePlan(
        model,
        joinings,
        dict(zip(found.faces[sure].tolist(), confidence.tolist(), strict=True)),
        candidates,
        suggestions,
        int((~is_placed & ~standing.is_set_aside).sum()),
        placing.in_one_photo.log_odds if with_photo_evidence else 0.0,
        replace(found, last_look=seen),
        None if is_touched is None else found.faces[is_asked],
    )


def _place_everyone(found: Neighborhood, standing: Standing, with_photo_evidence: bool) -> Placing:
    return merge_into_groups(
        found.judged.links().without(standing.is_set_aside),
        KnownGroups(standing.people, standing.is_named),
        is_fresh=found.judged.is_fresh,
        must_link=standing.same,
        cannot_link=standing.different,
        photos=found.photos if with_photo_evidence else None,
    )


def _provisional(place: int) -> int:
    """What the new person of a joining is called until they have a number."""
    return -2 - place


def _write_estimates(
    album: Album, plans: list[UpdatePlan], number_of: dict[tuple[EmbeddingModel, int], int]
) -> None:
    """Write confidences, candidates and suggestions; they are no part of the history."""
    connection = album.connection
    if any(plan.asked is None for plan in plans):
        for table in ("candidates", "suggestions"):
            connection.execute(f"DELETE FROM {table}")
    for plan in plans:
        connection.executemany(_CONFIDENCE, [
            (value, face, value) for face, value in plan.confidences.items()
        ])  # fmt: skip
        replace_questions(
            connection,
            *_looked_at(album, plan),
            [
                (*sorted(number_of.get((plan.model, one), one) for one in pair), likelihood, n)
                for *pair, likelihood, n in plan.suggestions
            ],
            [
                (one.face, number_of.get((plan.model, one.person), one.person), one.likelihood)
                for one in plan.candidates
            ],
        )


def _looked_at(album: Album, plan: UpdatePlan) -> tuple[list[int], list[int]]:
    """People and faces whose questions are made anew; none where all questions are new."""
    if plan.asked is None:
        return [], []
    faces = plan.asked.tolist()
    people = album.connection.execute(
        "SELECT DISTINCT person FROM memberships WHERE face IN (SELECT value FROM json_each(?))",
        (json.dumps(faces),),
    )
    merged = [one for joining in plan.joinings for one in joining.merged]
    return [*(row[0] for row in people), *merged], faces
