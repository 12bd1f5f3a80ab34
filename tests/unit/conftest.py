import numba
import pytest


@pytest.fixture
def two_numba_threads():
    """Two threads for the compiled loops, whatever the test sets meanwhile."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("NUMBA_NUM_THREADS allows one thread only")
    before = numba.get_num_threads()
    numba.set_num_threads(2)
    yield
    numba.set_num_threads(before)
