"""Questions to the user: whether two people are one, and whether one person is two."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from facelink.album.library import Album
from facelink.album.neighborhood import Neighborhood, stored_neighborhood
from facelink.album.queries import placements
from facelink.album.records import Suggestion
from facelink.links import Links
from facelink.merging.cuts import weakest_cut

_SHOWN_PAIRS = 3

_SUGGESTIONS = """
SELECT suggestions.person, suggestions.other, suggestions.likelihood, suggestions.n_links
FROM suggestions
JOIN people AS one ON one.id = suggestions.person AND one.merged_into IS NULL
JOIN people AS two ON two.id = suggestions.other AND two.merged_into IS NULL
WHERE NOT EXISTS (
    SELECT 1 FROM memberships AS here JOIN decisions ON decisions.face = here.face
    JOIN memberships AS there ON there.face = decisions.other
    WHERE decisions.kind = 'different' AND decisions.is_undone = 0
    AND ((here.person = one.id AND there.person = two.id)
        OR (here.person = two.id AND there.person = one.id))
)
ORDER BY suggestions.likelihood DESC, suggestions.person, suggestions.other LIMIT ? OFFSET ?
"""


@dataclass(frozen=True)
class SplitSuggestion:
    """The weakest cut through one person's faces.

    Parameters
    ----------
    person : int
        Who.
    faces : tuple of int
        The smaller part.
    likelihood : float
        That the two parts are one person, in [0, 1].
    """

    person: int
    faces: tuple[int, ...]
    likelihood: float


class Evidence:
    """Links of an album's faces as the last update judged them, ready to be asked.

    Parameters
    ----------
    album : Album
        Open; read once, here.
    """

    def __init__(self, album: Album) -> None:
        found = (stored_neighborhood(album, model) for model in album.models())
        self._parts = [(one, one.judged.links()) for one in found if one is not None]

    def between(
        self, faces: NDArray[np.int64], others: NDArray[np.int64]
    ) -> list[tuple[int, int, float]]:
        """List links between two sets of faces: face, other face, likelihood; likeliest first."""
        found: list[tuple[int, int, float]] = []
        for part, links in self._parts:
            ends = part.faces[links.pairs]
            forth = np.isin(ends[:, 0], faces) & np.isin(ends[:, 1], others)
            back = np.isin(ends[:, 1], faces) & np.isin(ends[:, 0], others)
            for place in np.flatnonzero(forth | back).tolist():
                one, other = ends[place] if forth[place] else ends[place, ::-1]
                found.append((int(one), int(other), float(links.likelihoods[place])))
        return sorted(found, key=lambda link: (-link[2], link[0], link[1]))

    def weakest_cut(self, faces: NDArray[np.int64]) -> tuple[NDArray[np.int64], float] | None:
        """Smaller part of the weakest cut through faces, and its log-odds; None if there is none.

        Faces of the embedding model that most of them have are looked at.
        """
        if not self._parts:
            return None
        part, links = max(self._parts, key=lambda one: int(np.isin(one[0].faces, faces).sum()))
        members = np.flatnonzero(np.isin(part.faces, faces))
        if len(members) < 2:
            return None
        within = _links_within(part, links, members)
        labels = np.zeros(len(members), dtype=np.int64)
        cut = weakest_cut(within, labels, 0, within.n_neighbors or 1)
        return None if cut is None else (part.faces[members[cut.part]], cut.evidence)


def merge_suggestions(
    album: Album, evidence: Evidence, *, limit: int = 20, offset: int = 0
) -> list[Suggestion]:
    """Pairs of people who may be one, the likeliest first, with the faces that speak for it.

    What the user has decided since the last update is left out.
    """
    rows = album.connection.execute(_SUGGESTIONS, (limit, offset)).fetchall()
    suggestions = []
    for person, other, likelihood, n_links in rows:
        links = evidence.between(_faces_of(album, person), _faces_of(album, other))
        pairs = tuple((one, another) for one, another, _ in links[:_SHOWN_PAIRS])
        suggestions.append(Suggestion(person, other, likelihood, n_links, pairs))
    return suggestions


def split_suggestion(album: Album, evidence: Evidence, person: int) -> SplitSuggestion | None:
    """The weakest cut through a person's faces; None where there is nothing to cut."""
    cut = evidence.weakest_cut(_faces_of(album, person))
    if cut is None:
        return None
    faces, log_odds = cut
    return SplitSuggestion(person, tuple(sorted(faces.tolist())), float(expit(log_odds)))


def _faces_of(album: Album, person: int) -> NDArray[np.int64]:
    return np.array([place.face for place in placements(album, person)], dtype=np.int64)


def _links_within(part: Neighborhood, links: Links, members: NDArray[np.int64]) -> Links:
    place = np.full(len(part.faces), -1, dtype=np.int32)
    place[members] = np.arange(len(members), dtype=np.int32)
    pairs = place[links.pairs]
    kept = (pairs >= 0).all(axis=1)
    return Links(
        pairs[kept],
        links.likelihoods[kept],
        links.one_sided[kept],
        len(members),
        links.n_neighbors,
    )
