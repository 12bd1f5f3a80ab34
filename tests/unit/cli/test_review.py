import pytest

from facelink.album.library import edit_album
from facelink.cli import review


def test_the_link_is_printed_and_opened_unless_told_not_to(run, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(review, "serve", lambda album, port, on_start: on_start(f"at {port}"))
    monkeypatch.setattr(review.webbrowser, "open", opened.append)
    outcome = run("review", tmp_path, "--port", 81, "--no-browser")
    assert (outcome.code, outcome.out, opened) == (0, "at 81\n", [])
    assert run("review", tmp_path, "--port", 82).out == "at 82\n"
    assert opened == ["at 82"]


def test_no_album_is_said_without_a_traceback(refused, tmp_path):
    for extra in ("fastapi", "uvicorn"):
        pytest.importorskip(extra, reason="the extra review is not installed")
    assert "no album there" in refused("review", tmp_path / "none", "--no-browser")


def test_a_port_that_is_none_is_refused(refused, tmp_path):
    with edit_album(tmp_path / "my.album", "test", create=True):
        pass
    assert "65535" in refused("review", tmp_path / "my.album", "--port", 70000)
