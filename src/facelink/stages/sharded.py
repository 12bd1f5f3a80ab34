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
from facelink.neighbors.shards import Answer, FoundSoFar, IndexShard, Queries
from facelink.stages.engine import Arrays, Block, Round
from facelink.stages.work import FeaturesFile

Asked = tuple[Queries | None, FoundSoFar]
"""What shards are asked, which travels to all of them, and what was found, which does not."""


@dataclass(frozen=True)
class BeginQueries:
    """Block → features of its rows with their nearest cells, and nothing found."""

    features: FeaturesFile
    search: Path

    def moved(self, where: Callable[[Path], Path]) -> "BeginQueries":
        """The same on files elsewhere."""
        return replace(self, features=self.features.moved(where), search=where(self.search))

    def open(self) -> Callable[[Block], Asked]:
        """Read the prepared search."""
        search = PreparedSearch.load(self.search, self.features.open())

        def begin(block: Block) -> Asked:
            instances = np.arange(block.start, block.stop)
            queries = Queries.begin(search, instances)
            return queries, FoundSoFar.nothing(instances, queries.n_kept)

        return begin


@dataclass(frozen=True)
class AskShard:
    """`Queries` → `Answer` of a shard.

    Parameters
    ----------
    shard : Path
        File of `write_shards`.
    is_farther : bool
        Whether cells beyond the nearest ones are looked into, instead of these.
    """

    shard: Path
    is_farther: bool

    def moved(self, where: Callable[[Path], Path]) -> "AskShard":
        """The same on a file elsewhere."""
        return replace(self, shard=where(self.shard))

    def open(self) -> Callable[[Queries], Answer]:
        """Map the shard."""
        shard = IndexShard.load(self.shard)
        return shard.look_farther if self.is_farther else shard.look_nearby


@dataclass(frozen=True)
class GatherAnswers:
    """A round's answers → the next queries, which know what a neighbour has to beat."""

    n_neighbors: int

    def moved(self, where: Callable[[Path], Path]) -> "GatherAnswers":
        """Itself: it reads nothing."""
        return self

    def open(self) -> Callable[..., Asked]:
        """There is nothing to open."""

        def gather(queries: Queries, found: FoundSoFar, *answers: Answer) -> Asked:
            found = found.with_answers(answers)
            return queries.for_better_than(found, self.n_neighbors), found

        return gather


@dataclass(frozen=True)
class GatherNeighbors:
    """The last answers → ``indices`` int32, ``similarities`` float32 (rows, k)."""

    n_neighbors: int

    def moved(self, where: Callable[[Path], Path]) -> "GatherNeighbors":
        """Itself: it reads nothing."""
        return self

    def open(self) -> Callable[..., tuple[None, Arrays]]:
        """There is nothing to open."""

        def gather(_: Queries, found: FoundSoFar, *answers: Answer) -> tuple[None, Arrays]:
            neighbors = found.with_answers(answers).neighbors(self.n_neighbors)
            return None, dict(zip(("indices", "similarities"), neighbors, strict=True))

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
            Round(tuple(AskShard(one, is_farther=False) for one in self.shards), GatherAnswers(k)),
            Round(tuple(AskShard(one, is_farther=True) for one in self.shards), GatherNeighbors(k)),
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
            asked: Any
            known: Any
            asked, known = begin(block)
            for asks, gather in rounds:
                asked, known = gather(asked, known, *(ask(asked) for ask in asks))
            arrays: Arrays = known
            return arrays

        return find
