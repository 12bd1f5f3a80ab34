"""Training of the context model: one loop over drawn collections, then calibration.

Unlike a LinkGCN it sees many embedders, real and made up, and a new collection
every few steps; what it can learn is what all of them have in common.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from threadpoolctl import threadpool_limits
from torch.nn import functional

from facelink.errors import InputError
from facelink.files import check_writable, write_json
from facelink.models.context_gcn import ContextGCN, ContextGCNConfig
from facelink.models.saved import WEIGHTS_NAME
from facelink.training.context.batches import PIVOTS_PER_PART, Batch, Part, parts_of
from facelink.training.context.calibration import fit_scale_and_shift
from facelink.training.context.evaluation import LinkScores, judge_parts, link_scores
from facelink.training.context.regimes import FaceSets, draw_faces, draw_k
from facelink.training.context.settings import ContextTrainingSettings
from facelink.training.face_sets import FaceSet, check_face_sets, split_by_identity

HISTORY_NAME = "training.json"

_TRAINING, _VALIDATION, _INPUTS = range(3)
_INPUT_DRAWS = 100
_LEAST_DEVIATION = 0.05
_WARM_UP = 0.03
_LEAST_PEOPLE = 20
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class ContextTrainingReport:
    """The outcome of a run.

    Parameters
    ----------
    losses
        Mean training loss of each round.
    scale, shift
        Calibration: the log-odds of the trained network were replaced by
        scale · x + shift.
    validation
        Scores on collections of held-out people that did not calibrate.
    """

    losses: tuple[float, ...]
    scale: float
    shift: float
    validation: LinkScores

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


OnRound = Callable[[int, float], None]
"""Called after each round with its number, from 1, and its mean loss."""


def train_context_gcn(
    face_sets: FaceSets,
    settings: ContextTrainingSettings,
    out: Path | str,
    *,
    config: ContextGCNConfig | None = None,
    on_round: OnRound | None = None,
) -> ContextTrainingReport:
    """Train a ContextGCN on labelled faces of one or more embedders.

    Same faces, settings and machine: same bits, on any number of threads.

    Parameters
    ----------
    face_sets
        Embedder → sets of faces. The i-th sets of all embedders hold the same
        faces in the same order, so that two embedders can be put side by side.
    settings
        The training.
    out
        Folder for the model (``config.json``, ``model.safetensors``) and what
        was measured (``training.json``).
    config
        The model; by default the one that ships with facelink.
    on_round
        Called after each round.

    Returns
    -------
    ContextTrainingReport
        With scores on held-out people.

    Raises
    ------
    InputError
        If the sets are no training sets, or differ between embedders.
    OutputError
        If the folder cannot be written.
    """
    out = Path(out)
    check_same_faces(face_sets)
    check_writable(out / WEIGHTS_NAME)
    kept, held_out = _split(face_sets, settings)
    model = _random_model(config or ContextGCNConfig(), settings.seed)
    _normalize_inputs(model, kept, settings)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    losses = []
    for number in range(settings.n_rounds):
        random = np.random.default_rng((settings.seed, _TRAINING, number))
        parts = [
            part
            for _ in range(settings.round_draws)
            for part in _draw(kept, settings, model.config, random).parts
        ]
        losses.append(_train_round(model, optimizer, parts, settings, number, random))
        if on_round is not None:
            on_round(number + 1, losses[-1])
    scale, shift, validation = _calibrate(model.eval(), held_out, settings)
    report = ContextTrainingReport(tuple(losses), scale, shift, validation)
    model.save_pretrained(out)
    write_json(out / HISTORY_NAME, {"settings": asdict(settings), **report.as_dict()})
    return report


def check_same_faces(face_sets: FaceSets) -> None:
    """Raise `InputError` unless all embedders have the same faces, and each set can train."""
    if not face_sets:
        raise InputError("no embedder; give at least one with a set of labelled faces.")
    first_embedder = next(iter(face_sets))
    for embedder, sets in face_sets.items():
        check_face_sets(sets)
        if len(sets) != len(face_sets[first_embedder]):
            raise InputError(
                f"{len(sets)} sets of {embedder!r} but {len(face_sets[first_embedder])} of "
                f"{first_embedder!r}; give every set once for each embedder."
            )
        for faces, first in zip(sets, face_sets[first_embedder], strict=True):
            if not np.array_equal(faces.labels, first.labels):
                raise InputError(
                    f"{faces.name} of {embedder!r} and {first.name} of {first_embedder!r} have "
                    "different labels; give the same faces in the same order."
                )


def _split(
    face_sets: FaceSets, settings: ContextTrainingSettings
) -> tuple[dict[str, list[FaceSet]], dict[str, list[FaceSet]]]:
    """Training and held-out faces of each embedder: the same people for all of them."""
    kept: dict[str, list[FaceSet]] = {}
    held_out: dict[str, list[FaceSet]] = {}
    for embedder, sets in face_sets.items():
        splits = [
            split_by_identity(faces, settings.validation_share, settings.seed) for faces in sets
        ]
        kept[embedder] = [training for training, _ in splits]
        held_out[embedder] = [validation for _, validation in splits]
    return kept, held_out


def _random_model(config: ContextGCNConfig, seed: int) -> ContextGCN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ContextGCN(config)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The pivots of one collection, and how many people it has."""

    parts: list[Part]
    n_people: int


def _draw(
    face_sets: FaceSets,
    settings: ContextTrainingSettings,
    config: ContextGCNConfig,
    random: np.random.Generator,
) -> _Drawn:
    with threadpool_limits(1, "blas"):  # sums, and eigenvectors, are rounded by their threads
        faces = draw_faces(face_sets, settings, random)
    k = draw_k(len(faces), settings, random)
    parts = list(parts_of(faces, k, settings.draw_pivots, config, random))
    return _Drawn(parts, len(np.unique(faces.labels)))


def _normalize_inputs(
    model: ContextGCN, face_sets: FaceSets, settings: ContextTrainingSettings
) -> None:
    """Set the mean and standard deviation of the features to those of many small draws."""
    few = replace(settings, draw_pivots=PIVOTS_PER_PART)
    drawn = [
        _draw(face_sets, few, model.config, np.random.default_rng((settings.seed, _INPUTS, number)))
        for number in range(_INPUT_DRAWS)
    ]
    parts = [part for collection in drawn for part in collection.parts]
    features = np.concatenate([part.features for part in parts]).astype(np.float64)
    deviation = features.std(axis=0) + _LEAST_DEVIATION
    model.feature_mean.copy_(torch.from_numpy(features.mean(axis=0)))
    model.feature_std.copy_(torch.from_numpy(deviation))


def _train_round(
    model: ContextGCN,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[Part],
    settings: ContextTrainingSettings,
    number: int,
    random: np.random.Generator,
) -> float:
    """Train on all parts of a round; returns the mean loss."""
    size = max(1, settings.batch_pivots // PIVOTS_PER_PART)
    order = np.concatenate([random.permutation(len(parts)) for _ in range(settings.passes)])
    losses = []
    for start in range(0, len(order), size):
        done = (number + start / len(order)) / settings.n_rounds
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(done)
        batch = Batch.of([parts[i] for i in order[start : start + size]])
        with _one_thread():
            losses.append(_step(model, optimizer, batch))
    return float(np.mean(losses))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch add up in one order: how it divides sums and products depends on its threads.

    Only around the model, since other libraries' loops are held to this number too.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _schedule(done: float) -> float:
    """Learning rate relative to its largest, after this share of the run."""
    return min(1.0, (done + 0.002) / _WARM_UP) * 0.5 * (1 + cos(pi * done))


def _step(model: ContextGCN, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    """One step of gradient descent; returns the loss before it."""
    log_odds = model(batch.features, batch.adjacency)
    each = functional.binary_cross_entropy_with_logits(log_odds, batch.is_linked, reduction="none")
    loss = (each * batch.weights).sum() / batch.weights.sum()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
    optimizer.step()
    return float(loss.detach())


def _calibrate(
    model: ContextGCN, held_out: FaceSets, settings: ContextTrainingSettings
) -> tuple[float, float, LinkScores]:
    """Calibrate on half of the collections of held-out people, measure on the other half."""
    randoms = [
        np.random.default_rng((settings.seed, _VALIDATION, number))
        for number in range(settings.validation_draws)
    ]
    drawn = [_draw(held_out, settings, model.config, random) for random in randoms]
    # Among a handful of people random pairs do not tell what impostors are like.
    many = [collection.parts for collection in drawn if collection.n_people >= _LEAST_PEOPLE]
    collections = many if len(many) > 1 else [collection.parts for collection in drawn]
    log_odds, is_linked, weights, _ = _judged(model, collections[::2])
    with threadpool_limits(1, "blas"):
        scale, shift = fit_scale_and_shift(log_odds, is_linked, weights)
    model.recalibrate(scale, shift)
    log_odds, is_linked, _, similarities = _judged(model, collections[1::2])
    return scale, shift, link_scores(expit(log_odds), similarities, is_linked)


def _judged(
    model: ContextGCN, drawn: Sequence[Sequence[Part]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64], NDArray[np.float32]]:
    """Log-odds, truth, weight and similarity of all links; every collection weighs alike."""
    parts = [part for collection in drawn for part in collection]
    n_links = [sum(len(part) for part in collection) for collection in drawn]
    with _one_thread():
        log_odds = judge_parts(model, parts)
    return (
        log_odds,
        np.concatenate([part.is_linked for part in parts]),
        np.repeat(1 / np.array(n_links), n_links),
        np.concatenate([part.similarities for part in parts]),
    )
