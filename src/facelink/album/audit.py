"""Is an album sound? Counts, contradictions and orphans, and how they are repaired."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facelink.album.decisions import contradicted
from facelink.album.history import Action, action
from facelink.album.library import Album
from facelink.album.queries import n_undecided
from facelink.errors import InputError

_MERGED = "SELECT id, merged_into FROM people WHERE merged_into IN (SELECT id FROM people)"

_LOST = f"""
SELECT memberships.face, merged.id, merged.merged_into
FROM memberships JOIN ({_MERGED}) AS merged ON merged.id = memberships.person
"""

_SET_ASIDE = """
SELECT DISTINCT memberships.face FROM memberships
JOIN decisions ON decisions.face = memberships.face
WHERE decisions.other IS NULL AND decisions.is_undone = 0
"""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Parameters
    ----------
    problem : str
        What, in words, with numbers.
    can_fix : bool
        Whether `audit_album` repairs it.
    """

    problem: str
    can_fix: bool


def album_status(album: Album) -> dict[str, int]:
    """Count what an album holds."""
    count = album.count
    return {
        "photos": count("SELECT count(*) FROM photos"),
        "missing_photos": count("SELECT count(*) FROM photos WHERE state = 'missing'"),
        "unreadable_photos": count("SELECT count(*) FROM photos WHERE state = 'unreadable'"),
        "embedding_models": count("SELECT count(*) FROM models"),
        "faces": count("SELECT count(*) FROM faces"),
        "junk_faces": count("SELECT count(*) FROM faces WHERE junk_reasons IS NOT NULL"),
        "placed_faces": count("SELECT count(*) FROM memberships"),
        "undecided_faces": n_undecided(album),
        "people": count("SELECT count(DISTINCT person) FROM memberships"),
        "named_people": count(
            "SELECT count(*) FROM people WHERE name IS NOT NULL AND merged_into IS NULL"
        ),
        "decisions": count("SELECT count(*) FROM decisions WHERE is_undone = 0"),
        "merge_suggestions": count("SELECT count(*) FROM suggestions"),
    }


def audit_album(album: Album, *, fix: bool = False) -> list[Finding]:
    """Look for damage, contradictions and orphans.

    Parameters
    ----------
    album
        Open; for writing if it is to be repaired.
    fix
        Repair what can be, as one action that can be undone: faces that the
        user set aside leave their people, people who are merged in a circle
        stand for themselves again, faces of merged people follow them, and
        decisions that the places still do not honour are taken back.

    Returns
    -------
    list of Finding
        What was found, before any repair; empty for a sound album.
    """
    findings = [*_database_findings(album), *_feature_findings(album)]
    repairs: list[tuple[str, Callable[[Action], None]]] = [
        ("{} people are merged into one another in a circle", _break_circles),
        ("{} faces are placed with people who were merged into others", _follow_merges),
        ("{} faces are placed although the user set them aside", _set_aside),
        ("{} decisions contradict where faces are placed", _take_back),
    ]
    circular = _circular(album)
    lost = album.connection.execute(_LOST).fetchall()
    counts = [
        len(circular),
        sum(person not in circular for _, person, _ in lost),
        len(album.connection.execute(_SET_ASIDE).fetchall()),
        len(contradicted(album)),
    ]
    broken = [
        (text.format(n), repair) for (text, repair), n in zip(repairs, counts, strict=True) if n
    ]
    findings += [Finding(text, can_fix=True) for text, _ in broken]
    if fix and broken:
        with action(album, "audit --fix") as under_way:
            for _, repair in broken:
                repair(under_way)
    return findings


def _database_findings(album: Album) -> list[Finding]:
    checks = album.connection.execute("PRAGMA integrity_check").fetchall()
    findings = [Finding(f"database: {row[0]}", can_fix=False) for row in checks if row[0] != "ok"]
    orphans = album.connection.execute("PRAGMA foreign_key_check").fetchall()
    if orphans:
        tables = ", ".join(sorted({row[0] for row in orphans}))
        findings.append(
            Finding(f"{len(orphans)} rows refer to others that are gone: {tables}", can_fix=False)
        )
    return findings


def _feature_findings(album: Album) -> list[Finding]:
    findings = []
    for model in album.models():
        try:
            features = album.feature_file(model).rows(album.n_rows(model))
        except InputError as error:
            findings.append(Finding(str(error), can_fix=False))
            continue
        found = album.connection.execute(
            "SELECT feature_row FROM faces WHERE model = ? ORDER BY feature_row", (model.id,)
        ).fetchall()
        rows = np.array(found, dtype=np.int64).reshape(-1)
        norms = np.linalg.norm(features[rows], axis=1)
        n_damaged = int((~(np.abs(norms - 1) < 1e-3)).sum())
        if n_damaged:
            findings.append(
                Finding(
                    f"{n_damaged} of {len(rows)} features of {model.name} are damaged; restore "
                    f"{album.feature_path(model.id).name} from a backup, or scan again",
                    can_fix=False,
                )
            )
    return findings


def _circular(album: Album) -> list[int]:
    """People who are merged into themselves, by way of others or not."""
    into = dict(album.connection.execute(_MERGED))
    circular: list[int] = []
    seen: set[int] = set()
    for start in into:
        way, person = [], start
        while person in into and person not in seen:
            seen.add(person)
            way.append(person)
            person = into[person]
        if person in way:
            circular += way[way.index(person) :]
    return circular


def _break_circles(under_way: Action) -> None:
    for person in _circular(under_way.album):
        under_way.set_field("person", person, "merged_into", None)


def _follow_merges(under_way: Action) -> None:
    """Place faces of merged people with whom these are now; `_break_circles` comes before."""
    connection = under_way.album.connection
    into = dict(connection.execute(_MERGED))
    for face, _, whose in connection.execute(_LOST).fetchall():
        while whose in into:
            whose = into[whose]
        how = under_way.place_of(face)[1]
        under_way.place(face, whose, "user" if how == "user" else "automatic")


def _set_aside(under_way: Action) -> None:
    for (face,) in under_way.album.connection.execute(_SET_ASIDE).fetchall():
        under_way.place(face, None)


def _take_back(under_way: Action) -> None:
    for decision in contradicted(under_way.album):
        under_way.set_field("decision", decision, "is_undone", 1)
