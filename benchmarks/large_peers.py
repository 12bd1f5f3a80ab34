"""Other ways of grouping beside `facelink run`, on the faces and neighbours of its runs.

    python -m benchmarks.large_peers --work DIR [--faces 50000 150000 584000]
        [--methods dbscan hdbscan …] [--seconds S] [--memory GIB] [--out RECORD]

DIR is a folder of `benchmarks.large`. Each method gets the neighbours that the run has found, so
that what differs is the grouping, and has a process of its own, which ends when its time is over or
when it asks for more memory. Its parameter is the best of its grid, by BCubed F, on other faces.
Prints a Markdown table.
"""

import argparse
import json
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.large import made_up
from benchmarks.records import described
from facelink.baselines.method import Baseline
from facelink.baselines.registry import BASELINES
from facelink.baselines.view import NEIGHBORS
from facelink.benchmark.measure import Inputs, Measured, measure
from facelink.files import write_json
from facelink.labels import load_labels
from facelink.metrics import bcubed_scores, clustering_scores
from facelink.neighbors.files import save_graph
from facelink.stages.work import open_graph

METHODS = ("cosine", "dbscan", "hdbscan", "rank-order", "chinese-whispers", "louvain")
_TUNING_FACES = 20_000
"""Faces, of the next seed, by which parameters are chosen."""


def report_of(folder: Path) -> dict[str, Any]:
    """What the run in a folder reports, with the seconds of its neighbours."""
    report: dict[str, Any] = json.loads((folder / "run" / "report.json").read_text("utf-8"))
    seconds = {one["stage"]: one["seconds_in_all"] for one in report["stages"]}
    return report | {"seconds_for_neighbors": seconds["neighbors"]}


def inputs_of(folder: Path, report: dict[str, Any]) -> Inputs:
    """Features and neighbours of a run, in the form that `measure` hands on."""
    graph = folder / "neighbors.safetensors"
    save_graph(graph, open_graph(folder / "run" / "neighbors", method="ivf"))
    seconds = report["seconds_for_neighbors"]
    return Inputs(folder / "features.npy", graph, report["n_faces"], seconds)


def chosen_values(
    methods: Sequence[Baseline], n_features: int, seed: int, seconds: float
) -> dict[str, float]:
    """Value of each method's parameter with the best BCubed F on faces of their own."""
    faces = made_up(_TUNING_FACES, n_features, seed)
    values = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs.write(Path(folder), faces.features)
        for method in methods:
            found = measure(method, inputs, time_limit=seconds)
            if found.groupings:
                best = max(
                    found.groupings, key=lambda one: bcubed_scores(faces.labels, one.labels).fscore
                )
                values[method.key] = best.value
    return values


def row(method: Baseline, value: float | None, found: Measured, folder: Path) -> dict[str, Any]:
    """What became of a method on the faces of a folder."""
    facts: dict[str, Any] = {"method": method.key, "title": method.title, "value": value}
    facts |= {"peak_memory_bytes": found.peak_memory_bytes, "limit": found.limit}
    for grouping in found.groupings:
        scores = clustering_scores(load_labels(folder / "people.npy"), grouping.labels)
        facts |= {
            "seconds_grouping": sum(
                seconds for stage, seconds in grouping.seconds.items() if stage != NEIGHBORS
            ),
            "seconds": dict(grouping.seconds),
            "bcubed": scores.bcubed.fscore,
            "pairwise": scores.pairwise.fscore,
        }
    return facts


def of_facelink(report: dict[str, Any]) -> dict[str, Any]:
    """What the run took: everything but the neighbours is grouping."""
    return {
        "method": "facelink",
        "title": "facelink run",
        "value": None,
        "peak_memory_bytes": report["peak_memory_bytes"],
        "limit": None,
        "seconds_grouping": report["seconds"] - report["seconds_for_neighbors"],
        "bcubed": report["scores"]["bcubed"]["fscore"],
        "pairwise": report["scores"]["pairwise"]["fscore"],
    }


def table(sizes: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [
        "| faces | method | parameter | grouping | peak memory | BCubed F | pairwise F |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for size in sizes:
        for one in size["methods"]:
            value = "–" if one["value"] is None else f"{one['value']:g}"
            cells = [f"{size['n_faces']:,}", one["title"], value]
            if "bcubed" in one:
                cells += [
                    f"{one['seconds_grouping']:.0f} s",
                    f"{one['peak_memory_bytes'] / 2**30:.1f} GiB",
                    *(f"{100 * one[name]:.2f}" for name in ("bcubed", "pairwise")),
                ]
            else:
                cells += [str(one["limit"]), "–", "–", "–"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(args: Sequence[str] | None = None) -> None:
    """Print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of benchmarks.large")
    parser.add_argument("--faces", type=int, nargs="+", default=[50_000, 150_000, 584_000])
    parser.add_argument("--methods", nargs="+", default=METHODS, help="keys of facelink benchmark")
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1, help="of the faces to choose parameters by")
    parser.add_argument("--seconds", type=float, default=600.0, help="that a method has")
    parser.add_argument("--memory", type=int, default=20, help="address space of each, GiB")
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    options = parser.parse_args(args)
    methods = [one for one in BASELINES if one.key in options.methods]
    n_bytes = options.memory << 30
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))  # of every process begun from here
    values = chosen_values(methods, options.features, options.seed, options.seconds)
    sizes = []
    for n_faces in sorted(options.faces):
        folder = options.work / str(n_faces)
        report = report_of(folder)
        inputs, rows = inputs_of(folder, report), [of_facelink(report)]
        for method in methods:
            value = values.get(method.key)
            if value is None:
                found = Measured((), limit="grouped none of the faces to choose its parameter by")
            else:
                found = measure(method, inputs, time_limit=options.seconds, values=[value])
            rows.append(row(method, value, found, folder))
            print(table([{"n_faces": n_faces, "methods": rows[-1:]}])[-1], flush=True)
        sizes.append({"n_faces": n_faces, "methods": rows})
    print("\n".join(table(sizes)))
    if options.out is not None:
        record = described(
            "large_peers",
            n_features=options.features,
            seconds_limit=options.seconds,
            memory_limit_bytes=n_bytes,
            sizes=sizes,
        )
        write_json(options.out, record)


if __name__ == "__main__":
    main()
