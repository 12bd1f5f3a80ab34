import numpy as np
import pytest

from facelink.album.import_features import import_features, load_ids
from facelink.errors import InputError
from tests.unit.album.helpers import edited, made_up_people

FEATURES, _ = made_up_people(2, 3)
IDS = [f"face {number}" for number in range(6)]


def test_every_row_comes_once(folder):
    with edited(folder) as album:
        assert len(import_features(album, FEATURES[:4], model_name="m", ids=IDS[:4])) == 4
        assert len(import_features(album, FEATURES, model_name="m", ids=IDS)) == 2
        assert len(import_features(album, FEATURES, model_name="other", ids=IDS)) == 6
        model = album.models()[0]
        np.testing.assert_allclose(album.feature_file(model).rows(6), FEATURES, rtol=1e-6)


@pytest.mark.parametrize(
    ("ids", "message"), [(IDS[:5], "5 ids for 6 faces"), ([*IDS[:5], IDS[0]], "'face 0' stands 2")]
)
def test_ids_that_do_not_fit(folder, ids, message):
    with edited(folder) as album, pytest.raises(InputError, match=message):
        import_features(album, FEATURES, model_name="m", ids=ids)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.txt", "a\nb ü\n"),
        ("ids.csv", "size,path\n1,a\n2,b ü\n"),
        ("ids.csv", "whatever\na\nb ü\n"),
        ("ids.csv", "\ufeffid,path\na,x\nb ü,y\n"),
    ],
)
def test_ids_are_read_from_lines_or_a_column(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_ids(tmp_path / name) == ["a", "b ü"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "0 bytes"), (b"x,y\n1,2\n", "name one of them 'id'"), (b"id\n\xff\xfe", "not UTF-8")],
)
def test_ids_that_cannot_be_read(tmp_path, content, message):
    (tmp_path / "ids.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_ids(tmp_path / "ids.csv")
