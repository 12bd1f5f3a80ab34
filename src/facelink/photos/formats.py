"""Kinds of image files, told by their first bytes."""

from typing import Final

HEAD_BYTES: Final = 32
"""How much of a file `format_of` needs."""

PHOTO_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif"}
)
"""Suffixes, in lower case, of files that ought to be photographs."""

_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

BACKUP_SUFFIX: Final = ".original"
"""Of the copy that is kept of a photograph before something is written into it; scans pass it
over."""


def format_of(head: bytes) -> str | None:
    """Tell the format of an image file from its first `HEAD_BYTES` bytes.

    Returns
    -------
    str or None
        ``"JPEG"``, ``"PNG"``, ``"WEBP"`` or ``"HEIF"``; None for anything else.

    Notes
    -----
    Source: the signatures in ISO/IEC 10918-1, the PNG and WebP specifications and the
    brands of ISO/IEC 23008-12.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "HEIF"
    return None
