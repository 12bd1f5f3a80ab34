import shutil

import pytest

pytest.importorskip("fastapi", reason="the extra review is not installed")
pytest.importorskip("httpx2", reason="FastAPI's test client needs httpx2")

from starlette.testclient import TestClient

from facelink.album.library import open_album
from facelink.review.app import create_app
from tests.unit.album.helpers import add, edited, made_up_people, update

TOKEN, PORT = "a-secret-of-the-tests", 8765
ADDRESS = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The files of an album with 64 faces of 8 people, all placed."""
    folder = tmp_path_factory.mktemp("review") / "made-up.album"
    features, _ = made_up_people()
    with edited(folder) as opened:
        add(opened, features)
        update(opened)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(made, tmp_path):
    """That album, to change."""
    folder = tmp_path / "made-up.album"
    folder.mkdir()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def album(folder):
    with open_album(folder) as opened:
        yield opened


@pytest.fixture
def application(folder):
    return create_app(folder, token=TOKEN, port=PORT)


@pytest.fixture
def stranger(application):
    """A client without the token."""
    return TestClient(application, base_url=ADDRESS, follow_redirects=False)


@pytest.fixture
def client(stranger):
    """A browser that opened the link."""
    assert stranger.get("/", params={"token": TOKEN}).status_code == 303
    return stranger


@pytest.fixture
def say(client):
    """Sends a decision as the page does; returns the answer's JSON."""

    def send(path, status=200, **body):
        answer = client.post(f"/api/{path}", json=body, headers={"origin": ADDRESS})
        assert answer.status_code == status, answer.text
        return answer.json()

    return send


@pytest.fixture
def look(client):
    """Asks for something as the page does; returns the answer's JSON."""

    def ask(path, status=200, **values):
        answer = client.get(f"/api/{path}", params=values)
        assert answer.status_code == status, answer.text
        return answer.json()

    return ask


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as run:
        launched = run.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()
