import shutil

import pytest

from facelink.album.decisions import hide_person, merge_people, name_person, set_aside
from facelink.album.export.embedded import with_packet
from facelink.album.export.regions import RegionsOfPacket
from facelink.album.export.sidecars import sidecar_path, write_sidecars
from tests.unit.album.export.helpers import DIGIKAM, copy_of, names_in, regions_of


@pytest.fixture
def export(pictured):
    """Writes sidecars as the album stands; returns the report."""

    def run(folder=None, people=None, write=True):
        return write_sidecars(regions_of(pictured.album, people), folder, write=write)

    return run


@pytest.fixture
def sidecar(pictured):
    return pictured.one.with_name("one.jpg.xmp")


def names(sidecar):
    return names_in(sidecar.read_bytes())


def test_sidecars_follow_the_album(pictured, export, sidecar):
    content = pictured.one.read_bytes()
    assert export(write=False).counts()["made"] == 2
    assert not sidecar.exists()
    assert export().counts()["made"] == 2
    assert names(sidecar) == ["Ada"]
    (region,) = RegionsOfPacket.of(sidecar.read_bytes()).known
    assert (region.area.x, region.area.y) == (0.2, 0.35)
    assert export().counts() == {"made": 0, "changed": 0, "removed": 0, "unchanged": 2}
    name_person(pictured.album, pictured.ada, "Eve")
    assert export().counts()["changed"] == 2
    assert names(sidecar) == ["Eve"]
    merge_people(pictured.album, pictured.ada, pictured.nameless)
    assert export().counts()["changed"] == 1
    assert names(sidecar) == ["Eve", "Eve"]
    set_aside(pictured.album, [pictured.faces[3]], "not_a_face")
    assert export().counts()["removed"] == 1
    assert not pictured.two.with_name("two.png.xmp").exists()
    assert pictured.one.read_bytes() == content


def test_copies_of_a_photograph_have_sidecars_too(pictured, export, sidecar):
    copy = copy_of(pictured.album, pictured.one)
    assert export().counts()["made"] == 3
    assert names(copy.with_name("copy.jpg.xmp")) == names(sidecar) == ["Ada"]


def test_only_some_people(pictured, export, sidecar):
    name_person(pictured.album, pictured.nameless, "Bob")
    assert export(people={pictured.nameless}).counts()["made"] == 1
    assert names(sidecar) == ["Bob"]
    export(people={pictured.ada})
    assert sorted(names(sidecar)) == ["Ada", "Bob"]
    hide_person(pictured.album, pictured.ada)
    export(people={pictured.ada})
    assert sorted(names(sidecar)) == ["Ada", "Bob"]
    export()
    assert names(sidecar) == ["Bob"]


def test_what_other_programs_say_is_kept_and_conflicts_are_told(pictured, export, sidecar):
    before = DIGIKAM.format(name="Zo\u00eb").encode()
    sidecar.write_bytes(before)
    report = export()
    assert sidecar.read_bytes() == before
    (problem,) = report.problems
    assert problem.path == pictured.one
    assert "'Ada' in the album and 'Zo\u00eb' by another program" in problem.reason
    name_person(pictured.album, pictured.nameless, "Bob")
    export()
    assert names(sidecar) == ["Zo\u00eb", "Bob"]
    name_person(pictured.album, pictured.nameless, None)
    export()
    assert names(sidecar) == ["Zo\u00eb"]


def test_a_new_sidecar_starts_with_the_regions_in_the_photograph(pictured, export, sidecar):
    packet = DIGIKAM.format(name="Ada").encode()
    pictured.one.write_bytes(with_packet(pictured.one.read_bytes(), "JPEG", packet))
    name_person(pictured.album, pictured.nameless, "Bob")
    export()
    assert names(sidecar) == ["Ada", "Bob"]
    assert b"People/Zo" in sidecar.read_bytes()


@pytest.mark.parametrize("damage", [b"<x", b"<!DOCTYPE x><x/>", b"<html/>"])
def test_a_sidecar_that_cannot_be_read_is_left_alone(pictured, export, sidecar, damage):
    sidecar.write_bytes(damage)
    report = export()
    assert [one.path for one in report.problems] == [pictured.one]
    assert sidecar.read_bytes() == damage


def test_vanished_and_changed_photographs_are_told(pictured, export, sidecar):
    shutil.copy(pictured.two, pictured.one)
    pictured.two.unlink()
    report = export()
    reasons = {one.path.name: one.reason for one in report.problems}
    assert reasons == {"two.png": "no longer there, or a link to nothing"}
    pictured.album.connection.execute("UPDATE photos SET width = 100, height = 200")
    (problem, _) = export().problems
    assert "200 × 100 pixels, where the album knows 100 × 200" in problem.reason


def test_another_folder_mirrors_the_paths(pictured, export, tmp_path, sidecar):
    out = tmp_path / "mirror"
    export(out)
    assert not sidecar.exists()
    mirrored = out.joinpath(*sidecar.parts[1:])
    assert names(mirrored) == ["Ada"]
    assert sidecar_path(pictured.one, out) == mirrored


def test_sidecars_that_cannot_be_written_do_not_stop_the_others(pictured, export, sidecar):
    sidecar.mkdir()
    report = export()
    assert report.has_failed
    assert [one.path for one in report.problems] == [pictured.one]
    assert "cannot write" in report.problems[0].reason
    assert names(pictured.two.with_name("two.png.xmp")) == ["Ada"]


def test_xmp_in_a_photograph_that_cannot_be_read_is_no_obstacle(pictured, export, sidecar):
    pictured.one.write_bytes(with_packet(pictured.one.read_bytes(), "JPEG", b"<x"))
    export()
    assert names(sidecar) == ["Ada"]


def test_a_name_of_nothing_but_control_characters_is_none(pictured, export):
    name_person(pictured.album, pictured.ada, "\x01\x02")
    assert export().counts()["made"] == 0


def test_the_name_that_adobe_gives_is_taken_only_if_it_is_this_photographs(pictured, sidecar):
    assert sidecar_path(pictured.one) == sidecar
    adobe = pictured.one.with_suffix(".xmp")
    adobe.write_bytes(b"")
    assert sidecar_path(pictured.one) == adobe
    raw = pictured.one.with_suffix(".CR2")
    raw.touch()
    assert sidecar_path(pictured.one) == sidecar
    raw.unlink()
    sidecar.touch()
    assert sidecar_path(pictured.one) == sidecar
