"""What a file may unpack to."""

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from facelink import arrays
from facelink.arrays import check_parquet, read_npz
from facelink.errors import InputError
from facelink.labels import load_labels


def equal_labels(path, n_labels):
    table = pa.table({"label": np.zeros(n_labels, np.int64)})
    pyarrow.parquet.write_table(table, path)
    return path


def test_parquet_unpacks_to_64_mib_however_small_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_MAX_PARQUET_RATIO", 1)
    assert len(load_labels(equal_labels(tmp_path / "few.parquet", 8_388_000))) == 8_388_000
    path = equal_labels(tmp_path / "many.parquet", 8_389_000)  # 8 bytes each; 64 MiB are 8,388,608
    with pytest.raises(InputError, match=r"claims to hold \d+ bytes in \d+; it is damaged"):
        load_labels(path)


def test_parquet_unpacks_to_4096_times_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_MIN_PARQUET_BYTES", 0)
    path = equal_labels(tmp_path / "labels.parquet", 100_000)
    n_bytes, claimed = path.stat().st_size, 800_000
    with path.open("rb") as stream:
        stored = pyarrow.parquet.ParquetFile(stream)
        for ratio, is_refused in ((claimed // n_bytes, True), (claimed // n_bytes + 1, False)):
            monkeypatch.setattr(arrays, "_MAX_PARQUET_RATIO", ratio)
            try:
                check_parquet(stored, path, "labels")
                assert not is_refused
            except InputError:
                assert is_refused


def lying_archive(path, n_claimed):
    """Zeros, of which the array's header and the archive's directory claim so many."""
    stream = io.BytesIO()
    described = {"descr": "|u1", "fortran_order": False, "shape": (n_claimed,)}
    np.lib.format.write_array_header_1_0(stream, described)
    content = stream.getvalue() + bytes(1_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", content)
        packed = archive.infolist()[0].compress_size
    said, claimed = (n.to_bytes(4, "little") for n in (len(content), n_claimed + 128))
    written = path.read_bytes()
    assert written.count(said) == 2
    path.write_bytes(written.replace(said, claimed))
    return packed


def test_an_archive_unpacks_to_1032_times_what_it_packs(tmp_path):
    path = tmp_path / "lying.npz"
    packed = lying_archive(path, 200_000)
    with pytest.raises(InputError, match=f"200128 bytes, but there are {1_032 * packed};"):
        read_npz(path, "labels", "data")
    packed = lying_archive(path, 50_000)
    assert 1_032 * packed > 50_128
    with pytest.raises(InputError) as refused:  # it holds less, which is seen when it is read
        read_npz(path, "labels", "data")
    assert "but there are" not in str(refused.value)
