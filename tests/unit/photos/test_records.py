import numpy as np
import pytest

from facelink.errors import InputError
from facelink.photos.records import FoundFace, PhotoFile


def face(**changes):
    values = {
        "box": np.zeros(4, dtype=np.float32),
        "landmarks": np.zeros((5, 2), dtype=np.float32),
        "detection_score": 0.9,
        "sharpness": 0.1,
        "size_px": 50.0,
        "junk_reasons": (),
        "feature": np.ones(8, dtype=np.float32),
        "thumbnail": b"",
    }
    return FoundFace(**{**values, **changes})


def test_a_file_as_the_file_system_shows_it(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    file = PhotoFile.at(path)
    assert (file.size, file.mtime_ns) == (3, path.stat().st_mtime_ns)
    assert file == PhotoFile.at(path)


def test_junk_is_what_has_a_reason():
    assert not face().is_junk
    assert face(junk_reasons=("small",)).is_junk


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("box", np.zeros(4)),
        ("landmarks", np.zeros((2, 5), dtype=np.float32)),
        ("feature", np.ones((1, 8), dtype=np.float32)),
    ],
)
def test_other_shapes_and_dtypes_are_refused(name, array):
    with pytest.raises(InputError, match=f"needs its {name} as float32"):
        face(**{name: array})
