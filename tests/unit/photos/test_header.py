import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from facelink.photos.decoding import UnreadablePhotoError
from facelink.photos.header import read_header

PACKET = b'<rdf:RDF xmlns:rdf="urn:rdf"/>'


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_head_is_read_whatever_the_format(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 8
    path = tmp_path / "photo"
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", PACKET.decode())
    Image.new("RGB", (30, 20)).save(path, kind, exif=exif, xmp=PACKET, pnginfo=info)
    header = read_header(path)
    assert (header.kind, header.width, header.height, header.orientation) == (kind, 30, 20, 8)
    assert header.upright_size == (20, 30)
    assert header.packet == PACKET


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(tmp_path / "photo.jpg", exif=exif)
    header = read_header(tmp_path / "photo.jpg")
    assert (header.orientation, header.upright_size, header.packet) == (1, (30, 20), None)


def test_what_is_no_photograph_is_refused(tmp_path):
    path = tmp_path / "photo.jpg"
    with pytest.raises(UnreadablePhotoError, match="no longer there"):
        read_header(path)
    path.write_bytes(b"text")
    with pytest.raises(UnreadablePhotoError, match="not a JPEG"):
        read_header(path)
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UnreadablePhotoError, match="damaged"):
        read_header(path)
