"""Undo and redo as two keys: which action of the history is meant by each.

The history is never rewritten: undoing an action is an action too, and redoing one undoes that. An
action with all that was done to it is a chain; it is in force where its length is odd.
"""

from dataclasses import dataclass

from facelink.album.history import batches
from facelink.album.library import Album
from facelink.album.records import Batch

EVERYTHING = -1
"""A limit that is none."""


@dataclass(frozen=True)
class Chain:
    """An action and what was done to it.

    Parameters
    ----------
    root : Batch
        The action itself.
    last : int
        Number of the last undoing or redoing of it, or its own.
    is_in_force : bool
        Whether what it did holds.
    """

    root: Batch
    last: int
    is_in_force: bool


def chains(album: Album) -> list[Chain]:
    """List all actions with their state, the latest first."""
    known = {batch.id: batch for batch in batches(album, limit=EVERYTHING)}
    found = []
    for root in known.values():
        if root.undoes is None:
            last, is_in_force = root, True
            while last.undone_by is not None:
                last, is_in_force = known[last.undone_by], not is_in_force
            found.append(Chain(root, last.id, is_in_force))
    return found


def to_undo(found: list[Chain]) -> Chain | None:
    """The latest action in force; None if there is none."""
    return next((chain for chain in found if chain.is_in_force), None)


def to_redo(found: list[Chain]) -> Chain | None:
    """The action undone last, if nothing new was done since; None otherwise."""
    undone = [chain for chain in found if not chain.is_in_force]
    latest = max(undone, key=lambda chain: chain.last, default=None)
    newest_root = max((chain.root.id for chain in found), default=0)
    return latest if latest is not None and latest.last > newest_root else None
