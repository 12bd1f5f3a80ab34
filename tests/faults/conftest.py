import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def processes_that_fork():
    if not hasattr(os, "fork"):
        pytest.skip("no processes that fork here")
