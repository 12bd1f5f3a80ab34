"""Photographs on the disk come into an album: only what is new is read, and nothing twice."""

import contextlib
import os
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from facelink.album.additions import add_photos, embedding_model, record_photos, replaced_faces
from facelink.album.files_since import compare_files
from facelink.album.library import Album
from facelink.album.places import add_copies, arrange_places, fold_doubles, lost_faces
from facelink.album.queries import photos, places
from facelink.album.records import Box, EmbeddingModel, LostFace, NewFace, NewPhoto, Photo
from facelink.errors import InputError
from facelink.photos.finding import find_photos
from facelink.photos.pipeline import FaceReader, ScanProgress
from facelink.photos.records import FoundFace, PhotoFaces, PhotoFile, PhotoProblem

COMMIT_EVERY = 16
"""Photographs read before they are committed together: the most that a killed scan reads again."""

_MODELS_OF_PHOTOS = """
SELECT DISTINCT photos.path, models.name
FROM faces JOIN photos ON photos.id = faces.photo JOIN models ON models.id = faces.model
WHERE models.name <> ?
"""


@dataclass(frozen=True)
class ScanReport:
    """What a scan found.

    Parameters
    ----------
    n_read : int
        New and changed photographs that were read.
    n_unchanged : int
        Photographs that the album knew, where they were.
    n_moved : int
        Photographs that the album knew, elsewhere.
    n_copies : int
        Files that are further places of photographs that the album has; their faces
        are in it once.
    n_missing : int
        Photographs of the album that are no longer in any place; their faces stay.
    n_faces, n_junk_faces : int
        Faces in the photographs that were read, and how many of them are junk.
    problems : tuple of PhotoProblem
        Files and folders that could not be used, and why.
    lost : tuple of LostFace
        Faces that the user had said something about, gone with the old content of files
        that were overwritten.
    """

    n_read: int
    n_unchanged: int
    n_moved: int
    n_copies: int
    n_missing: int
    n_faces: int
    n_junk_faces: int
    problems: tuple[PhotoProblem, ...]
    lost: tuple[LostFace, ...] = ()


def scan_photos(
    album: Album,
    reader: FaceReader,
    paths: Iterable[Path | str],
    *,
    n_workers: int | None = None,
    on_progress: Callable[[ScanProgress], None] | None = None,
) -> ScanReport:
    """Bring an album up to date with photographs and folders.

    New and changed photographs are read, and committed with their faces, features and
    thumbnails `COMMIT_EVERY` at a time; those the album knows are skipped or followed to
    where they are now, and those that are gone are marked as missing. Files of the same
    content are one photograph, which is missing when all are gone. A scan that is
    killed goes on at the next call, and nothing counts twice.

    A file that cannot be read is kept with the reason and tried again by every scan. If
    it could be read before, its faces stay; those of a changed photograph are replaced,
    unless they look the same (`additions.replaced_faces`).

    Parameters
    ----------
    album
        Open for writing.
    reader
        Finds and embeds faces.
    paths
        Files and folders; links are followed, and files are known by their true paths.
    n_workers
        As for `FaceReader.scan`.
    on_progress
        Called after each file that is read; the total counts those only.

    Raises
    ------
    InputError
        If photographs there have faces of another embedding model, which would be lost.
    OutputError
        If the album cannot be written; what was committed stays.
    """
    roots = [Path(os.path.realpath(path)) for path in paths]
    model = _checked_model(album, reader, roots)
    found = [_with_true_path(one) for one in find_photos(roots)]
    files = [one for one in found if isinstance(one, PhotoFile)]
    problems = [one for one in found if isinstance(one, PhotoProblem)]
    fold_doubles(album)
    since = compare_files(places(album), files)
    lost = arrange_places(album, since.arranged)
    known = photos(album)
    missing = _missing(known, roots, {file.path for file in files}, problems)
    record_photos(album, missing)
    reading = _Reading(album, model, {photo.path: photo for photo in known}, problems, lost)

    def read(unread: Sequence[PhotoFile]) -> None:
        scanned = reader.scan(unread, n_workers=n_workers, on_progress=on_progress)
        with contextlib.closing(scanned) as outcomes:
            for file, outcome in zip(unread, outcomes, strict=True):
                reading.take(file, outcome)
        reading.commit()

    read(since.unread)
    alone = add_copies(album, since.twins, lost)
    if alone:
        read(alone)
    return ScanReport(
        reading.n_read,
        since.n_unchanged,
        since.n_moved,
        since.n_copied + len(since.twins) - len(alone),
        len(missing),
        reading.n_faces,
        reading.n_junk_faces,
        tuple(problems),
        tuple(lost),
    )


def _checked_model(album: Album, reader: FaceReader, roots: Sequence[Path]) -> EmbeddingModel:
    name = reader.embedder.name
    for path, other in album.connection.execute(_MODELS_OF_PHOTOS, (name,)):
        if _is_within(Path(path), roots):
            raise InputError(
                f"{path} has faces of the model {other!r} in this album, not of {name!r}; use that "
                "recogniser, or make another album."
            )
    return embedding_model(album, name, reader.embedder.n_features)


def _is_within(path: Path, roots: Iterable[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _with_true_path(found: PhotoFile | PhotoProblem) -> PhotoFile | PhotoProblem:
    return replace(found, path=Path(os.path.realpath(found.path)))


def _missing(
    known: Sequence[Photo],
    roots: Sequence[Path],
    found: Container[Path],
    problems: Sequence[PhotoProblem],
) -> list[NewPhoto]:
    """Photographs that were here and are gone; not those in a folder that cannot be looked at."""
    blocked = {problem.path for problem in problems}
    return [
        NewPhoto(
            photo.path, photo.size, photo.mtime_ns, photo.content_hash,
            photo.width, photo.height, "missing", taken_at=photo.taken_at,
        )
        for photo in known
        if photo.state != "missing"
        and photo.path not in found
        and _is_within(photo.path, roots)
        and blocked.isdisjoint(photo.path.parents)
        and not os.path.lexists(photo.path)
    ]  # fmt: skip


@dataclass(eq=False)
class _Reading:
    """Photographs as they are read, committed some at a time."""

    album: Album
    model: EmbeddingModel
    known: dict[Path, Photo]
    problems: list[PhotoProblem]
    lost: list[LostFace]
    n_read: int = 0
    n_faces: int = 0
    n_junk_faces: int = 0
    read: list[tuple[NewPhoto, list[NewFace]]] = field(default_factory=list)
    unreadable: list[NewPhoto] = field(default_factory=list)

    def take(self, file: PhotoFile, outcome: PhotoFaces | PhotoProblem) -> None:
        """Note what became of a file, and commit when there is enough."""
        if isinstance(outcome, PhotoProblem):
            self.problems.append(outcome)
            self.unreadable.append(_unreadable(file, self.known.get(file.path), outcome.reason))
        else:
            self.read.append((_new_photo(outcome), [_new_face(face) for face in outcome.faces]))
            self.n_read += 1
            self.n_faces += len(outcome.faces)
            self.n_junk_faces += sum(face.is_junk for face in outcome.faces)
        if len(self.read) + len(self.unreadable) >= COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Write what was noted since the last time."""
        for photo, faces in self.read:
            gone = replaced_faces(self.album, self.model, photo.path, faces)
            self.lost += lost_faces(self.album, gone)
        add_photos(self.album, self.model, self.read)
        record_photos(self.album, self.unreadable)
        self.read.clear()
        self.unreadable.clear()


def _unreadable(file: PhotoFile, known: Photo | None, reason: str) -> NewPhoto:
    """The file with the reason; the hash of what it held stays, as do the faces."""
    content_hash = "" if known is None else known.content_hash
    return NewPhoto(
        file.path, file.size, file.mtime_ns, content_hash, state="unreadable", reason=reason,
        taken_at=None if known is None else known.taken_at,
    )  # fmt: skip


def _new_photo(photo: PhotoFaces) -> NewPhoto:
    file = photo.file
    return NewPhoto(
        file.path, file.size, file.mtime_ns, photo.content_hash, photo.width, photo.height,
        taken_at=photo.taken_at,
    )  # fmt: skip


def _new_face(face: FoundFace) -> NewFace:
    return NewFace(
        face.feature,
        Box(*face.box.tolist()),
        face.landmarks,
        face.detection_score,
        face.sharpness,
        face.size_px,
        face.junk_reasons,
        face.thumbnail,
    )
