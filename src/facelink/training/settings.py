"""How a LinkGCN is trained."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from facelink.errors import InputError
from facelink.models.device import Precision
from facelink.subgraphs import SubgraphSettings

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["step", "cosine", "constant"]
ClassWeighting = Literal["none", "balanced"]
InitialWeights = Literal["similarity", "xavier"]


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one training run; the defaults are the paper's and its authors' code's.

    Parameters
    ----------
    subgraphs
        Subgraphs to train on; the paper's are (200, 10) with u = 10. Those the
        model is used with are in its config.
    epochs
        Passes over as many pivots as there are training faces.
    batch_size
        Pivots per step.
    optimizer, learning_rate, momentum, weight_decay
        ``"sgd"`` with momentum, or ``"adamw"``, which does not read `momentum`.
    max_gradient_norm
        With ``"sgd"``, longer gradients are scaled down to this length: steep
        initial weights on people who are easily told apart, or bfloat16, would
        else throw the first steps off. Infinity, as in the authors' code, for
        never. AdamW scales its steps itself.
    schedule
        ``"step"``: ×0.1 after each epoch, as in the authors' code;
        ``"cosine"``: to zero over the run, after a warm-up of its first 2 %;
        ``"constant"``.
    class_weighting
        ``"balanced"`` gives linked and not-linked nodes of a batch the same
        total weight.
    resample
        Draw people and cluster sizes anew for each round, so that the model
        sees many regimes; otherwise train on the sets as they are.
    round_pivots
        Pivots of a round; the state to resume from is saved after each.
    round_draws
        Collections drawn for a round; each gives the same number of pivots.
    max_draw_faces
        Largest collection drawn.
    initial_weights
        ``"similarity"``: begin as plain similarity and learn context from there
        (`start_from_similarity`); ``"xavier"``: at random, as the authors'
        code.
    validation_share
        Share of each set's people who are held out, in (0, 1).
    precision
        ``"bfloat16"`` runs the products in bfloat16; ``"auto"`` does so on
        devices that have it and is float32 elsewhere.
    seed
        Same seed, data, settings and machine: same model.
    """

    subgraphs: SubgraphSettings = field(default_factory=lambda: SubgraphSettings((200, 10), 10))
    epochs: int = 4
    batch_size: int = 16
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    max_gradient_norm: float = 1.0
    schedule: Schedule = "step"
    class_weighting: ClassWeighting = "none"
    resample: bool = True
    round_pivots: int = 4096
    round_draws: int = 8
    max_draw_faces: int = 20_000
    initial_weights: InitialWeights = "similarity"
    validation_share: float = 0.2
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in (
            ("optimizer", Optimizer),
            ("schedule", Schedule),
            ("class_weighting", ClassWeighting),
            ("initial_weights", InitialWeights),
            ("precision", Precision),
        ):
            if getattr(self, name) not in get_args(kind):
                choices = ", ".join(get_args(kind))
                raise InputError(f"{name}={getattr(self, name)!r}; choose one of {choices}.")
        for name in ("epochs", "batch_size", "round_pivots", "round_draws", "max_draw_faces"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}; it must be at least 1.")
        for name in ("momentum", "weight_decay", "seed"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}={getattr(self, name)}; it must not be negative.")
        for name in ("learning_rate", "max_gradient_norm"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)}; it must be above 0.")
        if not 0 < self.validation_share < 1:
            raise InputError(
                f"validation_share={self.validation_share}; choose a share between 0 and 1."
            )

    def learning_rate_at(self, pivots_done: int, epoch_pivots: int) -> float:
        """Learning rate after this many pivots, where an epoch has `epoch_pivots` of them."""
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "step":
            return float(self.learning_rate * 0.1 ** (pivots_done // epoch_pivots))
        done = pivots_done / (epoch_pivots * self.epochs)
        warm_up = min(1.0, (done + 1e-4) / 0.02)
        return self.learning_rate * warm_up * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
