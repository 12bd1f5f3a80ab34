"""What each stage needs of memory and disk: to choose block sizes, and to refuse before hours.

Memory is the process's own, without the pages of files that it maps: those the system takes back
whenever others need them, so that they cost time at most. The figures below were measured
(docs/scale.md); where a stage's need depends on the data, they are those of collections whose
people have about as many faces as neighbours are searched.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from numba import get_num_threads

from facelink.errors import InputError, OutputError
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.cells import number_of_cells
from facelink.neighbors.codes import n_with_spare
from facelink.neighbors.exact import N_SPARE_CANDIDATES
from facelink.neighbors.parts import number_of_parts
from facelink.neighbors.visits import BYTES_PER_VISIT, VISITS_AT_ONCE
from facelink.neighbors.walking import BYTES_PER_PLACE, SPARE_PLACES
from facelink.stages.task import Task

BLOCK_ROWS = (65_536, 32_768, 16_384, 8_192, 4_096)
"""Rows of a block from which is chosen; whole numbers of the blocks that searches work in."""

LINKS_PER_NEIGHBOR = 0.66
"""Links there are, relative to the neighbours that are judged: most pairs list each other."""

_VISITED_SHARE, _VISITED_FACES = 0.06, 584_000
"""Cells that a face looks into, of all there are, among so many; the share grows with them: among
5.21 million it is a half."""

_MiB = 1 << 20
PROGRAM_BYTES = 300 * _MiB
"""What the process has before it does anything: torch, numba and faiss."""

_LOOPS_BYTES = {"neighbors": 60 * _MiB, "likelihoods": 130 * _MiB, "labels": 260 * _MiB}
"""What compiling the loops of a stage leaves behind, and its threads."""

_MERGE_BYTES_PER_LINK = 28
_LINK_BYTES = 13  # int32 (2,), float32, bool
_BLOCKS_OF_LINKS = 6
"""So many times the links of a block, those that are being written among them."""

_DIVIDING_BYTES_PER_FACE = 80
"""What finding the cells and parts of everyone takes besides codes, as measured at millions."""


@dataclass(frozen=True)
class Needs:
    """What a stage needs.

    Parameters
    ----------
    stage : str
        Its name.
    memory_bytes : int
        Most memory of the process, besides mapped files.
    disk_bytes : int
        Size of what it keeps.
    """

    stage: str
    memory_bytes: int
    disk_bytes: int


def needs(task: Task, block_rows: int) -> list[Needs]:
    """What every stage of a task needs with blocks of so many rows, in order."""
    n, dim = task.shape
    n_threads = int(get_num_threads())
    k, width = task.subgraphs.k_at_hop[0], task.subgraphs.n_neighbors
    n_links = int(LINKS_PER_NEIGHBOR * n * k)
    merging = _LOOPS_BYTES["labels"] + _MERGE_BYTES_PER_LINK * n_links
    copied = 0 if task.uses_features_as_they_are else 4 * n * dim
    found = 8 * n * width
    shards = n * (5 * dim + 8) if task.settings.index_shards > 1 else 0
    return [
        Needs("features", _features_memory(task, block_rows), copied),
        Needs(
            "neighbors",
            _search_memory(task, block_rows, n_threads),
            found + _search_disk(task) + shards,
        ),
        Needs("likelihoods", _judging_memory(task, block_rows, n_threads), 4 * n * k),
        Needs("links", _combining_memory(task, block_rows), _LINK_BYTES * n_links + 8 * n),
        Needs("labels", PROGRAM_BYTES + merging + 64 * n, 12 * n),
    ]


def block_memory(task: Task, block_rows: int) -> dict[str, int]:
    """Bytes that a block of each stage needs where it is worked on alone, on one thread."""
    return {
        "features": _features_memory(task, block_rows),
        "neighbors": _searching_memory(task, block_rows, n_threads=1),
        "likelihoods": _judging_memory(task, block_rows, n_threads=1),
        "links": _combining_memory(task, block_rows),
    }


def choose_block_rows(task: Task) -> int:
    """Rows of a block: those that were asked for, or the most that the memory allows.

    Raises
    ------
    InputError
        If a stage does not fit into the memory that the run may take; the
        message names it and the least memory.
    """
    budget = task.memory_bytes
    asked = task.settings.block_rows
    choices = BLOCK_ROWS if asked is None else (asked,)
    for block_rows in choices:
        largest = max(needs(task, block_rows), key=lambda one: one.memory_bytes)
        if largest.memory_bytes <= budget:
            return block_rows
    allowed = task.settings.memory or f"{budget / 2**30:.1f}G, all there is"
    raise InputError(
        f"memory={allowed}: the stage {largest.stage!r} of {task.n_faces:,} faces needs about "
        f"{-(-largest.memory_bytes // _MiB):,}M even with blocks of {block_rows:,} rows; allow "
        "that much, or use fewer neighbours (--k-at-hop)."
    )


def check_disk(task: Task, work: Path) -> None:
    """Raise `OutputError` if the disk has no room for what is not there yet."""
    needed = sum(missing_disk_bytes(task, work))
    free = free_disk_bytes(work)
    if needed > free:
        raise OutputError(
            f"{work}: the run keeps {needed / 2**30:.2f} GiB more, but only {free / 2**30:.2f} GiB "
            "are free there; free some space, or give another --work folder."
        )


def free_disk_bytes(work: Path) -> int:
    """Free bytes where the folder is or will be."""
    place = work.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def missing_disk_bytes(task: Task, work: Path) -> Iterator[int]:
    """Bytes that each stage still has to find room for."""
    for one, manifest in zip(needs(task, BLOCK_ROWS[-1]), task.useful(work), strict=True):
        folder = work / one.stage
        if manifest is not None and manifest.is_complete:
            yield 0
            continue
        there = sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0
        yield max(0, one.disk_bytes - there)


def _features_memory(task: Task, block_rows: int) -> int:
    n, dim = task.shape
    stored = 8 * task.source.n_rows_held(n) * dim
    return PROGRAM_BYTES + stored + 12 * block_rows * dim


def _search_memory(task: Task, block_rows: int, n_threads: int) -> int:
    """Centres are trained on samples, cells divided, shards written one at a time; then searched.

    The search maps the centres and codes that it reads.
    """
    searching = _searching_memory(task, block_rows, n_threads)
    if task.search_method == "exact":
        return searching
    n, dim = task.shape
    training = 2 * 40 * number_of_cells(n) * dim * 4
    dividing = number_of_parts(n) * dim * 4 + (dim + _DIVIDING_BYTES_PER_FACE) * n
    n_shards = task.settings.index_shards
    writing = 4 * n * dim // n_shards if n_shards > 1 else 0
    return max(searching, PROGRAM_BYTES + max(training, dividing, writing))


def _search_disk(task: Task) -> int:
    """Codes of all features, and the centres of cells and parts."""
    if task.search_method == "exact":
        return 0
    n, dim = task.shape
    return n * (dim + 8) + 4 * dim * (number_of_cells(n) + number_of_parts(n))


def _searching_memory(task: Task, block_rows: int, n_threads: int) -> int:
    """Each thread finds who looks into which cell; with shards, a block and answers are held."""
    n, dim = task.shape
    n_shards = task.settings.index_shards
    kept = n_with_spare(n, task.subgraphs.n_neighbors + 1 + N_SPARE_CANDIDATES)
    if task.search_method == "exact":
        return PROGRAM_BYTES + 4 * n * dim + 24 * block_rows * kept
    of_row = 16 * kept  # ids twice, similarities, and a copy of these that is divided
    rows = block_rows * (of_row + BYTES_PER_PLACE * (kept + SPARE_PLACES))
    n_cells = number_of_cells(n)
    all_visits = n_cells * block_rows // n_threads
    share = min(1.0, _VISITED_SHARE * n / _VISITED_FACES)
    visits = min(VISITS_AT_ONCE, int(share * all_visits))
    ranking = n_threads * (5 * 1_024 * n_cells + BYTES_PER_VISIT * visits + 64 * _MiB)
    if n_shards > 1:
        rows += block_rows * (4 * dim + 12 * kept * (n_shards + 1))
    codes_of_parts = number_of_parts(n) * (dim + 4)
    seen = n  # members of a stored search that have been seen
    held = codes_of_parts + seen + ranking + rows
    return PROGRAM_BYTES + _LOOPS_BYTES["neighbors"] + held


def _judging_memory(task: Task, block_rows: int, n_threads: int) -> int:
    """Memory for each face's edges and its place in the subgraphs of each thread, and the network.

    Making the edges takes as much again as they do, before the network takes anything.
    """
    n, k = task.n_faces, task.subgraphs.k_at_hop[0]
    rows = 12 * block_rows * k
    if task.model is None:
        return PROGRAM_BYTES + rows
    edges = 8 * n * task.subgraphs.n_edge_neighbors
    positions = 8 * n * n_threads
    if isinstance(task.model, ContextGCN):
        judging = 200 * _MiB + _LOOPS_BYTES["likelihoods"] + edges + positions + rows
        return PROGRAM_BYTES + 48 * n + max(judging, 2 * edges + 24 * n)
    judging = 200 * _MiB * n_threads + task.table_bytes + edges + positions + rows
    return PROGRAM_BYTES + max(judging, 2 * edges + 32 * n)


def _combining_memory(task: Task, block_rows: int) -> int:
    """Counts and offsets of all faces, and links of blocks."""
    n, k = task.n_faces, task.subgraphs.k_at_hop[0]
    return PROGRAM_BYTES + 17 * n + _BLOCKS_OF_LINKS * _LINK_BYTES * k * block_rows
