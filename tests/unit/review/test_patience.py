"""Clients that take their time, or too much room, on a real connection."""

import re
import socket
import threading

import pytest

from facelink.review import patience, security
from tests.unit.review.serving import TOKEN, served

pytest.importorskip("uvicorn", reason="the extra review is not installed")

SECONDS = 0.5


@pytest.fixture
def connect(folder, monkeypatch):
    """Opens connections to a server that waits half a second for a head."""
    monkeypatch.setattr(patience, "HEAD_SECONDS", SECONDS)
    with served(folder) as page:
        opened = []

        def open_one():
            opened.append(socket.create_connection(("127.0.0.1", page.port), timeout=30))
            return opened[-1]

        open_one.port = page.port
        yield open_one
        for one in opened:
            one.close()


def answer_of(connection):
    """Everything that comes until the server hangs up."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received.decode("latin-1")


def send_for_ever(connection, request):
    while True:
        connection.sendall(request)


def head(port, *more):
    lines = [f"Host: 127.0.0.1:{port}", f"{security.TOKEN_HEADER}: {TOKEN}", *more]
    return ("POST /api/merge HTTP/1.1\r\n" + "\r\n".join(lines)).encode()


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_a_head_that_does_not_end_is_hung_up_on(connect, begun):
    connection = connect()
    connection.sendall(begun)
    assert answer_of(connection) == ""


def test_dripping_bytes_do_not_keep_a_connection(connect):
    connection, ends = connect(), threading.Event()

    def drip():
        while not ends.wait(SECONDS / 10):
            try:
                connection.sendall(b"X")
            except OSError:
                return

    dripping = threading.Thread(target=drip)
    connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    dripping.start()
    assert answer_of(connection) == ""
    ends.set()
    dripping.join()


def test_the_second_head_of_a_connection_has_to_end_too(connect):
    connection = connect()
    connection.sendall(head(connect.port) + b"\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 422")
    connection.sendall(b"GET / HT")
    assert "HTTP/1.1" not in answer_of(connection)


def test_a_body_that_does_not_end_is_answered(connect, monkeypatch):
    monkeypatch.setattr(security, "BODY_SECONDS", SECONDS)
    connection = connect()
    lines = head(connect.port, "Content-Length: 5000", "Connection: close")
    connection.sendall(lines + b"\r\n\r\n{")
    assert answer_of(connection).startswith("HTTP/1.1 408")


def test_the_rest_of_a_body_that_was_answered_has_to_come_too(connect):
    connection = connect()
    lines = f"POST / HTTP/1.1\r\nHost: elsewhere:{connect.port}\r\nContent-Length: 1000\r\n\r\n"
    connection.sendall(lines.encode())
    answer = b""
    while not answer.endswith(b"\r\n0\r\n\r\n"):  # the last chunk
        answer += connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 421")
    connection.sendall(b"{")
    connection.settimeout(20 * SECONDS)
    assert answer_of(connection) == ""


def test_a_client_that_does_not_read_is_hung_up_on(connect, monkeypatch):
    monkeypatch.setattr(patience, "READ_SECONDS", SECONDS)
    connection = connect()
    request = head(connect.port).replace(b"POST /api/merge", b"GET /page.js") + b"\r\n\r\n"
    connection.settimeout(20 * SECONDS)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        send_for_ever(connection, request)


def test_whoever_is_refused_keeps_no_connection(connect):
    connection = connect()
    connection.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{connect.port}\r\n\r\n".encode())
    connection.settimeout(10 * SECONDS)
    assert answer_of(connection).startswith("HTTP/1.1 401")


@pytest.mark.parametrize("way", ["Content-Length: 99999999999", "Transfer-Encoding: chunked"])
def test_a_huge_body_is_answered_before_it_has_come(connect, way):
    connection = connect()
    connection.sendall(head(connect.port, way) + b"\r\n\r\n")
    if "chunked" in way:
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        for _ in range(security.MOST_BODY_BYTES // 65536 + 1):
            connection.sendall(chunk)
    assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_an_endless_head_is_answered(connect):
    connection = connect()
    connection.sendall(head(connect.port, "X-Long: " + "x" * (2 * patience.MOST_HEAD_BYTES)))
    assert re.match("HTTP/1.1 4", answer_of(connection))


def test_more_connections_than_one_person_needs_are_turned_away(folder, monkeypatch):
    monkeypatch.setattr(patience, "MOST_CONNECTIONS", 2)
    with served(folder) as page:
        idle = [socket.create_connection(("127.0.0.1", page.port), timeout=30) for _ in range(2)]
        with socket.create_connection(("127.0.0.1", page.port), timeout=30) as third:
            third.sendall(head(page.port, "Connection: close") + b"\r\n\r\n")
            assert answer_of(third).startswith("HTTP/1.1 503")
        for one in idle:
            one.close()
