"""Records of a comparison: every grid, the rows that follow from them, and the circumstances."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from facelink.errors import InputError
from facelink.files import existing_file, write_json
from facelink.metrics import ClusteringScores, PrecisionRecallF

Tuning = Literal["none", "separate", "oracle"]
"""How a parameter was chosen: there is none; on other people; on the test labels themselves."""

_FORMAT = "facelink.comparison"
_VERSION = 1


@dataclass(frozen=True)
class CollectionFacts:
    """Size of a collection: faces, people, people with one face, faces of the largest."""

    name: str
    n_faces: int
    n_people: int
    n_singletons: int
    largest: int


@dataclass(frozen=True)
class GridPoint:
    """One value of a parameter: its scores, and the wall-clock seconds of each stage."""

    value: float
    scores: ClusteringScores
    seconds: dict[str, float]


def pairwise_fscore(point: GridPoint) -> float:
    """Pairwise F, in [0, 1]."""
    return point.scores.pairwise.fscore


def bcubed_fscore(point: GridPoint) -> float:
    """BCubed F, in [0, 1]."""
    return point.scores.bcubed.fscore


def mean_fscore(point: GridPoint) -> float:
    """Mean of pairwise and BCubed F, in [0, 1], by which values are chosen."""
    return (pairwise_fscore(point) + bcubed_fscore(point)) / 2


@dataclass(frozen=True)
class GridRun:
    """A method over its grid on one collection.

    Parameters
    ----------
    collection, method : str
        Name and key.
    points
        The values that it got through, in the order of the grid.
    peak_memory_bytes : int, optional
        Greatest resident memory of the process; None if it grouped nothing.
    limit : str, optional
        Why values are missing; None where none is.
    """

    collection: str
    method: str
    points: tuple[GridPoint, ...]
    peak_memory_bytes: int | None = None
    limit: str | None = None

    def best(self, score: Callable[[GridPoint], float]) -> GridPoint:
        """Return the point with the highest score, the first of equal ones."""
        return max(self.points, key=score)

    def at(self, value: float) -> GridPoint | None:
        """Return the point of a value, None if the method did not get there."""
        return next((point for point in self.points if point.value == value), None)


@dataclass(frozen=True)
class MethodResult:
    """One row: a method on one collection, its parameter chosen in one way.

    Parameters
    ----------
    collection, method, title : str
        Names, and the method's key.
    tuning : {"none", "separate", "oracle"}
        The oracle value has the best mean of pairwise and BCubed F on the
        test labels; no user can know it.
    parameter : str, optional
        Name of the parameter.
    value : float, optional
        The chosen value.
    scores : ClusteringScores, optional
        None where `limit` says why.
    seconds : dict
        Wall-clock seconds per stage.
    peak_memory_bytes : int, optional
        Greatest resident memory of the process, over the whole grid.
    limit : str, optional
        Why there are no scores, or why the grid is not complete.
    best_pairwise_f, best_bcubed_f : float, optional
        The greatest of each over the grid, at values of their own (oracle rows).
    """

    collection: str
    method: str
    title: str
    tuning: Tuning
    parameter: str | None = None
    value: float | None = None
    scores: ClusteringScores | None = None
    seconds: dict[str, float] | None = None
    peak_memory_bytes: int | None = None
    limit: str | None = None
    best_pairwise_f: float | None = None
    best_bcubed_f: float | None = None


@dataclass(frozen=True)
class ComparisonRecord:
    """A whole comparison.

    Parameters
    ----------
    date : str
        ISO 8601, UTC.
    machine, versions : dict
        As from `facelink.benchmark.machine`.
    seed : int
        Of the methods and of held-out people.
    time_limit : float
        Seconds that a method had for its grid on one collection.
    collections
        Those that methods were run on.
    tuned_on : dict
        Name of each test collection to what its separate values were chosen on.
    results
        Rows, by test collection and in the order of the methods.
    grids
        All that was run, tuning collections included.
    """

    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    seed: int
    time_limit: float
    collections: tuple[CollectionFacts, ...]
    tuned_on: dict[str, str]
    results: tuple[MethodResult, ...]
    grids: tuple[GridRun, ...]

    def save(self, path: Path | str) -> None:
        """Write the record as JSON; `OutputError` if that fails."""
        write_json(path, self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """JSON form, as `save` writes it."""
        return {"format": _FORMAT, "version": _VERSION, **asdict(self)}

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a record written by `save`; `InputError` if the file is not one."""
        path = existing_file(path, "comparison record")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if (values.pop("format"), values.pop("version")) != (_FORMAT, _VERSION):
                raise ValueError("another format or version")
            values["collections"] = tuple(CollectionFacts(**one) for one in values["collections"])
            values["results"] = tuple(map(_result, values["results"]))
            values["grids"] = tuple(map(grid_run, values["grids"]))
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"comparison record {path}: not a record of version {_VERSION} ({error}); write it "
                "with facelink benchmark."
            ) from error


def _scores(stored: dict[str, Any] | None) -> ClusteringScores | None:
    if stored is None:
        return None
    values = dict(stored)
    for name in ("pairwise", "bcubed"):
        values[name] = PrecisionRecallF(**values[name])
    values["without_singletons"] = _scores(values["without_singletons"])
    return ClusteringScores(**values)


def _result(stored: dict[str, Any]) -> MethodResult:
    return MethodResult(**{**stored, "scores": _scores(stored["scores"])})


def grid_run(stored: dict[str, Any]) -> GridRun:
    """Return the run that `dataclasses.asdict` was stored of."""
    points = tuple(
        GridPoint(**{**point, "scores": _scores(point["scores"])}) for point in stored["points"]
    )
    return GridRun(**{**stored, "points": points})
