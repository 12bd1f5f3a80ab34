"""Commands from features to people, all at once (`cluster`) or stage by stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from facelink.cli import options
from facelink.cli.output import note, note_facts, print_facts, progress_bar
from facelink.clustering import LinkageClustering, default_threshold, subgraph_settings
from facelink.features import load_features
from facelink.files import check_writable
from facelink.labels import check_labels_path, save_labels
from facelink.link_prediction import Progress, predict_links
from facelink.links import Links
from facelink.merging.confidence import membership_confidence
from facelink.merging.merge import merge_links
from facelink.merging.result import MergeResult
from facelink.models.device import choose_device
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.files import check_graph_path, load_graph, save_graph
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors

_N_NEIGHBORS = 80
"""Neighbours that `facelink neighbors` finds by default: what the paper's k1 of 80 needs."""

LabelsOut = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="LABELS",
        help="Where to write one label per face: .npy, .npz, .csv, .parquet, .meta or .txt. "
        "Without it the labels go to stdout.",
    ),
]


def cluster(
    features: options.Features,
    model: options.OptionalModel = None,
    out: LabelsOut = None,
    dim: options.Dim = None,
    neighbors: options.Neighbors = None,
    method: options.Method = "auto",
    k_at_hop: options.KAtHop = None,
    edge_neighbors: options.EdgeNeighbors = None,
    combine: options.Combine = "mean",
    merge: options.Merge = "bfs",
    threshold: options.Threshold = None,
    threshold_step: options.ThresholdStep = 0.05,
    max_cluster_size: options.MaxClusterSize = 300,
    links_out: Annotated[
        Path | None,
        typer.Option("--links-out", metavar="LINKS", help="Where to write the judged links."),
    ] = None,
    device: options.Device = "auto",
    precision: options.LinkPrecision = "auto",
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Group faces by person: features in, one label per face out.

    Example: facelink cluster features.npy --model my-model --out people.csv
    """
    _check_outputs(out, links_out)
    chosen_device = choose_device(device)
    loaded_model = None if model is None else LinkGCN.from_pretrained(model, chosen_device)
    if loaded_model is None:
        note("no --model: links are judged by cosine similarity alone")
    X = load_features(features, dim=dim)
    clustering = LinkageClustering(
        loaded_model,
        k_at_hop=None if k_at_hop is None else tuple(k_at_hop),
        n_edge_neighbors=edge_neighbors,
        neighbor_method=method,
        combine=combine,
        merge=merge,
        threshold=default_threshold(loaded_model) if threshold is None else threshold,
        threshold_step=threshold_step,
        max_cluster_size=max_cluster_size,
        device=device,
        precision=precision,
        random_state=seed,
    )
    graph = None if neighbors is None else load_graph(neighbors, X)
    started = time.perf_counter()
    with _judging(len(X), shown=loaded_model is not None) as progress:
        clustering.fit(X, neighbor_graph=graph, progress=progress)
    seconds = time.perf_counter() - started
    if links_out is not None:
        clustering.links_.save(links_out)
    facts = {
        **_graph_facts(clustering.neighbor_graph_),
        **_merge_facts(clustering.links_, clustering.merge_result_),
        "threshold": clustering.threshold,
        "mean_confidence": float(np.mean(clustering.probabilities_)),
        "seconds": round(seconds, 3),
    }
    _finish(clustering.labels_, out, facts, as_json=json)


def neighbors(
    features: options.Features,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="GRAPH", help="Where to write the neighbour graph: .safetensors."
        ),
    ],
    k: Annotated[
        int | None,
        typer.Option(
            "--k",
            metavar="K",
            help="Neighbours of each face. [default: 80, or all others if they are fewer]",
        ),
    ] = None,
    method: options.Method = "auto",
    recall: Annotated[
        float,
        typer.Option("--recall", metavar="R", help="Recall that ivf should reach on a sample."),
    ] = 0.95,
    dim: options.Dim = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Find each face's nearest neighbours and keep them in a file.

    Example: facelink neighbors features.npy --out graph.safetensors --k 80
    """
    check_graph_path(out)
    X = load_features(features, dim=dim)
    n_neighbors = min(_N_NEIGHBORS, len(X) - 1) if k is None else k
    started = time.perf_counter()
    graph = find_neighbors(X, n_neighbors, method, recall_target=recall, seed=seed)
    seconds = time.perf_counter() - started
    save_graph(out, graph)
    facts = {**_graph_facts(graph), "seconds": round(seconds, 3), "out": str(out)}
    print_facts(facts, as_json=json)


def links(
    features: options.Features,
    model: options.Model,
    out: Annotated[
        Path, typer.Option("--out", metavar="LINKS", help="Where to write the judged links.")
    ],
    dim: options.Dim = None,
    neighbors: options.Neighbors = None,
    method: options.Method = "auto",
    k_at_hop: options.KAtHop = None,
    edge_neighbors: options.EdgeNeighbors = None,
    combine: options.Combine = "mean",
    device: options.Device = "auto",
    precision: options.LinkPrecision = "auto",
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Judge each face's links with its nearest neighbours and keep them in a file.

    Example: facelink links features.npy --model my-model --out links.safetensors
    """
    check_writable(out)
    loaded_model = LinkGCN.from_pretrained(model, choose_device(device))
    X = load_features(features, dim=dim)
    loaded_model.check_features(X)
    settings = subgraph_settings(
        loaded_model, len(X), None if k_at_hop is None else tuple(k_at_hop), edge_neighbors
    )
    if neighbors is None:
        graph = find_neighbors(X, settings.n_neighbors, method, seed=seed)
    else:
        graph = load_graph(neighbors, X)
    started = time.perf_counter()
    with _judging(len(X), shown=True) as progress:
        judged = predict_links(
            loaded_model,
            X,
            graph,
            settings,
            combine=combine,
            precision=precision,
            progress=progress,
        )
    seconds = time.perf_counter() - started
    judged.save(out)
    facts = {
        **_graph_facts(graph),
        "n_links": len(judged),
        "n_one_sided": int(judged.one_sided.sum()),
        "threshold": default_threshold(loaded_model),
        "seconds": round(seconds, 3),
        "out": str(out),
    }
    print_facts(facts, as_json=json)


def merge(
    links_file: Annotated[
        Path, typer.Argument(metavar="LINKS", help="Links written by facelink links.")
    ],
    out: LabelsOut = None,
    merge: options.Merge = "bfs",
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            metavar="T",
            help="Link likelihood at which merging starts, 0 to 1; facelink links and cluster "
            "print the one that suits their links.",
        ),
    ] = 0.5,
    threshold_step: options.ThresholdStep = 0.05,
    max_cluster_size: options.MaxClusterSize = 300,
    json: options.Json = False,
) -> None:
    """Merge judged links into people.

    Example: facelink merge links.safetensors --out people.csv
    """
    _check_outputs(out)
    judged = Links.load(links_file)
    started = time.perf_counter()
    merged = merge_links(
        judged,
        merge,
        initial_threshold=threshold,
        threshold_step=threshold_step,
        max_cluster_size=max_cluster_size,
    )
    seconds = time.perf_counter() - started
    confidence = membership_confidence(judged, merged.labels)
    facts = {
        "n_faces": judged.n_instances,
        **_merge_facts(judged, merged),
        "threshold": threshold,
        "mean_confidence": float(np.mean(confidence)),
        "seconds": round(seconds, 3),
    }
    _finish(merged.labels, out, facts, as_json=json)


@contextmanager
def _judging(n_pivots: int, *, shown: bool) -> Iterator[Progress | None]:
    if not shown:
        yield None
        return
    with progress_bar("judging links", n_pivots, "faces") as advance:
        yield advance


def _check_outputs(labels_out: Path | None, links_out: Path | None = None) -> None:
    if labels_out is not None:
        check_labels_path(labels_out)
    if links_out is not None:
        check_writable(links_out)


def _graph_facts(graph: NeighborGraph) -> dict[str, Any]:
    return {
        "n_faces": graph.n_instances,
        "n_neighbors": graph.n_neighbors,
        "neighbor_method": graph.method,
        "neighbor_recall": graph.recall,
    }


def _merge_facts(judged: Links, merged: MergeResult) -> dict[str, Any]:
    sizes = np.bincount(merged.labels)
    uncuttable = [cluster.size for cluster in merged.uncuttable]
    return {
        "n_links": len(judged),
        "n_clusters": len(sizes),
        "n_singletons": int((sizes == 1).sum()),
        "largest_cluster": int(sizes.max(initial=0)),
        "above_the_size_cap": uncuttable or None,
    }


def _finish(
    labels: NDArray[np.int64], out: Path | None, facts: dict[str, Any], *, as_json: bool
) -> None:
    """Write the labels to their file and the facts to stdout, or the labels there instead."""
    if out is not None:
        save_labels(out, labels)
        print_facts({**facts, "out": str(out)}, as_json=as_json)
    elif as_json:
        print_facts({**facts, "labels": labels.tolist()}, as_json=True)
    else:
        note_facts(facts)
        typer.echo("\n".join(map(str, labels.tolist())))
