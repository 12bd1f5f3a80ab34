"""Tables of the README and of docs/benchmark.md, from the records of `facelink benchmark`.

    python -m benchmarks.published            # check that they are current
    python -m benchmarks.published --update   # write them anew
    python -m benchmarks.published --take REPORT   # keep the records of a report, then --update

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``. Names are those of the
tables of the kept records, and ``methods-overview`` of all of them together.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facelink.benchmark.comparison_tables import overview_table
from facelink.benchmark.document import Table
from facelink.benchmark.report.markdown import table_markdown
from facelink.benchmark.results import ComparisonRecord
from facelink.files import write_json, written_beside

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "records" / "reports"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "benchmark.md")

_PLACE = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def take(report: Path) -> None:
    """Keep the methods and tables of a report, called after its collection."""
    methods = ComparisonRecord.load(report / "records" / "methods.json")
    (name,) = methods.tuned_on
    folder = RECORDS / name
    folder.mkdir(parents=True, exist_ok=True)
    methods.save(folder / "methods.json")
    write_json(folder / "tables.json", _json(report / "records" / "tables.json"))


def tables() -> dict[str, Table]:
    """All tables of the kept records, by name."""
    found = {
        f"{path.parent.name}-upper-bound" if values["name"] == "upper-bound" else values["name"]:
        _table(values)
        for path in sorted(RECORDS.glob("*/tables.json"))
        for values in _json(path)
    }  # fmt: skip
    records = [ComparisonRecord.load(path) for path in sorted(RECORDS.glob("*/methods.json"))]
    together = replace(
        records[0],
        results=tuple(result for record in records for result in record.results),
        tuned_on={name: how for record in records for name, how in record.tuned_on.items()},
    )
    return {**found, "methods-overview": overview_table(together)}


def filled(text: str, by_name: dict[str, Table]) -> str:
    """Return a document with every table as the records have it."""
    return _PLACE.sub(
        lambda place: f"{place[1]}{table_markdown(by_name[place[2]])}\n{place[3]}", text
    )


def main(args: Sequence[str] | None = None) -> int:
    """Check or update the documents; exit code 1 if one is not current."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--take", type=Path, action="append", default=[], metavar="REPORT")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args(args)
    for report in options.take:
        take(report)
    by_name = tables()
    stale = [path for path in DOCUMENTS if filled(_text(path), by_name) != _text(path)]
    for path in stale if options.update else []:
        with written_beside(path) as temporary:
            temporary.write_text(filled(_text(path), by_name), encoding="utf-8")
    if stale and not options.update:
        print(f"not current: {', '.join(path.name for path in stale)}")
    return int(bool(stale) and not options.update)


def _table(values: dict[str, object]) -> Table:
    return Table(**{name: _frozen(value) for name, value in values.items()})


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _json(path: Path) -> list[dict[str, object]]:
    return json.loads(_text(path))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
