"""Every method on every test collection, its parameter chosen elsewhere and by an oracle."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from facelink.baselines.method import Baseline
from facelink.benchmark.machine import machine, versions
from facelink.benchmark.measure import Inputs, measure
from facelink.benchmark.results import (
    CollectionFacts,
    ComparisonRecord,
    GridPoint,
    GridRun,
    MethodResult,
    bcubed_fscore,
    mean_fscore,
    pairwise_fscore,
)
from facelink.errors import InputError
from facelink.metrics import clustering_scores, group_ids
from facelink.training.face_sets import FaceSet

HELD_OUT_SHARE = 0.3
"""Of the people, on whom values are chosen where there is no other collection for it."""

HELD_OUT = " (held-out people)"
"""Ends the name of such a part of a collection; the others keep the name."""

_PACKAGES = ("facelink", "scikit-learn", "scikit-network", "infomap")


@dataclass(frozen=True)
class ComparisonSettings:
    """How methods are run.

    Parameters
    ----------
    time_limit : float
        Seconds that a method has for its grid on one collection.
    seed : int
        Of the methods and of the choice of held-out people.

    Raises
    ------
    InputError
        If the time is not positive.
    """

    time_limit: float = 300.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.time_limit > 0:
            raise InputError(f"time_limit={self.time_limit}; give a positive number of seconds.")


@dataclass(frozen=True, eq=False)
class _Test:
    """A test collection, and those that its parameters are chosen on."""

    collection: FaceSet
    tuning: tuple[FaceSet, ...]
    tuned_on: str


def compare(
    tests: Sequence[FaceSet],
    tuning: Sequence[FaceSet],
    baselines: Sequence[Baseline],
    settings: ComparisonSettings | None = None,
    *,
    progress: Callable[[str], None] | None = None,
    finished: Callable[[GridRun], None] | None = None,
    known: Sequence[GridRun] = (),
) -> ComparisonRecord:
    """Run every method over its grid on every collection, and choose its values.

    Parameters
    ----------
    tests
        Collections to score on.
    tuning
        Collections to choose values on, by the mean of pairwise and BCubed F
        over all their faces. One that bears the name of a test collection is
        that collection and is not used for it. Without any left, the values
        come from `HELD_OUT_SHARE` of the test collection's people, and the
        others are the test.
    baselines
        The methods.
    settings
        Time limit and seed.
    progress
        Called with a line before each method on each collection.
    finished
        Called with each run as it ends, so that a comparison that is cut off
        can go on.
    known
        Such runs of the same collections and settings; they are not repeated.

    Raises
    ------
    InputError
        If two test collections have one name, or a collection has fewer than
        2 faces.
    """
    settings = settings or ComparisonSettings()
    planned = [_planned(test, tuning, settings.seed) for test in tests]
    runs: _Runs = {(run.collection, run.method): run for run in known}
    for collection in _distinct(planned):
        methods = _outstanding(collection, planned, baselines, runs)
        for run in _grid_runs(collection, methods, settings, progress or (lambda line: None)):
            runs[run.collection, run.method] = run
            if finished is not None:
                finished(run)
    return ComparisonRecord(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        versions=versions(*_PACKAGES),
        seed=settings.seed,
        time_limit=settings.time_limit,
        collections=tuple(_facts(one) for one in _distinct(planned)),
        tuned_on={test.collection.name: test.tuned_on for test in planned},
        results=tuple(
            result
            for test in planned
            for baseline in baselines
            for result in _results(baseline, test, runs)
        ),
        grids=tuple(runs.values()),
    )


def hold_out_people(collection: FaceSet, share: float, seed: int) -> tuple[FaceSet, FaceSet]:
    """Divide a collection by people: the others, and a share of them held out."""
    people = np.unique(collection.labels)
    if len(people) < 2:
        raise InputError(
            f"{collection.name} has {len(people)} person; holding out people needs at least 2. "
            "Give collections to tune on."
        )
    n_held_out = min(max(1, round(share * len(people))), len(people) - 1)
    chosen = np.random.default_rng(seed).choice(people, n_held_out, replace=False)
    is_held_out = np.isin(collection.labels, chosen)
    return (
        collection.take(np.flatnonzero(~is_held_out)),
        collection.take(np.flatnonzero(is_held_out), f"{collection.name}{HELD_OUT}"),
    )


_Runs = dict[tuple[str, str], GridRun]
"""By collection and method."""


def _planned(test: FaceSet, tuning: Sequence[FaceSet], seed: int) -> _Test:
    others = tuple(one for one in tuning if one.name != test.name)
    if others:
        return _Test(test, others, ", ".join(one.name for one in others))
    rest, held_out = hold_out_people(test, HELD_OUT_SHARE, seed)
    n_people = len(np.unique(held_out.labels))
    return _Test(rest, (held_out,), f"{n_people:,} of its own people, who are no part of the test")


def _distinct(planned: Sequence[_Test]) -> list[FaceSet]:
    """Every collection once, tests first; `InputError` if two tests share a name."""
    found: dict[str, FaceSet] = {}
    for test in planned:
        if test.collection.name in found:
            raise InputError(
                f"two test collections are called {test.collection.name}; give each its own name."
            )
        found[test.collection.name] = test.collection
    for test in planned:
        for collection in test.tuning:
            found.setdefault(collection.name, collection)
    for collection in found.values():
        if collection.n_faces < 2:
            raise InputError(
                f"{collection.name} has {collection.n_faces} face; comparing needs at least 2."
            )
    return list(found.values())


def _outstanding(
    collection: FaceSet,
    planned: Sequence[_Test],
    baselines: Sequence[Baseline],
    runs: _Runs,
) -> list[Baseline]:
    """Methods to run on a collection; where there is nothing to choose, on tests only."""
    is_test = any(test.collection.name == collection.name for test in planned)
    return [
        baseline
        for baseline in baselines
        if (is_test or baseline.parameter is not None)
        and (collection.name, baseline.key) not in runs
    ]


def _grid_runs(
    collection: FaceSet,
    baselines: Sequence[Baseline],
    settings: ComparisonSettings,
    progress: Callable[[str], None],
) -> Iterator[GridRun]:
    """Run each method, all of them on the same neighbours."""
    if not baselines:
        return
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs.write(Path(folder), collection.features, settings.seed)
        for baseline in baselines:
            progress(f"{collection.name}: {baseline.title}")
            yield _grid_run(collection, baseline, inputs, settings)


def _grid_run(
    collection: FaceSet, baseline: Baseline, inputs: Inputs, settings: ComparisonSettings
) -> GridRun:
    measured = measure(baseline, inputs, time_limit=settings.time_limit, seed=settings.seed)
    points = tuple(
        GridPoint(one.value, clustering_scores(collection.labels, one.labels), one.seconds)
        for one in measured.groupings
    )
    return GridRun(
        collection.name, baseline.key, points, measured.peak_memory_bytes, measured.limit
    )


def _results(baseline: Baseline, test: _Test, runs: _Runs) -> list[MethodResult]:
    """Rows of a method on a collection: one, or one for each way to choose its value."""
    run = runs[test.collection.name, baseline.key]
    base = MethodResult(run.collection, run.method, baseline.title, "none", limit=run.limit)
    if not run.points:
        return [base]
    if baseline.parameter is None:
        return [_scored(base, run, run.points[0])]
    base = replace(base, parameter=baseline.parameter.name)
    separate = [runs[one.name, baseline.key] for one in test.tuning]
    sizes = [one.n_faces for one in test.tuning]
    oracle = _scored(replace(base, tuning="oracle"), run, run.best(mean_fscore))
    return [
        _tuned(replace(base, tuning="separate"), run, best_value(separate, sizes)),
        replace(
            oracle,
            best_pairwise_f=run.best(pairwise_fscore).scores.pairwise.fscore,
            best_bcubed_f=run.best(bcubed_fscore).scores.bcubed.fscore,
        ),
    ]


def best_value(runs: Sequence[GridRun], sizes: Sequence[int]) -> float | None:
    """Value with the best mean of pairwise and BCubed F over all faces of several collections.

    Only values that a method got through on all of them; None if there is none.
    """
    shared = [point.value for point in runs[0].points if all(run.at(point.value) for run in runs)]

    def score(value: float) -> float:
        points = (run.at(value) for run in runs)
        return sum(
            size * mean_fscore(point)
            for size, point in zip(sizes, points, strict=True)
            if point is not None
        )

    return max(shared, key=score, default=None)


def _tuned(base: MethodResult, run: GridRun, value: float | None) -> MethodResult:
    if value is None:
        return replace(base, limit="no value was done on every collection it is chosen on.")
    point = run.at(value)
    if point is None:
        return replace(base, value=value, limit=f"{value:g} was not reached: {run.limit}")
    return _scored(base, run, point)


def _scored(base: MethodResult, run: GridRun, point: GridPoint) -> MethodResult:
    return replace(
        base,
        value=None if base.parameter is None else point.value,
        scores=point.scores,
        seconds=point.seconds,
        peak_memory_bytes=run.peak_memory_bytes,
    )


def _facts(collection: FaceSet) -> CollectionFacts:
    sizes = np.bincount(group_ids(collection.labels))
    n_singletons = int(np.count_nonzero(sizes == 1))
    return CollectionFacts(
        collection.name, collection.n_faces, len(sizes), n_singletons, int(sizes.max())
    )
