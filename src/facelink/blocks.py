"""Long arrays a block at a time, so that what is made on the way stays small."""

from collections.abc import Iterator

BLOCK = 1 << 20
"""Values in a block: a few arrays of so many fit into 32 MiB."""


def blocks(length: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cover 0 to `length` in order, each of at most `size` values."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))
