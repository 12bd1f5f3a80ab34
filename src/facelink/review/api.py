"""What the page can ask for and have done: one method for each of its requests.

Every request opens the album anew, so that other processes may write to it between two of them, and
every decision is on the disk before it is answered.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from facelink.album import decisions
from facelink.album.asking import ask_anew
from facelink.album.evidence import Evidence
from facelink.album.hidden import bring_back, n_hidden
from facelink.album.history import undo
from facelink.album.library import Album, edit_album, open_album
from facelink.album.queries import PeopleOrder, n_undecided, people, thumbnail
from facelink.album.records import Change
from facelink.album.suggestions import SplitSuggestion, split_suggestion
from facelink.errors import InputError
from facelink.review import requests, several, shown
from facelink.review.looking_again import LookingAgain
from facelink.review.shown import Shown
from facelink.review.undoing import Chain, to_redo, to_undo

MOST_OF_A_PAGE = 200
"""People or faces that one request may ask for."""

LONGEST_NAME = 200
"""Characters of a name."""

SURE = 0.999
"""Cuts through a person that are likelier to be within one are not asked about."""

_WAIT_SECONDS = 5.0
"""How long a decision waits for another process that writes to the album."""

_CUTS_AT_ONCE = 20
"""People that are cut in one request for the next question, at most."""

_CUTTING_SECONDS = 0.1
"""How long a request goes on cutting before it says where to go on."""

_SAME = "SELECT face, other FROM decisions WHERE kind = 'same' AND is_undone = 0"


class Review:
    """An album under review. May be used by several threads at once.

    Parameters
    ----------
    folder : Path
        The album's folder.

    Raises
    ------
    InputError
        If there is no album.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = threading.Lock()
        self._reading_evidence = threading.Lock()
        self._evidence: tuple[object, Evidence] | None = None
        self._looking = LookingAgain(folder, self._open_for_writing)
        with open_album(folder):
            pass

    def warm_up(self) -> None:
        """Read what the first question and the first decision would have to wait for."""
        with open_album(self._folder) as album:
            self._evidence_of(album)

    def counts(self) -> Shown:
        """Count what there is."""
        with open_album(self._folder) as album:
            waiting = {"undecided": n_undecided(album), "hidden": n_hidden(album)}
            return {**shown.counts(album), **waiting}

    def people(self, order: PeopleOrder = "size", limit: int = 60, offset: int = 0) -> list[Shown]:
        """List a page of the grid."""
        with open_album(self._folder) as album:
            return shown.people_page(album, order, *_page(limit, offset))

    def person(self, person_id: int, limit: int = 60, offset: int = 0) -> Shown:
        """Show one person and a page of faces."""
        with open_album(self._folder) as album:
            return shown.person_page(album, person_id, *_page(limit, offset))

    def pairs(self, limit: int = 1, offset: int = 0) -> list[Shown]:
        """Ask whether two people are one."""
        with open_album(self._folder) as album:
            return shown.pairs(album, self._evidence_of(album), *_page(limit, offset))

    def split(self, person_id: int) -> Shown | None:
        """Show the weakest cut through one person; None where there is none."""
        with open_album(self._folder) as album:
            found = split_suggestion(album, self._evidence_of(album), person_id)
            return None if found is None else shown.split(album, found)

    def splits(self, offset: int = 0) -> Shown:
        """Ask whether one person is two: the next of the most doubtful, and where to go on.

        The question is None where none of those looked at here gives one; there are no more people
        where ``next`` is None.
        """
        with open_album(self._folder) as album:
            evidence = self._evidence_of(album)
            ends = time.monotonic() + _CUTTING_SECONDS
            place = _page(1, offset)[1]
            for one in people(album, order="doubt", limit=_CUTS_AT_ONCE, offset=place):
                place += 1
                found = split_suggestion(album, evidence, one.id)
                if found and found.likelihood < SURE and not _is_answered(album, found):
                    return {"question": shown.split(album, found), "next": place}
                if time.monotonic() > ends:
                    break
            is_last = not people(album, order="doubt", limit=1, offset=place)
            return {"question": None, "next": None if is_last else place}

    def undecided(self, limit: int = 30, offset: int = 0) -> list[Shown]:
        """List faces of nobody yet."""
        with open_album(self._folder) as album:
            return shown.undecided_page(album, *_page(limit, offset))

    def names(self, text: str = "", limit: int = 8) -> list[Shown]:
        """Complete a name."""
        with open_album(self._folder) as album:
            return shown.names(album, text.strip(), _page(limit, 0)[0])

    def history(self, limit: int = 60, offset: int = 0) -> list[Shown]:
        """List a page of the actions."""
        with open_album(self._folder) as album:
            return shown.history(album, *_page(limit, offset))

    def hidden(self, limit: int = 60, offset: int = 0) -> list[Shown]:
        """List people who are left out of lists."""
        with open_album(self._folder) as album:
            return shown.hidden_page(album, *_page(limit, offset))

    def aside(self, limit: int = 60, offset: int = 0) -> list[Shown]:
        """List faces that were set aside."""
        with open_album(self._folder) as album:
            return shown.aside_page(album, *_page(limit, offset))

    def thumbnail(self, face_id: int) -> bytes | None:
        """JPEG of a face; None where the album has none."""
        with open_album(self._folder) as album:
            return thumbnail(album, face_id)

    def name(self, person_id: int, body: requests.Naming) -> Shown:
        """Name a person."""
        name = _readable(body.name)
        return self._do(lambda album: decisions.name_person(album, person_id, name))

    def hide(self, person_id: int, body: requests.Hiding) -> Shown:
        """Leave a person out of lists."""
        return self._do(
            lambda album: decisions.hide_person(album, person_id, is_hidden=body.is_hidden)
        )

    def merge(self, body: requests.Merging) -> Shown:
        """Two people are one."""
        return self._do(lambda album: several.merge(album, body.first, body.other, body.kept))

    def separate(self, body: requests.TwoPeople) -> Shown:
        """Two people are two."""
        return self._do(lambda album: decisions.separate_people(album, body.first, body.other))

    def same(self, body: requests.TwoFaces) -> Shown:
        """Two faces are of one person."""
        return self._do(lambda album: several.same(album, body.first, body.other))

    def part(self, person_id: int, body: requests.SomeFaces) -> Shown:
        """Some faces of a person are of someone else."""
        return self._do(lambda album: decisions.split_person(album, person_id, body.faces))

    def assign(self, body: requests.Assigning) -> Shown:
        """Faces are of someone."""
        name = _readable(body.name)
        if name is not None:
            return self._do(lambda album: several.assign_to_new(album, body.faces, name))
        return self._do(lambda album: decisions.assign_faces(album, body.faces, body.person))

    def reject(self, body: requests.SomeFaces) -> Shown:
        """Faces are not of the people they are placed at."""
        return self._do(lambda album: several.reject_faces(album, body.faces))

    def set_aside(self, body: requests.SettingAside) -> Shown:
        """Faces are none, or of no interest."""
        return self._do(lambda album: decisions.set_aside(album, body.faces, body.kind))

    def bring_back(self, body: requests.SomeFaces) -> Shown:
        """Faces that were set aside are undecided again."""
        return self._do(lambda album: bring_back(album, body.faces))

    def look_again(self) -> Shown:
        """Begin an update, unless one is under way; says how far it is."""
        return self._looking.start()

    def looking(self) -> Shown:
        """Say how far the update is."""
        return self._looking.state()

    def undo(self) -> Shown:
        """Take the latest action back."""
        return self._do(lambda album: _reverse(album, to_undo(album), "undo"))

    def redo(self) -> Shown:
        """Do again what was undone last."""
        return self._do(lambda album: _reverse(album, to_redo(album), "redo"))

    def reverse(self, batch: int) -> Shown:
        """Take one action of the history back, or do it again."""
        return self._do(lambda album: undo(album, batch))

    def _do(self, decide: Callable[[Album], list[Change]]) -> Shown:
        """Apply a decision, keep it and ask anew; says what undo and redo would do now."""
        with self._open_for_writing() as album:
            changes = decide(album)
            ask_anew(album, self._evidence_of(album), changes)
            return shown.undo_state(album)

    @contextmanager
    def _open_for_writing(self) -> Iterator[Album]:
        with (
            self._writing,
            edit_album(self._folder, "facelink review", wait_seconds=_WAIT_SECONDS) as album,
        ):
            yield album

    def _evidence_of(self, album: Album) -> Evidence:
        """Links as the last update judged them, read again where one has run since."""
        paths = [album.neighbors_path(model.id) for model in album.models()]
        state = [path.stat().st_mtime_ns if path.exists() else None for path in paths]
        with self._reading_evidence:
            if self._evidence is None or self._evidence[0] != state:
                self._evidence = (state, Evidence(album))
            return self._evidence[1]


def _page(limit: int, offset: int) -> tuple[int, int]:
    if not 1 <= limit <= MOST_OF_A_PAGE:
        raise InputError(f"limit={limit}; ask for 1 to {MOST_OF_A_PAGE} at a time.")
    if not 0 <= offset < 2**63:
        raise InputError(f"offset={offset}; a page starts at 0 or later.")
    return limit, offset


def _readable(name: str | None) -> str | None:
    if name is not None and len(name) > LONGEST_NAME:
        raise InputError(f"a name of {len(name)} characters; {LONGEST_NAME} is the most.")
    return name


def _reverse(album: Album, chain: Chain | None, what: str) -> list[Change]:
    if chain is None:
        raise InputError(f"nothing to {what}.")
    return undo(album, chain.last)


def _is_answered(album: Album, found: SplitSuggestion) -> bool:
    """Whether the user said already that a face of one side is the same as one of the other."""
    part = set(found.faces)
    members = {
        row[0]
        for row in album.connection.execute(
            "SELECT face FROM memberships WHERE person = ?", (found.person,)
        )
    }
    return any(
        (face in part) != (other in part)
        for face, other in album.connection.execute(_SAME)
        if face in members and other in members
    )
