"""What a staged run is to do, from a TOML file or from options."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from facelink.errors import InputError
from facelink.files import existing_file
from facelink.grouping import MergeSettings
from facelink.link_prediction import CombineDirections
from facelink.merging.merge import MergeChoice
from facelink.models.device import Precision
from facelink.models.loading import CONTEXT, COSINE

NeighborMethod = Literal["auto", "exact", "ivf"]
"""Those whose preparation can be kept in a file."""

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_PATHS = ("features", "must_link", "cannot_link", "labels_true", "out")


@dataclass(frozen=True)
class RunSettings:
    """Settings of a staged run. Each is a key of the TOML file.

    Parameters
    ----------
    features
        File of face features.
    dim
        Their width, for ``.bin``.
    neighbor_method
        ``"exact"``, ``"ivf"`` or ``"auto"``, as for `find_neighbors`.
    k_at_hop, n_edge_neighbors, model, combine, merge, threshold, threshold_step, \
max_cluster_size, device, precision
        As for `LinkageClustering`.
    recall
        Share of the true neighbours that ``"ivf"`` should find, in (0, 1].
    must_link, cannot_link
        Files of pairs of faces that are one person for certain, or two.
    labels_true
        File of true labels: the report then has scores.
    out
        Further file for the labels, of any kind that `save_labels` writes.
    memory
        Most memory that the run may take besides mapped files, such as
        ``"8G"``; by default what the machine has. Of a Ray cluster of its own
        the most of all tasks together.
    block_rows
        Rows of a block; by default as the memory allows. The labels do not
        depend on it.
    index_shards
        Parts that the cells of ``"ivf"`` are divided into, each a file with the
        features of its faces: a machine of a cluster then needs those of its
        shards only. The labels do not depend on it.
    seed
        Seeds the search for neighbours.

    Raises
    ------
    InputError
        If a value is of the wrong type, or is none of those that are known.
    """

    features: Path
    dim: int | None = None
    neighbor_method: NeighborMethod = "auto"
    recall: float = 0.98
    k_at_hop: tuple[int, ...] | None = None
    n_edge_neighbors: int | None = None
    model: str = CONTEXT
    combine: CombineDirections = "mean"
    merge: MergeChoice = "auto"
    threshold: float | None = None
    threshold_step: float = 0.05
    max_cluster_size: int = 300
    must_link: Path | None = None
    cannot_link: Path | None = None
    labels_true: Path | None = None
    out: Path | None = None
    memory: str | None = None
    block_rows: int | None = None
    index_shards: int = 1
    device: str = "auto"
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            _check_type(name, getattr(self, name), kind)
        for name, least in (("dim", 1), ("block_rows", 1), ("index_shards", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name}={value}; it must be at least {least}.")
        for name in _PATHS:
            if "\0" in str(getattr(self, name)):
                raise InputError(f"{name}: a zero byte in the path; no file has such a name.")
        if not 0 < self.recall <= 1:
            raise InputError(f"recall={self.recall}; choose a share in (0, 1].")
        if self.memory is not None:
            parse_bytes(self.memory)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read a TOML file; paths in it are relative to its folder.

        Raises
        ------
        InputError
            If it is no TOML file, a key is unknown or missing, or a value is
            refused; the message names the key.
        """
        path = existing_file(path, "settings")
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"settings {path}: not a readable TOML file ({error}).") from error
        try:
            return cls.from_values(values, path.parent)
        except InputError as error:
            raise InputError(f"settings {path}: {error}") from error
        except ValueError as error:  # a number too long to be printed
            raise InputError(f"settings {path}: a value is of no use ({error}).") from error

    @classmethod
    def from_values(cls, values: Mapping[str, Any], folder: Path) -> Self:
        """Make settings of TOML values, with paths relative to a folder."""
        known = [one.name for one in fields(cls)]
        for key in values:
            if key not in known:
                raise InputError(f"unknown key {key!r}; known are {', '.join(known)}.")
        if "features" not in values:
            raise InputError("the key 'features' is missing; it names the file of face features.")
        given = dict(values)
        for name in _PATHS:
            if isinstance(given.get(name), str):
                given[name] = folder / given[name]
        if isinstance(given.get("k_at_hop"), list):
            given["k_at_hop"] = tuple(given["k_at_hop"])
        model = given.get("model", CONTEXT)
        if isinstance(model, str) and model not in (CONTEXT, COSINE):
            given["model"] = str(folder / model)
        return cls(**given)

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """Return settings in which options that were given, not None, take precedence."""
        return replace(
            self, **{name: value for name, value in options.items() if value is not None}
        )

    def on(self, auto_device: str) -> Self:
        """Return the settings with this device, if it was left open."""
        return replace(self, device=auto_device) if self.device == "auto" else self

    @property
    def memory_bytes(self) -> int | None:
        """The memory that may be taken, in bytes; None if it is not limited."""
        return None if self.memory is None else parse_bytes(self.memory)

    @property
    def merging(self) -> MergeSettings:
        """How links become groups."""
        return MergeSettings(self.merge, self.threshold, self.threshold_step, self.max_cluster_size)


def parse_bytes(text: str) -> int:
    """Bytes from a text such as ``8G``, ``500M`` or ``1.5 GiB``; powers of 1024.

    Raises
    ------
    InputError
        If it is no such text.
    """
    number = text.strip().upper().removesuffix("B").removesuffix("I")
    unit = number[-1:] if number[-1:] in _UNITS else ""
    try:
        n_bytes = int(float(number.removesuffix(unit)) * _UNITS[unit])
    except (ValueError, OverflowError):
        n_bytes = 0
    if n_bytes < 1:
        raise InputError(f"memory={text!r}; give a size such as 8G or 500M.")
    return n_bytes


def _check_type(name: str, value: Any, kind: Any) -> None:
    """Raise `InputError` unless a value is of the type that the field has."""
    if not _is_of(value, kind):
        raise InputError(f"{name}={value!r}; give {_described(kind)}.")


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) in (Union, UnionType):
        return any(_is_of(value, one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(one, int) for one in value)
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def _described(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_described(one) for one in get_args(kind) if one is not NoneType)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    names = {int: "a whole number", float: "a number", str: "a text", Path: "the path of a file"}
    return names.get(kind, "a list of whole numbers")
