"""Two records side by side: how many times the second one's figures are the first one's."""

import argparse
import sys
from collections.abc import Iterator, Sequence

from benchmarks.records import Record, Result, readable_seconds
from facelink.errors import InputError


def compare(first: Record, second: Record) -> list[str]:
    """Lines of text: what differs in the circumstances, then a ratio for each figure.

    Times and sizes are per item; a ratio below 1 means that the second record
    needs less. Results of other settings are listed but not compared.
    """
    old = {result.name: result for result in first.results}
    new = {result.name: result for result in second.results}
    lines = [f"first:  {_title(first)}", f"second: {_title(second)}"]
    lines += [f"note: {note}" for note in _differences(first, second)]
    for name in sorted(old.keys() | new.keys()):
        if name not in new or name not in old:
            lines.append(f"note: {name} is only in the {'first' if name in old else 'second'}")
    for name, result in old.items():
        if name in new:
            lines += ["", name, *_ratios(result, new[name])]
    return lines


def _title(record: Record) -> str:
    return f"{record.benchmark} at {record.commit}, {record.date}"


def _differences(first: Record, second: Record) -> Iterator[str]:
    """What else than the code may have changed the figures."""
    if first.seed != second.seed:
        yield f"the seeds differ: {first.seed}, {second.seed}"
    for what in ("machine", "versions"):
        old, new = getattr(first, what), getattr(second, what)
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                yield f"{what} differ in {key}: {old.get(key)}, {new.get(key)}"


def _ratios(old: Result, new: Result) -> list[str]:
    if old.settings != new.settings:
        return ["  other settings, so not compared"]
    lines = [
        f"  {stage:<16}{readable_seconds(old.seconds_per_item(stage)):>10}"
        f"{readable_seconds(new.seconds_per_item(stage)):>12} per {old.item}"
        f"{new.seconds_per_item(stage) / old.seconds_per_item(stage):>8.2f}×"
        for stage in old.stages
        if stage in new.stages
    ]
    if old.peak_memory_bytes and new.peak_memory_bytes:
        lines.append(
            f"  {'peak memory':<16}{old.peak_memory_bytes / 2**20:>6.0f} MiB"
            f"{new.peak_memory_bytes / 2**20:>8.0f} MiB"
            f"{'':>{len(old.item) + 5}}{new.peak_memory_bytes / old.peak_memory_bytes:>8.2f}×"
        )
    lines += [
        f"  {name}: {value:.6g} → {new.quality[name]:.6g}"
        for name, value in old.quality.items()
        if name in new.quality
    ]
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: 0, or 2 for a file that is no record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("first", help="record to compare with")
    parser.add_argument("second", help="record to look at")
    options = parser.parse_args(arguments)
    try:
        lines = compare(Record.load(options.first), Record.load(options.second))
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
