"""Every action writes down what it changed, so that it can be undone."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from facelink.album.library import Album
from facelink.album.records import (
    Batch,
    Change,
    DecisionKind,
    FieldValue,
    Placed,
    Subject,
)
from facelink.errors import InputError

_BATCHES = """
SELECT batches.id, batches.cause, batches.time, batches.undoes, later.id
FROM batches LEFT JOIN batches AS later ON later.undoes = batches.id
"""

_CHANGES = "SELECT id, subject, subject_id, field, before, after FROM history"

_FIELDS = {
    ("person", "name"): "people",
    ("person", "is_hidden"): "people",
    ("person", "merged_into"): "people",
    ("decision", "is_undone"): "decisions",
}
"""Tables of the fields whose row stays; a face's place is a row that comes and goes."""

_KINDS = {
    **dict.fromkeys(_FIELDS, int),
    ("person", "name"): str,
    ("face", "person"): int,
    ("face", "how"): str,
}
"""What a field holds, if it holds something."""


@dataclass(frozen=True, eq=False)
class Action:
    """An action under way: changes rows and writes the changes down.

    Parameters
    ----------
    album : Album
        In a transaction.
    batch : int
        Number of the action.
    changes : list of Change
        What it has changed so far.
    """

    album: Album
    batch: int
    changes: list[Change] = field(default_factory=list)

    def new_person(self, name: str | None = None) -> int:
        """Make a person without faces; ids are never given twice."""
        person: int = self.album.connection.execute(
            "INSERT INTO people DEFAULT VALUES RETURNING id"
        ).fetchone()[0]
        if name is not None:
            self.set_field("person", person, "name", name)
        return person

    def place(
        self,
        face: int,
        person: int | None,
        how: Placed = "automatic",
        confidence: float | None = None,
    ) -> None:
        """Put a face to a person, or to none."""
        before = self.place_of(face)
        connection = self.album.connection
        if person is None:
            connection.execute("DELETE FROM memberships WHERE face = ?", (face,))
        else:
            connection.execute(
                "INSERT OR REPLACE INTO memberships (face, person, how, confidence) "
                "VALUES (?, ?, ?, ?)",
                (face, person, how, confidence),
            )
            connection.execute("DELETE FROM candidates WHERE face = ?", (face,))
        after = (None, None) if person is None else (person, how)
        for name, old, new in zip(("person", "how"), before, after, strict=True):
            self._record("face", face, name, old, new)

    def set_field(self, subject: Subject, subject_id: int, name: str, value: FieldValue) -> None:
        """Change a field of a person or a decision."""
        table = _FIELDS[subject, name]
        before = self.album.connection.execute(
            f"SELECT {name} FROM {table} WHERE id = ?", (subject_id,)
        ).fetchone()
        if before is None:
            raise InputError(
                f"the album has no {subject} {subject_id}; it may have been forgotten."
            )
        self.album.connection.execute(
            f"UPDATE {table} SET {name} = ? WHERE id = ?", (value, subject_id)
        )
        self._record(subject, subject_id, name, before[0], value)

    def decide(self, kind: DecisionKind, face: int, other: int | None = None) -> int:
        """Keep a decision of the user, about faces in any order."""
        first, second = (face, None) if other is None else (min(face, other), max(face, other))
        decision: int = self.album.connection.execute(
            "INSERT INTO decisions (kind, face, other, batch) VALUES (?, ?, ?, ?) RETURNING id",
            (kind, first, second, self.batch),
        ).fetchone()[0]
        self._record("decision", decision, "is_undone", 1, 0)
        return decision

    def place_of(self, face: int) -> tuple[int | None, str | None]:
        """Person of a face, and who put it there; None twice where it is undecided."""
        row = self.album.connection.execute(
            "SELECT person, how FROM memberships WHERE face = ?", (face,)
        ).fetchone()
        return (None, None) if row is None else (int(row[0]), str(row[1]))

    def _record(
        self, subject: Subject, subject_id: int, name: str, before: FieldValue, after: FieldValue
    ) -> None:
        if before == after:
            return
        self.album.connection.execute(
            "INSERT INTO history (batch, subject, subject_id, field, before, after) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (self.batch, subject, subject_id, name, before, after),
        )
        self.changes.append(Change(subject, subject_id, name, before, after))


@contextlib.contextmanager
def action(album: Album, cause: str, *, undoes: int | None = None) -> Iterator[Action]:
    """Do something to an album: committed whole when the block ends, with its history, or not.

    Parameters
    ----------
    album
        Open for writing.
    cause
        What is done, for the history.
    undoes
        Batch that it takes back.
    """
    with album.transaction() as connection:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        batch: int = connection.execute(
            "INSERT INTO batches (cause, time, undoes) VALUES (?, ?, ?) RETURNING id",
            (cause, time, undoes),
        ).fetchone()[0]
        under_way = Action(album, batch)
        yield under_way
        if not under_way.changes:
            connection.execute("DELETE FROM batches WHERE id = ?", (batch,))


def batches(album: Album, *, limit: int = 50) -> list[Batch]:
    """List the last actions, the latest first."""
    rows = album.connection.execute(f"{_BATCHES} ORDER BY batches.id DESC LIMIT ?", (limit,))
    return [Batch(*row) for row in rows]


def changes_of(album: Album, batch: int) -> list[Change]:
    """List what an action changed, in order; `InputError` if the album's history is damaged."""
    rows = album.connection.execute(f"{_CHANGES} WHERE batch = ? ORDER BY id", (batch,))
    return [_change(album, *row) for row in rows]


def _change(album: Album, row: int, *values: Any) -> Change:
    """A row of the history, checked; it is written back when it is undone."""
    change = Change(*values)
    kind = _KINDS.get((change.subject, change.field))
    if kind is None:
        raise album.damage("history", row, f"no {change.subject!r} has a field {change.field!r}")
    for value in (change.before, change.after):
        if value is not None and not isinstance(value, kind):
            raise album.damage("history", row, f"{change.field}={value!r:.40}")
    return change


def undo(album: Album, batch: int | None = None) -> list[Change]:
    """Take an action back, as an action of its own, which can be taken back too.

    What it changed about faces that are gone since, with a photograph that was
    overwritten, stays gone.

    Parameters
    ----------
    album
        Open for writing.
    batch
        Which; by default the latest that is neither undone nor an undoing itself.

    Returns
    -------
    list of Change
        What that changed.

    Raises
    ------
    InputError
        If there is no such action, it is undone already, or a later one
        changed the same things: that has to be undone first.
    """
    chosen = _undoable(album, batch)
    changes = changes_of(album, chosen.id)
    _check_unchanged_since(album, chosen, changes)
    with action(album, f"undo {chosen.cause}", undoes=chosen.id) as under_way:
        changes = [change for change in changes if _is_there(album, change)]
        for change in reversed(changes):
            if change.subject != "face":
                under_way.set_field(change.subject, change.subject_id, change.field, change.before)
        for face, place in _places_before(changes).items():
            person, how = under_way.place_of(face)
            before = place.get("person", person)
            whose = None if before is None else int(before)
            if place.get("how", how) == "user":
                under_way.place(face, whose, "user", 1.0)
            else:
                under_way.place(face, whose)
    return under_way.changes


def _is_there(album: Album, change: Change) -> bool:
    table = {"face": "faces", "person": "people", "decision": "decisions"}[change.subject]
    return album.count(f"SELECT count(*) FROM {table} WHERE id = ?", change.subject_id) > 0


def _places_before(changes: list[Change]) -> dict[int, dict[str, FieldValue]]:
    """Fields of each face's place before the changes, as far as they changed."""
    places: dict[int, dict[str, FieldValue]] = {}
    for change in reversed(changes):
        if change.subject == "face":
            places.setdefault(change.subject_id, {})[change.field] = change.before
    return places


def _undoable(album: Album, batch: int | None) -> Batch:
    if batch is None:
        where, values = "batches.undoes IS NULL AND later.id IS NULL", []
    else:
        where, values = "batches.id = ?", [batch]
    row = album.connection.execute(
        f"{_BATCHES} WHERE {where} ORDER BY batches.id DESC LIMIT 1", values
    ).fetchone()
    if row is None:
        what = "nothing to undo" if batch is None else f"there is no action {batch} to undo"
        raise InputError(f"{what}; the history lists all actions.")
    chosen = Batch(*row)
    if chosen.undone_by is not None:
        raise InputError(
            f"action {chosen.id} ({chosen.cause}) was undone by action {chosen.undone_by}; undo "
            "that one to have it back."
        )
    return chosen


def _check_unchanged_since(album: Album, batch: Batch, changes: list[Change]) -> None:
    """Raise if a later action changed the same fields to something else."""
    last = {(change.subject, change.subject_id, change.field): change for change in changes}
    for (subject, subject_id, name), change in last.items():
        row = album.connection.execute(
            "SELECT history.batch, batches.cause, history.after FROM history "
            "JOIN batches ON batches.id = history.batch WHERE history.subject = ? "
            "AND history.subject_id = ? AND history.field = ? ORDER BY history.id DESC LIMIT 1",
            (subject, subject_id, name),
        ).fetchone()
        if row[0] != batch.id and row[2] != change.after:
            raise InputError(
                f"action {batch.id} ({batch.cause}) changed {name} of {subject} {subject_id}, and "
                f"so did action {row[0]} ({row[1]}) after it; undo that one first."
            )
