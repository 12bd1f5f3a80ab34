"""How fast a prepared search finds neighbours, by vector instructions and by plain loops.

    python -m benchmarks.search --run DIR [--faces 65536] [--turns 3] [--out RECORD]

DIR is the folder of a run of `facelink run` by ivf whose search is prepared. The neighbours of the
first faces are found both ways in turn, and have to be the same. Where the processor lacks the
instructions, by loops alone. Prints a Markdown table.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.records import described
from benchmarks.run_folders import features_of, prepared_search
from facelink.files import write_json
from facelink.neighbors import walking
from facelink.neighbors.exact import Found
from facelink.neighbors.packed_products import INSTRUCTION, can_multiply
from facelink.neighbors.prepared import PreparedSearch

_WARM_UP_FACES = 200
_LOOPS = "loops"


def found_by(search: PreparedSearch, n_faces: int, way: str) -> tuple[Found, float]:
    """The neighbours of the first faces, and seconds."""
    has_instruction = way != _LOOPS and can_multiply(search.features.shape[1])
    with mock.patch.object(walking, "can_multiply", return_value=has_instruction):
        search.rows(np.arange(min(n_faces, _WARM_UP_FACES)))
        start = time.perf_counter()
        found = search.rows(np.arange(n_faces))
        return found, time.perf_counter() - start


def main(args: Sequence[str] | None = None) -> None:
    """Print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a run")
    parser.add_argument("--faces", type=int, default=65_536)
    parser.add_argument("--turns", type=int, default=3, help="times that each way is taken")
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    options = parser.parse_args(args)
    search = prepared_search(options.run, features_of(options.run))
    n, dim = search.features.shape
    n_faces = min(options.faces, n)
    seconds: dict[str, list[float]] = {_LOOPS: []}
    if INSTRUCTION is not None:
        seconds[INSTRUCTION.name] = []
    found = {}
    for _ in range(options.turns):
        for way, taken in seconds.items():
            found[way], one = found_by(search, n_faces, way)
            taken.append(one)
    for one in found.values():
        for same, other in zip(one, found[_LOOPS], strict=True):
            np.testing.assert_array_equal(same, other)
    print(f"{n_faces:,} of {n:,} faces, {dim}-d, k = {search.n_neighbors}, {search.recall:.4f}")
    print("| by | seconds, median | least | most |\n|---|---:|---:|---:|")
    for way, taken in seconds.items():
        cells = (statistics.median(taken), min(taken), max(taken))
        print(f"| {way} | {' | '.join(f'{one:.2f}' for one in cells)} |")
    if options.out is not None:
        record = described(
            "search",
            n_faces=n,
            n_sought=n_faces,
            n_dimensions=dim,
            n_neighbors=search.n_neighbors,
            recall=search.recall,
            seconds=seconds,
        )
        write_json(options.out, record)


if __name__ == "__main__":
    main()
