import numpy as np
import pytest

from facelink.album.features_file import FeatureFile
from facelink.errors import InputError, OutputError

WIDTH = 3


def rows(n, start=0):
    return np.arange(start, start + n * WIDTH, dtype=np.float32).reshape(n, WIDTH)


@pytest.fixture
def file(tmp_path):
    return FeatureFile.create(tmp_path / "features.bin", WIDTH)


def test_rows_come_back_as_they_were_appended(file):
    file.append(0, rows(4))
    file.append(4, rows(2, 100))
    np.testing.assert_array_equal(file.rows(6), np.concatenate([rows(4), rows(2, 100)]))


def test_a_file_without_rows(file):
    assert file.rows(0).shape == (0, WIDTH)


def test_what_a_killed_command_left_is_not_read_and_cut_off_by_the_next(file):
    file.append(0, rows(2))
    with file.path.open("ab") as stream:
        stream.write(rows(3).tobytes()[:-5])
    reopened = FeatureFile.create(file.path, WIDTH)
    np.testing.assert_array_equal(reopened.rows(2), rows(2))
    reopened.append(2, rows(1, 50))
    np.testing.assert_array_equal(reopened.rows(3), np.concatenate([rows(2), rows(1, 50)]))
    assert reopened.n_whole_rows() == 3


def test_erased_rows_are_zeros_and_the_others_stay(file):
    file.append(0, rows(4, 1))
    file.erase(np.array([0, 2]))
    assert not file.rows(4)[[0, 2]].any()
    np.testing.assert_array_equal(file.rows(4)[[1, 3]], rows(4, 1)[[1, 3]])


def test_missing_rows_are_reported_by_readers_and_writers(file):
    file.append(0, rows(2))
    with pytest.raises(InputError, match="2 rows, but the album knows 3"):
        file.rows(3)
    with pytest.raises(OutputError, match="2 rows, but the album knows 3"):
        file.append(3, rows(1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a feature file"),
        (b"x" * 100, "not a feature file"),
        (b"flfeatur" + bytes([9, 0, 0, 0, 3, 0, 0, 0]) + bytes(48), "version 9"),
        (b"flfeatur" + bytes([1, 0, 0, 0, 7, 0, 0, 0]) + bytes(48), "width 7"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    path = tmp_path / "features.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        FeatureFile.open(path, WIDTH)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        FeatureFile.open(tmp_path / "features.bin", WIDTH)
