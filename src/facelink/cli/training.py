"""Commands that make models: `train` and `import-checkpoint`."""

from pathlib import Path
from typing import Annotated, cast

import typer

from facelink.cli import options
from facelink.cli.output import (
    Advance,
    note,
    percent,
    print_facts,
    print_json,
    print_table,
    progress_bar,
)
from facelink.errors import InputError
from facelink.features import load_features
from facelink.labels import check_labels, load_labels
from facelink.models.aggregators import Aggregator, MeanNormalization
from facelink.models.checkpoint import import_checkpoint as read_checkpoint
from facelink.models.device import choose_device
from facelink.models.link_gcn import LinkGCNConfig
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import FaceSet
from facelink.training.settings import (
    ClassWeighting,
    Optimizer,
    Precision,
    Schedule,
    TrainingSettings,
)
from facelink.training.state import EpochScores
from facelink.training.trainer import TrainingReport, TrainingStep, train_link_gcn

_SCORES_HEADER = ("validation regime", "loss", "precision", "recall", "AP", "cosine AP", "BCubed F")


def train(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FEATURES LABELS …",
            help="Face features and the person of each face; several pairs of files train "
            "together (same width).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model.")],
    val: Annotated[
        list[Path] | None,
        typer.Option(
            "--val",
            metavar="FEATURES LABELS",
            help="A further set, only for validation. People held out of the training sets "
            "always validate.",
        ),
    ] = None,
    aggregator: Annotated[
        str, typer.Option("--aggregator", metavar="mean|weighted|attention")
    ] = "mean",
    mean_normalization: Annotated[
        str, typer.Option("--mean-normalization", metavar="row|symmetric")
    ] = "row",
    width: Annotated[
        list[int],
        typer.Option("--width", metavar="W1 W2 …", help="Widths of the graph convolutions."),
    ] = [512, 512, 256, 256],  # noqa: B006
    k_at_hop: Annotated[
        list[int],
        typer.Option("--k-at-hop", metavar="K1 K2 …", help="Neighbours followed when training."),
    ] = [200, 10],  # noqa: B006
    edge_neighbors: Annotated[
        int, typer.Option("--edge-neighbors", metavar="U", help="Edges per node when training.")
    ] = 10,
    test_k_at_hop: Annotated[
        list[int],
        typer.Option("--test-k-at-hop", metavar="K1 K2 …", help="Neighbours followed when used."),
    ] = [80, 5],  # noqa: B006
    test_edge_neighbors: Annotated[
        int, typer.Option("--test-edge-neighbors", metavar="U", help="Edges per node when used.")
    ] = 5,
    include_pivot: Annotated[
        bool,
        typer.Option("--include-pivot", help="Keep the pivot as a node, as the authors' code."),
    ] = False,
    epochs: Annotated[int, typer.Option("--epochs", metavar="N")] = 4,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N", help="Pivots.")] = 16,
    optimizer: Annotated[str, typer.Option("--optimizer", metavar="sgd|adamw")] = "sgd",
    learning_rate: Annotated[float, typer.Option("--learning-rate", metavar="R")] = 0.01,
    weight_decay: Annotated[float, typer.Option("--weight-decay", metavar="W")] = 1e-4,
    schedule: Annotated[
        str,
        typer.Option("--schedule", metavar="step|cosine|constant", help="Of the learning rate."),
    ] = "step",
    class_weighting: Annotated[
        str, typer.Option("--class-weighting", metavar="none|balanced")
    ] = "none",
    resample: Annotated[
        bool,
        typer.Option(
            "--resample/--no-resample",
            help="Draw people and cluster sizes anew during training, so that the model works in "
            "collections unlike the training sets.",
        ),
    ] = True,
    validation_share: Annotated[
        float, typer.Option("--validation-share", metavar="S", help="Share of people held out.")
    ] = 0.2,
    precision: Annotated[
        str, typer.Option("--precision", metavar="auto|float32|bfloat16")
    ] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out where it stopped.")
    ] = False,
    dim: options.Dim = None,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Train a link model on labelled faces.

    Example: facelink train a.npy a-people.npy b.npy b-people.npy --out my-model
    """
    settings = TrainingSettings(
        subgraphs=SubgraphSettings(tuple(k_at_hop), edge_neighbors, include_pivot),
        epochs=epochs,
        batch_size=batch_size,
        optimizer=cast(Optimizer, optimizer),
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        schedule=cast(Schedule, schedule),
        class_weighting=cast(ClassWeighting, class_weighting),
        resample=resample,
        validation_share=validation_share,
        precision=cast(Precision, precision),
        seed=seed,
    )
    chosen_device = choose_device(device)
    face_sets = [_face_set(*pair, dim) for pair in _pairs(files)]
    config = LinkGCNConfig(
        face_sets[0].n_features,
        tuple(width),
        cast(Aggregator, aggregator),
        cast(MeanNormalization, mean_normalization),
        subgraphs=SubgraphSettings(tuple(test_k_at_hop), test_edge_neighbors, include_pivot),
    )
    with progress_bar("training", 0, "pivots", has_details=True) as advance:
        report = train_link_gcn(
            face_sets,
            config,
            settings,
            out,
            validation_sets=[_face_set(*pair, dim) for pair in _pairs(val or [])],
            resume=resume,
            device=chosen_device,
            on_step=StepDisplay(advance),
            on_epoch=note_epoch,
        )
    _print_report(report, out, as_json=json)


def import_checkpoint(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CKPT", help="A checkpoint of the authors' repository."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model.")],
    json: options.Json = False,
) -> None:
    """Convert a checkpoint of the paper's authors into a facelink model.

    Only tensors are read from it; nothing in the file is executed.
    """
    model = read_checkpoint(checkpoint)
    model.save_pretrained(out)
    facts = {"n_features": model.config.n_features, "widths": list(model.config.widths)}
    print_facts({**facts, "out": str(out)}, as_json=json)


class StepDisplay:
    """Moves a progress bar to where training is, with the loss averaged over recent steps."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._n_shown: int | None = None
        self._loss = 0.0

    def __call__(self, step: TrainingStep) -> None:
        """Show a step."""
        self._loss = step.loss if self._n_shown is None else 0.98 * self._loss + 0.02 * step.loss
        n_new = step.pivots_done - (self._n_shown or 0)
        self._advance(n_new, f"epoch {step.epoch}, loss {self._loss:.4f}", step.pivots_total)
        self._n_shown = step.pivots_done


def _pairs(files: list[Path]) -> list[tuple[Path, Path]]:
    if len(files) % 2:
        raise InputError(
            f"{len(files)} files given; name features and labels in pairs: FEATURES LABELS …"
        )
    return list(zip(files[::2], files[1::2], strict=True))


def _face_set(features: Path, labels: Path, dim: int | None) -> FaceSet:
    people = load_labels(labels)
    X = load_features(features, dim=dim, n_instances=len(people) if dim is None else None)
    check_labels(people, len(X), str(labels))
    return FaceSet(features.stem, X, people)


def note_epoch(epoch: int, scores: EpochScores) -> None:
    """Tell how an epoch went."""
    validation = scores.validation
    note(
        f"epoch {epoch}: loss {scores.train_loss:.4f}; validation, mean over "
        f"{len(validation.regimes)} regimes: link AP {percent(validation.average_precision)} "
        f"(plain cosine {percent(validation.cosine_average_precision)}), BCubed F "
        f"{percent(validation.bcubed_f)} at threshold {validation.threshold}"
    )


def _print_report(report: TrainingReport, out: Path, *, as_json: bool) -> None:
    validation = report.best.validation
    if as_json:
        print_json(
            {
                "out": str(out),
                "best_epoch": report.best_epoch,
                "worse_than_cosine": validation.worse_than_cosine,
                **validation.as_dict(),
            }
        )
    else:
        rows = [
            (
                scores.regime,
                f"{scores.loss:.4f}",
                *map(
                    percent,
                    (
                        scores.link_precision,
                        scores.link_recall,
                        scores.average_precision,
                        scores.cosine_average_precision,
                        scores.bcubed_f,
                    ),
                ),
            )
            for scores in validation.regimes
        ]
        title = f"{out}: epoch {report.best_epoch}, threshold {validation.threshold}"
        print_table(_SCORES_HEADER, rows, title)
    if validation.worse_than_cosine:
        note(
            "WARNING: plain cosine similarity ranks links better than this model in "
            f"{len(validation.worse_than_cosine)} of {len(validation.regimes)} regimes: "
            f"{', '.join(validation.worse_than_cosine)}. Train longer or on more people, or do "
            "without a model there."
        )
