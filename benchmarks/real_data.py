"""Trained models and a cosine threshold on real faces that neither has seen.

    python -m benchmarks.real_data --tune FEATURES LABELS … --test FEATURES LABELS [MODEL …]

MODEL is the folder of a trained model, or ``context`` for the one that ships with
facelink. The cosine threshold is the one whose BCubed F over the faces of the
``--tune`` sets is best; a LinkGCN brings its own threshold from validation, and a
context model needs none. Nothing looks at the test labels but the scores. Prints a
Markdown table: plain components at the threshold, then the paper's merge with its cap
on cluster sizes, or the groups by likelihood; and the average precision of the judged
links.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from facelink.benchmark.scored import link_average_precision, percent
from facelink.features import load_features
from facelink.labels import check_labels, load_labels
from facelink.link_prediction import similarity_links
from facelink.linking import judge_links, subgraph_settings
from facelink.links import Links
from facelink.merging.merge import MergeMethod, merge_links
from facelink.metrics import ClusteringScores, clustering_scores
from facelink.models.device import Precision
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import load_link_model
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors

N_NEIGHBORS = 80
COSINES = np.round(np.arange(0.30, 0.81, 0.01), 2)

_HEADER = (
    "| links by | threshold | BCubed F | pairwise F | NMI | clusters "
    "| capped: BCubed F | capped: pairwise F | link AP |\n" + "|---" * 9 + "|"
)


@dataclass(frozen=True, eq=False)
class People:
    """Faces, their people and their neighbours."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    graph: NeighborGraph

    @classmethod
    def load(cls, features: Path, labels: Path) -> "People":
        """Read the two files and search the neighbours."""
        people = load_labels(labels)
        rows = load_features(features, n_instances=len(people))
        check_labels(people, len(rows), str(labels))
        return cls(rows, people, find_neighbors(rows, N_NEIGHBORS))

    def scores(self, links: Links, threshold: float, merge: MergeMethod) -> ClusteringScores:
        """Of merging these links from this likelihood on, with the default cap for ``"bfs"``."""
        merged = merge_links(links, merge, initial_threshold=threshold)
        return clustering_scores(self.labels, merged.labels)


def best_cosine(sets: Sequence[People]) -> float:
    """Threshold whose BCubed F over the faces of all sets is best."""
    links = [similarity_links(people.graph, N_NEIGHBORS) for people in sets]
    fscores = [
        sum(
            len(people.labels) * people.scores(link, (1 + cosine) / 2, "threshold").bcubed.fscore
            for people, link in zip(sets, links, strict=True)
        )
        for cosine in COSINES
    ]
    return float(COSINES[int(np.argmax(fscores))])


def row(name: str, shown: str, people: People, links: Links, threshold: float) -> str:
    """One line of the table."""
    plain = people.scores(links, threshold, "threshold")
    capped = people.scores(links, threshold, "bfs")
    shares = (plain.bcubed.fscore, plain.pairwise.fscore, plain.nmi_arithmetic)
    capped_shares = (capped.bcubed.fscore, capped.pairwise.fscore)
    cells = (
        name,
        shown,
        *map(percent, shares),
        f"{plain.n_clusters:,}",
        *map(percent, capped_shares),
        percent(link_average_precision(links, people.labels)),
    )
    return f"| {' | '.join(cells)} |"


def row_by_likelihood(name: str, people: People, links: Links) -> str:
    """One line of the table for links that are merged without a threshold."""
    merged = merge_links(links, "likelihood")
    scores = clustering_scores(people.labels, merged.labels)
    shares = (scores.bcubed.fscore, scores.pairwise.fscore, scores.nmi_arithmetic)
    cells = (
        name,
        "none",
        *map(percent, shares),
        f"{scores.n_clusters:,}",
        *("–", "–"),
        percent(link_average_precision(links, people.labels)),
    )
    return f"| {' | '.join(cells)} |"


def main(args: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tune", nargs="+", type=Path, required=True)
    parser.add_argument("--test", nargs=2, type=Path, required=True)
    parser.add_argument("--precision", choices=get_args(Precision), default="float32")
    parser.add_argument("models", nargs="*")
    options = parser.parse_args(args)
    if len(options.tune) % 2:
        parser.error("--tune takes features and labels in pairs")
    people = People.load(*options.test)
    print(_HEADER)
    for name in options.models:
        model = load_link_model(name)
        settings = subgraph_settings(model, len(people.labels))
        links = judge_links(
            model, people.features, people.graph, settings, precision=options.precision
        )
        if isinstance(model, LinkGCN):
            threshold = model.config.initial_threshold
            print(row(Path(name).name, f"{threshold}", people, links, threshold), flush=True)
        else:
            print(row_by_likelihood(Path(name).name, people, links), flush=True)
    pairs = zip(options.tune[::2], options.tune[1::2], strict=True)
    cosine = best_cosine([People.load(*pair) for pair in pairs])
    links = similarity_links(people.graph, N_NEIGHBORS)
    print(row("cosine", f"{cosine}", people, links, (1 + cosine) / 2))


if __name__ == "__main__":
    main()
