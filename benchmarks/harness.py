"""What every benchmark shares: cases, interleaved repeats, peak memory and the command line.

A case has one or several implementations. Their runs alternate (A B A B …), so
that a machine that slows down slows all of them.
"""

import argparse
import contextlib
import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.records import TOTAL, Record, Result, Timing, report
from facelink.benchmark.machine import forget_peak_memory, peak_memory_bytes
from facelink.files import check_writable

SUBGRAPHS, NETWORK = "subgraphs", "network"
"""Stages of link prediction and of a training step."""

N_REPEATS = 5
"""Runs of each implementation that count."""

Sizes = TypeVar("Sizes")
Inputs = TypeVar("Inputs")


class Stopwatch:
    """Adds up the seconds of named stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's wall-clock time to this stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Case(Generic[Sizes, Inputs]):
    """One kind of work and the implementations that do it.

    Parameters
    ----------
    name : str
        Name within the record.
    item : str
        What the work consists of, such as ``"pivot"``.
    sizes
        A dataclass of all that makes the work larger or smaller, with its seed.
    prepare
        Makes the inputs of these sizes.
    runs
        Name of each implementation to a function of the inputs and a
        stopwatch for its stages. These functions and `prepare` must be
        importable by name.
    n_items
        Name of each implementation to the number of items that it does.
    """

    name: str
    item: str
    sizes: Sizes
    prepare: Callable[[Sizes], Inputs]
    runs: Mapping[str, Callable[[Inputs, Stopwatch], object]]
    n_items: Mapping[str, int]


def measure_case(
    case: Case[Sizes, Inputs],
    inputs: Inputs,
    n_repeats: int = N_REPEATS,
    *,
    with_memory: bool = True,
) -> dict[str, Result]:
    """Result of each implementation by name.

    Parameters
    ----------
    inputs
        ``case.prepare(case.sizes)``.
    n_repeats
        Runs of each that count, at least 1; one more before them does not.
    with_memory
        Measure the peak memory, too, each in a process of its own.
    """
    timings = interleaved(case.runs, inputs, n_repeats)
    settings = json.loads(json.dumps(asdict(case.sizes)))  # type: ignore[call-overload]
    return {
        name: Result(
            case.name,
            name,
            case.item,
            case.n_items[name],
            timings[name],
            settings,
            peak_memory_bytes=peak_memory(case.prepare, run, case.sizes) if with_memory else None,
        )
        for name, run in case.runs.items()
    }


def interleaved(
    runs: Mapping[str, Callable[[Inputs, Stopwatch], object]], inputs: Inputs, n_repeats: int
) -> dict[str, dict[str, Timing]]:
    """Run one after the other, again and again, after a warm-up; timings of each one's stages."""
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for repeat in range(-1, n_repeats):
        for name, run in runs.items():
            gc.collect()
            stopwatch = Stopwatch()
            with stopwatch.stage(TOTAL):
                run(inputs, stopwatch)
            if repeat >= 0:
                seconds[name].append(stopwatch.seconds)
    return {
        name: {stage: Timing(tuple(repeat[stage] for repeat in repeats)) for stage in repeats[0]}
        for name, repeats in seconds.items()
    }


def peak_memory(
    prepare: Callable[[Sizes], Inputs],
    run: Callable[[Inputs, Stopwatch], object],
    sizes: Sizes,
) -> int:
    """Bytes by which `run` raises the peak resident memory of a new process, after `prepare`."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(_growth, prepare, run, sizes).result()


def _growth(
    prepare: Callable[[Sizes], Inputs],
    run: Callable[[Inputs, Stopwatch], object],
    sizes: Sizes,
) -> int:
    inputs = prepare(sizes)
    forget_peak_memory()
    before = peak_memory_bytes()
    run(inputs, Stopwatch())
    return peak_memory_bytes() - before


def run_benchmark(
    benchmark: str,
    measure: Callable[[bool, int], Sequence[Result]],
    arguments: Sequence[str] | None = None,
) -> None:
    """Command line of a benchmark: measure, print, and keep a record if asked to.

    Parameters
    ----------
    benchmark
        Its name.
    measure
        Given whether to be quick and the seed, returns the results.
    arguments
        By default those of the process.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the benchmark")
    parser.add_argument("--seed", type=int, default=0, help="seed of the made-up data")
    parser.add_argument("--out", type=Path, help="JSON file for the record")
    options = parser.parse_args(arguments)
    if options.out is not None:
        check_writable(options.out)
    record = Record.of(benchmark, options.seed, measure(options.quick, options.seed))
    print(report(record))
    if options.out is not None:
        record.save(options.out)
