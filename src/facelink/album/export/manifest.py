"""What an earlier export put into a folder: all that a later one may change or remove there."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from facelink.errors import InputError
from facelink.files import write_json

MANIFEST: Final = ".facelink-links.json"

LinkKind = Literal["link", "hard link", "copy"]

_MTIME_TOLERANCE_NS: Final = 2_000_000_000
"""FAT keeps times to two seconds."""


@dataclass(frozen=True)
class Entry:
    """A link or copy that an export made.

    Parameters
    ----------
    photo : str
        Path of the photograph.
    kind : str
        ``"link"`` (symbolic), ``"hard link"`` or ``"copy"``.
    size, mtime_ns : int
        Of the photograph at that time, in bytes and nanoseconds since 1970.
    """

    photo: str
    kind: LinkKind
    size: int
    mtime_ns: int

    def is_at(self, path: Path) -> bool:
        """Whether what stands at the path still is what the export made."""
        if self.kind == "link":
            return path.is_symlink() and os.readlink(path) == self.photo
        if path.is_symlink() or not path.is_file():
            return False
        if self.kind == "hard link" and self.may_be_removed() and path.samefile(self.photo):
            return True
        return self._has_my_status(path)

    def may_be_removed(self) -> bool:
        """Whether nothing is lost with it: a copy goes only while the photograph is still there."""
        return self.kind == "link" or os.path.isfile(self.photo)

    def _has_my_status(self, path: Path) -> bool:
        status = path.stat()
        is_as_old = abs(status.st_mtime_ns - self.mtime_ns) <= _MTIME_TOLERANCE_NS
        return status.st_size == self.size and is_as_old


Entries = dict[str, Entry]
"""Entries by ``"person's folder/file name"``."""


def read_manifest(folder: Path) -> Entries:
    """Read what earlier exports made in a folder; nothing if there were none.

    Raises
    ------
    InputError
        If the file is damaged or names anything but files one folder below.
    """
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))["entries"]
        return {_checked(name): _entry(value) for name, value in stored.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: damaged ({error}). Move it away to start anew; the links in {folder} then "
            "count as your own and stay."
        ) from error


def write_manifest(folder: Path, entries: Entries) -> None:
    """Write down what exports made in a folder; `OutputError` if that is not possible."""
    write_json(
        folder / MANIFEST,
        {
            "made_by": "facelink album export --links; only what is listed here is ever removed",
            "entries": {name: asdict(entry) for name, entry in sorted(entries.items())},
        },
    )


def _checked(name: str) -> str:
    parts = PurePosixPath(name).parts
    if len(parts) != 2 or "/".join(parts) != name or ".." in parts or "\\" in name:
        raise ValueError(f"{name!r} is not a file one folder below")
    return name


def _entry(value: dict[str, Any]) -> Entry:
    entry = Entry(**value)
    if entry.kind not in ("link", "hard link", "copy"):
        raise ValueError(f"{entry.kind!r} is no kind of link")
    return entry
