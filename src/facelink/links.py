"""Links: pairs of instances with the likelihood that they are one person."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.blocks import blocks
from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays

_FORMAT = "facelink.links"
_VERSION = 1
_MAX_INSTANCES = np.iinfo(np.int32).max


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
    n_neighbors : int, optional
        Neighbours that were judged for each instance, where known: merging by
        likelihood counts pairs that are missing among them.

    Raises
    ------
    InputError
        If shapes or dtypes differ from these, ids are out of range or out of
        order, or a likelihood is outside [0, 1]. That no pair stands twice is
        not checked: it would cost a sort.
    """

    pairs: NDArray[np.int32]
    likelihoods: NDArray[np.float32]
    one_sided: NDArray[np.bool_]
    n_instances: int
    n_neighbors: int | None = None

    def __post_init__(self) -> None:
        if self.pairs.ndim != 2 or self.pairs.shape[1] != 2 or self.pairs.dtype != np.int32:
            raise InputError(
                f"links need pairs of shape (L, 2) and int32, got {self.pairs.shape} "
                f"{self.pairs.dtype}."
            )
        n_links = len(self.pairs)
        if self.likelihoods.shape != (n_links,) or self.one_sided.shape != (n_links,):
            raise InputError(
                f"{n_links} pairs but {self.likelihoods.shape} likelihoods and "
                f"{self.one_sided.shape} marks; each pair needs one of both."
            )
        if self.likelihoods.dtype != np.float32 or self.one_sided.dtype != np.bool_:
            raise InputError(
                f"links need float32 likelihoods and bool marks, got {self.likelihoods.dtype} and "
                f"{self.one_sided.dtype}; convert them with astype."
            )
        if not (_is_whole(self.n_instances) and 0 <= self.n_instances <= _MAX_INSTANCES):
            raise InputError(
                f"n_instances={self.n_instances!r}; a number of instances is a whole number from 0 "
                f"to {_MAX_INSTANCES}."
            )
        if self.n_neighbors is not None and not (
            _is_whole(self.n_neighbors) and 1 <= self.n_neighbors <= _MAX_INSTANCES
        ):
            raise InputError(
                f"n_neighbors={self.n_neighbors!r}; links have from 1 to {_MAX_INSTANCES}, or None."
            )
        if n_links == 0:
            return
        first, second = self.pairs[:, 0], self.pairs[:, 1]
        if first.min() < 0 or second.max() >= self.n_instances or _out_of_order(self.pairs):
            raise InputError(
                f"links must name two different instances from 0 to {self.n_instances - 1}, the "
                f"smaller id first; got ids from {self.pairs.min()} to {self.pairs.max()}. Sort "
                "each pair, and check that the links belong to these instances."
            )
        lowest, highest = self.likelihoods.min(), self.likelihoods.max()
        if not (lowest >= 0 and highest <= 1):
            raise InputError(
                f"link likelihoods must lie in [0, 1], got values from {lowest} to {highest}; "
                "they are probabilities, not cosines or logits."
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def only(self, chosen: NDArray[np.bool_]) -> "Links":
        """Return some of the links, (L,), between the same instances."""
        return Links(
            self.pairs[chosen],
            self.likelihoods[chosen],
            self.one_sided[chosen],
            self.n_instances,
            self.n_neighbors,
        )

    def without(self, left_out: NDArray[np.bool_]) -> "Links":
        """Return the links of which no end is one of these instances, (N,)."""
        if not left_out.any():
            return self
        first, second = self.pairs.T
        return self.only(~(left_out[first] | left_out[second]))

    def save(self, path: Path | str) -> None:
        """Write the links as one safetensors file (pairs, likelihoods, one_sided)."""
        save_arrays(
            path,
            {"pairs": self.pairs, "likelihoods": self.likelihoods, "one_sided": self.one_sided},
            {
                "format": _FORMAT,
                "version": _VERSION,
                "n_instances": int(self.n_instances),
                "n_neighbors": self.n_neighbors,
            },
        )

    @classmethod
    def load(cls, path: Path | str) -> "Links":
        """Map links written by `save` into memory; `InputError` if the file is not one."""
        arrays, metadata = load_arrays(path, "links", mapped=True)
        if metadata.get("format") != _FORMAT:
            raise InputError(f"links {path}: not a links file; write one with facelink links.")
        if metadata.get("version") != _VERSION:
            raise InputError(
                f"links {path}: version {metadata.get('version')}, this facelink reads version "
                f"{_VERSION}; write the links again."
            )
        try:
            return cls(
                arrays["pairs"],
                arrays["likelihoods"],
                arrays["one_sided"],
                metadata["n_instances"],
                metadata.get("n_neighbors"),
            )
        except KeyError as error:
            raise InputError(f"links {path}: {error} is missing; write the links again.") from error


def _out_of_order(pairs: NDArray[np.int32]) -> bool:
    """Whether a pair does not have the smaller id first."""
    return any((pairs[block, 0] >= pairs[block, 1]).any() for block in blocks(len(pairs)))


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
