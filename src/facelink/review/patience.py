"""How long, and how much of, a request the server waits for, and how long for answers to be read.

uvicorn limits the size of a head and how long an idle connection stays open, but not how long a
head may take, nor the rest of a body that was answered before it came, nor a client that does not
read. One that sends a byte now and then would hold its connection for ever, and two hundred of
them the page. How long a body may take that is not answered yet is in `security`.
"""

import asyncio
from typing import Any

HEAD_SECONDS = 10.0
"""How long a client may take to send the head of a request, or the rest of one that was answered
already, in seconds."""

READ_SECONDS = 30.0
"""How long a client may take until all is read of an answer that does not fit on the way, in
seconds."""

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
    from h11 import IDLE, SEND_BODY, SEND_RESPONSE
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class ImpatientProtocol(H11Protocol):  # type: ignore[misc]
        """Hangs up where a request does not come whole, or an answer is not read, in time."""

        deadline: asyncio.TimerHandle | None = None
        reading_deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            """Wait for the first head."""
            super().connection_made(transport)
            # Else the last 64 KiB of an answer, which a closed connection waits for, had no limit.
            transport.set_write_buffer_limits(high=0)
            self._wait()

        def data_received(self, data: bytes) -> None:
            """Read on; the first piece of a head starts the clock, its end stops it.

            So does a piece of a body that has been answered.
            """
            super().data_received(data)
            is_answered = self.conn.our_state not in (IDLE, SEND_RESPONSE, SEND_BODY)
            if self.conn.their_state is IDLE or (
                is_answered and self.conn.their_state is SEND_BODY
            ):
                self._wait()
            else:
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            """Nothing more will come."""
            self._stop_waiting()
            self._stop_waiting_for_reader()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            """More waits to be read than is kept."""
            super().pause_writing()
            self._stop_waiting_for_reader()
            self.reading_deadline = self.loop.call_later(READ_SECONDS, self.transport.abort)

        def resume_writing(self) -> None:
            """It is being read."""
            self._stop_waiting_for_reader()
            super().resume_writing()

        def _stop_waiting_for_reader(self) -> None:
            if self.reading_deadline is not None:
                self.reading_deadline.cancel()
                self.reading_deadline = None

        def _wait(self) -> None:
            if self.deadline is None:
                self.deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self.deadline is not None:
                self.deadline.cancel()
                self.deadline = None

    return ImpatientProtocol
