"""Undo and redo as two keys: which action of the history is meant by each.

The history is never rewritten: undoing an action is an action too, and redoing one undoes that. An
action with all that was done to it is a chain; it is in force where its length is odd.
"""

from dataclasses import dataclass
from itertools import count

from facelink.album.library import Album

_AT_ONCE = 50

_CHAINS = """
WITH RECURSIVE roots AS (
    SELECT id, cause, time FROM batches WHERE undoes IS NULL ORDER BY id DESC LIMIT ? OFFSET ?
), links (root, last, length) AS (
    SELECT id, id, 1 FROM roots
    UNION ALL
    SELECT root, batches.id, length + 1 FROM links JOIN batches ON batches.undoes = links.last
)
SELECT roots.id, roots.cause, roots.time, max(links.last), max(links.length) % 2
FROM roots JOIN links ON links.root = roots.id GROUP BY roots.id ORDER BY roots.id DESC
"""

_LAST_UNDOING = """
WITH RECURSIVE latest AS (
    SELECT max(id) AS id FROM batches WHERE undoes IS NULL
), ends AS (
    SELECT id FROM batches WHERE id > (SELECT id FROM latest)
    AND NOT EXISTS (SELECT 1 FROM batches AS later WHERE later.undoes = batches.id)
), links (last, id, length) AS (
    SELECT id, id, 1 FROM ends
    UNION ALL
    SELECT last, batches.undoes, length + 1 FROM links JOIN batches ON batches.id = links.id
    WHERE batches.undoes IS NOT NULL
)
SELECT roots.id, roots.cause, roots.time, links.last, links.length % 2
FROM links JOIN batches AS roots ON roots.id = links.id AND roots.undoes IS NULL
WHERE links.length % 2 = 0 ORDER BY links.last DESC LIMIT 1
"""


@dataclass(frozen=True)
class Chain:
    """An action and what was done to it.

    Parameters
    ----------
    id : int
        Number of the action itself.
    cause, time : str
        What was done, and when, in UTC (ISO 8601).
    last : int
        Number of the last undoing or redoing of it, or its own.
    is_in_force : bool
        Whether what it did holds.
    """

    id: int
    cause: str
    time: str
    last: int
    is_in_force: bool


def chains(album: Album, *, limit: int, offset: int = 0) -> list[Chain]:
    """List a page of the actions with their state, the latest first."""
    rows = album.connection.execute(_CHAINS, (limit, offset))
    return [_chain(*row) for row in rows]


def to_undo(album: Album) -> Chain | None:
    """The latest action in force; None if there is none."""
    for offset in count(0, _AT_ONCE):
        found = chains(album, limit=_AT_ONCE, offset=offset)
        in_force = next((chain for chain in found if chain.is_in_force), None)
        if in_force is not None or len(found) < _AT_ONCE:
            return in_force
    return None


def to_redo(album: Album) -> Chain | None:
    """The action undone last, if nothing new was done since; None otherwise."""
    row = album.connection.execute(_LAST_UNDOING).fetchone()
    return None if row is None else _chain(*row)


def _chain(number: int, cause: str, time: str, last: int, is_odd: int) -> Chain:
    return Chain(number, cause, time, last, is_in_force=is_odd == 1)
