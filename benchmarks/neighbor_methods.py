"""Ways to find neighbours side by side: seconds to prepare, to search, and the recall they reach.

    python -m benchmarks.neighbor_methods [--faces 50000 150000] [--sought 16384] [--recall 0.98]
        [--turns 2] [--out RECORD]

Made-up faces of MS1M's sizes of people, as in `benchmarks.large`, k = 80. facelink's ivf and hnsw
look as far as they do for that recall; of faiss's own inverted file (float32, as many cells), the
number of cells to look into is doubled until 1,000 faces find as much. The recalls told are those
of 1,000 others. Each way finds the neighbours of the first faces in turn. What finding those of
all would take is the time to prepare plus that many times the time of one. Prints a Markdown table.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.large import made_up
from benchmarks.records import described
from facelink.files import write_json
from facelink.neighbors.cells import number_of_cells
from facelink.neighbors.exact import RecallSample, search_candidates
from facelink.neighbors.prepared import PreparedSearch

K = 80
_TO_COMPILE, _WARM_UP_FACES = 2_000, 200

Features = NDArray[np.float32]
Search = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Instances (S,) → similarities of their neighbours, float32 (S, k), the nearest first."""


def facelink_search(method: str, features: Features, recall: float) -> Search:
    """One of facelink's own."""
    search = PreparedSearch.prepare(features, K, method, recall_target=recall)
    return lambda instances: search.rows(instances)[1]


def faiss_cells(features: Features, recall: float) -> Search:
    """An inverted file of faiss, float32; what it proposes is put in order as facelink does."""
    n, dim = features.shape
    n_cells = number_of_cells(n)
    metric = faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, n_cells, metric)
    index.train(features)
    index.add(features)
    index.nprobe = 1
    sample = RecallSample.draw(features, K, seed=0)

    def propose(instances: NDArray[np.int64], n_candidates: int) -> NDArray[np.int64]:
        found: NDArray[np.int64] = index.search(features[instances], n_candidates)[1]
        return found

    def search(instances: NDArray[np.int64]) -> NDArray[np.float32]:
        return search_candidates(propose, features, instances, K)[1]

    while sample.recall(search(sample.instances)) < recall and index.nprobe < n_cells:
        index.nprobe *= 2
    return search


WAYS: dict[str, Callable[[Features, float], Search]] = {
    "ivf": partial(facelink_search, "ivf"),
    "hnsw": partial(facelink_search, "hnsw"),
    "exact": partial(facelink_search, "exact"),
    "faiss, IndexIVFFlat": faiss_cells,
}


def measured(
    n_faces: int, n_features: int, n_sought: int, recall: float, n_turns: int
) -> dict[str, Any]:
    """What each way takes for one collection."""
    features = made_up(n_faces, n_features, seed=0).features
    sample = RecallSample.draw(features, K, seed=1)
    sought = np.arange(min(n_sought, n_faces))
    ways, searches = {}, {}
    for name, prepare in WAYS.items():
        start = time.perf_counter()
        search = searches[name] = prepare(features, recall)
        ways[name] = {
            "seconds_to_prepare": time.perf_counter() - start,
            "recall": sample.recall(search(sample.instances)),
            "seconds": [],
        }
        search(sought[:_WARM_UP_FACES])
    for _ in range(n_turns):
        for name, search in searches.items():
            start = time.perf_counter()
            search(sought)
            ways[name]["seconds"].append(time.perf_counter() - start)
    for way in ways.values():
        each = statistics.median(way["seconds"]) / len(sought)
        way["seconds_for_all"] = way["seconds_to_prepare"] + n_faces * each
    return {"n_faces": n_faces, "n_sought": len(sought), "ways": ways}


def table(sizes: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [
        "| faces | by | recall | to prepare | ms a face | all |",
        "|---:|---" + "|---:" * 4 + "|",
    ]
    for size in sizes:
        for name, way in size["ways"].items():
            cells = (
                f"{size['n_faces']:,}",
                name,
                f"{way['recall']:.3f}",
                f"{way['seconds_to_prepare']:.1f} s",
                f"{1e3 * statistics.median(way['seconds']) / size['n_sought']:.3f}",
                f"{way['seconds_for_all']:.0f} s",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(args: Sequence[str] | None = None) -> None:
    """Print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, nargs="+", default=[50_000, 150_000])
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--sought", type=int, default=16_384, help="faces that are looked up")
    parser.add_argument("--recall", type=float, default=0.98)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    options = parser.parse_args(args)
    rest = (options.features, options.sought, options.recall, options.turns)
    measured(_TO_COMPILE, *rest)
    sizes = [measured(n, *rest) for n in sorted(options.faces)]
    print("\n".join(table(sizes)))
    if options.out is not None:
        record = described(
            "neighbor_methods",
            n_dimensions=options.features,
            n_neighbors=K,
            recall_target=options.recall,
            sizes=sizes,
        )
        write_json(options.out, record)


if __name__ == "__main__":
    main()
