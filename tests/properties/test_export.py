"""Names and regions survive whatever is in them."""

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from facelink.album.export.areas import Area
from facelink.album.export.names import UniqueNames, safe_name
from facelink.album.export.packets import xml_text
from facelink.album.export.regions import EMPTY_PACKET, NewRegion, RegionsOfPacket
from tests.unit.album.export.helpers import DIGIKAM

texts = st.text(st.characters(), max_size=40) | st.text('./\\:*?"<> \0\u202eaAnulco1', max_size=300)
shares = st.integers(1, 999_999).map(lambda one: one / 1e6)
areas = st.builds(Area, shares, shares, shares, shares)


@settings(max_examples=30, deadline=None)
@given(st.lists(texts, max_size=8))
def test_folders_of_any_names_are_made_below_one_another_each_once(people):
    names = UniqueNames()
    with tempfile.TemporaryDirectory() as folder:
        for number, person in enumerate(people):
            name = names.take(safe_name(person, f"person {number}"))
            made = Path(folder) / name
            made.mkdir()
            assert Path(os.path.realpath(made)).parent == Path(os.path.realpath(folder))
            assert not name.startswith(".")
            assert not name.endswith((".", " "))
        assert len({one.casefold() for one in os.listdir(folder)}) == len(people)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, areas), min_size=1, max_size=4), st.booleans())
def test_regions_are_read_back_as_they_were_written(wanted, has_others):
    packet = DIGIKAM.format(name="Zo\u00eb").encode() if has_others else EMPTY_PACKET
    new = [NewRegion(number, xml_text(name), area) for number, (name, area) in enumerate(wanted)]
    written = RegionsOfPacket.of(RegionsOfPacket.of(packet).edited([], new, 200, 100))
    ours = [one for one in written.known if one.is_ours]
    assert [one.name or "" for one in ours] == [one.name for one in new]
    assert all(a.area.is_close_to(b.area) for a, b in zip(ours, new, strict=True))
    bare = written.edited(ours, [], 200, 100)
    if has_others:
        assert bare.replace(b"\n", b"") == packet.replace(b"\n", b"")
    else:
        assert RegionsOfPacket.of(bare).is_empty()
