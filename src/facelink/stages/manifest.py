"""What a stage's folder holds: from what it was computed, and which of its rows are finished."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any, Self

from facelink import __version__
from facelink.files import write_json
from facelink.stages.content import hash_of
from facelink.stages.engine import Block, blocks_between

MANIFEST_NAME = "manifest.json"

_FORMAT = "facelink.stage"
_VERSION = 1
_PACKAGES = ("numpy", "torch", "numba", "faiss-cpu")
"""Those that compute; other versions of them may round differently."""

_FACTS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "features": {"n_faces": (int,), "n_dimensions": (int,), "used_as_they_are": (bool,)},
    "neighbors": {"method": (str,), "recall": (float, NoneType)},
}
"""Facts of a finished stage that later ones read, and what they are."""


@dataclass(frozen=True)
class Origin:
    """All that decides what a stage gives.

    Parameters
    ----------
    stage : str
        Its name.
    settings : dict
        JSON values: the settings that it reads, and no others.
    inputs : dict
        Name of each input to the hash of its content, or of the `Origin` that
        decides it.
    """

    stage: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]

    @property
    def hash(self) -> str:
        """Hash of it, of the version of facelink and of that of the stages' files."""
        return hash_of([__version__, _VERSION, self.stage, self.settings, self.inputs])


@dataclass(frozen=True)
class FinishedBlock:
    """Rows that are on the disk.

    Parameters
    ----------
    start, stop : int
        Rows, from `start` up to `stop`.
    n_bytes : int
        Size in all arrays.
    checksums : dict
        Name of each array to the hash of these rows of it.
    seconds : float
        What they took.
    """

    start: int
    stop: int
    n_bytes: int
    checksums: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class Manifest:
    """A stage's state, as its folder keeps it.

    Parameters
    ----------
    stage : str
        Name of the stage.
    origin : str
        Hash of its `Origin`.
    settings, inputs : dict
        Those of the origin, to be read by people.
    versions : dict
        Python and the packages that computed.
    n_rows : int
        Rows there will be.
    blocks : tuple of FinishedBlock
        In order of their rows, none overlapping another.
    is_complete : bool
        Whether all rows and facts are there.
    files : dict
        Name of each further file in the folder to the hash of its bytes.
    facts : dict
        JSON values that the stage found out, such as a recall.
    seconds : float
        What the stage took besides its blocks.
    peak_memory_bytes, peak_own_memory_bytes : int
        Greatest resident memory of the process during the stage, with and
        without files that it maps.
    """

    stage: str
    origin: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    n_rows: int
    blocks: tuple[FinishedBlock, ...] = ()
    is_complete: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    peak_own_memory_bytes: int = 0

    @classmethod
    def begin(cls, origin: Origin, n_rows: int) -> Self:
        """State of a stage of which nothing is finished."""
        settings, inputs = dict(origin.settings), dict(origin.inputs)
        return cls(origin.stage, origin.hash, settings, inputs, _versions(), n_rows)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read a folder's manifest; None if there is none that is whole and of this version."""
        try:
            stored = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
            if (stored.pop("format"), stored.pop("version")) != (_FORMAT, _VERSION):
                return None
            if stored.pop("checksum") != hash_of(stored):
                return None
            blocks = tuple(FinishedBlock(**block) for block in stored.pop("blocks"))
            manifest = cls(**stored, blocks=blocks)
            return manifest if manifest._is_sound() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def _is_sound(self) -> bool:
        """Whether values are of their types, and blocks rows in order, none twice, all if done."""
        dicts = [self.settings, self.inputs, self.versions, self.files, self.facts]
        counts = [self.n_rows, self.peak_memory_bytes, self.peak_own_memory_bytes]
        seconds = [self.seconds]
        for block in self.blocks:
            dicts.append(block.checksums)
            counts += [block.start, block.stop, block.n_bytes]
            seconds.append(block.seconds)
        if not (
            all(isinstance(one, dict) for one in dicts)
            and all(type(one) is int for one in counts)
            and all(type(one) in (int, float) for one in seconds)
            and type(self.is_complete) is bool
            and (not self.is_complete or self._has_facts())
        ):
            return False
        edges = [0, *(edge for block in self.blocks for edge in (block.start, block.stop))]
        edges.append(self.n_rows)
        in_order = all(first <= second for first, second in pairwise(edges))
        return in_order and (not self.is_complete or self.n_done == self.n_rows)

    def _has_facts(self) -> bool:
        """Whether facts that later stages read are there, and of their types."""
        known = _FACTS.get(self.stage, {})
        return all(
            name in self.facts and type(self.facts[name]) in kinds for name, kinds in known.items()
        )

    def write(self, folder: Path) -> None:
        """Write it into a folder, whole or not at all; `OutputError` if that fails."""
        stored = asdict(self)
        head = {"format": _FORMAT, "version": _VERSION, "checksum": hash_of(stored)}
        write_json(folder / MANIFEST_NAME, {**head, **stored})

    def with_blocks(self, blocks: tuple[FinishedBlock, ...]) -> Self:
        """Return the state with these blocks and no others."""
        return replace(self, blocks=blocks, is_complete=False)

    def with_file(self, name: str, hash_of_it: str) -> Self:
        """Return the state with a further file."""
        return replace(self, files={**self.files, name: hash_of_it})

    def with_seconds(self, seconds: float) -> Self:
        """Return the state after so much more time besides blocks."""
        return replace(self, seconds=self.seconds + seconds)

    def completed(self, facts: Mapping[str, Any], **measured: Any) -> Self:
        """Return the state with facts, and with fields that were measured."""
        return replace(self, is_complete=True, facts=dict(facts), **measured)

    def with_block(self, block: FinishedBlock) -> Self:
        """Return the state after another block."""
        blocks = sorted((*self.blocks, block), key=lambda one: one.start)
        return replace(self, blocks=tuple(blocks))

    def differences(self, origin: Origin) -> list[str]:
        """Names of the settings and inputs in which an origin differs from this state's."""
        before = {**self.settings, **self.inputs}
        now = {**origin.settings, **origin.inputs}
        return sorted(name for name in before | now if before.get(name) != now.get(name))

    def other_versions(self) -> list[str]:
        """Names of the packages whose versions have changed since the stage began."""
        return [name for name, now in _versions().items() if self.versions.get(name) != now]

    @property
    def n_done(self) -> int:
        """Rows that are finished."""
        return sum(block.stop - block.start for block in self.blocks)

    @property
    def seconds_in_all(self) -> float:
        """What the stage has taken so far, over all runs, in seconds."""
        return self.seconds + sum(block.seconds for block in self.blocks)

    def missing(self, block_rows: int) -> list[Block]:
        """Rows that are not finished, in blocks of at most so many rows."""
        missing, at = [], 0
        for block in self.blocks:
            missing += blocks_between(at, block.start, block_rows)
            at = block.stop
        return missing + blocks_between(at, self.n_rows, block_rows)


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "facelink": __version__,
        **{package: version(package) for package in _PACKAGES},
    }
