"""Labelled faces that methods are compared on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facelink.features import load_features
from facelink.labels import check_labels, load_labels


@dataclass(frozen=True, eq=False)
class FaceCollection:
    """Faces with their people.

    Parameters
    ----------
    name : str
        How tables call it.
    features : float32 (N, D)
        L2-normalised rows.
    labels : int64 (N,)
        True identities.
    """

    name: str
    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def n_faces(self) -> int:
        """N."""
        return len(self.labels)

    @classmethod
    def load(
        cls, features: Path, labels: Path, name: str | None = None, *, dim: int | None = None
    ) -> Self:
        """Read the two files; `InputError` names what does not fit."""
        people = load_labels(labels)
        is_width_unknown = features.suffix.lower() == ".bin" and dim is None
        n_instances = len(people) if is_width_unknown else None
        rows = load_features(features, dim=dim, n_instances=n_instances)
        check_labels(people, len(rows), str(labels))
        return cls(name or features.name.removesuffix(features.suffix), rows, people)

    def subset(self, instances: NDArray[np.int64], name: str | None = None) -> Self:
        """Return the given faces only, in the given order."""
        return type(self)(name or self.name, self.features[instances], self.labels[instances])
