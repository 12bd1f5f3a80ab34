"""The command `facelink review`: a page to say who is who."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from facelink.cli.output import note
from facelink.review.app import serve


def review(
    album: Annotated[Path, typer.Argument(metavar="ALBUM", help="The album's folder.")],
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where to serve; 0 for any free one.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
) -> None:
    """Look through an album in the browser: name, merge and split people; undo everything.

    The page is served to this machine alone, to those who have its link.
    Every decision is kept at once; end it with Ctrl+C at any time.

    Example: facelink review people.album
    """

    def tell(address: str) -> None:
        typer.echo(address)
        note("open this link; end with Ctrl+C. Everything you decide is kept at once.")
        if browser:
            webbrowser.open(address)

    serve(album, port=port, on_start=tell)
