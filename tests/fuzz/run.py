"""Feeds one reader with changed files, led by the code that they reach: `run.py READER SECONDS`.

Needs atheris, which `make fuzz` installs. A finding ends the program with the traceback and leaves
the file's content in the current folder, as ``crash-…``; it becomes a test in
`tests/properties/test_fuzz_findings.py`. Options of libFuzzer may follow.
"""

import inspect
import resource
import sys
import tempfile
import zipfile
from pathlib import Path
from types import FunctionType, ModuleType

import atheris
import torch
from numba.core.registry import CPUDispatcher

from facelink import arrays, features, files, labels, links, pairs, parquet_rows, tensor_files
from facelink.album import last_look, library, neighborhood, queries, schema
from facelink.models import checkpoint, config, saved
from facelink.neighbors import files as graph_files
from facelink.neighbors import prepared, shards, stored_cells
from facelink.stages import manifest, settings
from facelink.training import state
from tests.fuzz.readers import READERS

LEADING = (
    *(arrays, checkpoint, config, features, files, graph_files, labels, last_look, library, links),
    *(manifest, neighborhood, pairs, parquet_rows, prepared, queries, saved, schema, settings),
    *(shards, state, stored_cells, tensor_files, zipfile, torch._weights_only_unpickler),
)
"""Modules whose branches lead the search."""

SPARE_BYTES = 1 << 30
"""Address space that a reader may take for a file of a few thousand bytes."""

LONGEST_SECONDS = 20


def instrument(module: ModuleType) -> None:
    """Make the functions and methods of a module tell which of their branches were taken."""
    owners = [module, *(value for _, value in inspect.getmembers(module, inspect.isclass))]
    for owner in owners:
        for value in vars(owner).values():
            if isinstance(value, CPUDispatcher):
                continue  # compiled from what it was
            function = inspect.unwrap(getattr(value, "__func__", value))
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                atheris.instrument_func(function)


def limit_memory() -> None:
    """Refuse to this process more address space than it has and `SPARE_BYTES`."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    """Run until the time is over or something is found."""
    name, seconds, *options = sys.argv[1:]
    reader = READERS[name]
    for content in reader.examples:
        assert reader.attempt(content) is not None, "an example is refused"
    for module in LEADING:
        instrument(module)
    limit_memory()

    def attempt(content: bytes) -> None:
        reader.attempt(content)

    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(reader.examples):
            Path(corpus, str(number)).write_bytes(content)
        limits = [f"-max_total_time={seconds}", f"-timeout={LONGEST_SECONDS}"]
        atheris.Setup([sys.argv[0], *limits, *options, corpus], attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
