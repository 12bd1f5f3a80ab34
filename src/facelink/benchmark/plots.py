"""The plots of a benchmark report, each from plain arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.benchmark.document import Figure
from facelink.benchmark.drawing import GREY, INK, PALETTE, draw, series_style
from facelink.benchmark.link_curves import LinkCurve
from facelink.benchmark.point_labels import label_points
from facelink.errors import InputError
from facelink.metrics import group_ids

_MAX_CURVE_POINTS = 400
"""A curve of a million links is drawn with so many points, evenly along its length."""

_SEVERAL = 8
_LEAST_LACK = 0.01  # percent; that of a perfect grouping would be off the logarithmic axis
"""So many series have a legend within the plot; more of them get one beside it."""


@dataclass(frozen=True, eq=False)
class SizedTimes:
    """What a method took at several sizes.

    Parameters
    ----------
    n_faces : integer (S,)
        Sizes, rising.
    seconds : float (S,)
        Wall-clock times, above 0; NaN where it could not run.
    """

    n_faces: NDArray[np.integer]
    seconds: NDArray[np.floating]


def link_precision_recall(
    curves: Mapping[str, LinkCurve],
    chosen: Mapping[str, float] | None = None,
    *,
    name: str = "link-precision-recall",
    caption: str = "Precision and recall of links at every threshold. A dot marks the threshold "
    "that the model uses.",
) -> Figure:
    """Draw precision against recall of several models' links.

    Parameters
    ----------
    curves
        From `link_curve`, by the model's name.
    chosen
        Threshold that a model uses, by its name; marked on its curve.
    name, caption
        Of the figure.
    """
    _check_any(curves, "curves")
    chosen = chosen or {}
    unknown = chosen.keys() - curves.keys()
    if unknown:
        raise InputError(f"thresholds for {sorted(unknown)}, of which there is no curve.")

    def paint(sheet: Any) -> None:
        axes = sheet.add_subplot()
        for position, (model, curve) in enumerate(curves.items()):
            style = series_style(position)
            marker = style.pop("marker")
            recall, precision = _thinned(curve.recall, curve.precision)
            label = f"{model} (average precision {curve.average_precision:.3f})"
            axes.plot(recall, precision, label=label, linewidth=1.8, **style)
            if model in chosen:
                found, right = curve.at(chosen[model])[::-1]
                axes.plot(found, right, marker, color=style["color"], markersize=8, zorder=4)
        axes.set(
            xlim=(0, 1.02), ylim=(0, 1.02),
            xlabel="recall: share of the pairs of one person that are linked",
            ylabel="precision: share of links that are right",
        )  # fmt: skip
        _add_legend(sheet, axes, len(curves), "lower left")

    return draw(name, caption, _size(len(curves), 5.2), paint)


def fscore_by_threshold(
    thresholds: NDArray[np.floating],
    pairwise: NDArray[np.floating],
    bcubed: NDArray[np.floating],
    chosen: Mapping[str, float] | None = None,
    *,
    name: str = "fscore-by-threshold",
    caption: str = "Pairwise and BCubed F at every threshold tried, and the thresholds chosen.",
    threshold_label: str = "threshold",
) -> Figure:
    """Draw how much F depends on a threshold, and where tuning put it.

    Parameters
    ----------
    thresholds : float (T,)
        Rising.
    pairwise, bcubed : float (T,)
        F in [0, 1] at each of them.
    chosen
        Threshold by how it was chosen, such as ``"tuned on other people"``.
    name, caption
        Of the figure.
    threshold_label
        What the threshold is of, below the axis.
    """
    if not len(thresholds) == len(pairwise) == len(bcubed) > 0:
        raise InputError(
            f"{len(thresholds)} thresholds with {len(pairwise)} pairwise and {len(bcubed)} BCubed "
            "F; give one of each, at least once."
        )
    if (np.diff(thresholds) <= 0).any():
        raise InputError("thresholds must rise; sort them and what was measured at them.")

    def paint(sheet: Any) -> None:
        axes = sheet.add_subplot()
        shown = (("pairwise F", pairwise), ("BCubed F", bcubed))
        for position, (label, fscores) in enumerate(shown):
            style = series_style(position)
            axes.plot(thresholds, fscores, label=label, markersize=3.5, linewidth=1.6, **style)
        for position, (how, threshold) in enumerate((chosen or {}).items(), start=2):
            style = series_style(position)
            heights = [np.interp(threshold, thresholds, fscores) for _, fscores in shown]
            axes.axvline(threshold, color=style["color"], linewidth=1.1, linestyle="--")
            label = f"{how}: {threshold:.3g} ({' / '.join(f'{100 * h:.1f}' for h in heights)} %)"
            style |= {"linestyle": "none", "markersize": 9, "markeredgecolor": "white"}
            axes.plot([threshold] * 2, heights, label=label, zorder=4, **style)
        axes.set(ylim=(0, 1.02), xlabel=threshold_label, ylabel="F")
        sheet.legend(loc="outside lower left", frameon=False)

    return draw(name, caption, (6.4, 4.8), paint)


def cluster_sizes(
    labels_true: NDArray[np.integer],
    labels_pred: Mapping[str, NDArray[np.integer]],
    *,
    name: str = "cluster-sizes",
    caption: str = "How many people have so many faces, and how many clusters each method made of "
    "that size. Both axes are logarithmic.",
) -> Figure:
    """Draw how large people and the clusters found are.

    Parameters
    ----------
    labels_true : integer (N,)
        Person of each face; −1 is a group of its own.
    labels_pred
        Clusters (N,) found, by the method's name.
    name, caption
        Of the figure.
    """
    _check_any(labels_pred, "groupings")
    groupings = {"true people": labels_true, **labels_pred}
    counts = {each: _count_sizes(labels) for each, labels in groupings.items()}
    n_bins = max(map(len, counts.values()))

    def paint(sheet: Any) -> None:
        axes = sheet.add_subplot()
        width = 0.84 / len(counts)
        for position, (grouping, heights) in enumerate(counts.items()):
            places = np.arange(len(heights)) + (position - (len(counts) - 1) / 2) * width
            color = INK if position == 0 else PALETTE[(position - 1) % len(PALETTE)]
            label = f"{grouping} ({heights.sum():,})"
            axes.bar(places, heights, 0.92 * width, color=color, label=label)
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xticks(range(n_bins), [_bin_name(position) for position in range(n_bins)])
        axes.tick_params(axis="x", length=0, rotation=45 if n_bins > 8 else 0)
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="faces of a person, or of a cluster", ylabel="how many there are")
        _add_legend(sheet, axes, len(counts), "upper right")

    return draw(name, caption, _size(len(counts), 4.2), paint)


def time_by_size(
    times: Mapping[str, SizedTimes],
    *,
    name: str = "time-by-size",
    caption: str = "Seconds by the number of faces; both axes are logarithmic. The dotted lines "
    "rise in proportion to the number of faces.",
) -> Figure:
    """Draw what methods take as collections grow.

    Parameters
    ----------
    times
        By the method's name.
    name, caption
        Of the figure.
    """
    _check_any(times, "times")
    ran = {method: ~np.isnan(each.seconds) for method, each in times.items()}
    for method, each in times.items():
        _check_times(method, each.seconds[ran[method]], each.n_faces[ran[method]])

    def paint(sheet: Any) -> None:
        axes = sheet.add_subplot()
        for position, (method, each) in enumerate(times.items()):
            shown = each.n_faces[ran[method]], each.seconds[ran[method]]
            axes.plot(*shown, label=method, markersize=6, linewidth=1.6, **series_style(position))
        axes.set(xscale="log", yscale="log", xlabel="faces", ylabel="seconds")
        _draw_proportional(axes)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        _add_legend(sheet, axes, len(times), "upper left")

    return draw(name, caption, _size(len(times), 4.6), paint)


def quality_by_time(
    seconds: Mapping[str, float],
    fscores: Mapping[str, float],
    *,
    name: str = "quality-by-time",
    caption: str = "What BCubed F lacks to 100 %, and seconds of each method; up and to the left "
    "is better. No method is both faster and better than those on the line.",
    quality_label: str = "100 − BCubed F (%)",
) -> Figure:
    """Draw what quality each method gives for its time.

    Parameters
    ----------
    seconds
        Wall-clock time by the method's name, above 0.
    fscores
        F in [0, 1] of the same methods.
    name, caption
        Of the figure.
    quality_label
        What stands on the upright axis, which is logarithmic and turned over: what is left to
        do tells good methods apart.
    """
    _check_any(seconds, "methods")
    if seconds.keys() != fscores.keys():
        raise InputError(
            f"times of {sorted(seconds)} but F of {sorted(fscores)}; give both for each method."
        )
    names = list(seconds)
    x = np.array([seconds[each] for each in names], dtype=np.float64)
    y = np.array([100 * (1 - fscores[each]) for each in names], dtype=np.float64)
    _check_times("the methods", x, y)
    y = np.maximum(y, _LEAST_LACK)

    def paint(sheet: Any) -> None:
        axes = sheet.add_subplot()
        front = _front(x, -y)
        axes.plot(x[front], y[front], color=GREY, linewidth=1.0, drawstyle="steps-post", zorder=1)
        color = [PALETTE[0] if each in front else PALETTE[1] for each in range(len(names))]
        axes.scatter(x, y, s=42, c=color, edgecolors="white", zorder=3)
        axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel=quality_label)
        axes.margins(0.12)
        axes.invert_yaxis()
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        sheet.draw_without_rendering()
        label_points(axes, x, y, names)

    return draw(name, caption, (6.4, 4.8), paint)


def _check_any(given: Mapping[str, Any], what: str) -> None:
    if not given:
        raise InputError(f"no {what} to draw; give at least one.")


def _check_times(method: str, seconds: NDArray[np.floating], other: NDArray[np.number]) -> None:
    if not (len(seconds) == len(other) > 0 and (seconds > 0).all() and np.isfinite(other).all()):
        raise InputError(
            f"{method}: {len(seconds)} times {seconds} with {other}; a logarithmic axis needs at "
            "least one time, all of them above 0, and a number for each."
        )


def _size(n_series: int, height: float) -> tuple[float, float]:
    """Inches of a plot; wider where the legend stands beside it."""
    return (6.4 if n_series <= _SEVERAL else 8.4), height


def _add_legend(sheet: Any, axes: Any, n_series: int, place: str) -> None:
    if n_series <= _SEVERAL:
        axes.legend(loc=place)
    else:
        sheet.legend(loc="outside right upper", frameon=False)


def _thinned(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of a curve, at most `_MAX_CURVE_POINTS`, at even steps of its length."""
    if len(x) <= _MAX_CURVE_POINTS:
        return x, y
    length = np.cumsum(np.hypot(np.diff(x, prepend=x[0]), np.diff(y, prepend=y[0])))
    steps = np.linspace(0, length[-1], _MAX_CURVE_POINTS)
    kept = np.unique(np.searchsorted(length, steps).clip(0, len(x) - 1))
    return x[kept], y[kept]


def _count_sizes(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Number of groups of 1, 2, 3–4, 5–8, … faces."""
    sizes = np.bincount(group_ids(labels))
    return np.bincount(np.ceil(np.log2(sizes)).astype(np.int64))


def _bin_name(position: int) -> str:
    largest = 2**position
    return f"{largest}" if position < 2 else f"{largest // 2 + 1:,}–{largest:,}"


def _draw_proportional(axes: Any) -> None:
    """Dotted lines of seconds proportional to faces, one for each power of ten in sight."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    lowest, highest = np.log10(bottom / right), np.log10(top / left)
    for power in range(int(np.ceil(lowest)), int(np.floor(highest)) + 1):
        axes.plot(
            [left, right], [left * 10.0**power, right * 10.0**power],
            color=GREY, linewidth=0.7, linestyle=":", zorder=0,
        )  # fmt: skip
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _front(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[int]:
    """Positions of the points that no other beats in both, from left to right."""
    kept: list[int] = []
    for position in np.lexsort((-y, x)):
        if not kept or y[position] > y[kept[-1]]:
            kept.append(int(position))
    return kept
