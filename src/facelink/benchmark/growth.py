"""Seconds of methods as a collection grows."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from facelink.baselines.method import WITHOUT_PARAMETER, Baseline
from facelink.baselines.registry import baseline_called
from facelink.baselines.view import FaceView
from facelink.benchmark.document import Figure, Section, Table
from facelink.benchmark.plots import SizedTimes, time_by_size
from facelink.benchmark.results import ComparisonRecord
from facelink.benchmark.scored import timed
from facelink.training.face_sets import FaceSet

_SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
_METHODS = ("facelink", "cosine", "average-linkage", "hdbscan", "chinese-whispers", "louvain")
_WARM_UP_FACES = 256
_LEAST_FACES = 4


@dataclass(frozen=True)
class GrowthPoint:
    """Wall-clock seconds from features to labels of one method at one size.

    Parameters
    ----------
    method : str
        Its title.
    n_faces : int
        Size.
    seconds : float, optional
        None where it cannot run.
    limit : str
        Why it cannot; empty where it ran.
    """

    method: str
    n_faces: int
    seconds: float | None
    limit: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def measure_growth(
    collection: FaceSet,
    values: Mapping[str, float],
    seed: int = 0,
    *,
    on_point: Callable[[GrowthPoint], None] | None = None,
) -> tuple[GrowthPoint, ...]:
    """Group random eighths, quarters, halves and all faces, each from its features.

    Parameters
    ----------
    collection
        At least 32 faces make four different sizes.
    values
        Method's key → the value of its parameter. Methods without one need none; the others
        are left out unless they are named.
    seed
        Of the faces drawn.
    on_point
        Called after each measurement.

    Returns
    -------
    tuple of GrowthPoint
        Method by method, sizes rising.
    """
    order = np.random.default_rng(seed).permutation(collection.n_faces)
    sizes = sorted({max(_LEAST_FACES, round(share * len(order))) for share in _SHARES})
    points = []
    for baseline in map(baseline_called, _METHODS):
        value = values.get(baseline.key, WITHOUT_PARAMETER if baseline.parameter is None else None)
        if value is None:
            continue
        if baseline.refusal(_WARM_UP_FACES) is None:
            _measured(baseline, value, collection.take(order[:_WARM_UP_FACES]), seed)
        for size in sizes:
            part = collection.take(np.sort(order[:size]))
            points.append(_measured(baseline, value, part, seed))
            if on_point is not None:
                on_point(points[-1])
    return tuple(points)


def chosen_values(record: ComparisonRecord, collection: str) -> dict[str, float]:
    """Value that each method was given on a collection, chosen on other people."""
    return {
        result.method: result.value
        for result in record.results
        if result.collection == collection
        and result.tuning == "separate"
        and result.value is not None
        and result.scores is not None
    }


def growth_section(collection: FaceSet, points: tuple[GrowthPoint, ...]) -> Section:
    """Show the times as a figure and a table."""
    return Section(
        f"Time against size: {collection.name}",
        "Random parts of the collection, each grouped from its features alone: search of "
        "neighbours included, compiling not. Methods without parameter, and those whose value was "
        "chosen on other people.",
        (_table(collection, points),),
        (_figure(collection, points),),
    )


def _measured(baseline: Baseline, value: float, part: FaceSet, seed: int) -> GrowthPoint:
    limit = baseline.refusal(part.n_faces)
    if limit is not None:
        return GrowthPoint(baseline.title, part.n_faces, None, limit)
    _, seconds = timed(lambda: baseline.group(FaceView(part.features, seed=seed), value))
    return GrowthPoint(baseline.title, part.n_faces, seconds)


def _table(collection: FaceSet, points: tuple[GrowthPoint, ...]) -> Table:
    sizes = sorted({point.n_faces for point in points})
    found = {(point.method, point.n_faces): point for point in points}
    rows = tuple(
        (method, *(_seconds(found[method, size]) for size in sizes))
        for method in dict.fromkeys(point.method for point in points)
    )
    limits = dict.fromkeys(f"{point.method}: {point.limit}" for point in points if point.limit)
    return Table(
        f"{collection.name}-growth",
        f"{collection.name}: seconds by the number of faces",
        ("method", *(f"{size:,}" for size in sizes)),
        rows,
        " ".join(limits),
    )


def _seconds(point: GrowthPoint) -> str:
    return "–" if point.seconds is None else f"{point.seconds:.2f}"


def _figure(collection: FaceSet, points: tuple[GrowthPoint, ...]) -> Figure:
    times = {}
    for method in dict.fromkeys(point.method for point in points):
        own = [point for point in points if point.method == method]
        seconds = [np.nan if point.seconds is None else point.seconds for point in own]
        if not np.isnan(seconds).all():
            sizes = np.array([point.n_faces for point in own])
            times[method] = SizedTimes(sizes, np.array(seconds))
    return time_by_size(times, name=f"{collection.name}-time-by-size")
