"""Seconds of each stage of the default path on a file of features.

    python -m benchmarks.default_path FEATURES

Every stage runs once to compile and once to be timed. Prints a Markdown table.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.records import readable_seconds
from facelink.context.features import ContextFeatures
from facelink.context.impostors import ImpostorStatistics
from facelink.context_prediction import predict_context_likelihoods
from facelink.features import load_features
from facelink.link_prediction import combine_directions
from facelink.merging.likelihood import merge_by_likelihood
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.search import find_neighbors

_K = 80
_PIVOTS_PER_BATCH = 400

Outcome = TypeVar("Outcome")


def timed(stage: str, n_faces: int, run: Callable[[], Outcome]) -> Outcome:
    """Print a stage's line and return what it made."""
    run()
    start = time.perf_counter()
    outcome = run()
    seconds = time.perf_counter() - start
    print(
        f"| {stage} | {seconds:.2f} s | {readable_seconds(seconds / n_faces)} per face |",
        flush=True,
    )
    return outcome


def main(args: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("features", type=Path)
    features = load_features(parser.parse_args(args).features)
    n, model = len(features), ContextGCN.pretrained()
    print("| stage | seconds | |\n|---|---|---|")
    graph = timed("neighbours", n, lambda: find_neighbors(features, min(_K, n - 1)))
    k = graph.n_neighbors

    def context_features_alone() -> None:
        context = ContextFeatures(graph, k, ImpostorStatistics.of(features))
        for start in range(0, n, _PIVOTS_PER_BATCH):
            context.of(np.arange(start, min(n, start + _PIVOTS_PER_BATCH)))

    timed("context features alone", n, context_features_alone)
    judged = timed(
        "context features and network",
        n,
        lambda: predict_context_likelihoods(model, features, graph, k),
    )
    links = combine_directions(graph, judged)
    timed(f"merging {len(links):,} links", n, lambda: merge_by_likelihood(links))


if __name__ == "__main__":
    main()
