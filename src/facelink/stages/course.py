"""How any stage runs: what is there is checked and kept, what is missing is done and kept."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facelink.merging.parts import Each
from facelink.stages.blocks import ArraySpec, BlockStore
from facelink.stages.engine import (
    Arrays,
    Block,
    BlockWork,
    Engine,
    Item,
    Outcome,
    blocks_between,
)
from facelink.stages.listening import Listener
from facelink.stages.manifest import Manifest, Origin
from facelink.stages.measuring import Measured, measuring

_ROWS_AT_ONCE = 1 << 20
"""Rows written at a time of arrays that are made as a whole."""

_TELLING_SECONDS = 60.0
"""Between two notes on parts that are merged."""


@dataclass(frozen=True)
class StageOutcome:
    """What became of a stage in a run.

    Parameters
    ----------
    manifest : Manifest
        Its state after the run.
    n_kept : int
        Rows that earlier runs had finished.
    was_complete : bool
        Whether there was nothing to do.
    seconds : float
        What it took in this run.
    """

    manifest: Manifest
    n_kept: int
    was_complete: bool
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        manifest = self.manifest
        return {
            "stage": manifest.stage,
            "rows": manifest.n_rows,
            "rows_kept": self.n_kept,
            "seconds": round(self.seconds, 3),
            "seconds_in_all": round(manifest.seconds_in_all, 3),
            "peak_memory_bytes": manifest.peak_memory_bytes,
            "peak_own_memory_bytes": manifest.peak_own_memory_bytes,
            "bytes": sum(block.n_bytes for block in manifest.blocks),
            **manifest.facts,
        }


@dataclass
class Course:
    """Runs stages one after another.

    Parameters
    ----------
    work : Path
        Folder that has a folder of each stage.
    block_rows : int
        Faces of a block, before rounding up.
    engine : Engine
        Works on blocks.
    listener : Listener
        Hears of it.
    check_unchanged : callable
        Raises an error if what is read has changed: called before anything that
        was computed from it is kept.
    memory : mapping of str to int
        Bytes that a block of a stage needs where it is worked on alone.
    outcomes : list of StageOutcome
        Of the stages so far.
    """

    work: Path
    block_rows: int
    engine: Engine
    listener: Listener
    check_unchanged: Callable[[], None]
    memory: Mapping[str, int] = field(default_factory=dict)
    outcomes: list[StageOutcome] = field(default_factory=list)

    def by_blocks(
        self,
        origin: Origin,
        specs: Mapping[str, ArraySpec],
        n_rows: Callable[[], int],
        work: Callable[[BlockStore], BlockWork],
        facts: Callable[[BlockStore], Mapping[str, Any]],
        *,
        rows_per_face: int = 1,
        in_wholes_of: int = 1,
    ) -> BlockStore:
        """Run a stage whose rows come block by block.

        Parameters
        ----------
        origin
            What decides its result.
        specs
            Its arrays.
        n_rows
            Gives their number of rows; called if the stage begins anew.
        work
            Prepares, in the stage's folder, what is done once, and returns
            what is done with a block.
        facts
            What is to be known of the finished stage.
        rows_per_face
            Rows that a block has for each of its faces.
        in_wholes_of
            Rows of a block are a multiple of it.
        """
        block_rows = in_wholes_of * -(-rows_per_face * self.block_rows // in_wholes_of)
        store = self._existing(origin, specs)
        if store is not None and store.manifest.is_complete:
            return self._kept(store)
        with measuring() as measured:
            store = store or BlockStore.begin(self.work / origin.stage, origin, specs, n_rows())
            n_kept, missing = store.manifest.n_done, store.missing(block_rows)
            seconds_before = store.manifest.seconds_in_all
            with self.listener.working(origin.stage, sum(map(len, missing))) as advance:
                for block, arrays, seconds in self._worked_on(store, work, missing):
                    self.check_unchanged()
                    store.write(block, arrays, seconds)
                    advance(len(block))
                found = facts(store)
        of_blocks = store.manifest.seconds_in_all - seconds_before
        return self._completed(store, found, measured, measured.seconds - of_blocks, n_kept)

    def at_once(
        self,
        origin: Origin,
        specs: Mapping[str, ArraySpec],
        compute: Callable[[], tuple[Arrays, Mapping[str, Any]]],
    ) -> BlockStore:
        """Run a stage whose arrays are made as a whole; `compute` gives them, and facts."""
        before = self._existing(origin, specs)
        if before is not None and before.manifest.is_complete:
            return self._kept(before)
        with measuring() as measured, self.listener.working(origin.stage, 0):
            arrays, facts = compute()
            self.check_unchanged()
            n_rows = len(next(iter(arrays.values())))
            store = BlockStore.begin(self.work / origin.stage, origin, specs, n_rows)
            for block in blocks_between(0, n_rows, _ROWS_AT_ONCE):
                rows = slice(block.start, block.stop)
                store.write(block, {name: array[rows] for name, array in arrays.items()})
        return self._completed(store, facts, measured, measured.seconds, 0)

    def each_of(self, stage: str) -> Each:
        """The engine's `each`; about once a minute it is told how many items it has done in all."""
        n_done, told = 0, time.monotonic()

        def each(
            function: Callable[[Item], Outcome], items: Iterable[Item], /
        ) -> Iterator[Outcome]:
            nonlocal n_done, told
            for outcome in self.engine.each(function, items):
                n_done += 1
                if time.monotonic() - told >= _TELLING_SECONDS:
                    told = time.monotonic()
                    self.listener.note(f"{stage}: {n_done:,} parts done so far")
                yield outcome

        return each

    def _existing(self, origin: Origin, specs: Mapping[str, ArraySpec]) -> BlockStore | None:
        """What is there of a stage; tells if it is there and of no use."""
        folder = self.work / origin.stage
        store = BlockStore.existing(folder, origin, specs, self.listener.note)
        before = Manifest.read(folder) if store is None else None
        if before is not None:
            reasons = ", ".join(before.differences(origin)) or "facelink's version"
            self.listener.note(f"{origin.stage}: done again, because {reasons} changed")
        if store is not None and not store.manifest.is_complete:
            self._tell_of_versions(store.manifest)
        return store

    def _tell_of_versions(self, manifest: Manifest) -> None:
        """Tell if a stage that goes on was begun with other versions."""
        others = ", ".join(manifest.other_versions())
        if others:
            self.listener.note(
                f"{manifest.stage}: begun with another {others}, which may round differently"
            )

    def _worked_on(
        self, store: BlockStore, work: Callable[[BlockStore], BlockWork], missing: list[Block]
    ) -> Iterator[tuple[Block, Arrays, float]]:
        """Missing blocks with their arrays and the seconds each took."""
        if not missing:
            return
        start = time.perf_counter()
        described = work(store)
        store.enter_seconds(time.perf_counter() - start)
        start = time.perf_counter()
        needed = self.memory.get(store.manifest.stage, 0)
        for block, arrays in self.engine.map(described, missing, needed):
            yield block, arrays, time.perf_counter() - start
            start = time.perf_counter()

    def _kept(self, store: BlockStore) -> BlockStore:
        """Go on to the next stage: there is nothing to do."""
        return self._over(store, StageOutcome(store.manifest, store.manifest.n_rows, True, 0.0))

    def _completed(
        self,
        store: BlockStore,
        facts: Mapping[str, Any],
        measured: Measured,
        seconds: float,
        n_kept: int,
    ) -> BlockStore:
        """Enter facts and measures; the peaks are those of the run that ended the stage."""
        store.complete(
            facts,
            seconds=store.manifest.seconds + seconds,
            peak_memory_bytes=measured.peak_memory_bytes,
            peak_own_memory_bytes=measured.peak_own_memory_bytes,
        )
        return self._over(store, StageOutcome(store.manifest, n_kept, False, measured.seconds))

    def _over(self, store: BlockStore, outcome: StageOutcome) -> BlockStore:
        self.outcomes.append(outcome)
        self.listener.note(_told(outcome))
        return store


def _told(outcome: StageOutcome) -> str:
    """One line on a stage."""
    stage, rows = outcome.manifest.stage, f"{outcome.manifest.n_rows:,} rows"
    if outcome.was_complete:
        return f"{stage}: kept"
    kept = f", {outcome.n_kept:,} of them kept" if outcome.n_kept else ""
    return f"{stage}: {rows}{kept}, {outcome.seconds:.1f} s"
