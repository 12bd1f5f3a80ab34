import numba
import numpy as np
import pytest

from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays
from facelink.neighbors import prepared as prepared_module
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features, unit_rows

FEATURES, _ = clustered_features(40, 15, 24, spread=1.0)
EVERYONE = np.arange(len(FEATURES))
K = 8


@pytest.fixture(scope="module", params=[("exact", 0.98), ("ivf", 0.5), ("ivf", 0.98)], ids=str)
def prepared(request):
    method, recall = request.param
    return PreparedSearch.prepare(FEATURES, K, method, recall_target=recall)


class TestRecall:
    """Of embeddings that have a mean in common, as some models make them."""

    def search(self, mean):
        features, _ = clustered_features(300, 20, 64, spread=1.0)
        common = unit_rows(np.random.default_rng(9).normal(size=(1, 64)))
        uncentred = unit_rows(mean * common + np.sqrt(1 - mean**2) * features)
        return PreparedSearch.prepare(uncentred.astype(np.float32), 20, "ivf", recall_target=0.95)

    def test_what_was_asked_for_is_found(self):
        assert 0.95 <= self.search(0.91).recall < 0.96

    def test_it_looks_farther_where_rounded_similarities_miss_neighbours(self, monkeypatch):
        farther = self.search(0.99)
        monkeypatch.setattr(prepared_module, "_MOST_AIMS", 1)
        assert self.search(0.99).recall < farther.recall - 0.005 < 0.95


class TestRows:
    def test_blocks_in_any_order_give_the_rows_of_the_graph(self, prepared):
        indices, similarities = prepared.rows(EVERYONE)
        shuffled = np.random.default_rng(0).permutation(EVERYONE)
        for block in np.array_split(shuffled, [1, 3, 200]):
            found = prepared.rows(block)
            np.testing.assert_array_equal(found[0], indices[block])
            np.testing.assert_array_equal(found[1], similarities[block])

    def test_it_is_what_find_neighbors_gives(self):
        prepared = PreparedSearch.prepare(FEATURES, K, "ivf", recall_target=0.9)
        graph = find_neighbors(FEATURES, K, "ivf", recall_target=0.9)
        np.testing.assert_array_equal(prepared.rows(EVERYONE)[0], graph.indices)
        assert (prepared.method, prepared.recall) == (graph.method, graph.recall)

    def test_preparing_on_one_thread_gives_the_same_cells(self):
        in_two = PreparedSearch.prepare(FEATURES, K, "ivf")
        before = numba.get_num_threads()
        numba.set_num_threads(1)
        in_one = PreparedSearch.prepare(FEATURES, K, "ivf")
        numba.set_num_threads(before)
        of_one, of_two = in_one.cells.index, in_two.cells.index
        np.testing.assert_array_equal(of_one.cells.centers, of_two.cells.centers)
        np.testing.assert_array_equal(of_one.parts.centers, of_two.parts.centers)
        assert (in_one.cells.n_first, in_one.cells.reach) == (
            in_two.cells.n_first,
            in_two.cells.reach,
        )


class TestFile:
    def test_a_loaded_search_finds_the_same(self, prepared, tmp_path):
        prepared.save(tmp_path / "search.safetensors")
        loaded = PreparedSearch.load(tmp_path / "search.safetensors", FEATURES)
        assert (loaded.method, loaded.recall) == (prepared.method, prepared.recall)
        for found, expected in zip(loaded.rows(EVERYONE), prepared.rows(EVERYONE), strict=True):
            np.testing.assert_array_equal(found, expected)

    def test_hnsw_is_not_kept(self, tmp_path):
        with pytest.raises(InputError, match=r"'hnsw' cannot be kept.*choose 'ivf' or 'exact'"):
            PreparedSearch.prepare(FEATURES, K, "hnsw").save(tmp_path / "search.safetensors")

    @pytest.mark.parametrize(
        ("array", "metadata", "message"),
        [
            ({}, {"format": "facelink.links"}, "not written by this version"),
            ({}, {"version": 1}, "not written by this version"),
            ({}, {"n_instances": 5}, "prepared for 5 instances, but there are 600"),
            ({}, {"n_neighbors": 600}, "method 'ivf' for k=600"),
            ({}, {"method": "hnsw"}, "method 'hnsw' for k=8"),
            ({}, {"n_first": 10**6}, r"do not suit features \(600, 24\)"),
            ({}, {"reach_of_cells": "far"}, "do not suit features"),
            ({}, {"reach_of_parts": 3}, "do not suit features"),
            ({}, {"reach_of_parts": float("nan")}, "do not suit features"),
            ({}, {"reach_of_cells": 1e300}, "do not suit features"),
            ({"centers": np.full((15, 24), np.nan, np.float32)}, {}, "do not suit features"),
            ({"part_centers": np.full((15, 24), 3e38, np.float32)}, {}, "do not suit features"),
            ({"scales": np.full(600, -np.inf, np.float32)}, {}, "do not suit features"),
            ({"codes": np.full((600, 24), 64, np.int8)}, {}, "do not suit features"),
            ({"part_starts": np.array([0, 600])}, {}, "do not suit features"),
            ({"firsts": np.arange(1, 17)}, {}, "do not suit features"),
            ({"cohesion": np.zeros(15)}, {}, "do not suit features"),
            ({"members": np.zeros(600, np.int32)}, {}, "do not hold each instance once"),
            ({"members": np.full(600, -7, np.int32)}, {}, "do not hold each instance once"),
            ({"members": np.arange(600, dtype=np.int32) - 1}, {}, "do not hold each instance once"),
            ({"members": np.arange(-7, 593, dtype=np.int32)}, {}, "do not hold each instance once"),
            ({"members": np.full(600, 2**31 - 1, np.int32)}, {}, "do not hold each instance once"),
            ({"part_starts": np.array([0, 600, 7] + 13 * [600])}, {}, "do not suit features"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, tmp_path, array, metadata, message):
        path = tmp_path / "search.safetensors"
        PreparedSearch.prepare(FEATURES, K, "ivf").save(path)
        arrays, stored = load_arrays(path, "search")
        save_arrays(path, arrays | array, stored | metadata)
        with pytest.raises(InputError, match=message):
            PreparedSearch.load(path, FEATURES)
