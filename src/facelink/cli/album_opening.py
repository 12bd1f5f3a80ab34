"""How every command for an album opens it, and waits for another one that writes to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from facelink.album.library import Album, edit_album
from facelink.album.lock import Holder
from facelink.cli.output import note

WAIT_SECONDS = 600.0
"""How long a command waits for another one that writes to the album."""

AlbumPath = Annotated[Path, typer.Argument(metavar="ALBUM", help="The album's folder.")]


@contextmanager
def editing(album: Path, command: str, *, create: bool = False) -> Iterator[Album]:
    """Open an album for writing; tells the user for whom it waits."""

    def tell(holder: Holder | None) -> None:
        note(f"waiting for {holder or 'another process'}, which writes to {album} …")

    with edit_album(
        album,
        f"facelink album {command}",
        create=create,
        wait_seconds=WAIT_SECONDS,
        on_wait=tell,
    ) as opened:
        yield opened
