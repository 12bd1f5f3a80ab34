"""How a ContextGCN is trained."""

from dataclasses import dataclass

from facelink.errors import InputError


@dataclass(frozen=True)
class ContextTrainingSettings:
    """Settings of one training run; the defaults made the model that ships with facelink.

    Parameters
    ----------
    n_rounds, round_draws, draw_pivots
        A round draws `round_draws` collections and trains on at most
        `draw_pivots` pivots of each.
    batch_pivots
        Pivots of a step, from several collections of the round.
    passes
        How often a round's pivots are trained on.
    learning_rate, weight_decay
        Of AdamW; the rate warms up over 3 % of the run and falls to zero as a
        cosine.
    min_k, max_k
        Neighbours judged per pivot, drawn for each collection.
    max_k_share
        Share of collections that are judged at `max_k`, in [0, 1].
    max_faces
        Largest collection drawn.
    made_up_share
        Share of collections of made-up people, in [0, 1].
    validation_share
        Share of each set's people who are held out, in (0, 1).
    validation_draws
        Collections of held-out people; half of them calibrate, half measure.
    seed
        Same seed, data, settings and machine: same model.
    """

    n_rounds: int = 90
    round_draws: int = 12
    draw_pivots: int = 640
    batch_pivots: int = 96
    passes: int = 2
    learning_rate: float = 0.003
    weight_decay: float = 0.001
    min_k: int = 10
    max_k: int = 80
    max_k_share: float = 0.35
    max_faces: int = 20_000
    made_up_share: float = 0.2
    validation_share: float = 0.1
    validation_draws: int = 120
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "n_rounds",
            "round_draws",
            "draw_pivots",
            "batch_pivots",
            "passes",
            "min_k",
            "max_faces",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}; it must be at least 1.")
        if self.max_k < self.min_k:
            raise InputError(f"max_k={self.max_k}; it must be at least min_k={self.min_k}.")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate={self.learning_rate}; it must be above 0.")
        for name in ("weight_decay", "seed"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}={getattr(self, name)}; it must not be negative.")
        for name in ("max_k_share", "made_up_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)}; choose a share in [0, 1].")
        if not 0 < self.validation_share < 1:
            raise InputError(
                f"validation_share={self.validation_share}; choose a share between 0 and 1."
            )
        if self.validation_draws < 2:
            raise InputError(
                f"validation_draws={self.validation_draws}; one collection calibrates and another "
                "measures, so draw at least 2."
            )
