"""Photographs in folders, always in the same order."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from facelink.photos.formats import BACKUP_SUFFIX, HEAD_BYTES, PHOTO_SUFFIXES, format_of
from facelink.photos.records import PhotoFile, PhotoProblem

_NO_TEXT = "its path, or that of what it links to, is not UTF-8; rename the file or folder"


def find_photos(paths: Iterable[Path | str]) -> Iterator[PhotoFile | PhotoProblem]:
    """Find the photographs among these files and, at any depth, in these folders.

    Within a folder, files come before folders, both ordered by name. A file counts if its
    suffix or its first bytes are those of a JPEG, PNG, WebP or HEIC image; one that is
    named itself always counts, so that reading it can say what it is. Hidden files and
    folders, whose names start with a dot, are passed over unless they are named
    themselves. Links are followed, and every file and folder is visited once however
    many paths lead to it, so that links in a circle end.

    Parameters
    ----------
    paths
        Files and folders.

    Yields
    ------
    PhotoFile or PhotoProblem
        A problem for what is not there, cannot be looked at, or has a name that is no text
        and can therefore not be written down; the walk goes on.
    """
    seen: set[str] = set()
    for path in map(Path, paths):
        yield from _photos_at(path, seen, is_named=True)


def _photos_at(
    path: Path, seen: set[str], *, is_named: bool = False
) -> Iterator[PhotoFile | PhotoProblem]:
    """Find what one path leads to: a photograph, those of a folder, or nothing."""
    real = os.path.realpath(path)
    if real in seen:
        return
    can_be_written = _is_text(f"{path}{real}")
    if can_be_written:  # what a link with such a name leads to may have a better name
        seen.add(real)
    try:
        status = path.stat()
        is_folder = stat.S_ISDIR(status.st_mode)
        if not is_folder and not stat.S_ISREG(status.st_mode):
            if is_named:
                yield PhotoProblem(path, "neither a file nor a folder")
        elif is_folder or is_named or _looks_like_photo(path):
            if not can_be_written:
                yield PhotoProblem(path, _NO_TEXT)
            elif is_folder:
                yield from _photos_in(path, seen)
            else:
                yield PhotoFile(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        yield PhotoProblem(path, reason_of(error))


def _photos_in(folder: Path, seen: set[str]) -> Iterator[PhotoFile | PhotoProblem]:
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in sorted(visible, key=lambda entry: (entry.is_dir(), entry.name)):
        yield from _photos_at(Path(entry.path), seen)


def _is_text(name: str) -> bool:
    """Whether a name is Unicode: Python stands in surrogates for bytes that are not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _looks_like_photo(path: Path) -> bool:
    if path.suffix.lower() in PHOTO_SUFFIXES:
        return True
    if path.suffix == BACKUP_SUFFIX:
        return False
    with path.open("rb") as stream:
        return format_of(stream.read(HEAD_BYTES)) is not None


def reason_of(error: OSError) -> str:
    """Say in the user's words why a file or folder could not be used."""
    if isinstance(error, FileNotFoundError):
        return "no longer there, or a link to nothing"
    return f"cannot be read: {error.strerror or error}"
