"""What an export did to files, or would do."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from facelink.photos.records import PhotoProblem

What = Literal["made", "changed", "removed", "unchanged"]


@dataclass(frozen=True)
class FileChange:
    """A file, and what became of it."""

    path: Path
    what: What


@dataclass(eq=False)
class ExportReport:
    """Files that an export touched, and what it could not do.

    Parameters
    ----------
    changes : list of FileChange
        In the order they were made; of a dry run, what would be done.
    problems : list of PhotoProblem
        Photographs and faces that were left out, and why.
    has_failed : bool
        Whether one of the problems is a file that could not be written.
    """

    changes: list[FileChange] = field(default_factory=list)
    problems: list[PhotoProblem] = field(default_factory=list)
    has_failed: bool = False

    def add(self, path: Path, what: What) -> None:
        """Note what became of a file."""
        self.changes.append(FileChange(path, what))

    def complain(self, path: Path, reason: str, *, is_failure: bool = False) -> None:
        """Note what could not be done; a failure if it is a file that could not be written."""
        self.problems.append(PhotoProblem(path, reason))
        self.has_failed |= is_failure

    def counts(self) -> dict[What, int]:
        """Count the files of each kind of change."""
        found = Counter(change.what for change in self.changes)
        kinds: tuple[What, ...] = ("made", "changed", "removed", "unchanged")
        return {what: found[what] for what in kinds}
