import hashlib
import http.server
import threading
from dataclasses import replace

import pytest

from facelink.errors import InputError, OutputError
from facelink.photos.model_files import ModelFile, cache_folder, model_file

CONTENT = b"weights " * 1000


class Answers(http.server.BaseHTTPRequestHandler):
    """Serves what the server holds under a path, and counts."""

    def do_GET(self):
        self.server.n_requests += 1
        body = self.server.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"") + self.server.n_bytes_missing))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    """A server on this machine with one file."""
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    serving.files, serving.n_requests, serving.n_bytes_missing = {"/model.bin": CONTENT}, 0, 0
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()
    thread.join()


@pytest.fixture
def file(server, tmp_path, monkeypatch):
    """The file as its maker publishes it, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    address = f"http://127.0.0.1:{server.server_port}/model.bin"
    checksum = hashlib.sha384(CONTENT).hexdigest()
    return ModelFile("model.bin", address, "sha384", checksum, len(CONTENT), "MIT")


def test_downloaded_once_into_the_cache(server, file, tmp_path):
    path = model_file(file)
    assert path == tmp_path / "cache" / "facelink" / "models" / "model.bin"
    assert path.read_bytes() == CONTENT
    assert model_file(file) == path
    assert server.n_requests == 1
    assert [one.name for one in path.parent.iterdir()] == ["model.bin"]


def test_a_cache_of_the_home_folder_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "facelink" / "models"


@pytest.mark.parametrize("content", [b"other", CONTENT + b"more", CONTENT * 100])
def test_other_content_is_refused_and_not_kept(server, file, content):
    server.files["/model.bin"] = content
    with pytest.raises(InputError, match=r"its sha384 begins with .* --models"):
        model_file(file)
    assert list(cache_folder().iterdir()) == []


def test_a_missing_page(file):
    gone = replace(file, address=file.address + ".gone")
    with pytest.raises(OutputError, match=r"cannot download model.bin: .*404.* --models"):
        model_file(gone)
    assert list(cache_folder().iterdir()) == []


def test_a_connection_that_ends_early(server, file):
    server.n_bytes_missing = 5
    server.files["/model.bin"] = CONTENT[:-5]
    with pytest.raises((InputError, OutputError), match="--models"):
        model_file(file)
    assert list(cache_folder().iterdir()) == []


def test_a_cached_file_that_was_damaged_is_refused(file):
    path = model_file(file)
    path.write_bytes(b"x" * len(CONTENT))
    with pytest.raises(InputError, match="remove it, and it will be downloaded again"):
        model_file(file)


def test_a_folder_of_the_users_and_nothing_is_downloaded(server, file, tmp_path):
    (tmp_path / "model.bin").write_bytes(CONTENT)
    assert model_file(file, tmp_path) == tmp_path / "model.bin"
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"another version: put the file from http"):
        model_file(file, tmp_path)
    (tmp_path / "model.bin").unlink()
    with pytest.raises(InputError, match=r"model file .*: no such file"):
        model_file(file, tmp_path)
    assert server.n_requests == 0
