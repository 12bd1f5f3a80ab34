"""Neighbours from an index in shards: each block of faces asks all of them, twice.

A block's features and the shards' answers travel, the shards stay where they are: a machine needs
the features of its shards, and of a block at a time. Without an engine that spreads the steps,
one process goes through the shards one after another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.shards import Answer, IndexShard, Queries
from facelink.stages.engine import Arrays, Block, Round
from facelink.stages.work import FeaturesFile


@dataclass(frozen=True)
class BeginQueries:
    """Block → `Queries`: features of its rows, and their nearest cells."""

    features: FeaturesFile
    search: Path

    def moved(self, where: Callable[[Path], Path]) -> "BeginQueries":
        """The same on files elsewhere."""
        return replace(self, features=self.features.moved(where), search=where(self.search))

    def open(self) -> Callable[[Block], Queries]:
        """Read the prepared search."""
        search = PreparedSearch.load(self.search, self.features.open())
        return lambda block: Queries.begin(search, np.arange(block.start, block.stop))


@dataclass(frozen=True)
class AskShard:
    """`Queries` → `Answer` of a shard.

    Parameters
    ----------
    shard : Path
        File of `write_shards`.
    n_neighbors : int, optional
        k, if cells beyond the nearest ones are looked into.
    """

    shard: Path
    n_neighbors: int | None = None

    def moved(self, where: Callable[[Path], Path]) -> "AskShard":
        """The same on a file elsewhere."""
        return replace(self, shard=where(self.shard))

    def open(self) -> Callable[[Queries], Answer]:
        """Map the shard."""
        shard, k = IndexShard.load(self.shard), self.n_neighbors
        if k is None:
            return shard.look_nearby
        return lambda queries: shard.look_farther(queries, k)


@dataclass(frozen=True)
class GatherAnswers:
    """`Queries` and a round's answers → `Queries` that know more."""

    def moved(self, where: Callable[[Path], Path]) -> "GatherAnswers":
        """Itself: it reads nothing."""
        return self

    def open(self) -> Callable[..., Queries]:
        """There is nothing to open."""
        return lambda queries, *answers: queries.with_answers(answers)


@dataclass(frozen=True)
class GatherNeighbors:
    """`Queries` and the last answers → ``indices`` int32, ``similarities`` float32 (rows, k)."""

    n_neighbors: int

    def moved(self, where: Callable[[Path], Path]) -> "GatherNeighbors":
        """Itself: it reads nothing."""
        return self

    def open(self) -> Callable[..., Arrays]:
        """There is nothing to open."""

        def gather(queries: Queries, *answers: Answer) -> Arrays:
            found = queries.with_answers(answers).neighbors(self.n_neighbors)
            return dict(zip(("indices", "similarities"), found, strict=True))

        return gather


@dataclass(frozen=True)
class AskShards:
    """Normalised features → neighbours, as `FindNeighbors` gives them, in steps.

    Parameters
    ----------
    begin : BeginQueries
        The first step.
    shards : tuple of Path
        Files of `write_shards`.
    n_neighbors : int
        k.
    """

    begin: BeginQueries
    shards: tuple[Path, ...]
    n_neighbors: int

    @property
    def rounds(self) -> Sequence[Round]:
        """The nearest cells, then those that promise neighbours."""
        k = self.n_neighbors
        return (
            Round(tuple(map(AskShard, self.shards)), GatherAnswers()),
            Round(tuple(AskShard(shard, k) for shard in self.shards), GatherNeighbors(k)),
        )

    def moved(self, where: Callable[[Path], Path]) -> "AskShards":
        """The same on files elsewhere."""
        shards = tuple(where(shard) for shard in self.shards)
        return replace(self, begin=self.begin.moved(where), shards=shards)

    def open(self) -> Callable[[Block], Arrays]:
        """All steps in one process."""
        begin = self.begin.open()
        rounds = [([ask.open() for ask in one.asks], one.gather.open()) for one in self.rounds]

        def find(block: Block) -> Arrays:
            known: Any = begin(block)
            for asks, gather in rounds:
                known = gather(known, *(ask(known) for ask in asks))
            arrays: Arrays = known
            return arrays

        return find
