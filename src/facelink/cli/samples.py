"""Commands that need no data of the user's: `synth` and `demo`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from facelink.cli import options
from facelink.cli.evaluation import SCORES
from facelink.cli.output import note, print_facts, print_json, print_table, progress_bar
from facelink.cli.training import StepDisplay, note_epoch
from facelink.demo import run_demo
from facelink.features import save_features
from facelink.files import check_writable
from facelink.labels import save_labels
from facelink.synthetic import SyntheticSettings, make_faces

_FACES = SyntheticSettings()

_SHOWN = (
    "BCubed F",
    "BCubed precision",
    "BCubed recall",
    "pairwise F",
    "NMI (arithmetic)",
    "number of clusters",
)


def synth(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the two files.")],
    faces: Annotated[
        int, typer.Option("--faces", metavar="N", help="How many faces.")
    ] = _FACES.n_faces,
    dim: Annotated[
        int, typer.Option("--dim", metavar="D", help="Width of the features.")
    ] = _FACES.n_features,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Make up faces of made-up people: DIR/features.npy and DIR/people.npy.

    Example: facelink synth --out made-up --faces 5000
    """
    settings = SyntheticSettings(n_faces=faces, n_features=dim)
    for name in ("features.npy", "people.npy"):
        check_writable(out / name)
    made = make_faces(settings, seed=seed)
    save_features(out / "features.npy", made.features)
    save_labels(out / "people.npy", made.labels)
    sizes = np.bincount(made.labels)
    facts = {
        "n_faces": len(made.labels),
        "n_features": dim,
        "n_people": len(sizes),
        "n_singletons": int((sizes == 1).sum()),
        "largest_person": int(sizes.max()),
        "n_junk_faces": int(made.is_junk.sum()),
        "out": str(out),
    }
    print_facts(facts, as_json=json)


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for what the demo makes.")
    ] = Path("demo-output"),
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Also train a LinkGCN on other made-up people (a minute or two)."
        ),
    ] = False,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Group made-up people, and compare with a cosine threshold.

    Needs no data and no training and takes seconds. What it makes stays in
    DIR, to look at and to try the other commands on.
    """
    bar = progress_bar("training", 0, "pivots", has_details=True) if train else nullcontext()
    with bar as advance:
        report = run_demo(
            out,
            seed=seed,
            with_training=train,
            on_stage=note,
            on_step=None if advance is None else StepDisplay(advance),
            on_epoch=note_epoch,
        )
    scores = {"facelink": report.context_scores}
    if report.model_scores is not None:
        scores["trained LinkGCN"] = report.model_scores
    scores[f"cosine > {report.cosine_threshold:.2f}"] = report.cosine_scores
    if json:
        facts = {name: each.as_dict() for name, each in scores.items()}
        print_json({**facts, "seconds": round(report.seconds, 3), "out": str(out)})
        return
    faces, people = report.context_scores.n_instances, report.context_scores.n_identities
    print_table(
        ("score (%)", *scores),
        [(name, *(SCORES[name](each) for each in scores.values())) for name in _SHOWN],
        f"{faces:,} faces of {people:,} people; facelink took {report.seconds:.1f} s. The cosine "
        "threshold is the best on other people like them.",
    )
    note(f"made-up faces and labels: {out}")
