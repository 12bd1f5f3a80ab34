"""Rounds of training: which collections and which pivots, by seed and number alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from facelink.training.face_sets import Collection, FaceSet, draw_collection
from facelink.training.settings import TrainingSettings


@dataclass(frozen=True, eq=False)
class Round:
    """Pivots of one round, int64 (P,), in the order of training, and the faces around them."""

    collection: Collection
    pivots: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrainingRounds:
    """The sequence of rounds of a run; round i is always the same.

    With resampling, a round draws `round_draws` collections and takes the same
    number of pivots from each. Without, every face of every set is a pivot
    once per epoch.
    """

    face_sets: Sequence[FaceSet]
    settings: TrainingSettings

    @property
    def epoch_pivots(self) -> int:
        """Pivots of an epoch: as many as there are faces."""
        return sum(len(faces) for faces in self.face_sets)

    @property
    def rounds_per_epoch(self) -> int:
        """Rounds of an epoch; the last one may be smaller."""
        return -(-self.epoch_pivots // self.settings.round_pivots)

    def __getitem__(self, number: int) -> Round:
        """The round of this number, counted from 0 over all epochs."""
        epoch, within = divmod(number, self.rounds_per_epoch)
        start = within * self.settings.round_pivots
        stop = min(self.epoch_pivots, start + self.settings.round_pivots)
        if not self.settings.resample:
            order = np.random.default_rng((self.settings.seed, epoch))
            return Round(self._whole_sets, order.permutation(self.epoch_pivots)[start:stop])
        return self._drawn(np.random.default_rng((self.settings.seed, number)), stop - start)

    @cached_property
    def _whole_sets(self) -> Collection:
        return self._joined(self.face_sets)

    def _drawn(self, random: np.random.Generator, n_pivots: int) -> Round:
        drawn = [
            draw_collection(self.face_sets, random, self.settings.max_draw_faces)
            for _ in range(self.settings.round_draws)
        ]
        pivots = _equal_shares([len(faces) for faces in drawn], n_pivots, random)
        return Round(self._joined(drawn), pivots)

    def _joined(self, face_sets: Sequence[FaceSet]) -> Collection:
        return Collection.side_by_side(
            [Collection.of(faces, self.settings.subgraphs) for faces in face_sets]
        )


def _equal_shares(
    n_faces: Sequence[int], n_pivots: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """The same number of faces of each collection, all in random order.

    A collection's faces come again only when all of them have been pivots.
    """
    share = -(-n_pivots // len(n_faces))
    chosen, start = [], 0
    for n in n_faces:
        passes = [random.permutation(n) for _ in range(-(-share // n))]
        chosen.append(start + np.concatenate(passes)[:share])
        start += n
    return random.permutation(np.concatenate(chosen))[:n_pivots]
