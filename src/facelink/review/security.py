"""Who may talk to the review page: this machine's browser, with the token, and nobody else.

A page of another site could ask the browser to send requests here, under a name of its own that it
points at this machine (DNS rebinding), or blindly (cross-site requests). The first fails for its
Host, the second for its Origin, and both for want of the token.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

MOST_BODY_BYTES = 1 << 20
"""A request's body: some hundred thousand face numbers, and no more."""

BODY_SECONDS = 10.0
"""How long a client may take to send it, in seconds."""

TOKEN_HEADER = "x-facelink-token"

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Sent with every answer that does not say otherwise."""


@dataclass(frozen=True)
class Refusal(Exception):  # noqa: N818 - an answer, not an error of the program
    """Why a request is not let in: HTTP status and a sentence."""

    status: int
    reason: str


@dataclass(frozen=True)
class Guard:
    """An ASGI application that lets only the owner's requests through to another.

    Parameters
    ----------
    application : ASGI application
        The page.
    token : str
        Secret of this run.
    port : int
        Where the page is served, on the loopback interface.
    """

    application: Application
    token: str
    port: int

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan":
            return await self.application(scope, receive, send)
        if scope["type"] != "http":  # no web sockets here
            return await send({"type": "websocket.close", "code": 1008})
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in
                       scope["headers"]}  # fmt: skip
            self._check_origin(scope["method"], headers)
            if self._comes_with_link(scope):
                return await self._enter(send)
            self._check_token(headers)
            body = await _whole_body(headers, receive)
        except Refusal as refusal:
            hang_up = {"connection": "close"}  # it would be kept for whoever may not come in
            return await _answer(send, refusal.status, refusal.reason, hang_up)
        return await self.application(scope, _replay(body, receive), _with_headers(send))

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies know no ports, and two albums may be open."""
        return f"facelink-{self.port}"

    def _check_origin(self, method: str, headers: dict[str, str]) -> None:
        hosts = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")}
        host = headers.get("host", "")
        if host not in hosts:
            raise Refusal(421, f"this page is at 127.0.0.1:{self.port} only.")
        origin = headers.get("origin")
        if origin is None and method not in ("GET", "HEAD") and TOKEN_HEADER not in headers:
            raise Refusal(403, "a request that changes something must say where it comes from.")
        if origin is not None and origin != f"http://{host}":
            raise Refusal(403, "requests of other sites are not answered.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refusal(403, "requests of other sites are not answered.")

    def _comes_with_link(self, scope: Message) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        is_page = scope["path"] == "/" and scope["method"] == "GET"
        return is_page and self._is_token(given)

    def _check_token(self, headers: dict[str, str]) -> None:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            morsel = None
        given = headers.get(TOKEN_HEADER) or ("" if morsel is None else morsel.value)
        if not self._is_token(given):
            raise Refusal(401, "open the link that facelink review printed; it holds a key.")

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())

    async def _enter(self, send: Send) -> None:
        """Move the token from the address, where it could be seen, into a cookie."""
        cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        await _answer(send, 303, "", {"location": "/", "set-cookie": cookie})


async def _whole_body(headers: dict[str, str], receive: Receive) -> bytes:
    too_large = Refusal(413, f"a request's body may have {MOST_BODY_BYTES:,} bytes.")
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > MOST_BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":  # gone before all of it had come
                    raise Refusal(400, "the request did not come whole.")
                body += message.get("body", b"")
                if len(body) > MOST_BODY_BYTES:
                    raise too_large
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refusal(408, f"no whole request within {BODY_SECONDS:g} seconds.") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hand the body on that was read already, then whatever follows."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_next() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_next


def _with_headers(send: Send) -> Send:
    async def send_next(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in given]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return send_next


async def _answer(
    send: Send, status: int, reason: str, headers: dict[str, str] | None = None
) -> None:
    all_headers = {**HEADERS, "content-type": "text/plain; charset=utf-8", **(headers or {})}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in all_headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": reason.encode()})
