import numpy as np
import pytest

from facelink.errors import InputError, OutputError
from facelink.stages.shared_files import SharedFiles
from tests.unit.stages.lending import lent_by_ftp


@pytest.fixture
def place(tmp_path):
    return tmp_path / "place"


@pytest.fixture(params=["folder", "server"])
def shared(request, place, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    if request.param == "folder":
        yield SharedFiles(f"file://{place}")
    else:
        with lent_by_ftp(tmp_path) as url:
            yield SharedFiles(f"{url}/place")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "faces.npy"
    np.save(path, np.arange(12.0))
    return path


def test_a_file_arrives_once(shared, place, file):
    name = shared.hand_out(file)
    assert not name.is_absolute()
    fetched = shared.fetch(name)
    assert fetched != file
    assert fetched.name == file.name
    assert fetched.read_bytes() == file.read_bytes()
    sent = list(place.rglob("faces.npy"))
    time = sent[0].stat().st_mtime_ns
    assert shared.hand_out(file) == name
    assert [one.stat().st_mtime_ns for one in sent] == [time]
    sent[0].unlink()
    assert shared.fetch(name) == fetched


def test_arrays_of_a_folder_arrive_together(shared, file):
    np.save(file.with_name("ids.npy"), np.arange(3))
    (file.parent / "manifest.json").write_text("{}")
    fetched = shared.fetch(shared.hand_out(file.parent))
    assert sorted(path.name for path in fetched.iterdir()) == ["faces.npy", "ids.npy"]
    assert np.load(fetched / "ids.npy").tolist() == [0, 1, 2]


def test_a_model_s_files_arrive_together(shared, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    fetched = shared.fetch(shared.hand_out(model))
    assert (fetched / "model.safetensors").read_bytes() == b"weights"


def test_what_is_not_what_was_sent_is_refused(shared, place, file):
    name = shared.hand_out(file)
    (sent,) = place.rglob("faces.npy")
    content = bytearray(sent.read_bytes())
    content[-1] ^= 1
    sent.write_bytes(content)
    with pytest.raises(OutputError, match="is damaged"):
        shared.fetch(name)


def test_what_is_not_there(shared, place, file):
    name = shared.hand_out(file)
    next(place.rglob("faces.npy")).unlink()
    with pytest.raises(OutputError, match=r"is damaged|cannot be read"):
        shared.fetch(name)
    place.joinpath(name.parts[0]).rmdir()
    with pytest.raises(OutputError, match="cannot be read or written") as raised:
        shared.fetch(name)
    assert "secret" not in str(raised.value)


def test_nothing_is_left_behind(shared, file, tmp_path):
    shared.fetch(shared.hand_out(file))
    shared.forget()
    assert list((tmp_path / "temporary").iterdir()) == []
    shared.forget()


def test_a_password_is_not_told():
    with pytest.raises(InputError, match="shared='nowhere://host/place'"):
        SharedFiles("nowhere://user:secret@host/place")


@pytest.mark.parametrize("url", ["nowhere://place", "s3x:place"])
def test_a_place_that_nobody_knows(url):
    with pytest.raises(InputError, match="Give a URL"):
        SharedFiles(url)
