import os

import pytest

from tests.faults.killing import Commands


@pytest.fixture(autouse=True, scope="session")
def processes_that_fork():
    if not hasattr(os, "fork"):
        pytest.skip("no processes that fork here")


@pytest.fixture(scope="session")
def commands(processes_that_fork):
    """The command line with small work to do; importing it takes longer than most commands."""
    with Commands("tests.faults.small_commands:main") as running:
        yield running
