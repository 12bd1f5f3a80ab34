"""One method over its grid in a process of its own: labels, seconds and memory, or why not."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facelink.baselines.method import Baseline
from facelink.baselines.view import NEIGHBORS, FaceView
from facelink.benchmark.machine import peak_memory_bytes
from facelink.errors import FacelinkError
from facelink.files import written_beside
from facelink.neighbors.files import load_graph, save_graph

GROUPING = "grouping"
"""Stage of what a method does for one value alone, besides what its whole grid shares."""

_WARM_UP_FACES = 256
"""Grouped once before the clock runs, so that compiling is not counted."""


@dataclass(frozen=True)
class Inputs:
    """Files that hand a collection to another process without copying it.

    Parameters
    ----------
    features, graph : Path
        float32 ``.npy`` that is mapped, and the neighbours that all methods share.
    n_faces : int
        N.
    neighbor_seconds : float
        What finding the neighbours took.
    """

    features: Path
    graph: Path
    n_faces: int
    neighbor_seconds: float

    @classmethod
    def write(cls, folder: Path, features: NDArray[np.float32], seed: int = 0) -> Self:
        """Find the neighbours and write both files into a folder."""
        inputs = folder / "features.npy", folder / "neighbors.safetensors"
        with written_beside(inputs[0]) as temporary:
            np.save(temporary, features, allow_pickle=False)
        view = FaceView(features, seed=seed)
        save_graph(inputs[1], view.graph)
        return cls(*inputs, len(features), view.seconds[NEIGHBORS])

    def view(self, seed: int) -> FaceView:
        """What a method sees, from the files."""
        features = np.load(self.features, mmap_mode="r", allow_pickle=False)
        return FaceView(features, load_graph(self.graph), seed)


@dataclass(frozen=True, eq=False)
class Grouping:
    """What one value of the parameter gave.

    Parameters
    ----------
    value : float
        Of the parameter.
    labels : int64 (N,)
        −1 for faces in no group.
    seconds : dict
        Wall-clock seconds per stage, as if this value had been run alone:
        stages that the grid shares count in full for each value.
    """

    value: float
    labels: NDArray[np.int64]
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a method gave for as many values as it got through.

    Parameters
    ----------
    groupings
        In the order of the values.
    peak_memory_bytes : int, optional
        Greatest resident memory of its process, Python and libraries
        included; None where it did not group anything.
    limit : str, optional
        Why values are missing, as a sentence; None where none is.
    """

    groupings: tuple[Grouping, ...]
    peak_memory_bytes: int | None = None
    limit: str | None = None


def measure(
    baseline: Baseline,
    inputs: Inputs,
    *,
    time_limit: float,
    seed: int = 0,
    values: Sequence[float] | None = None,
) -> Measured:
    """Run a method in a new process, and end that process when its time is over.

    Parameters
    ----------
    baseline
        The method. Its `group` must be importable by name.
    inputs
        The collection.
    time_limit : float
        Seconds for all values together, the start of the process included.
    seed
        For whatever the method draws: the same seed gives the same labels.
    values
        By default the method's grid.

    Returns
    -------
    Measured
        Never an error of the method's: that is its `Measured.limit`.
    """
    refused = baseline.refusal(inputs.n_faces)
    if refused is not None:
        return Measured((), limit=refused)
    values = tuple(baseline.grid if values is None else values)
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_work_apart, args=(sender, baseline, inputs, values, seed), daemon=True
    )
    process.start()
    sender.close()
    try:
        return _received(receiver, len(values), time_limit)
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()


def _received(receiver: Connection, n_values: int, time_limit: float) -> Measured:
    """Collect groupings until all are there, the process gives up, or the time is over."""
    deadline = time.monotonic() + time_limit
    groupings: list[Grouping] = []
    memory, limit = None, None
    while len(groupings) < n_values and limit is None:
        if not receiver.poll(max(0.0, deadline - time.monotonic())):
            limit = f"stopped after {time_limit:g} s"
            break
        try:
            received = receiver.recv()
        except EOFError:
            limit = "its process was ended from outside, most likely for lack of memory"
            break
        if isinstance(received, str):
            limit = received
        else:
            grouping, memory = received
            groupings.append(grouping)
    if limit is not None:
        limit += f", {len(groupings)} of {n_values} values done."
    return Measured(tuple(groupings), memory, limit)


def _work_apart(
    sender: Connection, baseline: Baseline, inputs: Inputs, values: Sequence[float], seed: int
) -> None:
    """`_work` in a process that does not outlive the one that started it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work(sender, baseline, inputs, values, seed)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(
    sender: Connection, baseline: Baseline, inputs: Inputs, values: Sequence[float], seed: int
) -> None:
    """Send each grouping with the peak memory so far, or the reason why there are no more."""
    try:
        view = inputs.view(seed)
        few = FaceView(np.array(view.features[:_WARM_UP_FACES]), seed=seed)
        baseline.group(few, values[len(values) // 2])
        for value in values:
            sender.send((_grouped(baseline, view, value, inputs), peak_memory_bytes()))
    except MemoryError:
        sender.send("ran out of memory")
    except FacelinkError as error:
        sender.send(str(error).removesuffix("."))
    except Exception as error:  # of whatever library the method uses
        sender.send(f"failed with {type(error).__name__}: {error}")
    finally:
        sender.close()


def _grouped(baseline: Baseline, view: FaceView, value: float, inputs: Inputs) -> Grouping:
    before, start = sum(view.seconds.values()), time.perf_counter()
    labels = baseline.group(view, value)
    elapsed = time.perf_counter() - start
    alone = elapsed - (sum(view.seconds.values()) - before)
    neighbors = {NEIGHBORS: inputs.neighbor_seconds} if view.uses_graph else {}
    return Grouping(value, labels, {**neighbors, **view.seconds, GROUPING: alone})
