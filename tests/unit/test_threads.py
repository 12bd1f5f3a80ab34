"""The same input and seed give the same result, bit for bit, on any number of threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def digests():
    done = subprocess.run(
        [sys.executable, "-m", "tests.threads_worker"],
        cwd=ROOT,
        env=os.environ | {"NUMBA_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "name",
    [
        *("cluster, exact", "cluster, ivf", "links, mean", "links, weighted", "links, attention"),
        *("links, bfloat16", "train-context"),
    ],
)
def test_threads_change_nothing(digests, name):
    one, two, four = digests[name]
    assert (two, four) == (one, one)
