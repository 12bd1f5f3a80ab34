"""XMP within JPEG and PNG files: taken out and put in, nothing else touched.

Source: XMP specification part 3 (Adobe, 2020), sections 1.1.3 (JPEG) and 1.1.5 (PNG).
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from facelink.album.export.packets import MAX_PACKET_BYTES, UnusablePacketError

JPEG_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
JPEG_XMP_EXTENSION: Final = b"http://ns.adobe.com/xmp/extension/\0"
PNG_XMP: Final = b"XML:com.adobe.xmp\0"

MAX_JPEG_PACKET_BYTES: Final = 65_535 - 2 - len(JPEG_XMP)
"""What one APP1 segment holds."""

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_APP0, _APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE0, 0xE1, 0xDA, 0xD9
_EXIF: Final = b"Exif\0"


@dataclass(frozen=True)
class _Part:
    """A segment or chunk: its kind, where it begins and ends in the file, and its content."""

    kind: bytes
    start: int
    end: int
    content: bytes


def embedded_packet(data: bytes, kind: str) -> bytes | None:
    """Take the XMP packet of a photograph, if it has one.

    Parameters
    ----------
    data
        The file's bytes.
    kind
        ``"JPEG"`` or ``"PNG"``.

    Raises
    ------
    UnusablePacketError
        If the file is of another kind or its parts are damaged.
    """
    found = _xmp_part(data, kind)
    if found is None:
        return None
    return found.content[len(JPEG_XMP) :] if kind == "JPEG" else _png_text(found.content)


def with_packet(data: bytes, kind: str, packet: bytes) -> bytes:
    """Put an XMP packet into a photograph, in the place of the one it has.

    Raises
    ------
    UnusablePacketError
        If the file is of another kind, its parts are damaged, or the packet does not fit.
    """
    if kind == "JPEG" and len(packet) > MAX_JPEG_PACKET_BYTES:
        raise UnusablePacketError(
            f"its XMP would have {len(packet):,} bytes, and a JPEG takes "
            f"{MAX_JPEG_PACKET_BYTES:,}; write a sidecar instead"
        )
    found = _xmp_part(data, kind)
    part = _jpeg_segment(packet) if kind == "JPEG" else _png_chunk(packet)
    if found is not None:
        return data[: found.start] + part + data[found.end :]
    place = _place_in_jpeg(data) if kind == "JPEG" else _png_chunks(data)[0].end
    return data[:place] + part + data[place:]


def without_packet(data: bytes, kind: str) -> bytes:
    """Take the XMP packet out of a photograph's bytes; all else is what it was."""
    found = _xmp_part(data, kind)
    return data if found is None else data[: found.start] + data[found.end :]


def _xmp_part(data: bytes, kind: str) -> _Part | None:
    if kind == "JPEG":
        segments = _jpeg_segments(data)
        if any(_is_app1(one, JPEG_XMP_EXTENSION) for one in segments):
            raise UnusablePacketError("its XMP is spread over several parts of the file")
        return next((one for one in segments if _is_app1(one, JPEG_XMP)), None)
    if kind == "PNG":
        chunks = _png_chunks(data)
        return next((one for one in chunks if one.content.startswith(PNG_XMP)), None)
    raise UnusablePacketError(f"XMP is not written into {kind} files; write a sidecar instead")


def _is_app1(segment: _Part, header: bytes) -> bool:
    return segment.kind[0] == _APP1 and segment.content.startswith(header)


def _jpeg_segments(data: bytes) -> list[_Part]:
    """Segments of a JPEG before its pixels."""
    segments: list[_Part] = []
    place = 2
    while True:
        start = place
        while data[place : place + 2] == b"\xff\xff":
            place += 1
        if len(data) < place + 4 or data[place] != 0xFF:
            raise UnusablePacketError("its segments are damaged")
        marker, (length,) = data[place + 1], struct.unpack_from(">H", data, place + 2)
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return segments
        end = place + 2 + length
        if length < 2 or end > len(data):
            raise UnusablePacketError("its segments are damaged")
        segments.append(_Part(bytes([marker]), start, end, data[place + 4 : end]))
        place = end


def _place_in_jpeg(data: bytes) -> int:
    """Where XMP belongs: after the JFIF and Exif segments, which some readers want first."""
    place = 2
    for segment in _jpeg_segments(data):
        if segment.kind[0] != _APP0 and not _is_app1(segment, _EXIF):
            break
        place = segment.end
    return place


def _jpeg_segment(packet: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, _APP1, 2 + len(JPEG_XMP) + len(packet)) + JPEG_XMP + packet


def _png_chunks(data: bytes) -> list[_Part]:
    """Chunks of a PNG; the content of those that hold no text is left out."""
    chunks: list[_Part] = []
    place = len(_PNG_SIGNATURE)
    while not chunks or chunks[-1].kind != b"IEND":
        if len(data) < place + 12:
            raise UnusablePacketError("its chunks are damaged")
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            raise UnusablePacketError("its chunks are damaged")
        content = data[place + 8 : end - 4] if kind == b"iTXt" else b""
        chunks.append(_Part(kind, place, end, content))
        place = end
    if chunks[0].kind != b"IHDR":
        raise UnusablePacketError("its chunks are damaged")
    return chunks


def _png_text(content: bytes) -> bytes:
    """Text of an iTXt chunk, after keyword, flag, method, language and translated keyword."""
    flags, rest = content[len(PNG_XMP) :][:2], content[len(PNG_XMP) + 2 :]
    try:
        _, _, text = rest.split(b"\0", 2)
        if not flags[0]:
            return text
        unpacked = zlib.decompressobj().decompress(text, MAX_PACKET_BYTES)
    except (ValueError, IndexError, zlib.error) as error:
        raise UnusablePacketError("its XMP is damaged") from error
    return unpacked


def _png_chunk(packet: bytes) -> bytes:
    content = b"iTXt" + PNG_XMP + b"\0\0\0\0" + packet
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
