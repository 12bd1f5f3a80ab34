"""What a run found and took, as JSON and as a page to read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.benchmark.machine import machine
from facelink.files import write_json, write_text
from facelink.metrics import clustering_scores
from facelink.stages.course import StageOutcome
from facelink.stages.folder import REPORT_JSON, REPORT_PAGE

_QUANTILES = (0.5, 0.9, 0.99)


def write_report(
    work: Path,
    outcomes: Sequence[StageOutcome],
    labels: NDArray[np.int64],
    confidence: NDArray[np.float32],
    labels_true: NDArray[np.int64] | None,
) -> dict[str, Any]:
    """Write ``report.json`` and ``report.md`` into a run's folder.

    Parameters
    ----------
    work
        The folder.
    outcomes
        Of all stages, in order.
    labels : int64 (N,)
        Cluster of each face, consecutive from 0.
    confidence : float32 (N,)
        Of each face in its cluster.
    labels_true : int64 (N,), optional
        True labels, to score against.

    Returns
    -------
    dict
        What ``report.json`` says.
    """
    stages = [outcome.as_dict() for outcome in outcomes]
    for stage in stages:
        stage.pop("content", None)
    facts = {name: value for stage in stages for name, value in stage.items()}
    sizes = np.bincount(labels)
    report: dict[str, Any] = {
        "n_faces": len(labels),
        "n_dimensions": facts["n_dimensions"],
        "neighbor_method": facts["method"],
        "neighbor_recall": facts["recall"],
        "n_links": next(one["rows"] for one in stages if one["stage"] == "links"),
        "n_clusters": len(sizes),
        "n_singletons": int((sizes == 1).sum()),
        "largest_cluster": int(sizes.max()),
        "cluster_sizes": {
            f"{share:.0%}": int(np.quantile(sizes, share, method="higher")) for share in _QUANTILES
        },
        "mean_confidence": float(confidence.mean(dtype=np.float64)),
        "seconds": round(sum(stage["seconds_in_all"] for stage in stages), 3),
        "peak_memory_bytes": max(stage["peak_memory_bytes"] for stage in stages),
        "peak_own_memory_bytes": max(stage["peak_own_memory_bytes"] for stage in stages),
        "stages": stages,
        "machine": machine(),
    }
    if labels_true is not None:
        report["scores"] = clustering_scores(labels_true, labels).as_dict()
    write_json(work / REPORT_JSON, report)
    write_text(work / REPORT_PAGE, _page(report))
    return report


def _page(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    sizes = ", ".join(f"{share} up to {size:,}" for share, size in report["cluster_sizes"].items())
    recall = report["neighbor_recall"]
    lines = [
        "# Faces grouped by person",
        "",
        f"{report['n_faces']:,} faces, {report['n_dimensions']} dimensions; "
        f"{report['n_clusters']:,} clusters, {report['n_singletons']:,} of them of one face. "
        f"Sizes: {sizes}; the largest {report['largest_cluster']:,}. "
        f"Mean confidence {report['mean_confidence']:.3f}.",
        "",
        f"Neighbours by {report['neighbor_method']}"
        + (f", recall {recall:.4f} on a sample" if recall is not None else "")
        + f"; {report['n_links']:,} links.",
        "",
        "| stage | rows | kept | seconds in all | peak memory | without mapped files | on disk |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_row(stage) for stage in report["stages"]),
        "",
    ]
    if "scores" in report:
        lines += _score_lines(report["scores"])
    return "\n".join(lines)


def _row(stage: Mapping[str, Any]) -> str:
    memory = (stage[name] for name in ("peak_memory_bytes", "peak_own_memory_bytes", "bytes"))
    cells = (
        stage["stage"],
        f"{stage['rows']:,}",
        f"{stage['rows_kept']:,}",
        f"{stage['seconds_in_all']:.1f}",
        *(f"{n_bytes / 2**20:,.0f} MiB" for n_bytes in memory),
    )
    return f"| {' | '.join(cells)} |"


def _score_lines(scores: Mapping[str, Any]) -> list[str]:
    """Scores against the true labels, in %."""
    lines = ["| in % | precision | recall | F |", "| :--- | ---: | ---: | ---: |"]
    for name, title in (("pairwise", "pairwise"), ("bcubed", "BCubed")):
        values = (f"{100 * scores[name][part]:.2f}" for part in ("precision", "recall", "fscore"))
        lines.append(f"| {title} | {' | '.join(values)} |")
    return [
        *lines,
        "",
        f"NMI {100 * scores['nmi_arithmetic']:.2f}, ARI {100 * scores['ari']:.2f}; "
        f"{scores['n_identities']:,} people in truth.",
        "",
    ]
