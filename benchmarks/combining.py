"""What combining both directions of links takes, and how much of that is waiting for memory.

    python -m benchmarks.combining --work DIR [--faces 50000 150000 584000] [--turns 3]
        [--out RECORD]

DIR is a folder of `benchmarks.large`, whose neighbours and likelihoods are taken. Each link looks
its other direction up in the list of the other face, which lies anywhere. With the faces put in
the order of their people it lies near: the work is the same, and what is saved was waiting. One
process, arrays in memory, nothing written; both orders in turn. Prints a Markdown table.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import described
from facelink.files import write_json
from facelink.link_prediction import combine_rows, link_offsets
from facelink.neighbors.graph import MISSING, NeighborGraph

_LINKS_AT_ONCE = 80 * 65_536

Lists = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]
"""Neighbours, similarities and likelihoods, (N, k) each."""


def lists_of(folder: Path) -> Lists:
    """What a run has found, in memory."""
    names = ("neighbors/indices", "neighbors/similarities", "likelihoods/likelihoods")
    indices, similarities, likelihoods = (np.load(folder / f"run/{name}.npy") for name in names)
    return indices, similarities, likelihoods


def in_order_of(labels: NDArray[np.int64], lists: Lists) -> Lists:
    """The same lists of faces that are numbered person by person."""
    order = np.argsort(labels, kind="stable")
    number = np.empty(len(order), dtype=np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    indices, *others = (array[order] for array in lists)
    similarities, likelihoods = others
    renamed = np.where(indices == MISSING, np.int32(MISSING), number[indices])
    return renamed, similarities, likelihoods


def nanoseconds_a_link(lists: Lists) -> float:
    """Combine all links, block by block."""
    indices, similarities, likelihoods = lists
    graph = NeighborGraph.of_checked(indices, similarities)
    offsets = link_offsets(indices)
    n_links = int(offsets[-1])
    start = time.perf_counter()
    for first in range(0, n_links, _LINKS_AT_ONCE):
        combine_rows(graph, likelihoods, offsets, first, min(n_links, first + _LINKS_AT_ONCE))
    return 1e9 * (time.perf_counter() - start) / n_links


def measured(folder: Path, n_faces: int, n_turns: int) -> dict[str, Any]:
    """Both orders in turn."""
    lists = lists_of(folder / str(n_faces))
    orders = {
        "as_they_are": lists,
        "person_by_person": in_order_of(np.load(folder / str(n_faces) / "people.npy"), lists),
    }
    nanoseconds_a_link(lists)  # compiles
    turns = [
        {name: nanoseconds_a_link(one) for name, one in orders.items()} for _ in range(n_turns)
    ]
    return {"n_faces": n_faces, **{name: [turn[name] for turn in turns] for name in orders}}


def main(args: Sequence[str] | None = None) -> None:
    """Print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of benchmarks.large")
    parser.add_argument("--faces", type=int, nargs="+", default=[50_000, 150_000, 584_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    options = parser.parse_args(args)
    sizes = [measured(options.work, n, options.turns) for n in sorted(options.faces)]
    print("| faces | ns a link | with the faces person by person |\n|---:|---:|---:|")
    for size in sizes:
        medians = (statistics.median(size[name]) for name in ("as_they_are", "person_by_person"))
        print(f"| {size['n_faces']:,} | {' | '.join(f'{one:.0f}' for one in medians)} |")
    if options.out is not None:
        write_json(options.out, described("combining", sizes=sizes))


if __name__ == "__main__":
    main()
