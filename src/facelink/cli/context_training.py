"""Command that trains the context model."""

from pathlib import Path
from typing import Annotated

import typer

from facelink.cli import options
from facelink.cli.output import note, percent, print_facts, progress_bar
from facelink.cli.training import paired
from facelink.errors import InputError
from facelink.features import load_features
from facelink.training.context.settings import ContextTrainingSettings
from facelink.training.context.trainer import train_context_gcn
from facelink.training.face_sets import FaceSet

_SETTINGS = ContextTrainingSettings()


def train_context(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FEATURES LABELS",
            help="Face features and the person of each face, one pair of files for each set.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model.")],
    also: Annotated[
        list[Path] | None,
        typer.Option(
            "--also",
            metavar="FEATURES",
            help="Features of the same faces by another embedder: one --also for each set, in "
            "their order; as many again for each further embedder.",
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", help="Rounds of drawn collections.")
    ] = _SETTINGS.n_rounds,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", metavar="R", help="Largest learning rate.")
    ] = _SETTINGS.learning_rate,
    validation_share: Annotated[
        float,
        typer.Option(
            "--validation-share",
            metavar="S",
            help="Share of the people who are held out to calibrate and to measure.",
        ),
    ] = _SETTINGS.validation_share,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Train a context model, which then works for embedders that it has not seen.

    Example: facelink train-context a.npy a-people.npy --also a-other.npy --out my-context
    """
    settings = ContextTrainingSettings(
        n_rounds=rounds,
        learning_rate=learning_rate,
        validation_share=validation_share,
        seed=seed,
    )
    face_sets = _by_embedder([FaceSet.load(*pair) for pair in paired(files, "training")], also)
    with progress_bar("training", settings.n_rounds, "rounds", has_details=True) as advance:
        report = train_context_gcn(
            face_sets,
            settings,
            out,
            on_round=lambda _, loss: advance(1, f"loss {loss:.4f}"),
        )
    scores = report.validation
    if scores.average_precision < scores.cosine_average_precision:
        note("WARNING: plain cosine similarity ranks the held-out links better than this model.")
    facts = {
        "out": str(out),
        "held_out_links": scores.n_links,
        "link_ap": percent(scores.average_precision),
        "cosine_ap": percent(scores.cosine_average_precision),
        "log_loss": round(scores.log_loss, 4),
        "calibration_error": round(scores.calibration_error, 4),
    }
    print_facts(facts, as_json=json)


def _by_embedder(sets: list[FaceSet], also: list[Path] | None) -> dict[str, list[FaceSet]]:
    """Sets of each embedder; further ones have the labels of the first's."""
    further = also or []
    if len(further) % len(sets):
        raise InputError(
            f"{len(further)} files after --also for {len(sets)} sets; give one for each set, in "
            "their order."
        )
    face_sets = {"embedder 1": sets}
    for start in range(0, len(further), len(sets)):
        face_sets[f"embedder {len(face_sets) + 1}"] = [
            FaceSet(str(path), load_features(path, n_instances=len(first)), first.labels)
            for path, first in zip(further[start : start + len(sets)], sets, strict=True)
        ]
    return face_sets
