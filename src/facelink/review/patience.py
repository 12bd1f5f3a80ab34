"""How long, and how much of, a request's head the server waits for.

uvicorn limits the size of a head and how long an idle connection stays open, but not how long a
head may take. A client that sends one byte now and then would hold its connection for ever, and
two hundred of them the page. How long a body may take is in `security`.
"""

import asyncio
from typing import Any

HEAD_SECONDS = 10.0
"""How long a client may take to send the head of a request, in seconds."""

MOST_HEAD_BYTES = 16_384
"""Address and headers of a request; more is answered 400."""

MOST_CONNECTIONS = 200
"""Connections at a time; others are answered 503."""

IDLE_SECONDS = 30
"""How long a connection stays open between two requests, in seconds."""


def limits() -> dict[str, Any]:
    """Settings of `uvicorn.Config` for a page of one person.

    Raises
    ------
    ImportError
        If uvicorn is not installed.
    """
    return {
        "http": _impatient(),
        "h11_max_incomplete_event_size": MOST_HEAD_BYTES,
        "limit_concurrency": MOST_CONNECTIONS,
        "timeout_keep_alive": IDLE_SECONDS,
        "timeout_graceful_shutdown": 3,
        "ws": "none",
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,  # addresses hold the token
        "log_level": "warning",
    }


def _impatient() -> type[asyncio.Protocol]:
    """Return uvicorn's protocol for HTTP/1.1, which hangs up where a head takes too long."""
    from h11 import IDLE
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class ImpatientProtocol(H11Protocol):  # type: ignore[misc]
        """Hangs up where a head does not come whole in time."""

        deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            """Wait for the first head."""
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            """Read on; the first piece of a head starts the clock, its end stops it."""
            super().data_received(data)
            if self.conn.their_state is IDLE:
                self._wait()
            else:
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            """Nothing more will come."""
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait(self) -> None:
            if self.deadline is None:
                self.deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self.deadline is not None:
                self.deadline.cancel()
                self.deadline = None

    return ImpatientProtocol
