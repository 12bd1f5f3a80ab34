"""The saved state of a training run, from which it goes on after a kill.

A state is a safetensors file: tensors of the model and of the optimizer, and
the run's progress as metadata. Nothing is pickled.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facelink.errors import InputError
from facelink.files import load_arrays, reading, save_arrays
from facelink.models.config import LinkGCNConfig
from facelink.training.face_sets import FaceSet
from facelink.training.settings import TrainingSettings
from facelink.training.validation import ValidationScores

_FORMAT = "facelink.training"

_REMEMBERED: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.SGD: ("momentum_buffer",),
}
"""What each optimizer keeps for every parameter, in the parameter's shape; `step` is one number."""

_MOST_STEPS = 2.0**24
"""Up to here float32 counts every step."""


@dataclass(frozen=True)
class EpochScores:
    """Mean training loss of an epoch's pivots and the validation after it."""

    train_loss: float
    validation: ValidationScores


@dataclass
class Progress:
    """How far a run is.

    Parameters
    ----------
    n_rounds
        Rounds done.
    pivots_done
        Pivots trained on since the run began.
    epoch_loss, epoch_pivots
        Sum of the losses of the epoch's pivots so far, and their number.
    history
        Scores of each epoch done.
    """

    n_rounds: int = 0
    pivots_done: int = 0
    epoch_loss: float = 0.0
    epoch_pivots: int = 0
    history: list[EpochScores] = field(default_factory=list)

    def count(self, loss: float, n_pivots: int) -> None:
        """Add a step."""
        self.pivots_done += n_pivots
        self.epoch_pivots += n_pivots
        self.epoch_loss += loss * n_pivots

    @property
    def mean_loss(self) -> float:
        """Mean loss of the epoch's pivots so far."""
        return self.epoch_loss / max(1, self.epoch_pivots)

    def end_epoch(self, scores: EpochScores) -> None:
        """Keep the epoch's scores and begin the next one."""
        self.history.append(scores)
        self.epoch_loss, self.epoch_pivots = 0.0, 0

    @property
    def best_epoch(self) -> int:
        """Number, from 1, of the epoch with the best validation clustering."""
        scores = [
            (epoch.validation.best_bcubed_f, epoch.validation.average_precision)
            for epoch in self.history
        ]
        return scores.index(max(scores)) + 1


def fingerprint(
    config: LinkGCNConfig,
    settings: TrainingSettings,
    face_sets: Sequence[FaceSet],
    validation_sets: Sequence[FaceSet],
) -> dict[str, Any]:
    """What a run depends on; a state belongs to the run whose fingerprint it holds."""
    return {
        "config": config.as_dict(),
        "settings": asdict(settings),
        "training": [_digest(faces) for faces in face_sets],
        "validation": [_digest(faces) for faces in validation_sets],
    }


def _digest(faces: FaceSet) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(faces.labels).tobytes())
    digest.update(np.ascontiguousarray(faces.features).data)
    return f"{len(faces)} faces, sha256 {digest.hexdigest()[:16]}"


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    run: dict[str, Any],
) -> None:
    """Write everything that the rest of the run depends on, whole or not at all."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    save_arrays(path, arrays, {"format": _FORMAT, "run": run, "progress": asdict(progress)})


def restore_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, run: dict[str, Any]
) -> Progress:
    """Put a saved state into the model and the optimizer; return its progress.

    Raises
    ------
    InputError
        If the file is damaged, not a training state, or one of another run; the
        message names what differs.
    """
    arrays, metadata = load_arrays(path, "training state")
    if metadata.get("format") != _FORMAT:
        raise InputError(f"training state {path}: not a training state; train without --resume.")
    with reading(path, "training state", "whole"):
        _check_same_run(path, dict(metadata["run"]), json.loads(json.dumps(run)))
        progress = _progress_of(dict(metadata["progress"]))
        weights = {
            name.removeprefix("model."): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith("model.")
        }
        _check_float32(weights.values())
        state = _optimizer_state(arrays, optimizer)
        model.load_state_dict(weights)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return progress


def _progress_of(values: dict[str, Any]) -> Progress:
    history = [
        EpochScores(float(epoch["train_loss"]), ValidationScores.from_dict(epoch["validation"]))
        for epoch in values.pop("history")
    ]
    progress = Progress(**values, history=history)
    counts = (progress.n_rounds, progress.pivots_done, progress.epoch_pivots)
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError(f"it counts {counts} rounds and pivots")
    if not np.isfinite(progress.epoch_loss):
        raise ValueError(f"a loss of {progress.epoch_loss}")
    return progress


def _optimizer_state(
    arrays: Mapping[str, np.ndarray], optimizer: torch.optim.Optimizer
) -> dict[int, dict[str, torch.Tensor]]:
    """What the optimizer remembers of each parameter; none before its first step."""
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith("optimizer."):
            _, index, kind = name.split(".")
            state.setdefault(int(index), {})[kind] = torch.from_numpy(array)
    for number, values in state.items():
        expected = {
            kind: () if kind == "step" else tuple(parameters[number].shape)
            for kind in _REMEMBERED[type(optimizer)]
        }
        found = {kind: tuple(value.shape) for kind, value in values.items()}
        if found != expected:
            raise ValueError(f"optimizer.{number} has {found}, needed {expected}")
        _check_float32(values.values())
        if not 0 <= float(values.get("step", torch.zeros(()))) <= _MOST_STEPS:
            raise ValueError(f"optimizer.{number} counts {float(values['step'])} steps")
    if state and state.keys() != set(range(len(parameters))):
        raise ValueError("the optimizer's state lacks parameters")
    return state


def _check_float32(tensors: Iterable[torch.Tensor]) -> None:
    if not all(one.dtype == torch.float32 and bool(one.isfinite().all()) for one in tensors):
        raise ValueError("tensors that are not float32, or hold NaN or infinite values")


def _check_same_run(path: Path, stored: dict[str, Any], run: dict[str, Any]) -> None:
    different = [
        f"{name}: {there} there, {here} here" for name, there, here in _differences(stored, run)
    ]
    if different:
        raise InputError(
            f"training state {path} is of another run ({'; '.join(different)}); resume with the "
            "same data and settings, or train into another folder."
        )


def _differences(
    stored: dict[str, Any], run: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Dotted name and both values of whatever differs."""
    for name in sorted(stored.keys() | run.keys()):
        there, here = stored.get(name), run.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _differences(there, here, f"{prefix}{name}.")
        elif there != here:
            yield f"{prefix}{name}", there, here
