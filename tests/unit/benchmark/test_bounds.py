import json

import pytest

from facelink.benchmark.bounds import bounds_table, collection_bounds
from facelink.errors import InputError
from facelink.neighbors.search import find_neighbors
from facelink.training.face_sets import FaceSet
from facelink.upper_bound import upper_bound_by_k
from tests.helpers import clustered_features

FACES = FaceSet("faces", *clustered_features(9, 5, 16, spread=1.5))


def test_the_bounds_are_those_of_one_search():
    found = collection_bounds(FACES, (20, 5))
    graph = find_neighbors(FACES.features, 20)
    assert found.bounds == tuple(upper_bound_by_k(graph, FACES.labels, (5, 20)))
    assert (found.n_faces, found.n_people, found.search) == (45, 9, "exact")


def test_by_default_k_stops_below_the_number_of_faces():
    assert [bound.k for bound in collection_bounds(FACES).bounds] == [5, 10, 20, 40]


def test_a_k_as_large_as_the_collection_is_refused():
    with pytest.raises(InputError, match="45"):
        collection_bounds(FACES, (45,))


def test_the_table_has_a_row_for_each_collection_and_k():
    few = FaceSet("few", *clustered_features(2, 3, 16))
    table = bounds_table([collection_bounds(FACES), collection_bounds(few)])
    assert [row[:2] for row in table.rows] == [
        *(("faces", k) for k in ("5", "10", "20", "40")),
        ("few", "5"),
    ]
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_the_record_is_ready_for_json():
    stored = json.loads(json.dumps(collection_bounds(FACES, (5,)).as_dict()))
    assert stored["collection"] == "faces"
    assert stored["bounds"][0]["scores"]["bcubed"]["precision"] == 1
