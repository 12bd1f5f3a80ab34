"""Questions to the user: whether two people are one, and whether one person is two."""

from dataclasses import dataclass

from scipy.special import expit

from facelink.album.evidence import Evidence
from facelink.album.library import Album
from facelink.album.queries import faces_of
from facelink.album.records import Suggestion

_SHOWN_PAIRS = 3

_SUGGESTIONS = """
WITH apart AS (
    SELECT min(here.person, there.person) AS person, max(here.person, there.person) AS other
    FROM decisions
    JOIN memberships AS here ON here.face = decisions.face
    JOIN memberships AS there ON there.face = decisions.other
    WHERE decisions.kind = 'different' AND decisions.is_undone = 0
)
SELECT suggestions.person, suggestions.other, suggestions.likelihood, suggestions.n_links
FROM suggestions
JOIN people AS one ON one.id = suggestions.person
JOIN people AS two ON two.id = suggestions.other
WHERE one.merged_into IS NULL AND two.merged_into IS NULL
AND one.is_hidden = 0 AND two.is_hidden = 0
AND EXISTS (SELECT 1 FROM memberships WHERE person = one.id)
AND EXISTS (SELECT 1 FROM memberships WHERE person = two.id)
AND (suggestions.person, suggestions.other) NOT IN apart
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


def merge_suggestions(
    album: Album, evidence: Evidence, *, limit: int = 20, offset: int = 0
) -> list[Suggestion]:
    """Pairs of people who may be one, the likeliest first, with the faces that speak for it.

    Pairs that the user told apart are left out, and people who were hidden.
    """
    rows = album.connection.execute(_SUGGESTIONS, (limit, offset)).fetchall()
    suggestions = []
    for person, other, likelihood, n_links in rows:
        links = evidence.between(faces_of(album, person), faces_of(album, other))
        pairs = tuple((one, another) for one, another, _ in links[:_SHOWN_PAIRS])
        suggestions.append(Suggestion(person, other, likelihood, n_links, pairs))
    return suggestions


def split_suggestion(album: Album, evidence: Evidence, person: int) -> SplitSuggestion | None:
    """The weakest cut through a person's faces; None where there is nothing to cut."""
    cut = evidence.weakest_cut(faces_of(album, person))
    if cut is None:
        return None
    faces, log_odds = cut
    return SplitSuggestion(person, tuple(sorted(faces.tolist())), float(expit(log_odds)))
