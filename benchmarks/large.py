"""`facelink run` on ever more made-up faces: seconds, memory and scores by stage, and their growth.

    python -m benchmarks.large [--faces 50000 150000 584000] --work DIR [--recall R]
        [--model context|link-gcn] [--out RECORD]

The faces have the sizes of MS1M's people: about 65 a person, few alone, at most 400. Each size
is made up, and grouped, in a process of its own; a run that was cut goes on. Compiling is done on a
small collection first. A LinkGCN is trained on other made-up people; in a folder where the faces
were grouped with the context model before, it finds their neighbours. Prints Markdown tables.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import described
from facelink.files import write_json
from facelink.synthetic import SyntheticFaces, SyntheticSettings, make_faces

LINK_GCN = "link-gcn"
_TRAINING = ("--epochs", "1", "--k-at-hop", "80", "5", "--edge-neighbors", "5")
_WARM_UP_FACES = 2_000
_TRAINING_FACES = 6_000
"""Faces that a LinkGCN is trained on, of the next seed."""

_COMMAND = (sys.executable, "-c", "from facelink.cli import main; main()")

_LEAST_SECONDS = 0.1
"""Shorter times say nothing of growth."""

_SUSPICIOUS_POWER = 1.3
"""Growth between two sizes above this power of N is marked."""


def made_up(n_faces: int, n_features: int, seed: int) -> SyntheticFaces:
    """Faces of people as large as MS1M's."""
    return make_faces(
        SyntheticSettings(
            n_faces=n_faces,
            n_features=n_features,
            singleton_share=0.02,
            size_exponent=1.05,
            max_faces_per_person=400,
        ),
        seed=seed,
    )


def keep(folder: Path, n_faces: int, n_features: int, seed: int) -> None:
    """Make faces up and write them into a folder, unless they are there."""
    if (folder / "people.npy").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    faces = made_up(n_faces, n_features, seed)
    np.save(folder / "features.npy", faces.features)
    np.save(folder / "people.npy", faces.labels)


def grouped(folder: Path, n_faces: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run both steps, each in a process of its own; returns what the run reports."""
    values = (str(folder), str(n_faces), str(options.features), str(options.seed))
    this = [sys.executable, "-m", "benchmarks.large", "--keep"]
    subprocess.run([*this, *values], check=True)
    settings = ["--method", "ivf", "--recall", str(options.recall)]
    if options.model == LINK_GCN:
        settings += ["--model", str(trained(options))]
    files = [str(folder / "features.npy"), "--labels-true", str(folder / "people.npy")]
    work = ["--work", str(folder / "run")]
    subprocess.run(
        [*_COMMAND, "run", *files, *work, *settings], check=True, stdout=subprocess.DEVNULL
    )
    report: dict[str, Any] = json.loads((folder / "run" / "report.json").read_text())
    return report


def trained(options: argparse.Namespace) -> Path:
    """Train a LinkGCN on other people for a pass over its faces, unless it is there."""
    folder: Path = options.work / LINK_GCN
    model = folder / "model"
    if not (model / "config.json").exists():
        keep(folder, _TRAINING_FACES, options.features, options.seed + 1)
        files = [str(folder / name) for name in ("features.npy", "people.npy")]
        command = [*_COMMAND, "train", *files, "--out", str(model), *_TRAINING]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return model


def tables(reports: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of two tables: what each size took, and by which power of N it grew."""
    stages = [stage["stage"] for stage in reports[0]["stages"]]
    lines = [
        f"| faces | {' | '.join(stages)} | in all | peak memory | without mapped files "
        "| recall | links | BCubed F | pairwise F |",
        "|---:" * (8 + len(stages)) + "|",
    ]
    for one in reports:
        scores = one["scores"]
        cells = [
            f"{one['n_faces']:,}",
            *(f"{stage['seconds_in_all']:.1f} s" for stage in one["stages"]),
            f"{one['seconds']:.0f} s",
            *(f"{one[name] / 2**30:.1f} GiB" for name in _MEMORY),
            f"{one['neighbor_recall']:.4f}",
            f"{one['n_links'] / 1e6:.1f} M",
            *(f"{100 * scores[name]['fscore']:.2f}" for name in ("bcubed", "pairwise")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *(_growth(*two) for two in pairwise(reports))]


_MEMORY = ("peak_memory_bytes", "peak_own_memory_bytes")


def _growth(before: dict[str, Any], after: dict[str, Any]) -> str:
    """By which power of the number of faces the time and the memory grew."""
    times = {"in all": (before["seconds"], after["seconds"])}
    for old, new in zip(before["stages"], after["stages"], strict=True):
        times[new["stage"]] = old["seconds_in_all"], new["seconds_in_all"]
    ratio = math.log(after["n_faces"] / before["n_faces"])
    powers = {
        name: math.log(new / old) / ratio
        for name, (old, new) in times.items()
        if min(old, new) >= _LEAST_SECONDS
    }
    told = (
        f"{name} N^{power:.2f}{' (!)' if power > _SUSPICIOUS_POWER else ''}"
        for name, power in powers.items()
    )
    return f"from {before['n_faces']:,} to {after['n_faces']:,}: {', '.join(told)}"


def main(args: Sequence[str] | None = None) -> None:
    """Print the tables and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, nargs="+", default=[50_000, 150_000, 584_000])
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--model", choices=("context", LINK_GCN), default="context")
    parser.add_argument("--recall", type=float, default=0.98)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder for faces and runs; kept")
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    parser.add_argument("--keep", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.keep is not None:
        folder, *numbers = options.keep
        keep(Path(folder), *(int(number) for number in numbers))
        return
    if options.work is None:
        parser.error("--work is missing: a folder for the faces and the runs")
    grouped(options.work / "compiling", _WARM_UP_FACES, options)
    reports = [grouped(options.work / str(n), n, options) for n in sorted(options.faces)]
    print("\n".join(tables(reports)))
    if options.out is not None:
        record = described(
            "large",
            n_features=options.features,
            recall_target=options.recall,
            model=options.model,
            seed=options.seed,
            runs=reports,
        )
        write_json(options.out, record)


if __name__ == "__main__":
    main()
