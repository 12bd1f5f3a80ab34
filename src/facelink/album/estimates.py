"""What an update leaves open: whom undecided faces may be of, and which people may be one."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from facelink.album.neighborhood import Neighborhood
from facelink.album.records import Candidate
from facelink.album.standing import Standing
from facelink.merging.cluster_pairs import merge_evidence
from facelink.merging.placing import FREE, Placing

MOST_CANDIDATES = 5
"""People that are kept as candidates of an undecided face."""

MOST_SUGGESTIONS = 1_000
"""Pairs of people that are kept to ask about: more than one evening's work. Others follow."""

LEAST_LIKELIHOOD = 0.1
"""Candidates and suggestions below this are not kept: nobody would look at them."""


def estimates(
    placing: Placing,
    person_of_label: NDArray[np.int64],
    is_placed: NDArray[np.bool_],
    found: Neighborhood,
    standing: Standing,
) -> tuple[tuple[Candidate, ...], tuple[tuple[int, int, float, int], ...]]:
    """Find candidates of undecided faces, and pairs of people who may be one.

    Parameters
    ----------
    placing
        What merging came to.
    person_of_label : int64 (C,)
        Person of each of its labels; −1 for none.
    is_placed : bool (N,)
        Faces that have a person afterwards.
    found, standing
        The faces, and what is settled about them.

    Returns
    -------
    candidates : tuple of Candidate
        At most `MOST_CANDIDATES` of each undecided face, the likeliest first.
    suggestions : tuple of (int, int, float, int)
        Two people, how likely they are one, and their links; at most `MOST_SUGGESTIONS`,
        the likeliest first. None that the user keeps apart.
    """
    merged = placing.merged
    between = merge_evidence(merged.links, merged.labels, merged.links.n_neighbors or 1)
    term = placing.in_one_photo.between(merged.labels, between.pairs)
    likelihoods = expit(between.evidence + term)
    apart = np.sort(merged.labels[standing.different], axis=1) @ [len(merged.labels), 1]
    likely = (likelihoods >= LEAST_LIKELIHOOD) & ~np.isin(
        between.pairs @ [len(merged.labels), 1], apart
    )
    order = np.flatnonzero(likely)[np.argsort(-likelihoods[likely], kind="stable")]
    people = np.sort(person_of_label[between.pairs[order]], axis=1)
    asked = (people != FREE).all(axis=1)
    suggestions = zip(
        people[asked][:MOST_SUGGESTIONS].tolist(),
        likelihoods[order[asked]][:MOST_SUGGESTIONS].tolist(),
        between.n_links[order[asked]][:MOST_SUGGESTIONS].tolist(),
        strict=True,
    )
    face_of_label = np.full(len(person_of_label), FREE, dtype=np.int64)
    alone = np.flatnonzero(~is_placed)
    face_of_label[merged.labels[alone]] = found.faces[alone]
    faces = face_of_label[between.pairs[order]].max(axis=1)
    whose = np.where(people[:, 0] == FREE, people[:, 1], people[:, 0])
    is_candidate = ~asked & (faces != FREE) & (whose != FREE)
    return (
        _best_of_each(faces[is_candidate], whose[is_candidate], likelihoods[order[is_candidate]]),
        tuple((*pair, likelihood, n_links) for pair, likelihood, n_links in suggestions),
    )


def _best_of_each(
    faces: NDArray[np.int64], people: NDArray[np.int64], likelihoods: NDArray[np.float64]
) -> tuple[Candidate, ...]:
    """First `MOST_CANDIDATES` of each face, in the order given."""
    n_kept: dict[int, int] = {}
    kept = []
    columns = faces.tolist(), people.tolist(), likelihoods.tolist()
    for face, person, likelihood in zip(*columns, strict=True):
        n_kept[face] = n_kept.get(face, 0) + 1
        if n_kept[face] <= MOST_CANDIDATES:
            kept.append(Candidate(face, person, likelihood))
    return tuple(kept)
