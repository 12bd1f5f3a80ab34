"""Robustness of the default path, as Markdown: `facelink.benchmark.robustness` from files.

python -m benchmarks.robustness --test FEATURES LABELS --strangers FEATURES LABELS
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from facelink.benchmark.report.markdown import table_markdown
from facelink.benchmark.robustness import RobustnessSettings, measure_robustness
from facelink.benchmark.robustness_tables import robustness_tables
from facelink.files import write_json
from facelink.training.face_sets import FaceSet


def main(args: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test", nargs=2, type=Path, required=True)
    parser.add_argument("--strangers", nargs=2, type=Path)
    parser.add_argument("--fixed-cosine", type=float, help="chosen on other faces")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--large-person", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="record to write, JSON")
    options = parser.parse_args(args)
    measured = measure_robustness(
        FaceSet.load(*options.test, options.test[0].stem),
        FaceSet.load(*options.strangers, options.strangers[0].stem) if options.strangers else None,
        RobustnessSettings(
            options.fixed_cosine,
            n_draws=options.draws,
            n_large_person=options.large_person,
            seed=options.seed,
        ),
    )
    if options.out is not None:
        write_json(options.out, measured.as_dict())
    for table in robustness_tables(measured):
        print(f"\n**{table.caption}**\n")
        print(table_markdown(table))
        print(f"\n{table.note}", flush=True)


if __name__ == "__main__":
    main()
