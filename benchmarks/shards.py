"""What it costs to ask an index in shards: seconds and bytes of each step, for each face.

    python -m benchmarks.shards --run DIR [--recall R] [--shards 4] [--block 65536] [--blocks 1]
        [--out RECORD]

DIR is the folder of a run of `facelink run` by ivf whose search is prepared; for another recall
than the run's it is chosen anew how far to look. The shards are written
to a temporary folder in it, which needs as much room as the features. Each step of a block is done
as a task of a cluster would do it, on one thread; what it is given and what it returns are counted
as they are pickled. Prints a Markdown table.
"""

import argparse
import pickle
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import set_num_threads
from threadpoolctl import threadpool_limits

from benchmarks.records import described
from benchmarks.run_folders import features_of, prepared_search, search_file
from facelink.files import write_json
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.shards import write_shards
from facelink.stages.engine import Block
from facelink.stages.sharded import AskShards, BeginQueries

_TO_COMPILE = 100


@dataclass
class Step:
    """What all tasks of a step took.

    Parameters
    ----------
    name : str
        What they do.
    n_tasks : int
        How many there were.
    seconds : float
        Of all of them.
    bytes_in, bytes_out : int
        What all of them were given and returned, as it is pickled.
    """

    name: str
    n_tasks: int = 0
    seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0

    def taken(self, function: Callable[..., Any], *given: Any) -> Any:
        """Call a function and count."""
        start = time.perf_counter()
        outcome = function(*given)
        self.seconds += time.perf_counter() - start
        self.n_tasks += 1
        self.bytes_in += sum(_pickled_bytes(one) for one in given)
        self.bytes_out += _pickled_bytes(outcome)
        return outcome


def measure(work: AskShards, blocks: Sequence[Block]) -> list[Step]:
    """Take all steps of some blocks; those of a few faces before, to compile."""
    first = blocks[0]
    _take(work, [Block(first.start, min(first.stop, first.start + _TO_COMPILE))])
    return _take(work, blocks)


def _take(work: AskShards, blocks: Sequence[Block]) -> list[Step]:
    names = ("features and nearest cells", "nearest cells", "together", "further cells", "together")
    steps = [Step(name) for name in names]
    begin = work.begin.open()
    rounds = [([ask.open() for ask in one.asks], one.gather.open()) for one in work.rounds]
    for block in blocks:
        asked, known = steps[0].taken(begin, block)
        for number, (asks, gather) in enumerate(rounds):
            answers = [steps[1 + 2 * number].taken(ask, asked) for ask in asks]
            asked, known = steps[2 + 2 * number].taken(gather, asked, known, *answers)
    return steps


def with_recall(search: PreparedSearch, recall: float) -> PreparedSearch:
    """The same cells, looked into as far as another recall needs."""
    assert search.cells is not None
    return search.looking_into(search.cells.index, recall)


def table(steps: Sequence[Step], n_faces: int) -> list[str]:
    """Lines of a Markdown table: each step for each face."""
    lines = [
        "| step | tasks a block | ms a face | bytes in | bytes out |",
        "|---|---:|---:|---:|---:|",
    ]
    for step in steps:
        cells = (
            step.name,
            f"{step.n_tasks / max(1, steps[0].n_tasks):.0f}",
            f"{1e3 * step.seconds / n_faces:.3f}",
            f"{step.bytes_in / n_faces:,.0f}",
            f"{step.bytes_out / n_faces:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(args: Sequence[str] | None = None) -> None:
    """Print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a run")
    parser.add_argument("--recall", type=float, help="by default that of the run")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--block", type=int, default=65_536, help="faces of a block")
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    options = parser.parse_args(args)
    features = features_of(options.run)
    set_num_threads(1)
    with (
        threadpool_limits(1),
        tempfile.TemporaryDirectory(dir=options.run, prefix="shards-") as folder,
    ):
        search = prepared_search(options.run, features)
        if options.recall is not None:
            search = with_recall(search, options.recall)
        paths = tuple(Path(folder, f"{number}.safetensors") for number in range(options.shards))
        start = time.perf_counter()
        write_shards(search, paths)
        seconds_to_write = time.perf_counter() - start
        n_faces, dim = search.features.shape
        firsts = np.linspace(0, n_faces - options.block, options.blocks).astype(int)
        blocks = [Block(first, first + options.block) for first in firsts.tolist()]
        work = AskShards(
            BeginQueries(features, search_file(options.run)), paths, search.n_neighbors
        )
        steps = measure(work, blocks)
    n_measured = options.blocks * options.block
    print(f"{n_faces:,} faces in {options.shards} shards, recall {search.recall:.4f}")
    print("\n".join(table(steps, n_measured)))
    print(f"\n{seconds_to_write:.0f} s to write the shards")
    if options.out is not None:
        record = described(
            "shards",
            n_faces=n_faces,
            n_dimensions=dim,
            n_neighbors=search.n_neighbors,
            recall=search.recall,
            n_shards=options.shards,
            faces_measured=n_measured,
            seconds_to_write=seconds_to_write,
            steps=[asdict(step) for step in steps],
        )
        write_json(options.out, record)


def _pickled_bytes(value: Any) -> int:
    return len(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main()
