"""What recall costs: with how many faces each face is compared, by the recall that is asked for.

    python -m benchmarks.recall --run DIR --labels-true LABELS [--recall 0.8 0.9 …] [--out RECORD]

DIR is the folder of a run of `facelink run` by ivf whose search is prepared: its cells are kept,
and how far to look is chosen anew for each recall, as a run does. What is told is of 1,000 other
faces whose true neighbours are searched. Of these, those of the same person are what grouping lives
on: how many of them are found is told too. Prints a Markdown table.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import described
from benchmarks.run_folders import features_of, prepared_search
from facelink.files import write_json
from facelink.labels import load_labels
from facelink.neighbors.exact import RecallSample
from facelink.neighbors.prepared import PreparedSearch

_SHARES = (50, 90)
"""Percentiles of the number of comparisons."""


def cost(
    search: PreparedSearch, sample: RecallSample, labels: NDArray[np.int64], recall: float
) -> dict[str, Any]:
    """Count comparisons of the sample's faces, and what they find, at a recall."""
    assert search.cells is not None
    search = search.looking_into(search.cells.index, recall)
    assert search.cells is not None
    counts = search.cells.n_compared(search.features, sample.instances)
    found = search.rows(sample.instances)[0]
    is_found = (sample.neighbors[:, :, None] == found[:, None, :]).any(axis=2)
    is_same = labels[sample.neighbors] == labels[sample.instances, None]
    return {
        "recall": recall,
        "measured": search.recall,
        "found": float(is_found.mean()),
        "found_of_same_person": float(is_found[is_same].mean()),
        "same_person": float(is_same.mean()),
        "compared": float(counts.mean()),
        "share": float(counts.mean() / len(search.features)),
        **{f"{share}%": float(np.percentile(counts, share)) for share in _SHARES},
    }


def table(costs: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [
        "| recall | of the same person's | compared with | of all | half of the faces "
        "| nine tenths |",
        "|---:" * 6 + "|",
    ]
    for one in costs:
        most = (f"at most {one[f'{share}%']:,.0f}" for share in _SHARES)
        cells = (
            f"{one['recall']:g}",
            f"{one['found_of_same_person']:.4f}",
            f"{one['compared']:,.0f}",
            f"{one['share']:.2%}",
            *most,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(args: Sequence[str] | None = None) -> None:
    """Print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of a run")
    parser.add_argument("--labels-true", type=Path, required=True, help="person of each face")
    parser.add_argument("--recall", type=float, nargs="+", default=[0.8, 0.9, 0.95, 0.98, 0.99])
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    options = parser.parse_args(args)
    search = prepared_search(options.run, features_of(options.run))
    sample = RecallSample.draw(search.features, search.n_neighbors, seed=1)
    labels = load_labels(options.labels_true)
    costs = [cost(search, sample, labels, recall) for recall in options.recall]
    n, dim = search.features.shape
    same = costs[0]["same_person"]
    print(f"{n:,} faces, {dim}-d, k = {search.n_neighbors}; {same:.1%} of them of the same person")
    print("\n".join(table(costs)))
    if options.out is not None:
        record = described(
            "recall",
            n_faces=n,
            n_dimensions=dim,
            n_neighbors=search.n_neighbors,
            costs=costs,
        )
        write_json(options.out, record)


if __name__ == "__main__":
    main()
