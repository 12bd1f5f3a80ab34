"""Records of benchmark runs: every repeat, with what it depends on, as JSON."""

import json
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from facelink.benchmark.machine import machine, versions
from facelink.errors import InputError
from facelink.files import existing_file, write_json

TOTAL = "total"
"""Stage that covers a whole run."""

_FORMAT = "facelink.benchmark"
_VERSION = 1
_ROOT = Path(__file__).parents[1]


def described(benchmark: str, **facts: Any) -> dict[str, Any]:
    """A record as JSON values: the facts, after what every record says of when and where."""
    return {
        "benchmark": benchmark,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        **facts,
    }


@dataclass(frozen=True)
class Timing:
    """Seconds of one stage, one number for each repeat, in order."""

    repeats: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle repeat, in seconds."""
        return statistics.median(self.repeats)

    @property
    def least(self) -> float:
        """The fastest repeat, in seconds."""
        return min(self.repeats)

    @property
    def most(self) -> float:
        """The slowest repeat, in seconds."""
        return max(self.repeats)


@dataclass(frozen=True)
class Result:
    """What one implementation took for one case.

    Parameters
    ----------
    case, implementation : str
        Together they name the result within its record.
    item : str
        What the work consists of, such as ``"pivot"``.
    n_items : int
        How many of them a run does.
    stages
        Timing of each stage; `TOTAL` is the whole run.
    settings
        Everything that makes the work larger or smaller; JSON values.
    quality
        Figures that show that the work was done right, such as the greatest
        score difference.
    peak_memory_bytes : int, optional
        By how much a run raises the peak resident memory of a process of its
        own that has its inputs ready; None where not measured.
    """

    case: str
    implementation: str
    item: str
    n_items: int
    stages: dict[str, Timing]
    settings: dict[str, Any]
    quality: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int | None = None

    @property
    def name(self) -> str:
        """Case and implementation."""
        return f"{self.case} / {self.implementation}"

    def seconds_per_item(self, stage: str = TOTAL) -> float:
        """Median seconds of a stage for one item."""
        return self.stages[stage].median / self.n_items


def speedup(slower: Result, faster: Result) -> dict[str, float]:
    """How many times faster, per item, over the interleaved pairs of runs: median, least, most."""
    pairs = zip(slower.stages[TOTAL].repeats, faster.stages[TOTAL].repeats, strict=True)
    scale = faster.n_items / slower.n_items
    ratios = Timing(tuple(scale * slow / fast for slow, fast in pairs))
    return {
        "times_faster": ratios.median,
        "times_faster_least": ratios.least,
        "times_faster_most": ratios.most,
    }


@dataclass(frozen=True)
class Record:
    """The results of one benchmark run and the circumstances they belong to."""

    benchmark: str
    commit: str
    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    seed: int
    results: tuple[Result, ...]

    @classmethod
    def of(cls, benchmark: str, seed: int, results: Sequence[Result]) -> Self:
        """Results of this moment, checkout and machine."""
        date = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(benchmark, _commit(), date, machine(), versions(), seed, tuple(results))

    def save(self, path: Path | str) -> None:
        """Write the record as JSON; `OutputError` if that fails."""
        values = {"format": _FORMAT, "version": _VERSION, **asdict(self)}
        for result, stored in zip(self.results, values["results"], strict=True):
            for stage, timing in result.stages.items():
                stored["stages"][stage] = {
                    "median": timing.median,
                    "least": timing.least,
                    "most": timing.most,
                    "repeats": timing.repeats,
                }
        write_json(path, values)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a record written by `save`; `InputError` if the file is not one."""
        path = existing_file(path, "benchmark record")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if (values.pop("format"), values.pop("version")) != (_FORMAT, _VERSION):
                raise ValueError("another format or version")
            results = tuple(_result(stored) for stored in values.pop("results"))
            return cls(**values, results=results)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"benchmark record {path}: not a record of version {_VERSION} ({error}); write it "
                "with python -m benchmarks.links or benchmarks.stages."
            ) from error


def _result(stored: dict[str, Any]) -> Result:
    stages = {
        stage: Timing(tuple(timing["repeats"])) for stage, timing in stored.pop("stages").items()
    }
    return Result(**stored, stages=stages)


def report(record: Record) -> str:
    """The record as text, one line per figure."""
    machine = record.machine
    lines = [
        f"{record.benchmark} at {record.commit}, {record.date}, seed {record.seed}",
        f"{machine['cpu']}, {machine['n_usable_cores']} of {machine['n_cores']} cores",
    ]
    for result in record.results:
        lines += ["", f"{result.name}: {result.n_items:,} × {result.item}"]
        lines += [
            f"  {stage:<26}{readable_seconds(timing.median / result.n_items):>10} per "
            f"{result.item} (a run {readable_seconds(timing.median)}, "
            f"{readable_seconds(timing.least)} to {readable_seconds(timing.most)})"
            for stage, timing in result.stages.items()
        ]
        if result.peak_memory_bytes is not None:
            lines.append(f"  {'peak memory':<26}{result.peak_memory_bytes / 2**20:>6.0f} MiB")
        lines += [f"  {name:<26}{value:>10.6g}" for name, value in result.quality.items()]
    return "\n".join(lines)


def readable_seconds(seconds: float) -> str:
    """Three digits and a unit from ns to s."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _commit() -> str:
    """Hash of the checkout, marked if it has changes; "unknown" outside a repository."""
    command = ("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    try:
        described = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
