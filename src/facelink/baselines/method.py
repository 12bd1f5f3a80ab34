"""The interface of every method that a comparison runs."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from facelink.baselines.view import FaceView

Group = Callable[[FaceView, float], NDArray[np.int64]]
"""Groups the faces of a view with one value of the method's parameter.

Gives labels, int64 (N,), −1 for a face in no group. The value is 0 for methods
that have no parameter.
"""

WITHOUT_PARAMETER = 0.0
"""The only value of a method that has no parameter."""


@dataclass(frozen=True)
class Parameter:
    """The one number that a method has to be told.

    Parameters
    ----------
    name : str
        What it is, with its unit.
    grid
        The values that a comparison tries. Numbers of clusters are given as
        a share of the number of faces, since the number of people is unknown.
    """

    name: str
    grid: tuple[float, ...]


@dataclass(frozen=True)
class Package:
    """A package that only this method needs, and how a user gets it."""

    module: str
    remedy: str


@dataclass(frozen=True)
class Baseline:
    """One way of grouping faces.

    Parameters
    ----------
    key : str
        Short and unique, as in ``"average-linkage"``.
    title : str
        How tables call it.
    source : str
        The paper or the library.
    group : callable
        Does it; importable by name, so that another process can run it.
    parameter : Parameter, optional
        None for methods that need not be told anything.
    max_faces : int, optional
        Size from which it is refused rather than left to hang; None: no limit.
    why : str
        What grows too large beyond `max_faces`.
    package : Package, optional
        What must be installed besides facelink.
    """

    key: str
    title: str
    source: str
    group: Group
    parameter: Parameter | None = None
    max_faces: int | None = None
    why: str = ""
    package: Package | None = None

    @property
    def grid(self) -> tuple[float, ...]:
        """The values to try; `WITHOUT_PARAMETER` alone where there is nothing to choose."""
        return (WITHOUT_PARAMETER,) if self.parameter is None else self.parameter.grid

    def refusal(self, n_faces: int) -> str | None:
        """Return why the method cannot run here, as a sentence; None if it can."""
        if self.package is not None and find_spec(self.package.module) is None:
            return f"needs the package {self.package.module}: {self.package.remedy}"
        if self.max_faces is not None and n_faces > self.max_faces:
            return f"up to {self.max_faces:,} faces only, here are {n_faces:,}: {self.why}"
        return None


def steps(first: float, last: float, step: float) -> tuple[float, ...]:
    """Grid from `first` to `last`, both included, rounded to what is written."""
    count = round((last - first) / step) + 1
    return tuple(round(first + number * step, 6) for number in range(count))


def n_clusters_of(view: FaceView, share: float) -> int:
    """Return the number of clusters that is this share of the faces, at least 1."""
    return max(1, round(share * view.n_faces))
