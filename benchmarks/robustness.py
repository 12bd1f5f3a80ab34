"""The default path on collections that are changed: strangers, fewer faces, other embedders.

    python -m benchmarks.robustness --test FEATURES LABELS --strangers FEATURES LABELS

The faces of some people of the test set are grouped alone, among 1, 3 and 10 times as
many strangers (one face each of people of the other set), and again after half of all
faces are gone; then the whole test set as made-up further embedders would describe it.
Scores are those of the people's own faces. Beside them stands the best that any cosine
threshold could reach, chosen on the test labels themselves. Prints a Markdown table.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.clustering import LinkageClustering
from facelink.features import load_features, normalize_features
from facelink.labels import check_labels, load_labels
from facelink.link_prediction import similarity_links
from facelink.merging.threshold import merge_threshold
from facelink.metrics import bcubed_scores, pairwise_scores

STRANGERS = (1, 3, 10)
_N_FACES = 500
_MEAN_LENGTH = 0.9
_QUANTILES = np.linspace(0.3, 0.995, 40)

_HEADER = (
    "| collection | faces | BCubed F | pairwise F "
    "| best cosine threshold: BCubed F | pairwise F |\n" + "|---" * 6 + "|"
)

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


def load(features: Path, labels: Path) -> tuple[Features, Labels]:
    """Read features and people."""
    people = load_labels(labels)
    rows = load_features(features, n_instances=len(people))
    check_labels(people, len(rows), str(labels))
    return rows, people


def some_people(labels: Labels, n_faces: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Faces of random whole people, about `n_faces` of them."""
    people, sizes = np.unique(labels, return_counts=True)
    order = random.permutation(len(people))
    n_people = int(np.searchsorted(np.cumsum(sizes[order]), n_faces)) + 1
    return np.flatnonzero(np.isin(labels, people[order[:n_people]]))


def one_each(labels: Labels, random: np.random.Generator) -> NDArray[np.int64]:
    """One random face of each person, in random order."""
    order = random.permutation(len(labels))
    _, first = np.unique(labels[order], return_index=True)
    return random.permutation(order[first])


def uncentred(features: Features, random: np.random.Generator) -> Features:
    """Add one vector to all rows, so that their mean is nearly as long as they are."""
    direction = random.standard_normal(features.shape[1])
    direction *= _MEAN_LENGTH / np.sqrt(1 - _MEAN_LENGTH**2) / np.linalg.norm(direction)
    return normalize_features(features + direction)


def steeper_spectrum(features: Features) -> Features:
    """Scale the n-th principal component by 1/√n: an embedder of fewer effective dimensions."""
    mean = features.mean(axis=0)
    left, values, right = np.linalg.svd(features - mean, full_matrices=False)
    return normalize_features((left * (values / np.sqrt(1 + np.arange(len(values))))) @ right)


def flipped_share(before: Labels, after: Labels) -> float:
    """Share of the pairs of faces together in one result that are not in the other."""
    same_in_both = pairwise_scores(before, after)
    return 1 - 1 / (1 / same_in_both.precision + 1 / same_in_both.recall - 1)


def row(name: str, features: Features, people: Labels, n_own: int) -> tuple[str, Labels]:
    """One line of the table, and the labels found for the first `n_own` faces."""
    clustering = LinkageClustering().fit(features)
    found = clustering.labels_[:n_own]
    truth = people[:n_own]
    links = similarity_links(clustering.neighbor_graph_, clustering.neighbor_graph_.n_neighbors)
    thresholds = np.quantile(links.likelihoods, _QUANTILES)
    by_cosine = [merge_threshold(links, float(at)).labels[:n_own] for at in thresholds]
    scores = (
        bcubed_scores(truth, found).fscore,
        pairwise_scores(truth, found).fscore,
        max(bcubed_scores(truth, each).fscore for each in by_cosine),
        max(pairwise_scores(truth, each).fscore for each in by_cosine),
    )
    cells = (name, f"{len(features):,}", *(f"{100 * score:.2f}" for score in scores))
    return f"| {' | '.join(cells)} |", found


def main(args: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test", nargs=2, type=Path, required=True)
    parser.add_argument("--strangers", nargs=2, type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(args)
    random = np.random.default_rng(options.seed)
    features, people = load(*options.test)
    others, other_people = load(*options.strangers)
    strangers = one_each(other_people, random)
    own = some_people(people, _N_FACES, random)
    print(_HEADER)
    print(row("some people", features[own], people[own], len(own))[0], flush=True)
    for times in STRANGERS:
        added = strangers[: times * len(own)]
        together = np.concatenate((features[own], others[added]))
        labels = np.concatenate((people[own], people.max() + 1 + np.arange(len(added))))
        print(row(f"among {len(added):,} strangers", together, labels, len(own))[0], flush=True)
    kept = np.sort(random.permutation(len(people))[: len(people) // 2])
    line, whole = row("all people", features, people, len(people))
    print(line, flush=True)
    line, half = row("half of the faces", features[kept], people[kept], len(kept))
    print(line, flush=True)
    steeper = steeper_spectrum(features)
    for name, changed in (
        ("uncentred", uncentred(features, random)),
        ("steeper spectrum", steeper),
        ("steeper and uncentred", uncentred(steeper, random)),
        ("half of the dimensions", normalize_features(features[:, ::2])),
    ):
        print(row(name, changed, people, len(people))[0], flush=True)
    share = flipped_share(whole[kept], half)
    print(f"\nWithout half of the faces, {100 * share:.2f} % of the pairs together change.")


if __name__ == "__main__":
    main()
