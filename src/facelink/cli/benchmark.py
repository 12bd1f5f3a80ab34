"""Command that compares facelink with the field's methods on labelled faces."""

import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from facelink.benchmark.drawing import check_drawing
from facelink.benchmark.report.write import check_report_folder, write_report
from facelink.benchmark.run import (
    BUDGETS,
    PARTS,
    BenchmarkInputs,
    BenchmarkSettings,
    run_benchmark,
)
from facelink.cli import options
from facelink.cli.output import note, print_facts
from facelink.cli.training import paired
from facelink.training.face_sets import FaceSet

_SETTINGS = BenchmarkSettings()


def benchmark(
    features: options.Features,
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="The person of each face.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="REPORT",
            help="Folder for the report: index.html, report.md, figures and JSON records.",
        ),
    ],
    train: Annotated[
        list[Path] | None,
        typer.Option(
            "--train",
            metavar="FEATURES LABELS",
            help="Faces of other people by the same embedder; may be given several times. The "
            "methods' parameters are chosen on them, and the ablation trains on them. "
            "[default: a part of the people is held out]",
        ),
    ] = None,
    strangers: Annotated[
        list[Path] | None,
        typer.Option("--strangers", metavar="FEATURES LABELS", help="Faces to add as distractors."),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option("--model", metavar="DIR", help="Trained model that takes part; repeatable."),
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            metavar="PART",
            help=f"What to measure: {', '.join(PARTS)}; repeatable. [default: everything]",
        ),
    ] = None,
    time_limit: Annotated[
        float,
        typer.Option(
            "--time-limit", metavar="S", help="Seconds that a method has for all its values."
        ),
    ] = _SETTINGS.time_limit,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", help="Draws of each small set.")
    ] = _SETTINGS.n_draws,
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            metavar="|".join(BUDGETS),
            help="Training of each LinkGCN in the ablation: minutes in all, or the paper's.",
        ),
    ] = _SETTINGS.budget,
    work: Annotated[
        Path | None,
        typer.Option(
            "--work",
            metavar="DIR",
            help="Folder that keeps finished runs and trained models: a benchmark that was cut "
            "off goes on from there, with the same version of facelink.",
        ),
    ] = None,
    dim: options.Dim = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Compare facelink with the field's methods on your faces, and show the paper's evidence.

    Example: facelink benchmark faces.npy people.npy --train other.npy other-people.npy --out report
    """
    settings = BenchmarkSettings(
        parts=tuple(parts or PARTS),
        time_limit=time_limit,
        n_draws=draws,
        budget=budget,
        seed=seed,
    )
    check_report_folder(out)
    check_drawing()
    distractors = [_collection(*pair) for pair in paired(strangers or [], "--strangers")]
    inputs = BenchmarkInputs(
        _collection(features, labels, dim),
        tuple(_collection(*pair) for pair in paired(train or [], "--train")),
        distractors[0] if distractors else None,
        tuple(models or ()),
    )
    with ExitStack() as stack:
        if work is None:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measured = run_benchmark(inputs, settings, work=work, progress=note)
    write_report(out, measured.document, measured.records)
    facts = {
        "report": str(out / "index.html"),
        "markdown": str(out / "report.md"),
        "records": sorted(measured.records),
    }
    print_facts(facts, as_json=json)


def _collection(features: Path, labels: Path, dim: int | None = None) -> FaceSet:
    return FaceSet.load(features, labels, collection_name(features), dim=dim)


def collection_name(features: Path) -> str:
    """Name of a collection, fit for file names: that of its file, or of its folder.

    The folder's where the file is just called features, as `facelink synth` does.
    """
    stem = features.name.removesuffix(features.suffix)
    if stem == "features":
        stem = features.absolute().parent.name
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).removesuffix("-features")
    return name or "faces"
