"""What became of an album's files since the last scan: the same, moved, new or gone.

A file with the size and time that the album knows is taken to be the same. Others whose
path or size the album knows are compared by content hash, which is quicker than looking for
faces.
"""

import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facelink.album.records import NewPhoto, Photo
from facelink.photos.decoding import UnreadablePhotoError, content_hash, read_photo
from facelink.photos.records import PhotoFile


@dataclass(frozen=True)
class FilesSince:
    """Files of a scan, each in one of four lists.

    Parameters
    ----------
    unchanged : tuple of PhotoFile
        With the path, size and time that the album knows.
    again : tuple of NewPhoto
        With the path and content that the album knows, but another time or state.
    moved : tuple of (int, PhotoFile)
        With the content of a photograph of the album, by its number, that is no longer
        where it was.
    unread : tuple of PhotoFile
        New or changed, or not readable last time.
    """

    unchanged: tuple[PhotoFile, ...]
    again: tuple[NewPhoto, ...]
    moved: tuple[tuple[int, PhotoFile], ...]
    unread: tuple[PhotoFile, ...]


def compare_files(known: Sequence[Photo], files: Iterable[PhotoFile]) -> FilesSince:
    """Compare what a scan found with what the album knows.

    Parameters
    ----------
    known
        All photographs of the album.
    files
        Found, each path once.
    """
    at_path = {photo.path: photo for photo in known}
    sizes = {photo.size for photo in known}
    unchanged: list[PhotoFile] = []
    again: list[NewPhoto] = []
    others: list[tuple[PhotoFile, str]] = []
    for file in files:
        photo = at_path.get(file.path)
        if photo is not None and _looks_unchanged(photo, file):
            unchanged.append(file)
            continue
        digest = _digest(file) if photo is not None or file.size in sizes else ""
        if photo is not None and digest and digest == photo.content_hash:
            again.append(_present(photo, file))
        else:
            others.append((file, digest))
    kept = {file.path for file in unchanged} | {photo.path for photo in again}
    moved = _moves([photo for photo in known if photo.path not in kept], others)
    has_moved = {file.path for _, file in moved}
    unread = tuple(file for file, _ in others if file.path not in has_moved)
    return FilesSince(tuple(unchanged), tuple(again), moved, unread)


def _looks_unchanged(photo: Photo, file: PhotoFile) -> bool:
    is_same = (photo.size, photo.mtime_ns) == (file.size, file.mtime_ns)
    return is_same and photo.state == "present"


def _digest(file: PhotoFile) -> str:
    """Content hash; empty if the file cannot be read, which reading it again will tell."""
    try:
        return content_hash(read_photo(file.path))
    except UnreadablePhotoError:
        return ""


def _present(photo: Photo, file: PhotoFile) -> NewPhoto:
    return NewPhoto(
        file.path, file.size, file.mtime_ns, photo.content_hash, photo.width, photo.height
    )


def _moves(
    left: Sequence[Photo], others: Sequence[tuple[PhotoFile, str]]
) -> tuple[tuple[int, PhotoFile], ...]:
    """Find files with the content of photographs that are elsewhere now, at paths new here."""
    taken = {photo.path for photo in left}
    replaced = {file.path for file, _ in others}
    gone: dict[str, list[Photo]] = {}
    for photo in reversed(left):
        if photo.content_hash and _is_gone(photo.path, replaced):
            gone.setdefault(photo.content_hash, []).append(photo)
    moves = []
    for file, digest in others:
        if file.path not in taken and gone.get(digest):
            moves.append((gone[digest].pop().id, file))
    return tuple(moves)


def _is_gone(path: Path, replaced: Container[Path]) -> bool:
    return path in replaced or not os.path.lexists(path)
