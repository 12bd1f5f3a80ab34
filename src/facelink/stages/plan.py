"""What a run would do: stages, what is done, and what the rest would take.

Seconds come from a short measurement on a sample of the faces on this machine, from what the
stage's own finished blocks took if there are any, or, for merging, from the record in
docs/scale.md. They are a guess, good to a factor of about two.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facelink.features import normalize_features
from facelink.link_prediction import combine_directions
from facelink.linking import judge_links
from facelink.neighbors.packed_products import INSTRUCTION
from facelink.neighbors.search import find_neighbors
from facelink.stages.folder import check_is_run
from facelink.stages.manifest import Manifest
from facelink.stages.needs import LINKS_PER_NEIGHBOR, Needs, choose_block_rows, needs
from facelink.stages.task import Task

_SAMPLE = 3_000
"""Faces that are searched and judged to see how fast this machine is: a few seconds."""

_CENTERS_PER_ROOT, _NEARBY_PER_ROOT = 8.0, 2.0
"""Centres that "ivf" compares each face with, and members of the nearest cells, relative to √N."""

_FARTHER, _FARTHER_FACES, _FARTHER_POWER = 470_000, 5_210_000, 1.9
"""Members and centres of further parts for a recall of 0.98, of so many made-up faces, and by which
power of N they grow; for other recalls these times as many (benchmarks/records/recall.json)."""

_FARTHER_FOR_RECALL = ((0.8, 0.9, 0.95, 0.98, 0.99, 1.0), (0.026, 0.14, 0.38, 1.0, 2.1, 6.0))

_COSTS, _COST_OF_LOOPS = {16: 0.15, 8: 0.25}, 1.4
"""What a comparison in cells takes, relative to an exact search's: of 3,000 faces, whose time goes
into their lists as well; by instructions with so many sums, and without."""

_LISTS_COST = 11_000
"""What finding the cells of a face and ordering its candidates takes, in such comparisons."""

_MERGE_SECONDS_PER_LINK = 2e-6
"""One minute for 31 million."""


@dataclass(frozen=True)
class StagePlan:
    """What a stage would take.

    Parameters
    ----------
    stage : str
        Its name.
    n_rows, n_done : int
        Rows there are to be, and those that are finished; both 0 where rows
        are not known yet, or not needed.
    is_done : bool
        Whether there is nothing to do.
    seconds : float
        Expected time.
    memory_bytes, disk_bytes : int
        Expected, as in `Needs`.
    """

    stage: str
    n_rows: int
    n_done: int
    is_done: bool
    seconds: float
    memory_bytes: int
    disk_bytes: int


def plan(task: Task, work: Path) -> list[StagePlan]:
    """Say what a run would do, without writing anything.

    Parameters
    ----------
    task
        As from `Task.load`.
    work
        The run's folder; need not exist.

    Raises
    ------
    InputError
        If the run does not fit into the memory that it may take, or something
        else than a run is in its folder.
    """
    check_is_run(work)
    rates = None
    planned = []
    for one, manifest in zip(needs(task, choose_block_rows(task)), task.useful(work), strict=True):
        if manifest is not None and manifest.is_complete:
            planned.append(_done(one, manifest))
            continue
        rates = rates or Rates.measure(task)
        planned.append(_to_do(one, task, manifest, rates))
    return planned


@dataclass(frozen=True)
class Rates:
    """How fast this machine is, in seconds.

    Parameters
    ----------
    per_row : float
        To normalise a face.
    per_comparison : float
        To compare two faces.
    per_pivot : float
        To judge a face's links.
    per_entry : float
        To combine an entry of the neighbour lists.
    """

    per_row: float
    per_comparison: float
    per_pivot: float
    per_entry: float

    @classmethod
    def measure(cls, task: Task) -> "Rates":
        """Do each on a sample of the faces, once to compile and once with a clock."""
        stored = task.source.open_rows()
        rows = np.unique(np.linspace(0, task.n_faces - 1, min(task.n_faces, _SAMPLE)).astype(int))
        sample = np.asarray(stored[rows], dtype=np.float64)
        features = normalize_features(sample)
        n, settings = len(features), task.subgraphs.limited_to(len(features) - 1)
        graph = find_neighbors(features, settings.n_neighbors, "exact")
        likelihoods = np.full((n, settings.k_at_hop[0]), 0.5, dtype=np.float32)
        return cls(
            _seconds(lambda: normalize_features(sample)) / n,
            _seconds(lambda: find_neighbors(features, settings.n_neighbors, "exact")) / n**2,
            _seconds(lambda: judge_links(task.model, features, graph, settings)) / n,
            _seconds(lambda: combine_directions(graph, likelihoods)) / likelihoods.size,
        )

    def seconds(self, stage: str, task: Task) -> float:
        """What a whole stage would take."""
        n, k = task.n_faces, task.subgraphs.k_at_hop[0]
        is_exact = task.search_method == "exact"
        compared = float(n)
        if not is_exact:
            centers = _CENTERS_PER_ROOT * math.sqrt(n)
            in_cells = _cost_in_cells() * n_compared(n, task.settings.recall)
            compared = min(compared, centers + in_cells + _LISTS_COST)
        return {
            "features": 0.0 if task.uses_features_as_they_are else self.per_row * n,
            "neighbors": self.per_comparison * n * compared,
            "likelihoods": self.per_pivot * n,
            "links": self.per_entry * n * k,
            "labels": _MERGE_SECONDS_PER_LINK * LINKS_PER_NEIGHBOR * n * k,
        }[stage]


def _cost_in_cells() -> float:
    """Of a comparison on this processor."""
    if INSTRUCTION is None:
        return _COST_OF_LOOPS
    return _COSTS[INSTRUCTION.n_sums]


def n_compared(n_faces: int, recall: float) -> float:
    """About how many members and centres of parts "ivf" compares a face with; at most all."""
    farther = _FARTHER * math.pow(n_faces / _FARTHER_FACES, _FARTHER_POWER)
    share = float(np.interp(recall, *_FARTHER_FOR_RECALL))
    return min(float(n_faces), _NEARBY_PER_ROOT * math.sqrt(n_faces) + share * farther)


def _done(one: Needs, manifest: Manifest) -> StagePlan:
    return StagePlan(one.stage, manifest.n_rows, manifest.n_rows, True, 0.0, 0, 0)


def _to_do(one: Needs, task: Task, manifest: Manifest | None, rates: Rates) -> StagePlan:
    """A stage of which no row or some are finished."""
    n_rows = {"links": 0 if manifest is None else manifest.n_rows, "labels": 0}.get(
        one.stage, task.n_faces
    )
    n_done = 0 if manifest is None else manifest.n_done
    seconds = rates.seconds(one.stage, task)
    if manifest is not None and n_done and n_rows:
        seconds = sum(block.seconds for block in manifest.blocks) / n_done * (n_rows - n_done)
    return StagePlan(one.stage, n_rows, n_done, False, seconds, one.memory_bytes, one.disk_bytes)


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of doing something for the second time."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
