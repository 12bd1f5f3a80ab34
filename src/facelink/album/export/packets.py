"""XMP packets as text with places: what is not a region of ours is kept byte for byte.

A packet is parsed only to find where its parts begin and end. Changes are then made in the
text, so that other programs' properties, prefixes, comments and blanks stay as they were.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from facelink.errors import InputError

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MWG: Final = "http://www.metadataworkinggroup.com/schemas/regions/"
ST_AREA: Final = "http://ns.adobe.com/xmp/sType/Area#"
ST_DIMENSIONS: Final = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
OURS: Final = "urn:facelink:xmp:1.0:"

PREFIXES: Final = {
    "rdf": RDF,
    "mwg-rs": MWG,
    "stArea": ST_AREA,
    "stDim": ST_DIMENSIONS,
    "facelink": OURS,
}
"""Prefixes that we write, and what they stand for."""

MAX_PACKET_BYTES: Final = 64 << 20
"""Larger sidecars are not read."""

_MAX_DEPTH: Final = 200
_SEPARATOR: Final = "\n"
_TAG = re.compile(rb"""<([^\s/>]+)(?:"[^"]*"|'[^']*'|[^"'>])*>""")
_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""

Name = tuple[str, str]
"""Namespace and local name."""


class UnusablePacketError(InputError):
    """XMP that cannot be changed safely; the message is the reason alone."""


@dataclass(eq=False)
class Element:
    """An element of a packet, and where it stands in the text.

    Parameters
    ----------
    name : (str, str)
        Namespace and local name.
    attributes : dict of (str, str) to str
        By namespace and local name.
    prefixes : dict of str to str
        Namespaces that are declared here or around it.
    start, end : int
        Bytes of the text that it takes.
    inner_end : int, optional
        Where its end tag begins; None for an element such as ``<a/>``.
    children : list of Element
        In order.
    text : str
        Characters directly in it.
    """

    name: Name
    attributes: dict[Name, str]
    prefixes: dict[str, str]
    start: int
    end: int = -1
    inner_end: int | None = None
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def child(self, *names: Name) -> "Element | None":
        """First child that is called so."""
        return next((child for child in self.children if child.name in names), None)

    def structure(self) -> Iterator["Element"]:
        """Where the fields of an RDF structure are: the element, and a description in it."""
        yield self
        yield from (child for child in self.children if child.name == (RDF, "Description"))

    def field_element(self, name: Name) -> "Element | None":
        """Field of an RDF structure that is an element itself."""
        found = (part.child(name) for part in self.structure())
        return next((one for one in found if one is not None), None)

    def field_text(self, name: Name) -> str | None:
        """Field of an RDF structure as text, whether it is written as attribute or element."""
        for part in self.structure():
            if name in part.attributes:
                return part.attributes[name]
        found = self.field_element(name)
        return None if found is None else found.text.strip()


def parse_packet(data: bytes) -> Element:
    """Find the elements of a packet.

    Raises
    ------
    UnusablePacketError
        If it is no XML in UTF-8, has a document type (entities could be anything) or is
        nested too deeply.
    """
    try:
        data.decode("utf-8")
        return _Reader(data).root()
    except UnicodeDecodeError as error:
        raise UnusablePacketError("its XMP is not in UTF-8") from error
    except expat.ExpatError as error:
        raise UnusablePacketError(f"its XMP is damaged ({error})") from error


class _Reader:
    """Keeps the stack of open elements while expat reads."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: list[Element] = []
        self._root: Element | None = None
        self._declared: dict[str, str] = {}
        self._parser = parser = expat.ParserCreate("UTF-8", _SEPARATOR)
        parser.buffer_text = True
        parser.XmlDeclHandler = self._check_encoding
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters

    def root(self) -> Element:
        self._parser.Parse(self._data, True)
        if self._root is None:
            raise UnusablePacketError("its XMP is empty")
        return self._root

    def _check_encoding(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.casefold() != "utf-8":
            raise UnusablePacketError(f"its XMP says that it is in {encoding}, not in UTF-8")

    def _refuse_document_type(self, *_: object) -> None:
        raise UnusablePacketError("its XMP has a document type, which may hide anything")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._declared[prefix or ""] = uri or ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise UnusablePacketError(f"its XMP is nested more than {_MAX_DEPTH} deep")
        around = self._open[-1].prefixes if self._open else {}
        element = Element(
            _name(name),
            {_name(key): value for key, value in attributes.items()},
            around | self._declared if self._declared else around,
            self._parser.CurrentByteIndex,
        )
        self._declared = {}
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        element = self._open.pop()
        tag = _tag(self._data, element.start)
        if tag.group().endswith(b"/>"):
            element.end = tag.end()
        else:
            element.inner_end = self._parser.CurrentByteIndex
            element.end = self._data.index(b">", element.inner_end) + 1

    def _characters(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text


def _name(name: str) -> Name:
    uri, _, local = name.rpartition(_SEPARATOR)
    return uri, local


def _tag(data: bytes, start: int) -> re.Match[bytes]:
    tag = _TAG.match(data, start)
    if tag is None:
        raise UnusablePacketError("its XMP is damaged")
    return tag


def with_child(data: bytes, parent: Element, text: str) -> tuple[int, int, bytes]:
    """Change of the text that appends a child to an element: what to replace from where to where.

    An element without content gets an end tag.
    """
    if parent.inner_end is not None:
        return parent.inner_end, parent.inner_end, text.encode()
    tag = _tag(data, parent.start)
    opened = tag.group().removesuffix(b"/>") + b">"
    return parent.start, parent.end, opened + text.encode() + b"</" + tag.group(1) + b">"


def replaced(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Make changes of the text: each says what to put from where to where; none overlap."""
    for start, end, text in sorted(changes, reverse=True):
        data = data[:start] + text + data[end:]
    return data


def declarations(wanted: Sequence[str], around: Mapping[str, str]) -> str:
    """Declare those of our prefixes that do not mean the same already in the text around."""
    missing = [one for one in wanted if around.get(one) != PREFIXES[one]]
    return "".join(f" xmlns:{one}={quoteattr(PREFIXES[one])}" for one in missing)


def xml_text(text: str) -> str:
    """Leave out the characters that XML cannot hold, such as the control characters."""
    return _REFUSED.sub("", text)
