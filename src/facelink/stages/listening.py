"""What a run tells while it works."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of rows finished since the last call."""


class Listener(Protocol):
    """Hears what a run does."""

    def note(self, message: str) -> None:
        """Something worth knowing."""

    def working(self, stage: str, n_rows: int) -> AbstractContextManager[Advance]:
        """A stage begins that has so many rows to do, 0 where it is not divided into rows."""


class Silent:
    """A listener that tells nobody."""

    def note(self, message: str) -> None:
        """Say nothing."""

    @contextlib.contextmanager
    def working(self, stage: str, n_rows: int) -> Iterator[Advance]:
        """Count nothing."""
        yield lambda n_done: None
