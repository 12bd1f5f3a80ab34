"""What an album says about a photograph's faces, beside the regions that are there already."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from facelink.album.export.areas import Area, overlap
from facelink.album.export.regions import KnownRegion, NewRegion

MIN_OVERLAP: Final = 0.5
"""Share of the smaller area from which two rectangles are of one face; programs draw the same
face larger or smaller."""


@dataclass(frozen=True)
class WantedRegion:
    """A face of the album in a photograph.

    Parameters
    ----------
    face : int
        Its number.
    area : Area
        In the stored image.
    name : str, optional
        Whose it is; None for a face that shall have no region.
    is_chosen : bool
        Whether this export is about it; what an earlier one wrote for others stays.
    """

    face: int
    area: Area
    name: str | None
    is_chosen: bool = True


@dataclass(frozen=True)
class RegionChanges:
    """How a photograph's regions become what the album says.

    Parameters
    ----------
    removed : tuple of KnownRegion
        Ours that are no longer right, and nameless ones of others that get a name.
    added : tuple of NewRegion
        New ones.
    conflicts : tuple of (WantedRegion, KnownRegion)
        Faces for which another program has another name; those are left alone.
    """

    removed: tuple[KnownRegion, ...]
    added: tuple[NewRegion, ...]
    conflicts: tuple[tuple[WantedRegion, KnownRegion], ...]


def region_changes(known: Sequence[KnownRegion], wanted: Sequence[WantedRegion]) -> RegionChanges:
    """Compare regions that are there with those that the album wants.

    - A region that another program wrote with a name stays. If the album has another name
      for the face, that is a conflict and nothing is written for it.
    - One that another program wrote without a name gives way to ours.
    - One of ours stays if face, name and area are as they were, or this export is not
      about the face. Otherwise it is removed, so also if the album has no such face any more.

    Parameters
    ----------
    known
        Of the packet.
    wanted
        All faces of the photograph.
    """
    named = [one for one in wanted if one.name is not None and one.is_chosen]
    theirs = [one for one in known if one.is_face and not one.is_ours]
    by_face = _pairs(named, [one for one in theirs if one.name is not None])
    conflicts = tuple((face, region) for face, region in by_face if region.name != face.name)
    settled = {face.face for face, _ in by_face}
    writing = [face for face in named if face.face not in settled]
    kept = _kept([one for one in known if one.is_ours], wanted, writing)
    nameless = _pairs(writing, [one for one in theirs if one.name is None])
    has_region = {face for face, _ in kept}
    removed = [one for one in known if one.is_ours and one not in [region for _, region in kept]]
    return RegionChanges(
        removed=(*removed, *(region for _, region in nameless)),
        added=tuple(
            NewRegion(face.face, face.name, face.area)
            for face in writing
            if face.name is not None and face.face not in has_region
        ),
        conflicts=conflicts,
    )


def _kept(
    ours: Sequence[KnownRegion], wanted: Sequence[WantedRegion], writing: Sequence[WantedRegion]
) -> list[tuple[int, KnownRegion]]:
    """Regions of ours that stay, and the faces that they are of."""
    return [
        (face.face, region)
        for face, region in _pairs(wanted, ours)
        if not face.is_chosen or (face in writing and _is_as_wanted(region, face))
    ]


def _is_as_wanted(region: KnownRegion, face: WantedRegion) -> bool:
    return (
        region.name == face.name and region.area is not None and region.area.is_close_to(face.area)
    )


def _pairs(
    faces: Sequence[WantedRegion], regions: Sequence[KnownRegion]
) -> list[tuple[WantedRegion, KnownRegion]]:
    """Pair faces with the regions that overlap them most, each once."""
    candidates = [
        (-both, face.face, region.start, face, region)
        for face in faces
        for region in regions
        for of_smaller, both in [_overlap_of(face.area, region.area)]
        if of_smaller >= MIN_OVERLAP
    ]
    pairs: list[tuple[WantedRegion, KnownRegion]] = []
    for *_, face, region in sorted(candidates, key=lambda one: one[:3]):
        if all(face is not other and region is not one for other, one in pairs):
            pairs.append((face, region))
    return pairs


def _overlap_of(one: Area, other: Area | None) -> tuple[float, float]:
    """As `overlap`; none where an area is not known."""
    return (0.0, 0.0) if other is None else overlap(one, other)
