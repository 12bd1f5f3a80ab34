"""What became of an album's files since the last scan: the same, moved, copied, new or gone.

A file with the size and time that the album knows is taken to be the same. Others whose
path or size the album knows, or that are as large as another new one, are compared by content hash,
which is quicker than looking for faces.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from facelink.album.places import Arrangement
from facelink.album.records import Place
from facelink.photos.decoding import UnreadablePhotoError, content_hash, read_photo
from facelink.photos.records import PhotoFile


@dataclass(frozen=True)
class FilesSince:
    """Files of a scan, and the photographs whose places are others than before.

    Parameters
    ----------
    n_unchanged : int
        Files where the album knows their content to be.
    n_moved : int
        Files with the content of a photograph that has left another place.
    n_copied : int
        Files that are further places of a photograph.
    arranged : tuple of Arrangement
        Photographs whose places, times or state changed.
    unread : tuple of PhotoFile
        New or changed, or not readable last time; each content once.
    twins : tuple of (PhotoFile, str)
        Files with the content of one of `unread`, and its hash.
    """

    n_unchanged: int
    n_moved: int
    n_copied: int
    arranged: tuple[Arrangement, ...]
    unread: tuple[PhotoFile, ...]
    twins: tuple[tuple[PhotoFile, str], ...]


def compare_files(known: Sequence[Place], files: Iterable[PhotoFile]) -> FilesSince:
    """Compare what a scan found with what the album knows.

    Parameters
    ----------
    known
        All places of the album's photographs, those of one together, its own path first.
    files
        Found, each path once.
    """
    at_path = {place.path: place for place in known}
    found = {file.path: file for file in files}
    same = {path for path, file in found.items() if _looks_unchanged(at_path.get(path), file)}
    digests = _digests([file for path, file in found.items() if path not in same], at_path)
    same |= {
        path
        for path, digest in digests.items()
        if digest and path in at_path and at_path[path].content_hash == digest
    }
    whose = {place.content_hash: place.photo for place in known if place.content_hash}
    arrived: dict[int, list[PhotoFile]] = {}
    unread: list[tuple[PhotoFile, str]] = []
    for path, digest in digests.items():
        if path not in same and digest in whose:
            arrived.setdefault(whose[digest], []).append(found[path])
        elif path not in same:
            unread.append((found[path], digest))
    n_moved = n_copied = 0
    arranged: list[Arrangement] = []
    for photo, group in groupby(known, key=lambda place: place.photo):
        before, new = list(group), arrived.get(photo, [])
        staying = [file for place in before if (file := _still_there(place, found, same))]
        n_moves = min(len(new), len(before) - len(staying))
        n_moved, n_copied = n_moved + n_moves, n_copied + len(new) - n_moves
        arranged += _arrangement(photo, before, [*staying, *new])
    return FilesSince(len(same), n_moved, n_copied, tuple(arranged), *_each_once(unread))


def _looks_unchanged(place: Place | None, file: PhotoFile) -> bool:
    if place is None or place.state != "present":
        return False
    return (place.size, place.mtime_ns) == (file.size, file.mtime_ns)


def _digests(files: Sequence[PhotoFile], at_path: Mapping[Path, Place]) -> dict[Path, str]:
    """Content hash of each file; empty where nothing the album has or finds can be the same."""
    n_of_size = Counter(file.size for file in files)
    sizes = {place.size for place in at_path.values()}
    return {
        file.path: _digest(file)
        if file.path in at_path or file.size in sizes or n_of_size[file.size] > 1
        else ""
        for file in files
    }


def _digest(file: PhotoFile) -> str:
    """Content hash; empty if the file cannot be read, which reading it again will tell."""
    try:
        return content_hash(read_photo(file.path))
    except UnreadablePhotoError:
        return ""


def _still_there(
    place: Place, found: Mapping[Path, PhotoFile], same: set[Path]
) -> PhotoFile | None:
    """Where the photograph still is, for all that this scan can tell; None if not there."""
    if place.path in found:
        return found[place.path] if place.path in same else None
    if place.state != "present" or not os.path.lexists(place.path):
        return None
    return PhotoFile(place.path, place.size, place.mtime_ns)


def _arrangement(
    photo: int, before: Sequence[Place], files: Sequence[PhotoFile]
) -> list[Arrangement]:
    """Where a photograph is now, unless that is known already."""
    known = [PhotoFile(place.path, place.size, place.mtime_ns) for place in before]
    if not files:
        return [Arrangement(photo, (known[0],), is_there=False)] if len(known) > 1 else []
    if list(files) == known and before[0].state == "present":
        return []
    return [Arrangement(photo, tuple(files))]


def _each_once(
    unread: Sequence[tuple[PhotoFile, str]],
) -> tuple[tuple[PhotoFile, ...], tuple[tuple[PhotoFile, str], ...]]:
    """Files of different content, and those with the content of one of them."""
    seen: set[str] = set()
    firsts, twins = [], []
    for file, digest in unread:
        if digest in seen:
            twins.append((file, digest))
        else:
            firsts.append(file)
        if digest:
            seen.add(digest)
    return tuple(firsts), tuple(twins)
