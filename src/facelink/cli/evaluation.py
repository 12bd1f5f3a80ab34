"""Commands that measure: `evaluate` and `upper-bound`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from facelink.cli import options
from facelink.cli.output import percent, print_json, print_table
from facelink.labels import check_labels, load_labels
from facelink.metrics import ClusteringScores, clustering_scores
from facelink.neighbors.search import find_neighbors
from facelink.training.face_sets import FaceSet
from facelink.upper_bound import default_ks, upper_bound_by_k

SCORES: dict[str, Callable[[ClusteringScores], str]] = {
    "pairwise precision": lambda scores: percent(scores.pairwise.precision),
    "pairwise recall": lambda scores: percent(scores.pairwise.recall),
    "pairwise F": lambda scores: percent(scores.pairwise.fscore),
    "BCubed precision": lambda scores: percent(scores.bcubed.precision),
    "BCubed recall": lambda scores: percent(scores.bcubed.recall),
    "BCubed F": lambda scores: percent(scores.bcubed.fscore),
    "NMI (arithmetic)": lambda scores: percent(scores.nmi_arithmetic),
    "NMI (geometric)": lambda scores: percent(scores.nmi_geometric),
    "ARI": lambda scores: percent(scores.ari),
    "number of faces": lambda scores: f"{scores.n_instances:,}",
    "number of people": lambda scores: f"{scores.n_identities:,}",
    "number of clusters": lambda scores: f"{scores.n_clusters:,}",
    "number of singletons": lambda scores: f"{scores.n_singletons:,}",
}
"""Name of each row of a table of scores, and what stands in it."""


def evaluate(
    labels_true: Annotated[
        Path, typer.Argument(metavar="LABELS_TRUE", help="The person of each face.")
    ],
    labels_pred: Annotated[
        Path, typer.Argument(metavar="LABELS_PRED", help="The labels to judge.")
    ],
    json: options.Json = False,
) -> None:
    """Compare a grouping with the true people: pairwise, BCubed, NMI and ARI.

    Example: facelink evaluate people.npy labels.npy
    """
    true, predicted = load_labels(labels_true), load_labels(labels_pred)
    check_labels(predicted, len(true), f"labels {labels_pred}")
    scores = clustering_scores(true, predicted)
    if json:
        print_json(scores.as_dict())
        return
    columns = {"all faces": scores}
    if scores.without_singletons is not None:
        columns["without predicted singletons"] = scores.without_singletons
    rows = [(name, *map(shown, columns.values())) for name, shown in SCORES.items()]
    print_table(("score (%)", *columns), rows)


def upper_bound(
    features: options.Features,
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="The person of each face.")],
    k: Annotated[
        list[int] | None,
        typer.Option(
            "--k",
            metavar="K …",
            help="Numbers of neighbours to compare. [default: 5 10 20 40 80 160, as far as there "
            "are so many others]",
        ),
    ] = None,
    method: options.Method = "auto",
    dim: options.Dim = None,
    json: options.Json = False,
) -> None:
    """Show what perfect link prediction could reach with k neighbours (the paper's Table 1).

    Example: facelink upper-bound features.npy people.npy --k 5 10 20 40 80
    """
    faces = FaceSet.load(features, labels, dim=dim)
    ks = default_ks(len(faces)) if k is None else k
    graph = find_neighbors(faces.features, max(ks), method)
    bounds = upper_bound_by_k(graph, faces.labels, ks)
    if json:
        print_json([bound.as_dict() for bound in bounds])
        return
    rows = [
        (
            str(bound.k),
            percent(bound.scores.bcubed.fscore),
            percent(bound.scores.pairwise.fscore),
            percent(bound.scores.nmi_arithmetic),
            f"{bound.scores.n_clusters:,}",
        )
        for bound in bounds
    ]
    print_table(("k", "BCubed F", "pairwise F", "NMI", "clusters"), rows)
