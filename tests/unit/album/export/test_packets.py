import pytest

from facelink.album.export.packets import (
    UnusablePacketError,
    declarations,
    parse_packet,
    replaced,
    with_child,
    xml_text,
)

ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ENTITIES, "document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "document type"),
        (b"<x>", "damaged"),
        (b"", "damaged"),
        (b"<x><y:z/></x>", "damaged"),
        ("<x/>".encode("utf-16"), "not in UTF-8"),
        (b'<?xml version="1.0" encoding="iso-8859-1"?><x/>', "in iso-8859-1, not in UTF-8"),
        (b"<x>" * 300 + b"</x>" * 300, "nested more than 200 deep"),
    ],
)
def test_what_cannot_be_trusted_is_refused(data, reason):
    with pytest.raises(UnusablePacketError, match=reason):
        parse_packet(data)


@pytest.mark.parametrize(
    "text",
    [
        "<a><b c='/>' d=\">\"/>t<b/></a >",
        "<a><b></b><!-- <b/> --><b/></a>",
        "\ufeff<a>\u00eb<b/>\u00eb<b><![CDATA[</b>]]></b></a>",
    ],
)
def test_elements_know_where_they_stand(text):
    data = text.encode()
    root = parse_packet(data)
    assert data[root.start : root.start + 2] == b"<a"
    assert data[root.inner_end :].startswith(b"</a")
    assert data[: root.end] == data
    first, second = root.children
    for child in (first, second):
        written = data[child.start : child.end]
        assert written.startswith(b"<b")
        assert parse_packet(written).name == ("", "b")


@pytest.mark.parametrize("text", ["<a><b/></a>", "<a><b ></b></a>", "<a><b c='/' /></a>"])
def test_a_child_is_appended_to_any_element(text):
    data = text.encode()
    (inner,) = parse_packet(data).children
    changed = parse_packet(replaced(data, [with_child(data, inner, "<d>x</d>")]))
    (again,) = changed.children
    assert (again.attributes, again.children[0].text) == (inner.attributes, "x")


def test_a_prefix_is_declared_where_it_means_something_else():
    around = {"rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "mwg-rs": "urn:other"}
    declared = declarations(["rdf", "mwg-rs"], around)
    assert declared == ' xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"'


def test_characters_that_xml_cannot_hold_are_left_out():
    assert xml_text("a\0b\x1fc\ud800\ufffe\tz\U0001f600") == "abc\tz\U0001f600"
