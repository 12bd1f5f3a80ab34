"""Where blocks of a stage are worked on: in this process, or by any other engine.

A stage is divided into blocks of rows, each of which depends on the stage's settings and on files
that are only read, never on another block. An engine may therefore work on them in any order and
anywhere where these files can be read; what a block gives is written by the process that called it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name; those of a block have one row for each of its rows."""


@dataclass(frozen=True, order=True)
class Block:
    """Rows from `start` up to `stop` of a stage's arrays.

    Parameters
    ----------
    start, stop : int
        Row numbers, 0 ≤ start < stop.
    """

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class BlockWork(Protocol):
    """What a stage does with a block: settings and paths, small, hashable, able to be pickled."""

    def __hash__(self) -> int:
        """Equal works are opened once."""

    def open(self) -> Callable[[Block], Arrays]:
        """Open what is read, once in each process; returns a pure function of the block."""

    def moved(self, where: Callable[[Path], Path]) -> Self:
        """Return the same work on files that are elsewhere; `where` tells of each path."""


class Engine(Protocol):
    """Works on blocks."""

    def map(self, work: BlockWork, blocks: Sequence[Block]) -> Iterator[tuple[Block, Arrays]]:
        """Each block with its arrays, in the order in which they are finished.

        What a block raises is raised here; blocks that were given out before
        are then of no interest any more.
        """


class LocalEngine:
    """Works on one block after another in this process, by all of its threads."""

    def map(self, work: BlockWork, blocks: Sequence[Block]) -> Iterator[tuple[Block, Arrays]]:
        """Each block with its arrays, in order."""
        compute = work.open()
        for block in blocks:
            yield block, compute(block)


def blocks_between(start: int, stop: int, n_rows: int) -> list[Block]:
    """Consecutive blocks of `n_rows` rows, the last one shorter, that fill a range of rows."""
    return [Block(first, min(stop, first + n_rows)) for first in range(start, stop, n_rows)]
