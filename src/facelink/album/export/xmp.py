"""Face regions of an album's photographs, as XMP: what each photograph shall say."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facelink.album.export.areas import area_of
from facelink.album.export.faces import ExportedFace
from facelink.album.export.matching import RegionChanges, WantedRegion, region_changes
from facelink.album.export.packets import xml_text
from facelink.album.export.regions import EMPTY_PACKET, RegionsOfPacket
from facelink.album.export.report import ExportReport
from facelink.album.records import Photo, Place
from facelink.photos.decoding import UnreadablePhotoError
from facelink.photos.header import PhotoHeader


@dataclass(frozen=True)
class PhotoRegions:
    """A photograph and the faces in it, their areas upright.

    Parameters
    ----------
    photo : Photo
        With its size in pixels.
    faces : tuple of WantedRegion
        All faces of the album there, named or not.
    n_places : int
        Files of the photograph: this one and exact copies of it.
    """

    photo: Photo
    faces: tuple[WantedRegion, ...]
    n_places: int = 1

    @property
    def has_names(self) -> bool:
        """Whether there is anything to write."""
        return any(face.name is not None and face.is_chosen for face in self.faces)

    def stored(self, orientation: int) -> tuple[WantedRegion, ...]:
        """The faces, their areas in the image as it is stored."""
        return tuple(replace(face, area=face.area.turned_back(orientation)) for face in self.faces)


@dataclass(frozen=True)
class NewPacket:
    """A packet that was brought up to date, and whether that changed it."""

    data: bytes
    is_changed: bool
    is_empty: bool
    changes: RegionChanges


def photo_regions(
    photos: Iterable[Photo],
    faces: Iterable[ExportedFace],
    people: Collection[int] | None = None,
    places: Iterable[Place] = (),
) -> Iterator[PhotoRegions]:
    """Say which regions each photograph shall have: one for each face of someone with a name.

    What is said of a photograph is said of every copy of it.

    Parameters
    ----------
    photos
        Those without a size were never read and are left out.
    faces
        Of the whole album.
    people
        Only these; by default everyone who is not left out of lists.
    places
        Where the photographs' copies are, as `queries.places` lists them.
    """
    copies: dict[int, list[Path]] = {}
    for place in places:
        if place.is_copy:
            copies.setdefault(place.photo, []).append(place.path)
    in_photo: dict[str, list[ExportedFace]] = {}
    for face in faces:
        if face.photo is not None:
            in_photo.setdefault(str(face.photo), []).append(face)
    for photo in photos:
        if photo.width and photo.height:
            found = in_photo.get(str(photo.path), [])
            wanted = _wanted(found, photo.width, photo.height, people)
            paths = [photo.path, *copies.get(photo.id, [])]
            for path in paths:
                yield PhotoRegions(replace(photo, path=path), wanted, len(paths))


def new_packet(packet: bytes | None, regions: PhotoRegions, header: PhotoHeader) -> NewPacket:
    """Bring a packet up to date with an album.

    Parameters
    ----------
    packet
        What is there; None for nothing.
    regions
        What the album says.
    header
        The photograph's, for its size and orientation.

    Raises
    ------
    UnusablePacketError
        If the packet cannot be changed safely.
    """
    found = RegionsOfPacket.of(EMPTY_PACKET if packet is None else packet)
    changes = region_changes(found.known, regions.stored(header.orientation))
    data = found.edited(changes.removed, changes.added, header.width, header.height)
    is_changed = data != found.data
    is_empty = is_changed and RegionsOfPacket.of(data).is_empty()
    return NewPacket(data, is_changed, is_empty, changes)


def check_size(regions: PhotoRegions, header: PhotoHeader) -> None:
    """Raise if a photograph is no longer the one in which the album found its faces."""
    photo = regions.photo
    if header.upright_size != (photo.width, photo.height):
        width, height = header.upright_size
        raise UnreadablePhotoError(
            f"{width} × {height} pixels, where the album knows {photo.width} × {photo.height}; "
            "run facelink album add first"
        )


def tell_conflicts(report: ExportReport, regions: PhotoRegions, changes: RegionChanges) -> None:
    """Note the faces that another program calls otherwise."""
    for face, region in changes.conflicts:
        report.complain(
            regions.photo.path,
            f"face {face.face} is {face.name!r} in the album and {region.name!r} by another "
            "program; left as it is",
        )


def _wanted(
    faces: Sequence[ExportedFace], width: int, height: int, people: Collection[int] | None
) -> tuple[WantedRegion, ...]:
    wanted = []
    for face in faces:
        area = None if face.box is None else area_of(face.box, width, height)
        if area is not None:
            is_shown = face.state == "person" or (people is not None and face.state == "hidden")
            is_chosen = people is None or face.person in people
            name = xml_text(face.name or "").strip() if is_shown else ""
            wanted.append(WantedRegion(face.face, area, name or None, is_chosen))
    return tuple(wanted)
