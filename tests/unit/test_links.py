import numpy as np
import pytest

from facelink.errors import InputError
from facelink.files import save_arrays
from facelink.links import Links


def some_links(**changes):
    values = {
        "pairs": np.array([[0, 1], [1, 3]], dtype=np.int32),
        "likelihoods": np.array([0.0, 1.0], dtype=np.float32),
        "one_sided": np.array([True, False]),
        "n_instances": 4,
    }
    return Links(**(values | changes))


def test_links_with_the_extreme_ids_and_likelihoods_are_accepted():
    assert len(some_links()) == 2


def test_no_links_at_all_are_links():
    empty = Links(np.empty((0, 2), np.int32), np.empty(0, np.float32), np.empty(0, np.bool_), 5)
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": np.array([[0, 1, 2], [1, 2, 3]], np.int32)}, r"shape \(L, 2\).*got \(2, 3\)"),
        ({"pairs": np.array([[0, 1], [1, 3]], np.int64)}, "int32, got .* int64"),
        ({"likelihoods": np.zeros(3, np.float32)}, r"2 pairs but \(3,\) likelihoods"),
        ({"likelihoods": np.zeros(2)}, "float32 likelihoods .*got float64"),
        ({"one_sided": np.zeros(1, np.bool_)}, r"\(1,\) marks"),
        ({"one_sided": np.zeros(2, np.int64)}, "bool marks, got float32 and int64"),
        ({"n_instances": 3}, "from 0 to 2.*got ids from 0 to 3"),
        ({"n_instances": -1}, "n_instances=-1"),
        ({"n_neighbors": 10**30}, r"n_neighbors=10+; links have from 1 to \d+, or None"),
        ({"pairs": np.array([[-1, 1], [1, 3]], np.int32)}, "got ids from -1 to 3"),
        ({"pairs": np.array([[1, 0], [1, 3]], np.int32)}, "smaller id first"),
        ({"pairs": np.array([[0, 1], [2, 2]], np.int32)}, "two different instances"),
        ({"likelihoods": np.array([0, 1.5], np.float32)}, "from 0.0 to 1.5"),
        ({"likelihoods": np.array([-0.5, 1], np.float32)}, "from -0.5 to 1.0"),
        ({"likelihoods": np.array([np.nan, 1], np.float32)}, "from nan to nan"),
    ],
)
def test_links_that_break_a_rule_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        some_links(**changes)


@pytest.mark.parametrize("n_instances", [4, np.int64(4)])
def test_links_come_back_from_their_file_as_they_were(tmp_path, n_instances):
    links = some_links(n_instances=n_instances)
    links.save(tmp_path / "links.safetensors")
    loaded = Links.load(tmp_path / "links.safetensors")
    for name in ("pairs", "likelihoods", "one_sided", "n_instances"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(links, name))


def stored(path, *, without=(), **metadata):
    links = some_links()
    arrays = {name: getattr(links, name) for name in ("pairs", "likelihoods", "one_sided")}
    known = {"format": "facelink.links", "version": 1, "n_instances": 4} | metadata
    save_arrays(
        path,
        {name: array for name, array in arrays.items() if name not in without},
        {name: value for name, value in known.items() if name not in without},
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "facelink.neighbors"}, "not a links file; write one with facelink links"),
        ({"version": 2}, "version 2, this facelink reads version 1"),
        ({"without": ["one_sided"]}, "'one_sided' is missing; write the links again"),
        ({"without": ["n_instances"]}, "'n_instances' is missing"),
        ({"n_instances": 2}, "from 0 to 1"),
    ],
)
def test_another_file_is_not_read_as_links(tmp_path, changes, message):
    stored(tmp_path / "file", **changes)
    with pytest.raises(InputError, match=message):
        Links.load(tmp_path / "file")
