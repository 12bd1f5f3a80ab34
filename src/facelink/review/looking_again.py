"""Look again: an update in the background, while the page goes on being used."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from facelink.album.library import Album, open_album
from facelink.album.queries import person
from facelink.album.update import UpdatePlan, apply_plans, judge_faces, plan_update
from facelink.errors import FacelinkError
from facelink.models.context_gcn import ContextGCN

MOST_LISTED = 200
"""People whose gains are listed one by one."""


@dataclass(frozen=True)
class Gain:
    """What one person gained.

    Parameters
    ----------
    person : int
        Who.
    name : str, optional
        What they are called.
    is_new : bool
        Whether they were nobody before.
    n_faces : int
        Undecided faces that joined them.
    n_merged : int
        Unnamed people who became part of them.
    """

    person: int
    name: str | None
    is_new: bool
    n_faces: int
    n_merged: int


@dataclass(frozen=True)
class Look:
    """How far it is.

    Parameters
    ----------
    state : str
        ``"none"`` was asked for yet; ``"judging"`` faces, while decisions go on;
        ``"placing"`` them, for which decisions wait; ``"done"`` or ``"failed"``.
    n_judged, n_faces : int
        Faces judged, and faces of the album.
    problem : str, optional
        Why it failed.
    gains : tuple of Gain
        Who gained faces, at most `MOST_LISTED`.
    n_gains : int
        How many gained faces in all.
    n_undecided : int
        Faces that are still undecided.
    """

    state: Literal["none", "judging", "placing", "done", "failed"] = "none"
    n_judged: int = 0
    n_faces: int = 0
    problem: str | None = None
    gains: tuple[Gain, ...] = ()
    n_gains: int = 0
    n_undecided: int = 0

    @property
    def is_under_way(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state in ("judging", "placing")


class LookingAgain:
    """One update at a time in a thread of its own.

    Faces are judged, which takes longest, without keeping anybody from deciding. Then they are
    placed by all that was decided up to then.

    Parameters
    ----------
    folder : Path
        The album's folder.
    editing : callable
        Opens the album for writing, when nobody else writes to it.
    """

    def __init__(self, folder: Path, editing: Callable[[], AbstractContextManager[Album]]) -> None:
        self._folder = folder
        self._editing = editing
        self._changing = threading.Lock()
        self._look = Look()

    def start(self) -> dict[str, Any]:
        """Begin, unless it is under way already; says how far it is."""
        with self._changing:
            if not self._look.is_under_way:
                self._look = Look("judging")
                threading.Thread(target=self._work, daemon=True).start()
        return self.state()

    def state(self) -> dict[str, Any]:
        """How far it is, as plain values for JSON."""
        return asdict(self._look)

    def _work(self) -> None:
        try:
            self._update(ContextGCN.pretrained())
        except FacelinkError as error:
            self._look = Look("failed", problem=str(error))
        except Exception as error:
            self._look = Look("failed", problem=f"unexpected: {error!r}")
            raise

    def _update(self, link_model: ContextGCN) -> None:
        with open_album(self._folder) as album:
            n_faces = album.count("SELECT count(*) FROM faces WHERE junk_reasons IS NULL")
            self._look = replace(self._look, n_faces=n_faces)
            judged = judge_faces(album, link_model, progress=self._advance)
        self._look = replace(self._look, state="placing")
        with self._editing() as album:
            plans = plan_update(album, link_model, judged=judged, progress=self._advance)
            known = {row[0] for row in album.connection.execute("SELECT id FROM people")}
            changes = apply_plans(album, plans)
            gainers = [
                change.after
                for change in changes
                if change.field == "person" and isinstance(change.after, int)
            ]
            self._look = _done(album, plans, dict.fromkeys(gainers), known)

    def _advance(self, n_judged: int) -> None:
        self._look = replace(self._look, n_judged=self._look.n_judged + n_judged)


def _done(album: Album, plans: list[UpdatePlan], gainers: dict[int, None], known: set[int]) -> Look:
    joined = {one.person: one for plan in plans for one in plan.joinings if one.person is not None}
    gains = []
    for number in list(gainers)[:MOST_LISTED]:
        one, joining = person(album, number), joined.get(number)
        n_faces = one.n_faces if joining is None else len(joining.faces)
        n_merged = 0 if joining is None else len(set(joining.merged) - {number})
        gains.append(Gain(number, one.name, number not in known, n_faces, n_merged))
    n_undecided = sum(plan.n_undecided for plan in plans)
    return Look("done", gains=tuple(gains), n_gains=len(gainers), n_undecided=n_undecided)
