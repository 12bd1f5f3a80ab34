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
from facelink.cli.output import note_facts, print_facts, progress_bar
from facelink.clustering import LinkageClustering
from facelink.features import load_features
from facelink.files import check_writable
from facelink.grouping import cluster_confidence
from facelink.labels import check_labels_path, save_labels
from facelink.link_prediction import Progress
from facelink.linking import default_threshold, judge_links, subgraph_settings
from facelink.links import Links
from facelink.merging.likelihood import LikelihoodMergeResult
from facelink.merging.merge import AnyMergeResult, MergeChoice, MergeMethod, merge_links
from facelink.merging.result import MergeResult
from facelink.models.context_gcn import ContextGCN
from facelink.models.device import choose_device
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import CONTEXT, COSINE, LinkModel, load_link_model
from facelink.neighbors.files import check_graph_path, load_graph, save_graph
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.pairs import load_pairs

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
    model: options.Model = CONTEXT,
    out: LabelsOut = None,
    dim: options.Dim = None,
    neighbors: options.Neighbors = None,
    method: options.Method = "auto",
    k_at_hop: options.KAtHop = None,
    edge_neighbors: options.EdgeNeighbors = None,
    combine: options.Combine = "mean",
    merge: options.Merge = "auto",
    threshold: options.Threshold = None,
    threshold_step: options.ThresholdStep = 0.05,
    max_cluster_size: options.MaxClusterSize = 300,
    must_link: options.MustLink = None,
    cannot_link: options.CannotLink = None,
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

    Needs no training, no threshold and no number of people.

    Example: facelink cluster features.npy --out people.csv
    """
    _check_outputs(out, links_out)
    loaded_model = load_link_model(model, choose_device(device))
    X = load_features(features, dim=dim)
    clustering = LinkageClustering(
        COSINE if loaded_model is None else loaded_model,
        k_at_hop=None if k_at_hop is None else tuple(k_at_hop),
        n_edge_neighbors=edge_neighbors,
        neighbor_method=method,
        combine=combine,
        merge=merge,
        threshold=threshold,
        threshold_step=threshold_step,
        max_cluster_size=max_cluster_size,
        must_link=None if must_link is None else load_pairs(must_link),
        cannot_link=None if cannot_link is None else load_pairs(cannot_link),
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
        **_threshold_facts(clustering, loaded_model),
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
        typer.Option(
            "--recall", metavar="R", help="Recall that ivf or hnsw should reach on a sample."
        ),
    ] = 0.98,
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
    out: Annotated[
        Path, typer.Option("--out", metavar="LINKS", help="Where to write the judged links.")
    ],
    model: options.Model = CONTEXT,
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

    Example: facelink links features.npy --out links.safetensors
    """
    check_writable(out)
    chosen = choose_device(device)
    loaded_model = load_link_model(model, chosen)
    X = load_features(features, dim=dim)
    if isinstance(loaded_model, LinkGCN):
        loaded_model.check_features(X)
    settings = subgraph_settings(
        loaded_model, len(X), None if k_at_hop is None else tuple(k_at_hop), edge_neighbors
    )
    if neighbors is None:
        graph = find_neighbors(X, settings.n_neighbors, method, seed=seed, device=chosen)
    else:
        graph = load_graph(neighbors, X)
    started = time.perf_counter()
    with _judging(len(X), shown=loaded_model is not None) as progress:
        judged = judge_links(
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
        "threshold": None
        if isinstance(loaded_model, ContextGCN)
        else default_threshold(loaded_model),
        "seconds": round(seconds, 3),
        "out": str(out),
    }
    print_facts(facts, as_json=json)


def merge(
    links_file: Annotated[
        Path, typer.Argument(metavar="LINKS", help="Links written by facelink links.")
    ],
    out: LabelsOut = None,
    merge: Annotated[
        MergeChoice,
        typer.Option(
            "--merge",
            help="likelihood needs no threshold and suits links of the context model; bfs cuts "
            "components above the largest size at rising thresholds; threshold takes plain "
            "components. auto is bfs where a threshold is given and likelihood otherwise.",
        ),
    ] = "auto",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="T",
            help="Link likelihood at which merging starts, 0 to 1; facelink links prints the one "
            "that suits its links. [default: 0.5; none when merging by likelihood]",
        ),
    ] = None,
    threshold_step: options.ThresholdStep = 0.05,
    max_cluster_size: options.MaxClusterSize = 300,
    must_link: options.MustLink = None,
    cannot_link: options.CannotLink = None,
    json: options.Json = False,
) -> None:
    """Merge judged links into people.

    Example: facelink merge links.safetensors --out people.csv
    """
    _check_outputs(out)
    judged = Links.load(links_file)
    started = time.perf_counter()
    method: MergeMethod = "bfs" if threshold is not None else "likelihood"
    if merge != "auto":
        method = merge
    chosen_threshold = 0.5 if threshold is None else threshold
    merged = merge_links(
        judged,
        method,
        initial_threshold=chosen_threshold,
        threshold_step=threshold_step,
        max_cluster_size=max_cluster_size,
        must_link=None if must_link is None else load_pairs(must_link),
        cannot_link=None if cannot_link is None else load_pairs(cannot_link),
    )
    seconds = time.perf_counter() - started
    confidence = cluster_confidence(judged, merged)
    facts = {
        "n_faces": judged.n_instances,
        **_merge_facts(judged, merged),
        "threshold": None if method == "likelihood" else chosen_threshold,
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


def _threshold_facts(clustering: LinkageClustering, model: LinkModel | None) -> dict[str, Any]:
    if isinstance(clustering.merge_result_, LikelihoodMergeResult):
        return {"threshold": None}
    chosen = clustering.threshold
    return {"threshold": default_threshold(model) if chosen is None else chosen}


def _merge_facts(judged: Links, merged: AnyMergeResult) -> dict[str, Any]:
    sizes = np.bincount(merged.labels)
    uncuttable: list[int] = []
    if isinstance(merged, MergeResult):
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
