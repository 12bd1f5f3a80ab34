import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from facelink.errors import InputError
from facelink.features import open_features, open_rows
from facelink.parquet_rows import ParquetRows

FACES = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float32)


def written(path, faces=FACES, kind=None, rows_of_a_group=5):
    lists = pa.array(list(faces), type=kind)
    table = pa.table({"name": [str(row) for row in range(len(faces))], "embedding": lists})
    pyarrow.parquet.write_table(table, path, row_group_size=rows_of_a_group)
    return path


@pytest.fixture(
    params=[pa.list_(pa.float32()), pa.list_(pa.float32(), 4), pa.large_list(pa.float32())]
)
def path(request, tmp_path):
    return written(tmp_path / "faces.parquet", kind=request.param)


@pytest.mark.parametrize(
    "rows",
    [
        slice(0, 23),
        slice(3, 4),
        slice(4, 6),
        slice(5, 10),
        slice(7, 23),
        slice(20, 99),
        slice(9, 9),
    ],
)
def test_any_slice_is_that_of_the_whole(path, rows):
    np.testing.assert_array_equal(ParquetRows(path)[rows], FACES[rows])


def test_rows_by_their_numbers(path):
    for rows in ([0, 4, 5, 22], [7], [], list(range(23))):
        ids = np.array(rows, dtype=np.int64)
        np.testing.assert_array_equal(ParquetRows(path)[ids], FACES[ids])


def test_it_has_the_shape_of_the_whole_and_holds_a_group(path):
    rows = ParquetRows(path)
    assert rows.shape == (23, 4)
    assert len(rows) == 23
    assert rows.most_rows_at_once == 5
    rows[:]
    assert rows._kept[1].nbytes == 3 * 4 * 4  # the last one


def test_what_is_opened_is_read_later(path):
    opened = open_rows(path, dim=4)
    assert isinstance(opened, ParquetRows)
    np.testing.assert_array_equal(open_features(path), FACES)
    with pytest.raises(InputError, match="4 dimensions, but 5 expected"):
        open_rows(path, dim=5)


@pytest.mark.parametrize("bad", [0, 13])
@pytest.mark.parametrize(("held", "told"), [(None, "no list"), ([1.0], "values, row 0")])
def test_rows_that_are_no_lists_of_one_length(tmp_path, bad, held, told):
    faces = [*FACES.tolist()]
    faces[bad] = held
    path = written(tmp_path / "faces.parquet", faces, pa.list_(pa.float32()))
    row = 1 if (bad, held) == (0, [1.0]) else bad
    with pytest.raises(InputError, match=rf"column 'embedding' row {row} holds .*{told}"):
        ParquetRows(path)[:]


def test_groups_before_a_bad_one_can_be_read(tmp_path):
    faces = [*FACES.tolist()]
    faces[13] = None
    rows = ParquetRows(written(tmp_path / "faces.parquet", faces, pa.list_(pa.float32())))
    np.testing.assert_array_equal(rows[:10], FACES[:10])
    with pytest.raises(InputError, match="row 13 holds no list"):
        rows[10:11]


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_values_keep_their_type(tmp_path, kind):
    faces = FACES.astype(kind)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(faces.reshape(-1)), 4)
    path = tmp_path / "faces.parquet"
    pyarrow.parquet.write_table(pa.table({"features": lists}), path, row_group_size=9)
    assert ParquetRows(path)[7:12].dtype == kind
    np.testing.assert_array_equal(ParquetRows(path)[:], faces)


def test_a_file_without_rows(tmp_path):
    path = written(tmp_path / "faces.parquet", FACES[:0], pa.list_(pa.float32()))
    assert ParquetRows(path).shape == (0, 0)
    with pytest.raises(InputError, match="at least one row"):
        open_rows(path)
