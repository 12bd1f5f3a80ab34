"""The face regions of an XMP packet (MWG-RS): found, and changed in place.

Source: Metadata Working Group, "Guidelines for handling image metadata", version 2.0,
section 5.9. A region of ours is known by the field ``facelink:face`` in the extensions that
the guidelines provide for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import quoteattr

from facelink.album.export.areas import Area
from facelink.album.export.packets import (
    MWG,
    OURS,
    PREFIXES,
    RDF,
    ST_AREA,
    Element,
    UnusablePacketError,
    declarations,
    parse_packet,
    replaced,
    with_child,
)

EMPTY_PACKET: Final = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="facelink">\n'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    b'</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
)
"""A packet that says nothing."""

_LISTS = ((RDF, "Bag"), (RDF, "Seq"), (RDF, "Alt"))


@dataclass(frozen=True)
class NewRegion:
    """A region to write: the number of the face, its name, and its area in the stored image."""

    face: int
    name: str
    area: Area


@dataclass(frozen=True)
class KnownRegion:
    """A region that a packet has.

    Parameters
    ----------
    name : str, optional
        None if it is not named.
    is_face : bool
        Whether its type is Face, or it has none.
    area : Area, optional
        In the stored image; None if it is not given in shares.
    is_ours : bool
        Whether facelink wrote it.
    start, end : int
        Bytes of the packet that it takes.
    """

    name: str | None
    is_face: bool
    area: Area | None
    is_ours: bool
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class RegionsOfPacket:
    """A packet, its regions, and where more of them can go.

    Parameters
    ----------
    data : bytes
        The packet.
    rdf : Element
        Holds the descriptions.
    description, regions, listed : Element, optional
        The description with the regions, the regions, and the list in them.
    known : tuple of KnownRegion
        In order.
    """

    data: bytes
    rdf: Element
    description: Element | None
    regions: Element | None
    listed: Element | None
    known: tuple[KnownRegion, ...]

    @classmethod
    def of(cls, data: bytes) -> "RegionsOfPacket":
        """Find the regions of a packet; `UnusablePacketError` if it is no XMP."""
        root = parse_packet(data)
        rdf = root if root.name == (RDF, "RDF") else root.child((RDF, "RDF"))
        if rdf is None:
            raise UnusablePacketError("its XMP has no rdf:RDF")
        for description in rdf.children:
            regions = description.child((MWG, "Regions"))
            if regions is not None:
                region_list = regions.field_element((MWG, "RegionList"))
                listed = None if region_list is None else region_list.child(*_LISTS)
                if region_list is not None and region_list.children and listed is None:
                    raise UnusablePacketError("its face regions are in no list")
                items = [] if listed is None else listed.children
                known = tuple(_known(item) for item in items if item.name == (RDF, "li"))
                return cls(data, rdf, description, regions, listed, known)
        return cls(data, rdf, None, None, None, ())

    def edited(
        self,
        removed: Sequence[KnownRegion],
        added: Sequence[NewRegion],
        width: int,
        height: int,
    ) -> bytes:
        """Write the packet with some regions less and some more.

        Where any region stays, all that is not changed is kept byte for byte; otherwise the
        block of regions is written anew, or left out if it would be empty.

        Parameters
        ----------
        removed
            Regions of this packet.
        added
            New ones.
        width, height
            Pixels of the stored image.
        """
        if not removed and not added:
            return self.data
        if self.listed is None or len(self.known) == len(removed):
            return replaced(self.data, [self._block_change(added, width, height)])
        changes = [(one.start, one.end, b"") for one in removed]
        if added:
            items = "".join(_item(one, self.listed.prefixes) for one in added)
            changes.append(with_child(self.data, self.listed, items))
        return replaced(self.data, changes)

    def is_empty(self) -> bool:
        """Whether the packet says nothing at all."""
        return not self.rdf.children

    def _block_change(
        self, regions: Sequence[NewRegion], width: int, height: int
    ) -> tuple[int, int, bytes]:
        """Change of the text that makes these the packet's only regions."""
        if self.regions is None or self.description is None:
            return with_child(self.data, self.rdf, self._new_description(regions, width, height))
        if regions:
            text = _block(regions, width, height, self.description.prefixes)
            return self.regions.start, self.regions.end, text.encode()
        is_alone = len(self.description.children) == 1 and not self._has_properties()
        whole = self.description if is_alone else self.regions
        return whole.start, whole.end, b""

    def _has_properties(self) -> bool:
        """Whether the description says something in attributes."""
        given = () if self.description is None else self.description.attributes
        return any(name != (RDF, "about") for name in given)

    def _new_description(self, regions: Sequence[NewRegion], width: int, height: int) -> str:
        described = self.rdf.child((RDF, "Description"))
        about = "" if described is None else described.attributes.get((RDF, "about"), "")
        return (
            f"<rdf:Description{declarations(tuple(PREFIXES), self.rdf.prefixes)} "
            f"rdf:about={quoteattr(about)}>\n{_block(regions, width, height, PREFIXES)}\n"
            "</rdf:Description>\n"
        )


def _known(item: Element) -> KnownRegion:
    kind = item.field_text((MWG, "Type"))
    extensions = item.field_element((MWG, "Extensions"))
    return KnownRegion(
        name=item.field_text((MWG, "Name")) or None,
        is_face=kind is None or kind.casefold() == "face",
        area=_area(item.field_element((MWG, "Area"))),
        is_ours=extensions is not None and extensions.field_text((OURS, "face")) is not None,
        start=item.start,
        end=item.end,
    )


def _area(element: Element | None) -> Area | None:
    if element is None or element.field_text((ST_AREA, "unit")) not in (None, "normalized"):
        return None
    texts = [element.field_text((ST_AREA, name)) for name in ("x", "y", "w", "h")]
    try:
        values = [float(text or "nan") for text in texts]
    except ValueError:
        return None
    return Area(*values) if all(map(math.isfinite, values)) and min(values[2:]) > 0 else None


def _item(region: NewRegion, around: Mapping[str, str]) -> str:
    """A region as text, where these prefixes are declared around it."""
    declared, area = declarations(["rdf", "mwg-rs", "stArea", "facelink"], around), region.area
    return (
        f"<rdf:li{declared}><rdf:Description mwg-rs:Name={quoteattr(region.name)} "
        f'mwg-rs:Type="Face">'
        f'<mwg-rs:Area stArea:x="{area.x:.6f}" stArea:y="{area.y:.6f}" '
        f'stArea:w="{area.width:.6f}" stArea:h="{area.height:.6f}" stArea:unit="normalized"/>'
        f'<mwg-rs:Extensions facelink:face="{region.face}"/>'
        "</rdf:Description></rdf:li>\n"
    )


def _block(regions: Sequence[NewRegion], width: int, height: int, around: Mapping[str, str]) -> str:
    """All regions as text, where these prefixes are declared around them."""
    items = "".join(_item(one, PREFIXES) for one in regions)
    return (
        f'<mwg-rs:Regions{declarations(tuple(PREFIXES), around)} rdf:parseType="Resource">\n'
        f'<mwg-rs:AppliedToDimensions stDim:w="{width}" stDim:h="{height}" stDim:unit="pixel"/>\n'
        f"<mwg-rs:RegionList><rdf:Bag>\n{items}</rdf:Bag></mwg-rs:RegionList>\n"
        "</mwg-rs:Regions>"
    )
