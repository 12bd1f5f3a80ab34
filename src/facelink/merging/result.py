"""What every way of merging links returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UncuttableCluster:
    """A cluster above the size cap, held together by links of likelihood exactly 1.

    Parameters
    ----------
    label : int
        Its label in `MergeResult.labels`.
    size : int
        Its number of instances.
    """

    label: int
    size: int


@dataclass(frozen=True, eq=False)
class MergeResult:
    """Clusters, and what it took to find them.

    Parameters
    ----------
    labels : int64 (N,)
        Cluster of each instance: consecutive from 0, numbered by the smallest
        instance id of each cluster. An instance alone keeps a label of its own.
    uncuttable : tuple of UncuttableCluster
        Clusters that stayed above the size cap because no threshold can cut
        them, by ascending label. Empty where there is no cap.
    n_passes : int
        Passes over the links, each at its own threshold.
    final_threshold : float
        Likelihood threshold of the last pass, in [0, 1].
    """

    labels: NDArray[np.int64]
    uncuttable: tuple[UncuttableCluster, ...]
    n_passes: int
    final_threshold: float

    @property
    def n_clusters(self) -> int:
        """Number of clusters, singletons included."""
        return int(self.labels.max(initial=-1)) + 1
