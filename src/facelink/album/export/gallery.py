"""The people of an album on one page that needs nothing else: no script, no file beside it."""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from facelink.album.export.faces import ExportedFace, ExportedPerson
from facelink.album.library import Album
from facelink.album.queries import representative, thumbnail
from facelink.errors import InputError
from facelink.files import written_beside

MAX_GALLERY_BYTES: Final = 64 << 20
"""Larger pages are refused: browsers on telephones give up on them."""

_MARKUP_BYTES: Final = 300
"""About what a face takes beside its picture."""

_HEAD: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="facelink album export">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header id="top">
<h1>{title}</h1>
<p class="count">{count}</p>
</header>
"""
"""The policy keeps the page from running or fetching anything, whatever a name in it holds."""


def write_gallery(
    path: Path, album: Album, people: Sequence[ExportedPerson], *, limit: int, title: str
) -> None:
    """Write the people of an album with their faces as one HTML file.

    Parameters
    ----------
    path
        File to write.
    album
        Open; its small pictures go into the page.
    people
        In the order of the page.
    limit
        Faces shown of each person, at most.
    title
        Of the page.

    Raises
    ------
    InputError
        If the page would be larger than `MAX_GALLERY_BYTES`.
    OutputError
        If the file cannot be written.
    """
    check_gallery_size(album, people, limit)
    with written_beside(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(_page(album, people, limit, title))


def check_gallery_size(album: Album, people: Sequence[ExportedPerson], limit: int) -> int:
    """Bytes of the page, about; `InputError` if that is more than `MAX_GALLERY_BYTES`."""
    n_bytes = 0
    for person in people:
        shown = person.faces[:limit]
        for face in (shown[0], *shown):  # the first stands for the one in the contents
            jpeg_bytes = album.count(
                "SELECT coalesce(max(length(jpeg)), 0) FROM thumbnails WHERE face = ?", face.face
            )
            n_bytes += jpeg_bytes * 4 // 3 + _MARKUP_BYTES
    if n_bytes > MAX_GALLERY_BYTES:
        raise InputError(
            f"the gallery would have {n_bytes >> 20:,} MB, above the limit of "
            f"{MAX_GALLERY_BYTES >> 20} MB; show fewer faces of each person with --limit (now "
            f"{limit}), or fewer people with --people or --min-faces."
        )
    return n_bytes


def _page(album: Album, people: Sequence[ExportedPerson], limit: int, title: str) -> Iterator[str]:
    """Parts of the page, from top to bottom."""
    style = files(__package__).joinpath("gallery.css").read_text(encoding="utf-8")
    n_faces = sum(len(person.faces) for person in people)
    count = f"{_number(n_faces, 'face')} of {_number(len(people), 'person', 'people')}"
    yield _HEAD.format(title=escape(title), style=style, count=count)
    if people:
        yield '<nav aria-label="People"><ul>\n'
        yield from (_entry(album, person) for person in people)
        yield "</ul></nav>\n"
    yield "<main>\n"
    if not people:
        yield "<p>Nobody to show yet.</p>\n"
    for person in people:
        yield from _section(album, person, limit)
    yield "</main>\n</body>\n</html>\n"


def _entry(album: Album, person: ExportedPerson) -> str:
    """A person in the table of contents."""
    members = {face.face for face in person.faces}
    face = representative(album, person.person)
    picture = _picture(album, person.faces[0].face if face not in members else face, "")
    return (
        f'<li><a href="#person-{person.person}">{picture}<span><strong>{escape(person.title)}'
        f"</strong><small>{_number(len(person.faces), 'face')}</small></span></a></li>\n"
    )


def _section(album: Album, person: ExportedPerson, limit: int) -> Iterator[str]:
    shown = person.faces[:limit]
    count = _number(len(person.faces), "face")
    if len(shown) < len(person.faces):
        count += f", {len(shown):,} of them shown"
    yield f'<section id="person-{person.person}" aria-labelledby="name-{person.person}">\n'
    yield f'<h2 id="name-{person.person}">{escape(person.title)}</h2>\n'
    yield f'<p class="count">{count}</p>\n<ul class="faces">\n'
    yield from (_figure(album, person, face) for face in shown)
    yield '</ul>\n<p class="up"><a href="#top">Back to all people</a></p>\n</section>\n'


def _figure(album: Album, person: ExportedPerson, face: ExportedFace) -> str:
    source = face.external_id if face.photo is None else face.photo.name
    where = source or f"face {face.face}"
    picture = _picture(album, face.face, f"{person.title} in {where}")
    return f"<li><figure>{picture}<figcaption>{escape(where)}</figcaption></figure></li>\n"


def _picture(album: Album, face: int | None, description: str) -> str:
    """A small picture as part of the page, or a field that says that there is none."""
    jpeg = None if face is None else thumbnail(album, face)
    if jpeg is None:
        hidden = "" if description else ' aria-hidden="true"'
        return f'<span class="none"{hidden}>no picture</span>'
    data = base64.b64encode(jpeg).decode("ascii")
    return f'<img alt="{escape(description)}" loading="lazy" src="data:image/jpeg;base64,{data}">'


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
