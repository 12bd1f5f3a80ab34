"""The training loop.

Source: L-GCN (arXiv 1903.11306), section 4.1: cross-entropy on the 1-hop nodes
of each pivot's subgraph, stochastic gradient descent. Beyond the paper: people
and cluster sizes are drawn anew during training, validation is by identity and
in several regimes, and a killed run goes on where it was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from facelink.errors import InputError
from facelink.files import check_writable, write_json
from facelink.models.config import LinkGCNConfig
from facelink.models.device import runs_in_bfloat16
from facelink.models.layers import LinkInput
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import SubgraphBuilder
from facelink.training.face_sets import FaceSet, check_face_sets, split_by_identity
from facelink.training.initial import start_from_similarity
from facelink.training.rounds import Round, TrainingRounds
from facelink.training.settings import TrainingSettings
from facelink.training.state import (
    EpochScores,
    Progress,
    fingerprint,
    restore_state,
    save_state,
)
from facelink.training.validation import validate, validation_regimes

STATE_NAME = "training_state.safetensors"
HISTORY_NAME = "training.json"
LAST_FOLDER = "last"

_INITIAL_BATCH_SIZE = 64
_N_INITIAL_BATCHES = 16


@dataclass(frozen=True)
class TrainingStep:
    """What a progress display needs after a step."""

    epoch: int
    pivots_done: int
    pivots_total: int
    loss: float


OnStep = Callable[[TrainingStep], None]
OnEpoch = Callable[[int, EpochScores], None]


@dataclass(frozen=True)
class TrainingReport:
    """The outcome of a run.

    Parameters
    ----------
    history
        Training loss and validation scores of each epoch.
    best_epoch
        Number, from 1, of the epoch whose model was kept.
    """

    history: tuple[EpochScores, ...]
    best_epoch: int

    @property
    def best(self) -> EpochScores:
        """Scores of the model that was kept."""
        return self.history[self.best_epoch - 1]


def train_link_gcn(
    face_sets: Sequence[FaceSet],
    config: LinkGCNConfig,
    settings: TrainingSettings,
    out: Path | str,
    *,
    validation_sets: Sequence[FaceSet] = (),
    resume: bool = False,
    device: torch.device | str = "cpu",
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainingReport:
    """Train a LinkGCN on labelled faces.

    Parameters
    ----------
    face_sets
        Sets of one width D; their sizes may differ.
    config
        The model; its subgraph settings are those it is validated and used with.
    settings
        The training.
    out
        Folder for the best model by validation (``config.json``,
        ``model.safetensors``), the last one (``last/``), the scores of every
        epoch (``training.json``) and the state to resume from.
    validation_sets
        Further sets, only for validation; the people held out of `face_sets`
        always validate.
    resume
        Go on from the state in `out`; the result is that of a run that was
        never interrupted. Without a state there the run starts anew.
    on_step, on_epoch
        Called after each step and each epoch.

    Raises
    ------
    InputError
        If the sets cannot train this model, or `out` holds another run.
    OutputError
        If the folder cannot be written.
    """
    out = Path(out)
    _check_run(face_sets, validation_sets, config, out, resume=resume)
    splits = [
        split_by_identity(faces, settings.validation_share, settings.seed) for faces in face_sets
    ]
    rounds = TrainingRounds([kept for kept, _ in splits], settings)
    regimes = validation_regimes(
        (*(held_out for _, held_out in splits), *validation_sets), config.subgraphs, settings.seed
    )
    model = _random_model(config, settings.seed).to(device)
    optimizer = _optimizer(model, settings)
    run = fingerprint(config, settings, face_sets, validation_sets)
    progress = Progress()
    if resume and (out / STATE_NAME).exists():
        progress = restore_state(out / STATE_NAME, model, optimizer, run)
    elif settings.initial_weights == "similarity":
        first_batches = islice(_batches(model, rounds[0], _INITIAL_BATCH_SIZE), _N_INITIAL_BATCHES)
        start_from_similarity(model, first_batches, settings.seed)

    for epoch in range(len(progress.history), settings.epochs):
        for number in range(progress.n_rounds, rounds.rounds_per_epoch * (epoch + 1)):
            for inputs, is_linked in _batches(model, rounds[number], settings.batch_size):
                rate = settings.learning_rate_at(progress.pivots_done, rounds.epoch_pivots)
                loss = _step(model, optimizer, inputs, is_linked, rate, settings)
                progress.count(loss, len(inputs.pivots))
                if on_step is not None:
                    total = rounds.epoch_pivots * settings.epochs
                    on_step(TrainingStep(epoch + 1, progress.pivots_done, total, loss))
            progress.n_rounds = number + 1
            save_state(out / STATE_NAME, model, optimizer, progress, run)
        scores = EpochScores(progress.mean_loss, validate(model, regimes))
        progress.end_epoch(scores)
        _save_models(model, progress, out)
        save_state(out / STATE_NAME, model, optimizer, progress, run)
        if on_epoch is not None:
            on_epoch(epoch + 1, scores)
    return TrainingReport(tuple(progress.history), progress.best_epoch)


def _check_run(
    face_sets: Sequence[FaceSet],
    validation_sets: Sequence[FaceSet],
    config: LinkGCNConfig,
    out: Path,
    *,
    resume: bool,
) -> None:
    check_face_sets(face_sets)
    check_face_sets((face_sets[0], *validation_sets))
    if face_sets[0].n_features != config.n_features:
        raise InputError(
            f"the model reads width {config.n_features} but the features have width "
            f"{face_sets[0].n_features}; set n_features to it."
        )
    if (out / STATE_NAME).exists() and not resume:
        raise InputError(
            f"{out} holds a training run already; go on with --resume, or choose another folder."
        )
    check_writable(out / STATE_NAME)


def _random_model(config: LinkGCNConfig, seed: int) -> LinkGCN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LinkGCN(config)


def _optimizer(model: LinkGCN, settings: TrainingSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    return torch.optim.SGD(
        model.parameters(), lr=rate, momentum=settings.momentum, weight_decay=decay
    )


def _batches(
    model: LinkGCN, training_round: Round, batch_size: int
) -> Iterator[tuple[LinkInput, Tensor]]:
    """Inputs of each step and the class of each 1-hop node, int64 (L,)."""
    collection = training_round.collection
    builder = SubgraphBuilder(collection.graph, collection.subgraphs)
    for start in range(0, len(training_round.pivots), batch_size):
        batch = builder.build(training_round.pivots[start : start + batch_size])
        one_hop = batch.one_hop_rows
        is_linked = collection.is_linked(batch.pivots[batch.owners[one_hop]], batch.nodes[one_hop])
        inputs = model.inputs(batch, collection.faces.features)
        yield inputs, torch.from_numpy(is_linked.astype(np.int64)).to(model.device)


def _step(
    model: LinkGCN,
    optimizer: torch.optim.Optimizer,
    inputs: LinkInput,
    is_linked: Tensor,
    learning_rate: float,
    settings: TrainingSettings,
) -> float:
    """One step of gradient descent; returns the loss before it."""
    model.train()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    in_bfloat16 = runs_in_bfloat16(settings.precision, is_linked.device)
    with torch.autocast(is_linked.device.type, torch.bfloat16, enabled=in_bfloat16):
        logits = model(inputs).float()
    loss = functional.cross_entropy(logits, is_linked, _class_weights(is_linked, settings))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if settings.optimizer == "sgd":
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_gradient_norm)
    optimizer.step()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise InputError(
            f"the training loss became {value} at learning rate {learning_rate:g}; train with a "
            "lower one into another folder."
        )
    return value


def _class_weights(is_linked: Tensor, settings: TrainingSettings) -> Tensor | None:
    if settings.class_weighting == "none":
        return None
    counts = torch.bincount(is_linked, minlength=2).clamp(min=1)
    return len(is_linked) / (2.0 * counts)


def _save_models(model: LinkGCN, progress: Progress, out: Path) -> None:
    """Write the model of the epoch just done, as the last one and, if it is, as the best."""
    validation = progress.history[-1].validation
    weights = model.state_dict()
    config = replace(
        model.config,
        initial_threshold=validation.threshold,
        temperature=validation.calibration.temperature,
        bias=validation.calibration.bias,
    )
    ready = LinkGCN(config)
    ready.load_state_dict({name: value.cpu() for name, value in weights.items()})
    ready.save_pretrained(out / LAST_FOLDER)
    if progress.best_epoch == len(progress.history):
        ready.save_pretrained(out)
    write_json(out / HISTORY_NAME, _history(progress))


def _history(progress: Progress) -> dict[str, Any]:
    return {
        "best_epoch": progress.best_epoch,
        "epochs": [asdict(scores) for scores in progress.history],
    }
