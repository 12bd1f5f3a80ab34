"""The review page as a web application, and the server that serves it to this machine alone."""

import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from facelink.errors import FacelinkError, InputError, OutputError
from facelink.review.api import Review
from facelink.review.patience import limits
from facelink.review.security import Application, Guard

HOST = "127.0.0.1"

STATIC = {
    "index.html": "text/html; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "review.css": "text/css; charset=utf-8",
    "review.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "grids.js": "text/javascript; charset=utf-8",
    "hidden.js": "text/javascript; charset=utf-8",
    "looking.js": "text/javascript; charset=utf-8",
    "questions.js": "text/javascript; charset=utf-8",
}
"""The files of the page; no other file is ever opened for a request."""

_PLACEHOLDER = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96">
<rect width="96" height="96" fill="#8b93a1"/>
<circle cx="48" cy="36" r="17" fill="#b9bfc9"/>
<path d="M14 96c0-22 15-34 34-34s34 12 34 34z" fill="#b9bfc9"/>
<text x="48" y="89" text-anchor="middle" font-family="sans-serif" font-size="13"
 font-weight="600" fill="#20242b">{face}</text></svg>"""


def create_app(folder: Path, *, token: str, port: int) -> Application:
    """Make the application for one album.

    Parameters
    ----------
    folder
        The album's folder.
    token
        Secret that requests must bring.
    port
        Where it will be served.

    Raises
    ------
    InputError
        If there is no album, or the extra `review` is not installed.
    """
    try:
        from fastapi import FastAPI
        from fastapi.responses import JSONResponse, Response
    except ImportError as error:
        raise _missing_extra() from error
    review = Review(folder)

    @asynccontextmanager
    async def warmed_up(_: object) -> AsyncIterator[None]:
        threading.Thread(target=review.warm_up, daemon=True).start()
        yield

    app = FastAPI(
        title="facelink review", docs_url=None, redoc_url=None, openapi_url=None, lifespan=warmed_up
    )

    def refuse(_: object, error: Exception) -> Response:
        status = 409 if isinstance(error, OutputError) else 400
        return JSONResponse({"error": str(error)}, status_code=status)

    def file(name: str = "index.html") -> Response:
        if name not in STATIC:
            return JSONResponse({"error": "no such file."}, status_code=404)
        content = files("facelink.review").joinpath("static", name).read_bytes()
        return Response(content, media_type=STATIC[name])

    def thumbnail(face_id: int) -> Response:
        jpeg = review.thumbnail(face_id)
        if jpeg is None:
            return Response(_PLACEHOLDER.format(face=face_id), media_type="image/svg+xml")
        return Response(
            jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"}
        )

    app.add_exception_handler(FacelinkError, refuse)
    app.add_exception_handler(OverflowError, refuse)  # a number that SQLite cannot hold
    app.add_api_route("/", lambda: file(), methods=["GET"])
    app.add_api_route("/static/{name}", file, methods=["GET"], response_model=None)
    app.add_api_route("/thumbnails/{face_id}", thumbnail, methods=["GET"], response_model=None)
    for path, answer in _queries(review).items():
        app.add_api_route(f"/api/{path}", answer, methods=["GET"], response_model=None)
    for path, answer in _decisions(review).items():
        app.add_api_route(f"/api/{path}", answer, methods=["POST"], response_model=None)
    return Guard(app, token, port)


def serve(folder: Path, *, port: int = 0, on_start: Callable[[str], None]) -> None:
    """Serve the page until the process is told to stop.

    Parameters
    ----------
    folder
        The album's folder.
    port
        0 for any free one.
    on_start
        Called with the address, token included, when it can be opened.

    Raises
    ------
    InputError
        If there is no album, or the extra `review` is not installed.
    OutputError
        If the port is taken.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise _missing_extra() from error
    token = secrets.token_urlsafe(24)
    with listening(port) as listener:
        chosen = listener.getsockname()[1]
        app: Any = create_app(folder, token=token, port=chosen)
        config = uvicorn.Config(app, **limits())
        on_start(f"http://{HOST}:{chosen}/?token={token}")
        uvicorn.Server(config).run(sockets=[listener])


def listening(port: int) -> socket.socket:
    """Listen on the loopback interface; 0 is any free port. `OutputError` if it is taken."""
    # asyncio turns off waiting for full packets only where the protocol is named
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OutputError(f"port {port}: {error.strerror}; choose another with --port.") from error
    return listener


def _queries(review: Review) -> dict[str, Callable[..., Any]]:
    return {
        "counts": review.counts,
        "people": review.people,
        "people/{person_id}": review.person,
        "people/{person_id}/split": review.split,
        "pairs": review.pairs,
        "splits": review.splits,
        "undecided": review.undecided,
        "names": review.names,
        "history": review.history,
        "hidden": review.hidden,
        "aside": review.aside,
        "looking": review.looking,
    }


def _decisions(review: Review) -> dict[str, Callable[..., Any]]:
    return {
        "people/{person_id}/name": review.name,
        "people/{person_id}/hide": review.hide,
        "people/{person_id}/part": review.part,
        "merge": review.merge,
        "separate": review.separate,
        "same": review.same,
        "assign": review.assign,
        "reject": review.reject,
        "set-aside": review.set_aside,
        "bring-back": review.bring_back,
        "look-again": review.look_again,
        "undo": review.undo,
        "redo": review.redo,
        "history/{batch}/reverse": review.reverse,
    }


def _missing_extra() -> InputError:
    return InputError("the review page needs FastAPI and uvicorn; install facelink[review].")
