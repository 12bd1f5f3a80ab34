"""Links: pairs of instances with the likelihood that they are one person."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays


@dataclass(frozen=True, eq=False)
class Links:
    """Undirected weighted edges between instances, each pair once.

    Parameters
    ----------
    pairs : int32 (L, 2)
        Instance ids, the smaller first, no pair twice.
    likelihoods : float32 (L,)
        Probability in [0, 1] that the two instances share an identity.
    one_sided : bool (L,)
        True where only one of the two lists the other among its k1 nearest
        neighbours, so that the likelihood is one pivot's word.
    n_instances : int
        Number of instances N, with or without links.

    Raises
    ------
    InputError
        If shapes differ, ids are out of range or out of order, or a
        likelihood is outside [0, 1].
    """

    pairs: NDArray[np.int32]
    likelihoods: NDArray[np.float32]
    one_sided: NDArray[np.bool_]
    n_instances: int

    def __post_init__(self) -> None:
        n_links = len(self.pairs)
        if self.pairs.shape != (n_links, 2) or self.pairs.dtype != np.int32:
            raise InputError(
                f"links need pairs of shape (L, 2) and int32, got {self.pairs.shape} "
                f"{self.pairs.dtype}."
            )
        if self.likelihoods.shape != (n_links,) or self.one_sided.shape != (n_links,):
            raise InputError(
                f"{n_links} pairs but {self.likelihoods.shape} likelihoods and "
                f"{self.one_sided.shape} marks; each pair needs one of both."
            )
        if n_links == 0:
            return
        first, second = self.pairs[:, 0], self.pairs[:, 1]
        if first.min() < 0 or second.max() >= self.n_instances or (first >= second).any():
            raise InputError(
                f"links must name two different instances from 0 to {self.n_instances - 1}, the "
                "smaller id first."
            )
        lowest, highest = self.likelihoods.min(), self.likelihoods.max()
        if not (lowest >= 0 and highest <= 1):
            raise InputError(
                f"link likelihoods must lie in [0, 1], got values from {lowest} to {highest}."
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def save(self, path: Path | str) -> None:
        """Write the links as one safetensors file (pairs, likelihoods, one_sided)."""
        save_arrays(
            path,
            {"pairs": self.pairs, "likelihoods": self.likelihoods, "one_sided": self.one_sided},
            {"format": "facelink.links", "version": 1, "n_instances": self.n_instances},
        )

    @classmethod
    def load(cls, path: Path | str) -> "Links":
        """Read links written by `save`; `InputError` if the file is not one."""
        arrays, metadata = load_arrays(path, "links")
        if metadata.get("format") != "facelink.links":
            raise InputError(f"links {path}: not a links file; write one with facelink links.")
        return cls(
            arrays["pairs"], arrays["likelihoods"], arrays["one_sided"], metadata["n_instances"]
        )
