import itertools

import faiss
import numba
import numpy as np
import pytest

from facelink.errors import InputError
from facelink.neighbors import exact, prepared, search
from facelink.neighbors.exact import RecallSample
from facelink.neighbors.graph import MISSING
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features, unit_rows
from tests.reference.neighbors import cosines, nearest_neighbors

COSINE_TOLERANCE = 1e-6
"""float32 products of unit vectors against correctly rounded float64 sums."""


def hypercube_corners():
    """The 32 corners of a cube as unit vectors of 16 entries: cosines are exact in float32."""
    corners = np.array(list(itertools.product((-1, 1), repeat=5)))
    return np.tile(corners, (1, 4))[:, :16].astype(np.float32) / 4


class TestExact:
    @pytest.mark.parametrize(("n_features", "k"), [(1, 3), (2, 7), (16, 1), (33, 20)])
    def test_it_agrees_with_all_pairs_one_by_one(self, n_features, k):
        features, _ = clustered_features(12, 5, n_features)
        graph = find_neighbors(features, k, "exact")
        _, values = nearest_neighbors(features, k)
        np.testing.assert_allclose(graph.similarities, values, atol=COSINE_TOLERANCE)
        named = np.take_along_axis(cosines(features), graph.indices, axis=1)
        np.testing.assert_allclose(named, values, atol=COSINE_TOLERANCE)

    @pytest.mark.parametrize("k", [1, 4, 12, 31])
    def test_ties_are_broken_by_id_even_where_they_run_past_k(self, k):
        features = hypercube_corners()
        ids, values = nearest_neighbors(features, k)
        graph = find_neighbors(features, k, "exact")
        np.testing.assert_array_equal(graph.indices, ids)
        np.testing.assert_array_equal(graph.similarities, values)

    def test_fifty_exact_duplicates_and_five_neighbours(self):
        """Far more equals than candidates; nobody is its own neighbour (trap 8)."""
        others, _ = clustered_features(20, 5, 16)
        features = np.concatenate((others[:30], np.repeat(others[:1], 50, axis=0), others[30:]))
        graph = find_neighbors(features, 5, "exact")
        duplicates = [0, *range(30, 80)]
        for instance in duplicates:
            expected = [other for other in duplicates if other != instance][:5]
            assert graph.indices[instance].tolist() == expected
            assert len(set(graph.similarities[instance])) == 1

    def test_near_duplicates_within_rounding_are_ordered_as_all_pairs_are(self):
        """Neighbours whose order faiss may see otherwise than the products that are returned."""
        random = np.random.default_rng(3)
        centre = unit_rows(random.normal(size=(1, 64)))
        features = unit_rows(centre + 1e-4 * random.normal(size=(60, 64)))
        wide, narrow = find_neighbors(features, 59, "exact"), find_neighbors(features, 4, "exact")
        np.testing.assert_array_equal(narrow.indices, wide.indices[:, :4])

    def test_identical_faces_list_the_lowest_ids(self):
        features = np.full((40, 4), 0.5, dtype=np.float32)
        graph = find_neighbors(features, 3, "exact")
        assert graph.indices[0].tolist() == [1, 2, 3]
        assert graph.indices[39].tolist() == [0, 1, 2]
        assert (graph.similarities == 1).all()

    def test_a_pair_is_equally_similar_from_both_sides(self):
        features, _ = clustered_features(5, 6, 24)
        graph = find_neighbors(features, 29, "exact")
        table = np.zeros((30, 30), dtype=np.float32)
        np.put_along_axis(table, graph.indices.astype(np.int64), graph.similarities, axis=1)
        np.testing.assert_array_equal(table, table.T)

    def test_similarities_do_not_leave_the_range_by_rounding(self):
        features = np.repeat(clustered_features(10, 1, 48)[0], 3, axis=0) * np.float32(1.0000005)
        assert find_neighbors(features, 29, "exact").similarities.max() == 1

    def test_every_other_instance_can_be_asked_for(self):
        features, _ = clustered_features(3, 4, 8)
        graph = find_neighbors(features, 11, "exact")
        for row, ids in enumerate(graph.indices):
            assert sorted(ids) == [i for i in range(12) if i != row]

    def test_more_instances_than_a_block_of_queries(self, monkeypatch):
        features, _ = clustered_features(10, 5, 8)
        whole = find_neighbors(features, 4, "exact")
        monkeypatch.setattr(exact, "_QUERY_BLOCK", 7)
        monkeypatch.setattr(exact, "_TIE_BLOCK", 3)
        in_blocks = find_neighbors(features, 4, "exact")
        np.testing.assert_array_equal(in_blocks.indices, whole.indices)
        np.testing.assert_array_equal(in_blocks.similarities, whole.similarities)

    def test_ties_are_looked_at_a_few_at_a_time_among_many(self, monkeypatch):
        features = np.repeat(clustered_features(2, 1, 8)[0], 30, axis=0)
        whole = find_neighbors(features, 4, "exact")
        products = []

        class Looking(np.ndarray):
            def __ge__(self, least):
                products.append(self.size)
                return np.asarray(self) >= np.asarray(least)

        monkeypatch.setattr(exact, "_TIE_PRODUCTS", 3 * len(features))
        found = exact.search_exactly(features.view(Looking), np.arange(len(features)), 4)
        np.testing.assert_array_equal(found[0], whole.indices)
        assert products == [3 * len(features)] * 20

    def test_it_reports_no_recall(self):
        graph = find_neighbors(clustered_features(3, 4, 8)[0], 3, "exact")
        assert (graph.method, graph.recall) == ("exact", None)


class TestApproximate:
    FEATURES, _ = clustered_features(60, 15, 24, spread=1.0)
    K = 10

    @pytest.mark.parametrize("method", ["ivf", "hnsw"])
    def test_the_reported_recall_is_the_share_of_true_neighbours(self, method):
        graph = find_neighbors(self.FEATURES, self.K, method, recall_target=0.01)
        true = find_neighbors(self.FEATURES, self.K, "exact")
        _, others, everyone = RecallSample.draw_to_choose_and_check(self.FEATURES, self.K, 0)
        checked = (others if method == "ivf" else everyone).instances
        pairs = zip(graph.indices[checked], true.indices[checked], strict=True)
        share = np.mean([np.isin(found, ids).mean() for found, ids in pairs])
        assert graph.method == method
        assert graph.recall == pytest.approx(share, abs=1e-12)

    def test_ivf_searches_as_many_cells_as_the_target_needs(self):
        low = find_neighbors(self.FEATURES, self.K, "ivf", recall_target=0.01)
        high = find_neighbors(self.FEATURES, self.K, "ivf", recall_target=0.95)
        full = find_neighbors(self.FEATURES, self.K, "ivf", recall_target=1.0)
        assert low.recall < 0.95 <= high.recall <= full.recall == 1

    def test_hnsw_walks_as_far_as_the_target_needs(self):
        features = unit_rows(np.random.default_rng(0).normal(size=(3_000, 64)).astype(np.float32))
        low = find_neighbors(features, self.K, "hnsw", recall_target=0.01)
        high = find_neighbors(features, self.K, "hnsw", recall_target=0.995)
        assert low.recall < 0.995 <= high.recall

    def test_hnsw_ends_where_walking_farther_finds_no_more(self, monkeypatch):
        features = unit_rows(np.random.default_rng(0).normal(size=(3_000, 64)).astype(np.float32))
        monkeypatch.setattr(prepared, "_LEAST_GAIN", 0.5)
        search = PreparedSearch.prepare(features, self.K, "hnsw", recall_target=1.0)
        assert search.walk.hnsw.efSearch == self.K + 1 + exact.N_SPARE_CANDIDATES
        sample = RecallSample.draw(features, self.K, 0, size=exact.TO_CHECK_BY)
        assert search.recall == sample.recall(search.rows(sample.instances)[1]) < 1

    def test_the_lowest_target_looks_into_cells_enough_for_all_neighbours(self):
        graph = find_neighbors(self.FEATURES[:100], 90, "ivf", recall_target=0.01)
        assert (graph.indices != MISSING).all()
        assert graph.recall == 1

    @pytest.mark.parametrize("method", ["ivf", "hnsw"])
    def test_duplicates_beyond_k_count_as_found(self, method):
        features = np.repeat(clustered_features(4, 1, 16)[0], 50, axis=0)
        graph = find_neighbors(features, 5, method)
        assert graph.recall == 1
        assert (graph.indices != np.arange(200)[:, None]).all()
        assert (graph.indices // 50 == np.arange(200)[:, None] // 50).all()

    @pytest.mark.parametrize("method", ["ivf", "hnsw"])
    def test_few_instances_are_enough(self, method):
        graph = find_neighbors(self.FEATURES[:3], 2, method)
        assert sorted(graph.indices[0]) == [1, 2]
        assert graph.recall == 1


class TestRecallSample:
    FEATURES, _ = clustered_features(30, 10, 16, spread=1.0)
    K = 6

    @pytest.mark.parametrize(
        ("n", "sizes"), [(2, [1, 1]), (3, [1, 2]), (7, [2, 5]), (300, [100, 200])]
    )
    def test_no_instance_chooses_and_checks(self, n, sizes):
        *samples, both = RecallSample.draw_to_choose_and_check(self.FEATURES[:n], 1, 0)
        drawn = np.concatenate([sample.instances for sample in samples])
        assert [len(sample.instances) for sample in samples] == sizes
        assert len(np.unique(drawn)) == sum(sizes)
        np.testing.assert_array_equal(drawn, both.instances)

    def test_of_many_a_thousand_choose_and_two_thousand_check(self):
        features, _ = clustered_features(400, 10, 4)
        samples = RecallSample.draw_to_choose_and_check(features, 1, 0)
        assert [len(sample.instances) for sample in samples] == [1_000, 2_000, 3_000]

    def test_what_is_found_for_sure_is_less_than_the_recall_by_its_standard_error(self):
        sample = RecallSample.draw(self.FEATURES, self.K, seed=0)
        found = sample.similarities.copy()
        assert sample.surely_found(found) == sample.recall(found) == 1
        found[: len(found) // 2, : self.K // 2] = -1  # half of the instances miss half: deviation ¼
        assert sample.recall(found) == 0.75
        assert sample.surely_found(found) == pytest.approx(0.75 - 0.25 / np.sqrt(len(found)))

    @pytest.mark.parametrize("method", ["ivf", "hnsw"])
    def test_others_than_those_that_chose_find_as_much_as_was_asked_for(self, method):
        features, _ = clustered_features(800, 12, 32, spread=1.4)
        search = PreparedSearch.prepare(features, 20, method, recall_target=0.9)
        true = find_neighbors(features, 20, "exact")
        looked_at = RecallSample.draw_to_choose_and_check(features, 20, 0)[2].instances
        others = np.setdiff1d(np.arange(len(features)), looked_at)
        assert len(others) == len(features) - 3_000
        found = search.rows(others)[1]
        assert (found >= true.similarities[others, -1:]).mean() >= 0.9


class TestAuto:
    def test_it_is_exact_up_to_the_limit_and_ivf_above(self, monkeypatch):
        features, _ = clustered_features(4, 5, 8)
        monkeypatch.setattr(prepared, "AUTO_EXACT_LIMIT", 20)
        assert find_neighbors(features, 3).method == "exact"
        monkeypatch.setattr(prepared, "AUTO_EXACT_LIMIT", 19)
        graph = find_neighbors(features, 3)
        assert graph.method == "ivf"
        assert graph.recall is not None

    def test_the_limit_covers_collections_of_a_size_that_all_pairs_are_fast_for(self):
        assert search.AUTO_EXACT_LIMIT == 100_000


class TestRepeatability:
    FEATURES, _ = clustered_features(40, 15, 24, spread=1.0)

    @pytest.mark.parametrize("method", ["exact", "ivf", "hnsw"])
    def test_the_same_seed_gives_the_same_graph(self, method, one_faiss_thread):
        first, second = (find_neighbors(self.FEATURES, 8, method, seed=7) for _ in range(2))
        np.testing.assert_array_equal(first.indices, second.indices)
        np.testing.assert_array_equal(first.similarities, second.similarities)
        assert first.recall == second.recall

    @pytest.mark.parametrize("method", ["exact", "ivf"])
    def test_the_number_of_threads_does_not_matter(self, method, two_numba_threads):
        in_two = find_neighbors(self.FEATURES, 8, method)
        numba.set_num_threads(1)
        in_one = find_neighbors(self.FEATURES, 8, method)
        np.testing.assert_array_equal(in_two.indices, in_one.indices)
        np.testing.assert_array_equal(in_two.similarities, in_one.similarities)

    @pytest.fixture
    def one_faiss_thread(self):
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        yield
        faiss.omp_set_num_threads(before)


@pytest.mark.parametrize(
    ("n_faces", "k", "options", "message"),
    [
        (5, 5, {}, "5 neighbours asked for, but each of 5 instances has 4 others; choose k from 1"),
        (5, 0, {}, "0 neighbours asked for"),
        (1, 1, {}, "n_samples=1: neighbours need at least 2 instances"),
        (0, 1, {}, "n_samples=0"),
        (5, 2, {"method": "lsh"}, "method='lsh'; choose one of auto, exact, ivf, hnsw"),
        (5, 2, {"recall_target": 0.0}, r"recall_target=0\.0; choose a share in \(0, 1\]"),
        (5, 2, {"recall_target": 1.5}, r"recall_target=1\.5"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(n_faces, k, options, message):
    features = clustered_features(5, 1, 8)[0][:n_faces]
    with pytest.raises(InputError, match=message):
        find_neighbors(features, k, **options)


def test_other_layouts_and_float_types_give_the_same_graph():
    features, _ = clustered_features(5, 4, 8)
    expected = find_neighbors(features, 3)
    for same in (np.asfortranarray(features), features.astype(np.float64), features[::1]):
        np.testing.assert_array_equal(find_neighbors(same, 3).indices, expected.indices)
