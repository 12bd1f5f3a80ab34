import xml.etree.ElementTree as ET

import pytest

from facelink.album.export.areas import Area
from facelink.album.export.packets import UnusablePacketError
from facelink.album.export.regions import EMPTY_PACKET, NewRegion, RegionsOfPacket
from tests.unit.album.export.helpers import DIGIKAM, names_in

ADA = NewRegion(1, "Ada", Area(0.2, 0.35, 0.2, 0.5))
BOB = NewRegion(2, "Bob", Area(0.7, 0.5, 0.1, 0.2))
RDF = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'


def written(packet, *added, removed=()):
    return RegionsOfPacket.of(packet).edited(removed, added, 200, 100)


def test_regions_of_other_programs_are_read_in_both_ways_of_writing():
    face, focus = RegionsOfPacket.of(DIGIKAM.format(name="Zo\u00eb").encode()).known
    assert (face.name, face.is_face, face.is_ours) == ("Zo\u00eb", True, False)
    assert face.area == Area(0.2, 0.35, 0.24, 0.6)
    assert (focus.name, focus.is_face, focus.area) == (None, False, Area(0.2, 0.35, 0.2, 0.5))


def test_a_new_packet_is_read_back():
    packet = written(EMPTY_PACKET, ADA, BOB)
    first, second = RegionsOfPacket.of(packet).known
    assert (first.name, first.area, first.is_ours) == ("Ada", ADA.area, True)
    assert (second.name, second.area, second.is_face) == ("Bob", BOB.area, True)
    text = packet.decode()
    assert 'stDim:w="200" stDim:h="100" stDim:unit="pixel"' in text
    assert 'stArea:x="0.200000"' in text


def test_all_else_stays_byte_for_byte():
    before = DIGIKAM.format(name="Zo\u00eb").encode()
    after = written(before, BOB)
    start = next(i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
    n_added = len(after) - len(before)
    assert after[:start] + after[start + n_added :] == before
    assert names_in(after) == ["Zo\u00eb", "Bob"]
    ours = RegionsOfPacket.of(after).known[-1]
    assert written(after, removed=[ours]) == before.replace(b"</rdf:Bag>", b"\n</rdf:Bag>")


def test_names_cannot_leave_their_place():
    name = '"/><x:evil xmlns:x="urn:x"/>]]> \'&amp; <!-- \n\t'
    packet = written(DIGIKAM.format(name="Zo\u00eb").encode(), NewRegion(1, name, ADA.area))
    assert names_in(packet)[1] == name
    assert all("evil" not in one.tag for one in ET.fromstring(packet.decode()).iter())


def test_the_last_region_takes_its_block_with_it():
    packet = written(EMPTY_PACKET, ADA)
    bare = written(packet, removed=RegionsOfPacket.of(packet).known)
    assert RegionsOfPacket.of(bare).is_empty()
    before = DIGIKAM.format(name="Zo\u00eb").encode()
    without = written(before, removed=RegionsOfPacket.of(before).known)
    assert b"Regions" not in without
    assert b"People/Zo\xc3\xab &amp; co" in without
    assert not RegionsOfPacket.of(without).is_empty()


@pytest.mark.parametrize(
    "packet",
    [
        f"{RDF}/>",
        f'{RDF}><rdf:Description rdf:about="uuid:7" xmlns:a="urn:a" a:b="1"/></rdf:RDF>',
        f'{RDF} xmlns:m="http://www.metadataworkinggroup.com/schemas/regions/">'
        "<rdf:Description><m:Regions/></rdf:Description></rdf:RDF>",
        f'{RDF} xmlns:m="http://www.metadataworkinggroup.com/schemas/regions/"><rdf:Description>'
        '<m:Regions rdf:parseType="Resource"><m:RegionList><rdf:Bag/></m:RegionList></m:Regions>'
        "</rdf:Description></rdf:RDF>",
    ],
)
def test_regions_find_a_place_in_any_packet(packet):
    after = written(packet.encode(), ADA)
    assert names_in(after) == ["Ada"]
    assert ("uuid:7" in packet) == (after.count(b'rdf:about="uuid:7"') == 2)


def test_regions_that_say_no_place_have_none():
    damaged = DIGIKAM.format(name="Zo\u00eb").replace('stArea:w="0.24"', 'stArea:w="wide"')
    assert RegionsOfPacket.of(damaged.encode()).known[0].area is None
    in_pixels = DIGIKAM.format(name="Zo\u00eb").replace('"normalized"', '"pixel"')
    assert RegionsOfPacket.of(in_pixels.encode()).known[0].area is None


def test_xml_that_is_no_xmp_is_refused():
    with pytest.raises(UnusablePacketError, match="no rdf:RDF"):
        RegionsOfPacket.of(b"<html/>")


def test_regions_in_an_unknown_form_are_not_overwritten():
    packet = DIGIKAM.format(name="Ada").replace("rdf:Bag", "rdf:Box")
    with pytest.raises(UnusablePacketError, match="in no list"):
        RegionsOfPacket.of(packet.encode())
