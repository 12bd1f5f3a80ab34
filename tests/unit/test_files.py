import contextlib
import errno
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from facelink.errors import InputError, OutputError
from facelink.files import (
    check_writable,
    existing_file,
    load_arrays,
    save_arrays,
    write_json,
    write_text,
    written_beside,
)

LONG_TEXT = "x" * 100_000
LEAST_FILE_LIMIT = 4096


@contextlib.contextmanager
def small_files_only():
    """Let the system refuse every file above 4 KB in the middle of writing it.

    Only around the write itself: a test report that goes to a file has to grow, too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LEAST_FILE_LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failing_for_folders(number):
    """An `os.fsync` that fails with this number for folders, and works for files."""
    fsync = os.fsync

    def wait(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    return wait


def write_half_and_raise(path, error):
    with written_beside(path) as temporary:
        temporary.write_text("half")
        raise error


class TestWrittenBeside:
    def test_the_file_appears_only_when_the_block_is_done(self, tmp_path):
        path = tmp_path / "made" / "on the way" / "labels.npy"
        with written_beside(path) as temporary:
            temporary.write_text("whole")
            assert not path.exists()
            assert (temporary.parent, temporary.suffix) == (path.parent, ".npy")
        assert path.read_text() == "whole"
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError])
    def test_a_failing_block_leaves_the_old_file_and_nothing_else(self, tmp_path, error):
        path = tmp_path / "labels.npy"
        path.write_text("old")
        with pytest.raises(error, match="stop"):
            write_half_and_raise(path, error("stop"))
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_write_that_breaks_off_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "labels.txt"
        write_text(path, "old")
        message = r"cannot write .*labels\.txt: File too large"
        with small_files_only(), pytest.raises(OutputError, match=message):
            write_text(path, LONG_TEXT)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_write_that_breaks_off_leaves_no_new_file(self, tmp_path):
        with small_files_only(), pytest.raises(OutputError, match="choose another place"):
            write_text(tmp_path / "labels.txt", LONG_TEXT)
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_is_full_at_the_flush_leaves_no_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "fsync", full_disk)
        with pytest.raises(OutputError, match=r"No space left on device.*free some space"):
            write_text(tmp_path / "labels.txt", "short")
        assert list(tmp_path.iterdir()) == []

    def test_its_name_and_those_of_new_folders_are_waited_for(self, tmp_path, monkeypatch):
        path, waited_for, fsync = tmp_path / "made" / "too" / "labels.txt", [], os.fsync

        def noted(descriptor):
            seen = os.fstat(descriptor)
            waited_for.append((seen.st_ino, path.parent.exists(), path.exists()))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", noted)
        write_text(path, "text")
        above, made, too = (one.stat().st_ino for one in (tmp_path, path.parents[1], path.parent))
        assert waited_for == [
            (above, False, False),
            (made, True, False),
            (path.stat().st_ino, True, False),
            (too, True, True),
        ]

    @pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
    def test_a_system_that_cannot_wait_for_names_still_writes(self, tmp_path, monkeypatch, number):
        monkeypatch.setattr(os, "fsync", failing_for_folders(number))
        write_text(tmp_path / "labels.txt", "text")
        assert (tmp_path / "labels.txt").read_text() == "text"

    def test_a_disk_that_fails_at_the_name_is_an_error(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "fsync", failing_for_folders(errno.EIO))
        with pytest.raises(OutputError, match=rf"names in {tmp_path}: Input/output error"):
            write_text(tmp_path / "labels.txt", "text")
        assert (tmp_path / "labels.txt").read_text() == "text"
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_block_that_writes_nothing_is_an_error(self, tmp_path):
        with (
            pytest.raises(OutputError, match="No such file"),
            written_beside(tmp_path / "labels.txt"),
        ):
            pass

    def test_a_folder_is_refused_before_the_block_runs(self, tmp_path):
        with (
            pytest.raises(OutputError, match="it is a folder; give the name of a file"),
            written_beside(tmp_path),
        ):
            pytest.fail("the block must not run")

    def test_a_pipe_or_device_is_refused_and_not_replaced(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OutputError, match="not a regular file"):
            write_text(tmp_path / "pipe", "text")
        assert (tmp_path / "pipe").is_fifo()

    def test_the_longest_name_that_the_system_takes_can_be_written(self, tmp_path):
        path = tmp_path / ("x" * 251 + ".txt")
        write_text(path, "text")
        assert path.read_text() == "text"


class TestCheckWritable:
    def test_it_makes_the_folder_and_leaves_no_file(self, tmp_path):
        check_writable(tmp_path / "new" / "labels.npy")
        assert list((tmp_path / "new").iterdir()) == []

    def test_it_leaves_an_existing_file_as_it_is(self, tmp_path):
        (tmp_path / "labels.npy").write_text("old")
        check_writable(tmp_path / "labels.npy")
        assert (tmp_path / "labels.npy").read_text() == "old"
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_folder_is_refused(self, tmp_path):
        with pytest.raises(OutputError, match="it is a folder"):
            check_writable(tmp_path)

    def test_a_file_in_place_of_the_folder_is_refused_by_the_name_that_was_asked_for(
        self, tmp_path
    ):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match=r"cannot write .*file/labels\.npy: "):
            check_writable(tmp_path / "file" / "labels.npy")

    def test_a_folder_without_permission_is_refused(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "touch", refuse)
        with pytest.raises(OutputError, match=r"cannot write .*labels\.npy: Permission denied"):
            check_writable(tmp_path / "labels.npy")


class TestExistingFile:
    def test_a_file_with_content_is_returned_as_a_path(self, tmp_path):
        (tmp_path / "features.npy").write_text("x")
        assert (
            existing_file(str(tmp_path / "features.npy"), "features") == tmp_path / "features.npy"
        )

    def test_a_missing_file_is_named_by_what_it_is_for(self, tmp_path):
        with pytest.raises(InputError, match=r"features .*nowhere\.npy: no such file"):
            existing_file(tmp_path / "nowhere.npy", "features")

    def test_a_folder_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="this is a folder; give a file"):
            existing_file(tmp_path, "features")

    def test_an_empty_file_is_refused(self, tmp_path):
        (tmp_path / "empty.npy").touch()
        with pytest.raises(InputError, match=r"empty \(0 bytes\)"):
            existing_file(tmp_path / "empty.npy", "features")


def test_json_is_written_whole_and_readable(tmp_path):
    write_json(tmp_path / "config.json", {"widths": [2, 3]})
    assert (tmp_path / "config.json").read_text() == '{\n  "widths": [\n    2,\n    3\n  ]\n}\n'


ARRAYS = {
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
    "transposed": np.arange(12, dtype=np.int32).reshape(3, 4).T,
    "strided": np.arange(10, dtype=np.int64)[::3],
    "flags": np.array([True, False]),
    "empty": np.zeros((0, 5), dtype=np.float32),
    "scalar": np.array(7.5, dtype=np.float32),
}


class TestArrays:
    def test_arrays_and_metadata_come_back_as_they_were(self, tmp_path):
        metadata = {"format": "test", "version": 1, "nested": {"k_at_hop": [80, 5], "none": None}}
        save_arrays(tmp_path / "f.safetensors", ARRAYS, metadata)
        arrays, loaded = load_arrays(tmp_path / "f.safetensors", "arrays")
        assert loaded == metadata
        assert arrays.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert (arrays[name].shape, arrays[name].dtype) == (array.shape, array.dtype)
            np.testing.assert_array_equal(arrays[name], array)

    def test_a_file_cut_anywhere_is_an_error_that_says_so(self, tmp_path):
        path = tmp_path / "f.safetensors"
        save_arrays(path, {"values": np.arange(5.0)}, {"format": "test"})
        whole = path.read_bytes()
        for n_bytes in range(1, len(whole)):
            path.write_bytes(whole[:n_bytes])
            with pytest.raises(
                InputError, match=r"links .*may be truncated or of another kind; write it again"
            ):
                load_arrays(path, "links")

    def test_another_kind_of_file_is_refused(self, tmp_path):
        np.save(tmp_path / "f.npy", np.arange(5))
        with pytest.raises(InputError, match="not a readable safetensors file"):
            load_arrays(tmp_path / "f.npy", "links")

    def test_a_dtype_that_numpy_lacks_is_refused(self, tmp_path):
        save_file({"a": torch.zeros(3, dtype=torch.bfloat16)}, tmp_path / "f.safetensors")
        with pytest.raises(InputError, match="bfloat16"):
            load_arrays(tmp_path / "f.safetensors", "model weights")

    def test_metadata_of_another_program_stays_text(self, tmp_path):
        save_file({"a": torch.zeros(3)}, tmp_path / "f.safetensors", metadata={"format": "pt"})
        assert load_arrays(tmp_path / "f.safetensors", "weights")[1] == {"format": "pt"}

    def test_a_write_that_breaks_off_leaves_the_old_arrays(self, tmp_path):
        path = tmp_path / "f.safetensors"
        save_arrays(path, {"a": np.arange(3)}, {})
        message = "What stood under that name before is unchanged"
        with small_files_only(), pytest.raises(OutputError, match=message):
            save_arrays(path, {"a": np.arange(100_000)}, {})
        np.testing.assert_array_equal(load_arrays(path, "arrays")[0]["a"], np.arange(3))
        assert list(tmp_path.iterdir()) == [path]
