"""Face regions written into the photographs themselves, after a copy was made."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from facelink.album.additions import record_photos
from facelink.album.export.embedded import embedded_packet, with_packet, without_packet
from facelink.album.export.names import mirrored_path
from facelink.album.export.packets import UnusablePacketError
from facelink.album.export.report import ExportReport
from facelink.album.export.xmp import PhotoRegions, check_size, new_packet, tell_conflicts
from facelink.album.library import Album
from facelink.album.records import Photo
from facelink.errors import OutputError
from facelink.files import written_beside
from facelink.photos.decoding import UnreadablePhotoError, content_hash, read_photo
from facelink.photos.formats import BACKUP_SUFFIX
from facelink.photos.header import read_header


def write_in_place(
    album: Album,
    regions: Iterable[PhotoRegions],
    backup: Path | None = None,
    *,
    write: bool = True,
) -> ExportReport:
    """Write face regions into JPEG and PNG files; pixels and all other parts stay as they are.

    Before a photograph is touched, a copy with the suffix ``.original`` is on the disk.
    The photograph keeps its time, and the album learns its new size and hash in the moment
    before the new file takes its place, so that it does not look changed to the next
    ``album add``. (Killed in just that moment, the next ``album add`` reads the one photograph
    anew.) Photographs of other formats or with exact copies, those that changed since the
    album read them and those that are write-protected are left alone and listed.

    Parameters
    ----------
    album
        Open for writing, unless `write` is false.
    regions
        Of each photograph.
    backup
        Keep the copies below this folder, under the photographs' whole paths, instead of
        beside them.
    write
        Do it; otherwise only report what would be done.

    Raises
    ------
    OutputError
        If a copy or a photograph cannot be written. The photograph is then as it was.
    """
    report = ExportReport()
    for one in regions:
        try:
            edited = _edited(one, report)
        except (UnreadablePhotoError, UnusablePacketError) as error:
            report.complain(one.photo.path, str(error))
            continue
        if edited is None:
            continue
        before, after, kind = edited
        if before == after:
            report.add(one.photo.path, "unchanged")
            continue
        copy = _backup_path(one.photo.path, backup, before, kind)
        report.add(one.photo.path, "changed")
        if not copy.exists():
            report.add(copy, "made")
        if write:
            _back_up(one.photo.path, copy)
            _replace(album, one.photo, after)
    return report


def _edited(regions: PhotoRegions, report: ExportReport) -> tuple[bytes, bytes, str] | None:
    """A photograph's bytes before and after, and its format; None if there is nothing to say."""
    path = regions.photo.path
    if not regions.has_names and not _has_packet(path):
        return None
    header = read_header(path)
    check_size(regions, header)
    before = read_photo(path)
    packet = embedded_packet(before, header.kind)
    made = new_packet(packet, regions, header)
    tell_conflicts(report, regions, made.changes)
    if not made.is_changed:
        return None if packet is None else (before, before, header.kind)
    if content_hash(before) != regions.photo.content_hash:
        raise UnreadablePhotoError(
            "has changed since the album read it; run facelink album add first"
        )
    if regions.n_places > 1:
        raise UnreadablePhotoError(
            "has exact copies, which would be other photographs then; write sidecars instead"
        )
    if not os.access(path, os.W_OK):
        raise UnreadablePhotoError("write-protected; allow writing, or write a sidecar instead")
    if made.is_empty:
        return before, without_packet(before, header.kind), header.kind
    return before, with_packet(before, header.kind, made.data), header.kind


def _has_packet(path: Path) -> bool:
    """Whether an earlier export may have written into a photograph that has no names now."""
    try:
        return read_header(path).packet is not None
    except UnreadablePhotoError:
        return False


def _backup_path(photo: Path, folder: Path | None, data: bytes, kind: str) -> Path:
    """Where the copy is, or goes: an earlier one serves if only the XMP has changed since."""
    beside = photo.with_name(photo.name + BACKUP_SUFFIX)
    first = beside if folder is None else mirrored_path(folder, photo, BACKUP_SUFFIX)
    path, number = first, 1
    while path.exists() and not _is_backup(path, data, kind):
        number += 1
        path = first.with_name(f"{photo.name}.{number}{BACKUP_SUFFIX}")
    return path


def _is_backup(path: Path, data: bytes, kind: str) -> bool:
    try:
        return without_packet(path.read_bytes(), kind) == without_packet(data, kind)
    except (OSError, UnusablePacketError):
        return False


def _back_up(photo: Path, copy: Path) -> None:
    if copy.exists():
        return
    with written_beside(copy) as temporary:
        shutil.copy2(photo, temporary)


def _replace(album: Album, photo: Photo, data: bytes) -> None:
    """Put new bytes in a photograph's place; the album knows them from then on."""
    status = photo.path.stat()
    known = replace(photo, size=len(data), content_hash=content_hash(data))
    try:
        with written_beside(photo.path) as temporary:
            temporary.write_bytes(data)
            shutil.copystat(photo.path, temporary)
            os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
            record_photos(album, [replace(known, mtime_ns=status.st_mtime_ns)])
    except OutputError:
        record_photos(album, [photo])
        raise
