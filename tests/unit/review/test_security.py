import asyncio

import pytest

from facelink.review import security
from facelink.review.security import MOST_BODY_BYTES, Guard
from tests.unit.review.conftest import ADDRESS, PORT, TOKEN


@pytest.mark.parametrize("path", ["/", "/static/review.js", "/api/people", "/thumbnails/1"])
@pytest.mark.parametrize("query", ["", "?token=", "?token=another", "?token=%C3%BC"])
def test_nothing_is_shown_without_the_token(stranger, path, query):
    answer = stranger.get(path + query)
    assert answer.status_code == 401
    assert "facelink review printed" in answer.text


def test_the_link_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(stranger):
    answer = stranger.get("/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert stranger.get("/").status_code == 200


def test_the_token_in_the_address_opens_nothing_but_the_page(stranger):
    assert stranger.get("/api/people", params={"token": TOKEN}).status_code == 401


def test_a_program_may_bring_the_token_in_a_header(stranger):
    headers = {security.TOKEN_HEADER: TOKEN}
    assert stranger.get("/api/people", headers=headers).status_code == 200
    assert stranger.post("/api/undo", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:8765"]
)
def test_other_hosts_are_refused_even_with_the_token(client, host):
    assert client.get("/api/people", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["null", "https://evil.example", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_origins_are_refused_even_with_the_token(client, origin, method, album):
    before = album.count("SELECT count(*) FROM batches")
    answer = client.request(method, "/api/undo", headers={"origin": origin})
    assert answer.status_code == 403
    assert album.count("SELECT count(*) FROM batches") == before


def test_a_decision_without_an_origin_is_refused(client):
    assert client.post("/api/undo").status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_the_browser_says_comes_from_another_site_is_refused(client, site):
    assert client.get("/api/people", headers={"sec-fetch-site": site}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../api.py",
        "/static/%2e%2e/api.py",
        "/static/..%2fapi.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2falbum.sqlite",
        "/static/..%5capi.py",
        "/static//etc/passwd",
        "/album.sqlite",
        "/thumbnails/../album.sqlite",
        "/thumbnails/..%2falbum.sqlite",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_other_file_is_served(client, path):
    assert client.get(path).status_code in (404, 422)


def test_a_huge_body_is_refused_before_it_is_kept(client):
    headers = {"origin": ADDRESS, "content-type": "application/json"}
    answer = client.post("/api/merge", content=b" " * (MOST_BODY_BYTES + 1), headers=headers)
    assert answer.status_code == 413


def test_a_huge_body_without_a_length_is_refused_too(client):
    def pieces():
        for _ in range(MOST_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    answer = client.post("/api/merge", content=pieces(), headers={"origin": ADDRESS})
    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-1", "a", "99999999999999999999"])
def test_a_length_that_is_none_is_refused(client, length):
    headers = {"origin": ADDRESS, "content-length": length}
    assert client.post("/api/merge", headers=headers).status_code == 413


async def nothing_comes():
    await asyncio.Event().wait()


def piece_after_piece(*messages):
    """What an ASGI server hands on, one message at a time."""
    waiting = list(messages)

    async def receive():
        return waiting.pop(0)

    return receive


BEGUN = {"type": "http.request", "body": b"{", "more_body": True}


@pytest.mark.parametrize(
    ("receive", "status"),
    [
        (nothing_comes, 408),
        (piece_after_piece(BEGUN, {"type": "http.disconnect"}), 400),
        (piece_after_piece({"type": "http.disconnect"}), 400),
    ],
)
def test_a_client_that_never_finishes_is_sent_away(monkeypatch, receive, status):
    monkeypatch.setattr(security, "BODY_SECONDS", 0.01)
    answers = []

    async def send(message):
        answers.append(message)

    async def unreachable(*_):
        raise AssertionError("the request was let in")

    scope = {
        "type": "http", "method": "POST", "path": "/api/undo", "query_string": b"",
        "headers": [(b"host", f"127.0.0.1:{PORT}".encode()),
                    (security.TOKEN_HEADER.encode(), TOKEN.encode())],
    }  # fmt: skip
    asyncio.run(Guard(unreachable, TOKEN, PORT)(scope, receive, send))
    assert answers[0]["status"] == status


@pytest.mark.parametrize("path", ["/", "/static/review.js", "/api/people", "/thumbnails/1"])
def test_every_answer_forbids_what_the_page_does_not_need(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_web_sockets_are_closed(application):
    answers = []

    async def send(message):
        answers.append(message)

    asyncio.run(application({"type": "websocket"}, None, send))
    assert answers == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("path", ["merge", "look-again", "bring-back", "undo", "people/1/name"])
@pytest.mark.parametrize(
    "headers", [{}, {"origin": ADDRESS}, {"origin": ADDRESS, security.TOKEN_HEADER: "wrong"}]
)
def test_nothing_is_done_without_the_token(stranger, album, path, headers):
    before = album.count("SELECT count(*) FROM batches")
    answer = stranger.post(f"/api/{path}", json={}, headers=headers)
    assert answer.status_code in (401, 403)
    assert album.count("SELECT count(*) FROM batches") == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"first": "1"}', b"\xff\xfe"])
def test_a_body_that_is_none_is_refused_in_words(client, body):
    headers = {"origin": ADDRESS, "content-type": "application/json"}
    assert client.post("/api/merge", content=body, headers=headers).status_code == 422
