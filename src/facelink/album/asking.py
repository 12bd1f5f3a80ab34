"""Questions follow decisions: those about the people concerned are made anew at once.

An update judges everyone. After a decision only the groups that it touched have other faces than
before, so only their evidence is added up again, from links that are judged already: what may be
one person with them, and which undecided faces may be theirs. Their other questions vanish.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from facelink.album.estimates import LEAST_LIKELIHOOD, MOST_CANDIDATES, MOST_SUGGESTIONS
from facelink.album.evidence import Evidence, FaceLinks
from facelink.album.library import Album
from facelink.album.records import Change
from facelink.links import Links
from facelink.merging.cluster_pairs import merge_evidence
from facelink.merging.likelihood import recalibrated
from facelink.merging.photographs import InOnePhotograph

NOBODY = 0
"""Group of a face that is never placed: junk, set aside or gone."""

_GROUPS = """
SELECT faces.id, coalesce(memberships.person, -faces.id) FROM faces
LEFT JOIN memberships ON memberships.face = faces.id
WHERE faces.id IN (SELECT value FROM json_each(?)) AND faces.junk_reasons IS NULL
AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.face = faces.id
    AND decisions.other IS NULL AND decisions.is_undone = 0)
"""

_SIZES = """
SELECT memberships.person, count(*) FROM memberships JOIN faces ON faces.id = memberships.face
WHERE memberships.person IN (SELECT value FROM json_each(?))
AND faces.model = (SELECT model FROM faces WHERE id = ?) AND faces.junk_reasons IS NULL
GROUP BY memberships.person
"""

_APART = """
SELECT coalesce(here.person, -decisions.face), coalesce(there.person, -decisions.other)
FROM decisions
LEFT JOIN memberships AS here ON here.face = decisions.face
LEFT JOIN memberships AS there ON there.face = decisions.other
WHERE decisions.kind = 'different' AND decisions.is_undone = 0
"""

_UNLIKELIEST = """
DELETE FROM suggestions WHERE (person, other) IN (
    SELECT person, other FROM suggestions
    ORDER BY likelihood DESC, person, other LIMIT -1 OFFSET ?
)
"""

_TOO_MANY = """
DELETE FROM candidates WHERE (face, person) IN (
    SELECT face, person FROM (
        SELECT face, person,
            row_number() OVER (PARTITION BY face ORDER BY likelihood DESC, person) AS place
        FROM candidates WHERE face IN (SELECT value FROM json_each(?))
    ) WHERE place > ?
)
"""


@dataclass(frozen=True)
class Concerned:
    """Whom an action touched.

    Parameters
    ----------
    people : frozenset of int
        Those who gained or lost faces, or about whose faces something was said.
    faces : frozenset of int
        Faces whose place changed, or about which something was said.
    """

    people: frozenset[int]
    faces: frozenset[int]


def concerned_by(album: Album, changes: Iterable[Change]) -> Concerned:
    """Find out whom an action touched; names and hiding change no evidence."""
    people: set[int] = set()
    faces: set[int] = set()
    decided: list[int] = []
    for change in changes:
        if change.subject == "decision":
            decided.append(change.subject_id)
        elif change.subject == "face":
            faces.add(change.subject_id)
            people |= {one for one in (change.before, change.after) if isinstance(one, int)}
        elif change.field == "merged_into":
            people.add(change.subject_id)
    rows = album.connection.execute(
        "SELECT face, other FROM decisions WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(decided),),
    )
    faces |= {face for row in rows for face in row if face is not None}
    places = album.connection.execute(
        "SELECT DISTINCT person FROM memberships WHERE face IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(faces)),),
    )
    people |= {row[0] for row in places}
    return Concerned(frozenset(people), frozenset(faces))


def ask_anew(album: Album, evidence: Evidence, changes: Iterable[Change]) -> Concerned:
    """Make suggestions and candidates anew that an action touched.

    Parameters
    ----------
    album
        Open for writing.
    evidence
        Links of its faces.
    changes
        What the action changed.

    Returns
    -------
    Concerned
        Whom it touched.
    """
    concerned = concerned_by(album, changes)
    if not (concerned.people or concerned.faces):
        return concerned
    found = [_questions(album, part, concerned) for part in evidence]
    with album.transaction() as connection:
        replace_questions(
            connection,
            concerned.people,
            concerned.faces,
            [row for questions in found for row in questions.suggestions],
            [row for questions in found for row in questions.candidates],
        )
    return concerned


def replace_questions(
    connection: sqlite3.Connection,
    people: Iterable[int],
    faces: Iterable[int],
    suggestions: Sequence[Sequence[float]],
    candidates: Sequence[Sequence[float]],
) -> None:
    """Write what is asked about some people and faces in place of what was asked before.

    Parameters
    ----------
    connection
        Within a transaction.
    people, faces
        About whom all questions are forgotten first.
    suggestions, candidates
        Rows of the two tables; of these and those there are, the likeliest stay.
    """
    for table, column, numbers in (
        ("suggestions", "person", people),
        ("suggestions", "other", people),
        ("candidates", "person", people),
        ("candidates", "face", faces),
    ):
        connection.execute(
            f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(numbers)),),
        )
    connection.executemany("INSERT OR REPLACE INTO suggestions VALUES (?, ?, ?, ?)", suggestions)
    connection.executemany("INSERT OR REPLACE INTO candidates VALUES (?, ?, ?)", candidates)
    connection.execute(_UNLIKELIEST, (MOST_SUGGESTIONS,))
    waiting = sorted({int(row[0]) for row in candidates})
    connection.execute(_TOO_MANY, (json.dumps(waiting), MOST_CANDIDATES))


@dataclass(frozen=True)
class _Questions:
    """Rows of the two tables of questions."""

    suggestions: list[tuple[int, int, float, int]]
    candidates: list[tuple[int, int, float]]


def _questions(album: Album, part: FaceLinks, concerned: Concerned) -> _Questions:
    """Add up the evidence between the groups that are concerned and all others."""
    asked = part.places(_faces_of(album, concerned))
    seen = part.links_of(asked)
    beside = np.flatnonzero(np.isin(part.photos, part.photos[asked]) & (part.photos >= 0))
    groups = _groups(album, part, np.concatenate([asked, seen.there, beside]))
    here, there = groups[seen.here], groups[seen.there]
    between = (here != there) & (here != NOBODY) & (there != NOBODY)
    between &= (here > 0) | (there > 0)
    between[between] &= _first_of_each(seen.links[between])
    rows = np.flatnonzero(between)
    known, ends = np.unique(np.stack([here[rows], there[rows]], axis=1), return_inverse=True)
    if len(known) == 0:
        return _Questions([], [])
    sizes = _sizes(album, known, int(part.faces[0]))
    first = np.cumsum(sizes) - sizes
    labels = np.repeat(np.arange(len(known)), sizes)
    links = _between_groups(part, seen.links[rows], first[ends.reshape(-1, 2)], len(labels))
    judged = recalibrated(links, labels, part.calibration)
    found = merge_evidence(judged, labels, part.links.n_neighbors or 1)
    term = _photo_term(part, beside, groups[beside], known, first)
    likelihoods = expit(found.evidence + term.between(labels, found.pairs))
    return _rows(album, known[found.pairs], likelihoods, found.n_links)


def _rows(
    album: Album,
    pairs: NDArray[np.int64],
    likelihoods: NDArray[np.float64],
    n_links: NDArray[np.int64],
) -> _Questions:
    """Suggestions and candidates of pairs of groups, undecided faces being negative."""
    apart = {(min(row), max(row)) for row in album.connection.execute(_APART)}
    likely = likelihoods >= LEAST_LIKELIHOOD
    suggestions, candidates = [], []
    columns = pairs[likely].tolist(), likelihoods[likely].tolist(), n_links[likely].tolist()
    for pair, likelihood, n in zip(*columns, strict=True):
        one, other = sorted(pair)
        if (one, other) in apart:
            continue
        if one > 0:
            suggestions.append((one, other, likelihood, n))
        else:
            candidates.append((-one, other, likelihood))
    return _Questions(suggestions, candidates)


def _faces_of(album: Album, concerned: Concerned) -> NDArray[np.int64]:
    rows = album.connection.execute(
        "SELECT face FROM memberships WHERE person IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(concerned.people)),),
    )
    return np.array([*concerned.faces, *(row[0] for row in rows)], dtype=np.int64)


def _groups(album: Album, part: FaceLinks, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Group of each face, (N,), where asked: a person, minus an undecided face, or nobody."""
    groups = np.full(len(part.faces), NOBODY, dtype=np.int64)
    is_asked = np.zeros(len(part.faces), dtype=np.bool_)
    is_asked[places] = True
    known = np.array(_rows_about(album, _GROUPS, part.faces[is_asked]), dtype=np.int64)
    faces, whose = known.reshape(-1, 2).T
    groups[np.searchsorted(part.faces, faces)] = whose
    return groups


def _sizes(album: Album, groups: NDArray[np.int64], face: int) -> NDArray[np.int64]:
    """Faces of each group that are of the same embedding model as a face."""
    size_of = dict(_rows_about(album, _SIZES, groups[groups > 0], face))
    return np.array([size_of.get(group, 1) for group in groups.tolist()], dtype=np.int64)


def _rows_about(
    album: Album, query: str, numbers: NDArray[np.int64], *more: int
) -> Sequence[tuple[Any, ...]]:
    return album.connection.execute(query, (json.dumps(numbers.tolist()), *more)).fetchall()


def _first_of_each(links: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark each link once: those between two groups asked about are seen from both."""
    is_first = np.zeros(len(links), dtype=np.bool_)
    is_first[np.unique(links, return_index=True)[1]] = True
    return is_first


def _between_groups(
    part: FaceLinks, chosen: NDArray[np.int64], ends: NDArray[np.int64], n: int
) -> Links:
    """Links between the first faces of groups: evidence only asks which groups they join."""
    return Links(
        np.sort(ends, axis=1).astype(np.int32),
        part.links.likelihoods[chosen],
        part.links.one_sided[chosen],
        n,
        part.links.n_neighbors,
    )


def _photo_term(
    part: FaceLinks,
    beside: NDArray[np.int64],
    groups: NDArray[np.int64],
    known: NDArray[np.int64],
    first: NDArray[np.int64],
) -> InOnePhotograph:
    """Which groups share a photograph, told by their first faces."""
    asked = np.isin(groups, known)
    stands_for = first[np.searchsorted(known, groups[asked])].astype(np.int32)
    pairs = InOnePhotograph.of(part.photos[beside[asked]]).pairs
    return InOnePhotograph(stands_for[pairs], part.photo_log_odds)
