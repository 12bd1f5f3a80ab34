import io
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from facelink.album.export.embedded import (
    JPEG_XMP_EXTENSION,
    MAX_JPEG_PACKET_BYTES,
    embedded_packet,
    with_packet,
    without_packet,
)
from facelink.album.export.packets import UnusablePacketError

PACKET = b'<?xpacket?><rdf:RDF xmlns:rdf="urn:\xc3\xab"/>'


def picture(kind, **settings):
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, kind, **settings)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_packet_goes_in_and_out_and_nothing_else_changes(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    before = picture(kind, exif=exif)
    assert embedded_packet(before, kind) is None
    after = with_packet(before, kind, PACKET)
    assert embedded_packet(after, kind) == PACKET
    assert without_packet(after, kind) == before
    longer = with_packet(after, kind, PACKET * 3)
    assert embedded_packet(longer, kind) == PACKET * 3
    assert with_packet(longer, kind, PACKET) == after
    with Image.open(io.BytesIO(after)) as opened, Image.open(io.BytesIO(before)) as original:
        assert opened.info["xmp"] == PACKET
        assert opened.getexif()[0x0112] == 6
        assert opened.tobytes() == original.tobytes()


def test_exif_stays_the_first_segment():
    exif = Image.Exif()
    exif[0x0112] = 3
    data = with_packet(picture("JPEG", exif=exif, comment=b"remark"), "JPEG", PACKET)
    assert data.index(b"JFIF") < data.index(b"Exif\0") < data.index(PACKET) < data.index(b"remark")


def test_a_packed_text_chunk_is_read():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", PACKET.decode(), zip=True)
    data = picture("PNG", pnginfo=info)
    assert zlib.compress(PACKET) in data
    assert embedded_packet(data, "PNG") == PACKET


def test_what_does_not_fit_or_is_spread_is_refused():
    data = picture("JPEG")
    fitting = with_packet(data, "JPEG", b"x" * MAX_JPEG_PACKET_BYTES)
    assert without_packet(fitting, "JPEG") == data
    with pytest.raises(UnusablePacketError, match="write a sidecar instead"):
        with_packet(data, "JPEG", b"x" * (MAX_JPEG_PACKET_BYTES + 1))
    extension = b"\xff\xe1\x00\x2a" + JPEG_XMP_EXTENSION + b"12345"
    with pytest.raises(UnusablePacketError, match="spread over several parts"):
        embedded_packet(data[:2] + extension + data[2:], "JPEG")
    with pytest.raises(UnusablePacketError, match="not written into WEBP"):
        with_packet(picture("WEBP"), "WEBP", PACKET)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_files_are_refused_wherever_they_end(kind):
    data = with_packet(picture(kind), kind, PACKET)
    head = data[: data.index(PACKET) + 20]
    for length in range(3, len(head)):
        with pytest.raises(UnusablePacketError, match="damaged"):
            with_packet(head[:length], kind, PACKET)
