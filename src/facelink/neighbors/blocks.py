"""Work on many rows in blocks, one block a thread."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from numba import get_num_threads
from threadpoolctl import threadpool_limits


def run_in_blocks(work: Callable[[slice], None], n_rows: int, largest: int) -> None:
    """Call `work` with slices that cover the rows, as many at a time as numba has threads.

    Parameters
    ----------
    work
        Called on several threads at once, with BLAS on one thread each; has to
        release the interpreter's lock to gain from it.
    n_rows
        Rows in all.
    largest
        Rows of a block at most. All are about equally large, so that no thread
        waits for another.
    """
    n_threads = get_num_threads()
    n_blocks = n_threads * -(-n_rows // (n_threads * largest))
    size = max(1, -(-n_rows // max(1, n_blocks)))
    blocks = [slice(start, start + size) for start in range(0, n_rows, size)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(n_threads) as threads:
        for finished in [threads.submit(work, block) for block in blocks]:
            finished.result()
