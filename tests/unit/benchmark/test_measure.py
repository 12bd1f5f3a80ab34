import os
import signal
import time
from functools import partial
from multiprocessing import Pipe, active_children

import numpy as np
import pytest

from facelink.baselines.method import Baseline, Parameter
from facelink.baselines.registry import baseline_called
from facelink.baselines.view import NEIGHBORS
from facelink.benchmark import measure as measuring
from facelink.benchmark.measure import GROUPING, Grouping, Inputs, measure
from facelink.errors import InputError
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features

FEATURES, LABELS = clustered_features(12, 6, 32, seed=3)
LONG = 120.0
"""Seconds that no method here comes near, however busy the machine."""


def sleep_for_ever(view, value):
    while True:
        time.sleep(1)


def end_own_process(view, value):
    os.kill(os.getpid(), signal.SIGKILL)


def share_and_count(view, value):
    """Use the graph and a shared stage; the value is every label."""
    assert view.graph.n_instances == view.n_faces
    view.shared("part", lambda: None)
    return np.full(view.n_faces, int(value))


def fail(view, value, *, error):
    """Fail at the second call with one view; the warm-up has a view of its own."""
    view.seconds["calls"] = view.seconds.get("calls", 0) + 1
    if view.seconds["calls"] > 1:
        raise error
    return np.zeros(view.n_faces, dtype=np.int64)


def method(group, values=(1, 2, 3), **changes):
    return Baseline("key", "Title", "source", group, Parameter("value", values), **changes)


@pytest.fixture
def inputs(tmp_path):
    return Inputs.write(tmp_path, FEATURES)


def in_this_process(baseline, inputs, time_limit=LONG):
    """What the other process would send, without starting one."""
    receiver, sender = Pipe(duplex=False)
    measuring._work(sender, baseline, inputs, baseline.grid, 0)
    return measuring._received(receiver, len(baseline.grid), time_limit)


def test_inputs_are_the_features_and_their_neighbours(inputs):
    view = inputs.view(0)
    np.testing.assert_array_equal(view.features, FEATURES)
    np.testing.assert_array_equal(view.graph.indices, find_neighbors(FEATURES, 71).indices)
    assert inputs.n_faces == 72
    assert inputs.neighbor_seconds > 0


def test_another_process_gives_the_labels_of_this_one(inputs):
    baseline = baseline_called("chinese-whispers")
    measured = measure(baseline, inputs, time_limit=LONG, seed=2, values=(0.3, 0.5))
    assert measured.limit is None
    assert [one.value for one in measured.groupings] == [0.3, 0.5]
    for one in measured.groupings:
        np.testing.assert_array_equal(one.labels, baseline.group(inputs.view(2), one.value))
        assert set(one.seconds) == {NEIGHBORS, "edges", GROUPING}
    assert measured.peak_memory_bytes > 20e6
    assert active_children() == []


def test_a_process_whose_time_is_over_is_ended(inputs):
    measured = measure(method(sleep_for_ever), inputs, time_limit=0.5)
    assert measured.limit == "stopped after 0.5 s, 0 of 3 values done."
    assert measured.groupings == ()
    assert active_children() == []


def test_a_process_that_is_killed_is_noticed(inputs):
    measured = measure(method(end_own_process), inputs, time_limit=LONG)
    assert measured.limit == (
        "its process was ended from outside, most likely for lack of memory, 0 of 3 values done."
    )


def test_a_refused_method_is_not_started(inputs):
    refused = method(sleep_for_ever, max_faces=10, why="it sleeps.")
    measured = measure(refused, inputs, time_limit=LONG)
    assert measured.limit == "up to 10 faces only, here are 72: it sleeps."


def test_stages_that_the_grid_shares_count_for_every_value(inputs):
    measured = in_this_process(method(share_and_count), inputs)
    assert [one.labels[0] for one in measured.groupings] == [1, 2, 3]
    shared = [one.seconds["part"] for one in measured.groupings]
    assert shared[0] == shared[1] == shared[2]
    assert measured.groupings[0].seconds[NEIGHBORS] == inputs.neighbor_seconds


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "ran out of memory, 1 of 3 values done."),
        (InputError("too many."), "too many, 1 of 3 values done."),
        (ValueError("odd"), "failed with ValueError: odd, 1 of 3 values done."),
    ],
)
def test_what_a_method_raises_becomes_its_limit(inputs, error, sentence):
    measured = in_this_process(method(partial(fail, error=error)), inputs)
    assert measured.limit == sentence
    assert len(measured.groupings) == 1


def test_groupings_that_came_before_the_time_was_over_are_kept():
    receiver, sender = Pipe(duplex=False)
    sender.send((Grouping(1.0, LABELS, {}), 5))
    measured = measuring._received(receiver, 2, 0.05)
    assert measured.limit == "stopped after 0.05 s, 1 of 2 values done."
    assert [one.value for one in measured.groupings] == [1.0]
    assert measured.peak_memory_bytes == 5
