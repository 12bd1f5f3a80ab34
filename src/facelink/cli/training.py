"""Commands that make models: `train` and `import-checkpoint`."""

from pathlib import Path
from typing import Annotated

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
from facelink.models.aggregators import Aggregator, MeanNormalization
from facelink.models.checkpoint import import_checkpoint as read_checkpoint
from facelink.models.config import LinkGCNConfig
from facelink.models.device import Precision, choose_device
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import FaceSet
from facelink.training.settings import (
    ClassWeighting,
    InitialWeights,
    Optimizer,
    Schedule,
    TrainingSettings,
)
from facelink.training.state import EpochScores
from facelink.training.trainer import TrainingReport, TrainingStep, train_link_gcn

_TRAINING = TrainingSettings()
_MODEL = LinkGCNConfig(n_features=1)
_WIDTHS = list(_MODEL.widths)
_K_AT_HOP = list(_TRAINING.subgraphs.k_at_hop)
_TEST_K_AT_HOP = list(_MODEL.subgraphs.k_at_hop)

_SCORES_HEADER = (
    "validation regime",
    "loss",
    "precision",
    "recall",
    "AP",
    "cosine AP",
    "BCubed F",
    "context F",
)


def train(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FEATURES LABELS",
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
        Aggregator,
        typer.Option("--aggregator", help="How a node gathers the values of its neighbours."),
    ] = _MODEL.aggregator,
    mean_normalization: Annotated[
        MeanNormalization,
        typer.Option(
            "--mean-normalization",
            help="The mean over a node's edges, or the one that weighs both ends' numbers of "
            "edges; for --aggregator mean only.",
        ),
    ] = _MODEL.mean_normalization,
    width: Annotated[
        list[int],
        typer.Option("--width", metavar="W1 W2 …", help="Widths of the graph convolutions."),
    ] = _WIDTHS,
    k_at_hop: Annotated[
        list[int],
        typer.Option("--k-at-hop", metavar="K1 K2 …", help="Neighbours followed when training."),
    ] = _K_AT_HOP,
    edge_neighbors: Annotated[
        int,
        typer.Option(
            "--edge-neighbors",
            metavar="U",
            help="Nearest neighbours of a node that may become its edges when training.",
        ),
    ] = _TRAINING.subgraphs.n_edge_neighbors,
    test_k_at_hop: Annotated[
        list[int],
        typer.Option("--test-k-at-hop", metavar="K1 K2 …", help="Neighbours followed when used."),
    ] = _TEST_K_AT_HOP,
    test_edge_neighbors: Annotated[
        int,
        typer.Option("--test-edge-neighbors", metavar="U", help="As --edge-neighbors, when used."),
    ] = _MODEL.subgraphs.n_edge_neighbors,
    include_pivot: Annotated[
        bool,
        typer.Option("--include-pivot", help="Keep the pivot as a node, as the authors' code."),
    ] = False,
    epochs: Annotated[
        int,
        typer.Option(
            "--epochs", metavar="N", help="Passes over as many pivots as there are faces."
        ),
    ] = _TRAINING.epochs,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", help="Pivots per step.")
    ] = _TRAINING.batch_size,
    optimizer: Annotated[
        Optimizer, typer.Option("--optimizer", help="sgd has momentum, as in the paper.")
    ] = _TRAINING.optimizer,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", metavar="R", help="Learning rate at the start.")
    ] = _TRAINING.learning_rate,
    weight_decay: Annotated[
        float, typer.Option("--weight-decay", metavar="W", help="Pull of the weights to zero.")
    ] = _TRAINING.weight_decay,
    max_gradient_norm: Annotated[
        float,
        typer.Option(
            "--max-gradient-norm",
            metavar="L",
            help="sgd shortens longer gradients to this; inf as in the authors' code.",
        ),
    ] = _TRAINING.max_gradient_norm,
    schedule: Annotated[
        Schedule,
        typer.Option(
            "--schedule",
            help="Learning rate: ten times smaller after each epoch, down along a cosine after a "
            "warm-up, or constant.",
        ),
    ] = _TRAINING.schedule,
    class_weighting: Annotated[
        ClassWeighting,
        typer.Option(
            "--class-weighting",
            help="balanced: linked and not-linked neighbours weigh the same in the loss, however "
            "many there are of each.",
        ),
    ] = _TRAINING.class_weighting,
    resample: Annotated[
        bool,
        typer.Option(
            "--resample/--no-resample",
            help="Draw people and cluster sizes anew during training, so that the model works in "
            "collections unlike the training sets.",
        ),
    ] = _TRAINING.resample,
    initial_weights: Annotated[
        InitialWeights,
        typer.Option(
            "--initial-weights",
            metavar="similarity|xavier",
            help="Begin as plain similarity and learn context from there, or at random.",
        ),
    ] = _TRAINING.initial_weights,
    validation_share: Annotated[
        float,
        typer.Option(
            "--validation-share", metavar="S", help="Share of the people who are held out."
        ),
    ] = _TRAINING.validation_share,
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision", help="Of the products; auto is bfloat16 on devices that have it."
        ),
    ] = _TRAINING.precision,
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
        optimizer=optimizer,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        max_gradient_norm=max_gradient_norm,
        schedule=schedule,
        class_weighting=class_weighting,
        resample=resample,
        initial_weights=initial_weights,
        validation_share=validation_share,
        precision=precision,
        seed=seed,
    )
    training_files, validation_files = paired(files, "training"), paired(val or [], "--val")
    chosen_device = choose_device(device)
    face_sets = [FaceSet.load(*pair, dim=dim) for pair in training_files]
    validation_sets = [FaceSet.load(*pair, dim=dim) for pair in validation_files]
    config = LinkGCNConfig(
        face_sets[0].n_features,
        tuple(width),
        aggregator,
        mean_normalization,
        subgraphs=SubgraphSettings(tuple(test_k_at_hop), test_edge_neighbors, include_pivot),
    )
    with progress_bar("training", 0, "pivots", has_details=True) as advance:
        report = train_link_gcn(
            face_sets,
            config,
            settings,
            out,
            validation_sets=validation_sets,
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


def paired(files: list[Path], what: str) -> list[tuple[Path, Path]]:
    """Features and labels, two by two."""
    if len(files) % 2:
        raise InputError(
            f"{what}: an odd number of files ({', '.join(map(str, files))}); name features and "
            "labels in pairs: FEATURES LABELS …"
        )
    return list(zip(files[::2], files[1::2], strict=True))


def note_epoch(epoch: int, scores: EpochScores) -> None:
    """Tell how an epoch went."""
    validation = scores.validation
    note(
        f"epoch {epoch}: loss {scores.train_loss:.4f}; validation, mean over "
        f"{len(validation.regimes)} regimes: link AP {percent(validation.average_precision)} "
        f"(plain cosine {percent(validation.cosine_average_precision)}), BCubed F "
        f"{percent(validation.bcubed_f)} at threshold {validation.threshold}, at best "
        f"{percent(validation.best_bcubed_f)}"
    )


def _print_report(report: TrainingReport, out: Path, *, as_json: bool) -> None:
    validation = report.best.validation
    if as_json:
        print_json(
            {
                "out": str(out),
                "best_epoch": report.best_epoch,
                "worse_than_cosine": validation.worse_than_cosine,
                "better_than_context": validation.bcubed_f > validation.context_bcubed_f,
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
                        scores.context_bcubed_f,
                    ),
                ),
            )
            for scores in validation.regimes
        ]
        title = f"{out}: epoch {report.best_epoch}, threshold {validation.threshold}"
        print_table(_SCORES_HEADER, rows, title)
    comparison = "better" if validation.bcubed_f > validation.context_bcubed_f else "NOT better"
    note(
        f"this model groups the validation people {comparison} than the context model that ships "
        f"with facelink and needs no training: BCubed F {percent(validation.bcubed_f)} against "
        f"{percent(validation.context_bcubed_f)}"
    )
    if validation.worse_than_cosine:
        note(
            "WARNING: plain cosine similarity ranks links better than this model in "
            f"{len(validation.worse_than_cosine)} of {len(validation.regimes)} regimes: "
            f"{', '.join(validation.worse_than_cosine)}. Train longer or on more people, or do "
            "without a model there."
        )
