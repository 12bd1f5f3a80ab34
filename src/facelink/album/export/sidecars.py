"""XMP sidecars: files beside the photographs, which stay untouched."""

import os
from collections.abc import Iterable
from pathlib import Path

from facelink.album.export.names import mirrored_path
from facelink.album.export.packets import MAX_PACKET_BYTES, UnusablePacketError
from facelink.album.export.regions import RegionsOfPacket
from facelink.album.export.report import ExportReport, What
from facelink.album.export.xmp import (
    NewPacket,
    PhotoRegions,
    check_size,
    new_packet,
    tell_conflicts,
)
from facelink.errors import OutputError
from facelink.files import written_beside
from facelink.photos.decoding import UnreadablePhotoError
from facelink.photos.header import PhotoHeader, read_header


def write_sidecars(
    regions: Iterable[PhotoRegions], folder: Path | None = None, *, write: bool = True
) -> ExportReport:
    """Write face regions into sidecars, and keep all else that stands there.

    A photograph without names gets no sidecar. Regions that an earlier call wrote and that
    are no longer right are changed or removed; a sidecar that then says nothing is deleted.
    A photograph that has regions of another program in its own XMP starts its sidecar with
    that, since readers take a sidecar's regions instead.

    Parameters
    ----------
    regions
        Of each photograph.
    folder
        Write below it, under the photograph's whole path, instead of beside the photograph.
    write
        Do it; otherwise only report what would be done.

    Returns
    -------
    ExportReport
        With a failure for each sidecar that could not be written; the others are.
    """
    report = ExportReport()
    for one in regions:
        path = sidecar_path(one.photo.path, folder)
        exists = path.is_file()
        if not exists and not one.has_names:
            continue
        try:
            header = read_header(one.photo.path)
            check_size(one, header)
            packet = _sidecar(path) if exists else _of_other_programs(header)
            made = new_packet(packet, one, header)
        except (UnreadablePhotoError, UnusablePacketError) as error:
            report.complain(one.photo.path, str(error))
            continue
        tell_conflicts(report, one, made.changes)
        if exists or made.is_changed:
            what = _what(exists, made)
            try:
                if write:
                    _apply(path, what, made.data)
                report.add(path, what)
            except OutputError as error:
                report.complain(one.photo.path, str(error), is_failure=True)
    return report


def sidecar_path(photo: Path, folder: Path | None = None) -> Path:
    """Where the sidecar of a photograph is, or should be.

    ``photo.jpg.xmp``, as digiKam, darktable and Immich name it; but ``photo.xmp``, Adobe's
    name, where that is there and can be no other file's.

    Parameters
    ----------
    photo
        Absolute path.
    folder
        As for `write_sidecars`.
    """
    if folder is not None:
        return mirrored_path(folder, photo, ".xmp")
    beside, adobe = photo.with_name(f"{photo.name}.xmp"), photo.with_suffix(".xmp")
    if not beside.exists() and adobe.is_file() and _is_only_one(photo):
        return adobe
    return beside


def _is_only_one(photo: Path) -> bool:
    """Whether no other file, such as the raw photograph, may own the Adobe sidecar."""
    prefix = f"{photo.stem}."
    with os.scandir(photo.parent) as entries:
        names = {entry.name for entry in entries if entry.name.startswith(prefix)}
    return names <= {photo.name, f"{photo.stem}.xmp"}


def _sidecar(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_PACKET_BYTES + 1)
    except OSError as error:
        raise UnusablePacketError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(data) > MAX_PACKET_BYTES:
        raise UnusablePacketError(f"{path.name} is larger than {MAX_PACKET_BYTES >> 20} MB")
    return data


def _of_other_programs(header: PhotoHeader) -> bytes | None:
    """XMP in the photograph itself, if it has regions that can be read."""
    if header.packet is None:
        return None
    try:
        return header.packet if RegionsOfPacket.of(header.packet).known else None
    except UnusablePacketError:
        return None


def _what(exists: bool, made: NewPacket) -> What:
    if made.is_empty:
        return "removed"
    if not made.is_changed:
        return "unchanged"
    return "changed" if exists else "made"


def _apply(path: Path, what: What, data: bytes) -> None:
    if what == "removed":
        _remove(path)
    elif what != "unchanged":
        with written_beside(os.path.realpath(path)) as temporary:
            temporary.write_bytes(data)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove {path}: {error.strerror or error}.") from error
