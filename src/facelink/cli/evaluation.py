"""Commands that measure: `evaluate` and `upper-bound`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facelink.cli import options
from facelink.cli.output import percent, print_json, print_table
from facelink.features import load_features
from facelink.labels import check_labels, load_labels
from facelink.metrics import clustering_scores
from facelink.neighbors.search import find_neighbors
from facelink.upper_bound import upper_bound_by_k


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
    check_labels(predicted, len(true), str(labels_pred))
    scores = clustering_scores(true, predicted)
    if json:
        print_json(scores.as_dict())
        return
    extra = scores.without_singletons
    columns = [("all faces", scores)]
    if extra is not None:
        columns.append(("without predicted singletons", extra))
    rows = [
        *(
            (f"{name} {part}", *(percent(getattr(getattr(c, family), part)) for _, c in columns))
            for name, family in (("pairwise", "pairwise"), ("BCubed", "bcubed"))
            for part in ("precision", "recall", "fscore")
        ),
        *(
            (name, *(percent(getattr(c, field)) for _, c in columns))
            for name, field in (
                ("NMI (arithmetic)", "nmi_arithmetic"),
                ("NMI (geometric)", "nmi_geometric"),
                ("ARI", "ari"),
            )
        ),
        *(
            (name, *(f"{getattr(c, field):,}" for _, c in columns))
            for name, field in (
                ("faces", "n_instances"),
                ("people", "n_identities"),
                ("clusters", "n_clusters"),
                ("singletons", "n_singletons"),
            )
        ),
    ]
    print_table(("score (%)", *(name for name, _ in columns)), rows)


def upper_bound(
    features: options.Features,
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="The person of each face.")],
    k: Annotated[
        list[int], typer.Option("--k", metavar="K …", help="Numbers of neighbours to compare.")
    ] = [5, 10, 20, 40, 80, 160],  # noqa: B006
    method: options.Method = "auto",
    dim: options.Dim = None,
    json: options.Json = False,
) -> None:
    """Show what perfect link prediction could reach with k neighbours (the paper's Table 1).

    Example: facelink upper-bound features.npy people.npy --k 5 10 20 40 80
    """
    true = load_labels(labels)
    X = load_features(features, dim=dim, n_instances=len(true) if dim is None else None)
    check_labels(true, len(X), str(labels))
    bounds = upper_bound_by_k(find_neighbors(X, max(k), method), true, k)
    if json:
        print_json([asdict(bound) for bound in bounds])
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
