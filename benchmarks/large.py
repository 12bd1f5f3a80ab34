"""The default path on hundreds of thousands of made-up faces: seconds, memory and scores by stage.

    python -m benchmarks.large [--faces 584000] [--features 256] [--out RECORD]

The faces have the sizes of MS1M's people: about 65 a person, few alone, at most 400.
Compiling is done on a small collection before the clock runs. Prints a Markdown table.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from facelink.benchmark.machine import machine, peak_memory_bytes, versions
from facelink.context_prediction import predict_context_likelihoods
from facelink.files import write_json
from facelink.link_prediction import combine_directions
from facelink.links import Links
from facelink.merging.likelihood import merge_by_likelihood
from facelink.metrics import clustering_scores
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.search import AUTO_EXACT_LIMIT, find_neighbors
from facelink.synthetic import SyntheticFaces, SyntheticSettings, make_faces

_K = 80
_WARM_UP_FACES = 2_000

Outcome = TypeVar("Outcome")


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


class Stages:
    """Runs stages and remembers what they took."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def run(self, stage: str, work: Callable[[], Outcome]) -> Outcome:
        """Print the stage's line and return what it made."""
        start = time.perf_counter()
        outcome = work()
        seconds = time.perf_counter() - start
        peak = peak_memory_bytes()
        self.rows.append({"stage": stage, "seconds": seconds, "peak_memory_bytes": peak})
        print(f"| {stage} | {seconds:.1f} s | {peak / 2**30:.2f} GiB |", flush=True)
        return outcome


def group(faces: SyntheticFaces, stages: Stages) -> dict[str, Any]:
    """Run the default path; returns scores and sizes."""
    features = faces.features
    k = min(_K, len(features) - 1)
    method = "ivf" if len(features) > AUTO_EXACT_LIMIT else "auto"
    graph = stages.run("neighbours", lambda: find_neighbors(features, k, method))

    def links() -> Links:
        model = ContextGCN.pretrained()
        return combine_directions(graph, predict_context_likelihoods(model, features, graph, k))

    judged = stages.run("links", links)
    merged = stages.run("merging", lambda: merge_by_likelihood(judged))
    return {
        "recall": graph.recall,
        "n_links": len(judged),
        "scores": clustering_scores(faces.labels, merged.labels).as_dict(),
    }


def main(args: Sequence[str] | None = None) -> None:
    """Print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=584_000)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    options = parser.parse_args(args)
    small = made_up(_WARM_UP_FACES, options.features, options.seed)
    find_neighbors(small.features, _K, "ivf")
    print("compiling: | stage | seconds | peak memory so far |\n|---|---|---|")
    group(small, Stages())
    faces = made_up(options.faces, options.features, options.seed)
    print(f"{options.faces:,} faces:")
    stages = Stages()
    found = group(faces, stages)
    total = sum(row["seconds"] for row in stages.rows)
    scores = found["scores"]
    print(
        f"in all {total:.0f} s; neighbours' recall {found['recall']}; {found['n_links']:,} links; "
        f"pairwise F {100 * scores['pairwise']['fscore']:.2f}, BCubed F "
        f"{100 * scores['bcubed']['fscore']:.2f}, {scores['n_clusters']:,} clusters for "
        f"{scores['n_identities']:,} people"
    )
    if options.out is not None:
        write_json(
            options.out,
            {
                "benchmark": "large",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": machine(),
                "versions": versions(),
                "n_faces": options.faces,
                "n_features": options.features,
                "seed": options.seed,
                "stages": stages.rows,
                **found,
            },
        )


if __name__ == "__main__":
    main()
