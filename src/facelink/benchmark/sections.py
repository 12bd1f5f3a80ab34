"""Sections of a report: methods and links of one collection."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from facelink.benchmark.ablation import TestBench
from facelink.benchmark.comparison_tables import method_table
from facelink.benchmark.document import Figure, Section, Table
from facelink.benchmark.link_curves import LinkCurve, link_curve
from facelink.benchmark.plots import (
    cluster_sizes,
    fscore_by_threshold,
    link_precision_recall,
    quality_by_time,
)
from facelink.benchmark.results import ComparisonRecord, MethodResult
from facelink.benchmark.scored import percent
from facelink.linking import default_threshold
from facelink.merging.merge import merge_links
from facelink.metrics import group_ids
from facelink.models.context_gcn import ContextGCN
from facelink.models.loading import LinkModel

_COSINE = "cosine"


def methods_section(record: ComparisonRecord, collection: str) -> Section:
    """Show every method, F against the cosine threshold, and quality against time."""
    results = [result for result in record.results if result.collection == collection]
    return Section(
        f"Methods: {collection}",
        "Each method twice where it has a parameter: with the value chosen on other people, and "
        "with the one that is best on the very labels it is then scored with (oracle), which no "
        "user could choose. Seconds and peak memory are of a process of its own.",
        (method_table(record, collection),),
        tuple(_method_figures(record, collection, results)),
    )


def _method_figures(
    record: ComparisonRecord, collection: str, results: list[MethodResult]
) -> list[Figure]:
    figures = []
    grids = {run.method: run for run in record.grids if run.collection == collection}
    if _COSINE in grids and grids[_COSINE].points:
        points = sorted(grids[_COSINE].points, key=lambda point: point.value)
        ways = {"separate": "chosen on other people", "oracle": "best here (oracle)"}
        chosen = {
            ways[result.tuning]: result.value
            for result in results
            if result.method == _COSINE and result.value is not None
        }
        figures.append(
            fscore_by_threshold(
                np.array([point.value for point in points]),
                np.array([point.scores.pairwise.fscore for point in points]),
                np.array([point.scores.bcubed.fscore for point in points]),
                chosen,
                name=f"{collection}-fscore-by-threshold",
                threshold_label="cosine above which faces are linked",
            )
        )
    fair = [result for result in results if result.tuning != "oracle"]
    timed = {each.title: each for each in fair if each.scores is not None and each.seconds}
    if timed:
        figures.append(
            quality_by_time(
                {title: sum((each.seconds or {}).values()) for title, each in timed.items()},
                {title: each.scores.bcubed.fscore for title, each in timed.items() if each.scores},
                name=f"{collection}-quality-by-time",
            )
        )
    return figures


def links_section(
    bench: TestBench, models: Mapping[str, LinkModel | None]
) -> tuple[Section, dict[str, Any]]:
    """Judge the links of a collection by several models; show how right they are.

    Parameters
    ----------
    bench
        Labelled faces and their neighbours.
    models
        By name; None stands for the cosine similarity alone.

    Returns
    -------
    Section, dict
        The section, and its record: average precision and best F by model.
    """
    collection = bench.collection
    curves: dict[str, LinkCurve] = {}
    groups = {}
    sizes = np.bincount(group_ids(collection.labels)).astype(np.int64)
    n_same = int((sizes * (sizes - 1) // 2).sum())
    for name, model in models.items():
        links, _ = bench.judge(model, bench.settings(model))
        ends = collection.labels[links.pairs]
        curves[name] = link_curve(links.likelihoods, ends[:, 0] == ends[:, 1], n_same)
        if isinstance(model, ContextGCN):
            groups[name] = merge_links(links, "likelihood").labels
        elif model is not None:
            threshold = default_threshold(model)
            groups[name] = merge_links(links, "bfs", initial_threshold=threshold).labels
    record = {
        name: {
            "average_precision": curve.average_precision,
            "best_threshold": curve.best_threshold,
            "best_fscore": float(curve.fscores.max()),
        }
        for name, curve in curves.items()
    }
    section = Section(
        f"Links: {collection.name}",
        "Links between each face and its nearest neighbours. Recall is of all pairs of one person "
        "that there are, so that pairs outside the neighbour lists count as missed.",
        (_links_table(collection.name, curves),),
        (
            link_precision_recall(curves, name=f"{collection.name}-links"),
            cluster_sizes(collection.labels, groups, name=f"{collection.name}-cluster-sizes"),
        ),
    )
    return section, record


def _links_table(collection: str, curves: Mapping[str, LinkCurve]) -> Table:
    rows = tuple(
        (
            name,
            percent(curve.average_precision),
            percent(float(curve.fscores.max())),
            f"{curve.best_threshold:.3f}",
        )
        for name, curve in curves.items()
    )
    return Table(
        f"{collection}-link-scores",
        f"{collection}: how well models rank and judge links",
        ("links by", "average precision", "best F", "at threshold"),
        rows,
        "In %. The best threshold is chosen on these labels. A cosine c has the score (1 + c) / 2.",
    )
