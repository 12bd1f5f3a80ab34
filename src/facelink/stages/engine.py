"""Where blocks of a stage are worked on: in this process, or by any other engine.

A stage is divided into blocks of rows, each of which depends on the stage's settings and on files
that are only read, never on another block. An engine may therefore work on them in any order and
anywhere where these files can be read; what a block gives is written by the process that called it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from numpy.typing import NDArray

_BLOCKS_EACH = 4
"""Blocks for each worker: none waits long for the last one."""

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

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


class Step(Protocol):
    """A part of the work on a block; like `BlockWork`, of anything that can be pickled."""

    def __hash__(self) -> int:
        """Equal steps are opened once."""

    def open(self) -> Callable[..., Any]:
        """Open what is read; returns a pure function."""

    def moved(self, where: Callable[[Path], Path]) -> Self:
        """Return the same step on files that are elsewhere."""


@dataclass(frozen=True)
class Round:
    """Steps that all ask of the same, and one that puts their answers together.

    Parameters
    ----------
    asks : tuple of Step
        Functions of what is asked; each stays on one machine, if it can.
    gather : Step
        Function of what is asked, what is known and all answers, in order;
        returns what is asked next, None after the last round, and what is known
        then.
    """

    asks: tuple[Step, ...]
    gather: Step


@runtime_checkable
class SteppedWork(BlockWork, Protocol):
    """Work whose parts need different files, so that they are better done where these are."""

    @property
    def begin(self) -> Step:
        """Function of the block; returns what is asked first, and what is known before."""

    @property
    def rounds(self) -> Sequence[Round]:
        """What is known after the last one are the block's arrays."""


class Engine(Protocol):
    """Works on blocks, and on items that need no files."""

    auto_device: str
    """Device of its work where the settings leave it open, as for `choose_device`."""

    in_one_process: bool
    """Whether it works on one block after another, in this process."""

    @property
    def n_at_once(self) -> int:
        """Blocks that it works on at the same time."""

    def map(
        self, work: BlockWork, blocks: Sequence[Block], memory_bytes: int = 0
    ) -> Iterator[tuple[Block, Arrays]]:
        """Each block with its arrays, in the order in which they are finished.

        What a block raises is raised here; blocks that were given out before
        are then of no interest any more. The memory is what a block needs.
        """

    def each(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Iterator[Outcome]:
        """Outcome of a pure function for each item, in the order of the items."""


class LocalEngine:
    """Works on one block after another in this process, by all of its threads."""

    auto_device = "auto"
    in_one_process = True

    @property
    def n_at_once(self) -> int:
        """One."""
        return 1

    def map(
        self, work: BlockWork, blocks: Sequence[Block], memory_bytes: int = 0
    ) -> Iterator[tuple[Block, Arrays]]:
        """Each block with its arrays, in order; memory was looked after before."""
        compute = work.open()
        for block in blocks:
            yield block, compute(block)

    def each(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Iterator[Outcome]:
        """Outcome of a function for each item, one after another."""
        return map(function, items)


def blocks_between(start: int, stop: int, n_rows: int) -> list[Block]:
    """Consecutive blocks of `n_rows` rows, the last one shorter, that fill a range of rows."""
    return [Block(first, min(stop, first + n_rows)) for first in range(start, stop, n_rows)]


def rows_for_all(engine: Engine, n_rows: int, most: int) -> int:
    """Rows of a block, at most so many, that give an engine's workers several blocks each."""
    if engine.n_at_once == 1:
        return most
    return max(1, min(most, -(-n_rows // (_BLOCKS_EACH * engine.n_at_once))))
