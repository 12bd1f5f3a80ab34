import json
import os

import numpy as np
import pytest

from facelink.errors import InputError
from facelink.stages import content
from facelink.stages.content import FileContent, hash_of, hash_of_array, hash_of_bytes
from facelink.stages.measuring import measuring


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "features.npy"
    path.write_bytes(bytes(range(200)) * 50)
    return path


def test_a_known_file_is_not_read_again_until_it_changes(file, monkeypatch):
    first = FileContent.of(file)
    monkeypatch.setattr(content, "hash_of_bytes", lambda path: pytest.fail("read again"))
    assert FileContent.of(file, first) == first
    monkeypatch.undo()
    before = file.stat()
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert FileContent.of(file, first).hash != first.hash
    with pytest.raises(InputError, match="changed while it was being used"):
        first.check_unchanged()


def test_a_file_that_is_gone_has_changed(file):
    known = FileContent.of(file)
    file.unlink()
    with pytest.raises(InputError, match="changed while it was being used"):
        known.check_unchanged()


def test_it_is_read_from_its_json_form_and_nothing_else(file):
    content = FileContent.of(file)
    value = content.as_dict()
    assert FileContent.from_value(json.loads(json.dumps(value))) == content
    for other in (None, [], {"x": 1}, {**value, "inode": "1"}, {**value, "more": 1}):
        assert FileContent.from_value(other) is None


def test_hashes_of_parts(file):
    assert hash_of_bytes(file, 200, 400) == hash_of_array(
        np.tile(np.arange(200, dtype=np.uint8), 2)
    )
    assert hash_of_bytes(file, 9_900, 200) is None
    assert hash_of({"a": 1, "b": [2]}) == hash_of({"b": [2], "a": 1}) != hash_of({"a": 1, "b": [3]})


def test_memory_is_measured_while_it_is_held():
    with measuring() as measured:
        held = np.ones(30_000_000)
        measured.look()
        del held
    before = measured.peak_own_memory_bytes
    if before == 0:
        pytest.skip("the system does not tell")
    with measuring() as nothing:
        pass
    assert before - nothing.peak_own_memory_bytes > 200e6
    assert measured.peak_memory_bytes >= before
    assert measured.seconds > 0
