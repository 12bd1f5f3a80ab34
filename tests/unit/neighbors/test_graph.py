import numpy as np
import pytest
from scipy import sparse
from sklearn.neighbors import KNeighborsTransformer

from facelink.errors import InputError
from facelink.neighbors import graph as graph_module
from facelink.neighbors.graph import MISSING, NeighborGraph
from tests.helpers import clustered_features, random_graph
from tests.reference.neighbors import nearest_neighbors

INF = np.inf

COSINE_TOLERANCE = 1e-6
"""float32 cosines of unit vectors, by float32 products here and float64 sums in the reference."""


def make(indices, similarities, dtype=np.int32):
    return NeighborGraph(np.array(indices, dtype), np.array(similarities, np.float32))


class TestRules:
    def test_a_graph_that_keeps_them_is_accepted(self):
        graph = make([[1, 2], [0, 2], [0, MISSING]], [[1.0, 0.5], [1.0, -1.0], [0.5, -INF]])
        assert (graph.n_instances, graph.n_neighbors) == (3, 2)
        assert (graph.method, graph.recall) == ("precomputed", None)

    def test_what_is_known_to_keep_them_is_not_read(self):
        unread = np.full((2, 1), 7, np.int32), np.full((2, 1), 7, np.float32)
        graph = NeighborGraph.of_checked(*unread, "ivf", 0.98)
        assert graph.indices is unread[0]
        assert (graph.n_instances, graph.method, graph.recall) == (2, "ivf", 0.98)

    def test_an_empty_graph_is_accepted(self):
        assert (
            NeighborGraph(np.empty((0, 3), np.int32), np.empty((0, 3), np.float32)).n_neighbors == 3
        )

    @pytest.mark.parametrize(
        ("indices", "similarities", "message"),
        [
            ([[1], [0]], [[0.5, 0.5], [0.5, 0.5]], r"one shape .*\(2, 1\) and \(2, 2\)"),
            ([1, 0], [0.5, 0.5], r"one shape \(N, K\)"),
            ([[2], [0]], [[0.5], [0.5]], "names instance 2, but ids run from 0 to 1"),
            ([[-2], [0]], [[0.5], [0.5]], "names instance -2"),
            ([[0], [0]], [[0.5], [0.5]], "its own neighbour; NeighborGraph.from_candidates"),
            ([[1], [0]], [[np.nan], [0.5]], "similarities must be numbers"),
            ([[MISSING], [0]], [[0.5], [0.5]], "−inf exactly where"),
            ([[1], [0]], [[-INF], [0.5]], "−inf exactly where"),
            ([[1], [0]], [[1.5], [0.5]], r"cosine similarities in \[−1, 1\]"),
            ([[1], [0]], [[0.5], [INF]], r"cosine similarities in \[−1, 1\]"),
            ([[1, 2], [0, 2], [0, 1]], [[0.1, 0.2]] * 3, "nearest neighbour first"),
            ([[MISSING, 1], [0, 2], [0, 1]], [[-INF, 0.5]] + [[0.5, 0.5]] * 2, "nearest neighbour"),
            ([[2, 1], [0, 2], [0, 1]], [[0.5, 0.5]] * 3, "equally near ones by id"),
            ([[1, 1], [0, 2], [0, 1]], [[0.5, 0.4]] * 3, "must not list a neighbour twice"),
        ],
    )
    def test_a_graph_that_breaks_one_is_refused(self, indices, similarities, message):
        with pytest.raises(InputError, match=message):
            make(indices, similarities)

    def test_other_dtypes_are_refused(self):
        with pytest.raises(InputError, match=r"got int64 and float32; .*converts"):
            make([[1], [0]], [[0.5], [0.5]], np.int64)


class TestFromCandidates:
    @pytest.mark.parametrize("own_column", [0, 1, 2, None])
    def test_the_instance_itself_is_removed_by_id_wherever_it_stands(self, own_column):
        ids = np.array([[1, 2], [2, 0], [1, 0]])
        values = np.array([[0.9, 0.8], [0.7, 0.6], [0.5, 0.4]])
        expected = make(ids, values)
        if own_column is not None:
            ids = np.insert(ids, own_column, np.arange(3), axis=1)
            values = np.insert(values, own_column, 1.0, axis=1)
        graph = NeighborGraph.from_candidates(ids, values)
        np.testing.assert_array_equal(graph.indices, expected.indices)
        np.testing.assert_array_equal(graph.similarities, expected.similarities)

    def test_an_exact_duplicate_before_the_instance_itself_stays_its_neighbour(self):
        graph = NeighborGraph.from_candidates([[1, 0], [1, 0]], [[1.0, 1.0], [1.0, 1.0]])
        assert graph.indices.tolist() == [[1], [0]]

    def test_candidates_are_sorted_and_ties_broken_by_id(self):
        ids = [[3, 2, 1], [3, 2, 0], [0, 1, 3], [0, 1, 2]]
        graph = NeighborGraph.from_candidates(ids, [[0.5, 0.5, 0.5]] + [[0.1, 0.3, 0.2]] * 3)
        assert graph.indices.tolist() == [[1, 2, 3], [2, 0, 3], [1, 3, 0], [1, 2, 0]]

    def test_a_repeated_id_is_kept_once_at_its_nearest(self):
        ids = [[1, 2, 1, 1], [0, 0, 2, MISSING], [0, 1, 0, 1]]
        values = [[0.2, 0.5, 0.9, 0.1], [0.4, 0.6, 0.3, 0.0], [0.1, 0.1, 0.1, 0.2]]
        graph = NeighborGraph.from_candidates(ids, values)
        assert graph.indices.tolist() == [[1, 2], [0, 2], [1, 0]]
        np.testing.assert_array_equal(
            graph.similarities, np.array([[0.9, 0.5], [0.6, 0.3], [0.2, 0.1]], np.float32)
        )

    def test_missing_candidates_go_last_whatever_their_value(self):
        graph = NeighborGraph.from_candidates(
            [[MISSING, 1, 2], [0, MISSING, MISSING], [MISSING] * 3],
            [[np.nan, 0.5, 0.7], [0.5, 9.0, -INF], [0.0, 0.0, 0.0]],
        )
        assert graph.indices.tolist() == [[2, 1], [0, MISSING], [MISSING, MISSING]]
        assert np.isneginf(graph.similarities[graph.indices == MISSING]).all()

    def test_cosines_that_rounding_put_outside_are_clipped_and_tie(self):
        graph = NeighborGraph.from_candidates(
            [[2, 1], [2, 0], [1, 0]], [[1.000002, 1.000001], [0.5, -1.000001], [0.5, 0.4]]
        )
        assert graph.indices[0].tolist() == [1, 2]
        assert (graph.similarities.max(), graph.similarities.min()) == (1, -1)

    @pytest.mark.parametrize(("n_neighbors", "width"), [(None, 3), (2, 2), (9, 3)])
    def test_the_width_is_what_is_asked_for_or_there(self, n_neighbors, width):
        source = random_graph(8, 3)
        graph = NeighborGraph.from_candidates(source.indices, source.similarities, n_neighbors)
        np.testing.assert_array_equal(graph.indices, source.indices[:, :width])

    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, np.uint32, np.int64])
    def test_ids_of_any_number_type_are_read(self, dtype):
        ids = np.array([[1, 2], [0, 2], [0, 1]], dtype=dtype)
        assert NeighborGraph.from_candidates(ids, [[0.5, 0.4]] * 3).indices.tolist() == ids.tolist()

    @pytest.mark.slow
    def test_float64_ids_beyond_float32_stay_exact(self):
        n = 2**24 + 4
        ids = (np.arange(n)[:, None] ^ 1).astype(np.float64)
        graph = NeighborGraph.from_candidates(ids, np.full((n, 1), 0.5, np.float32))
        assert graph.indices[-4:, 0].tolist() == [n - 3, n - 4, n - 1, n - 2]

    @pytest.mark.parametrize(
        ("ids", "similarities", "message"),
        [
            ([[1, 0]], [[0.5]], r"one shape \(N, C\)"),
            ([[1.5], [0]], [[0.5], [0.5]], "whole numbers, got float64 with other values"),
            ([[np.nan], [0]], [[0.5], [0.5]], "whole numbers"),
            ([["1"], ["0"]], [[0.5], [0.5]], "whole numbers, got <U1"),
            ([[2], [0]], [[0.5], [0.5]], "names instance 2, but ids run from 0 to 1"),
            ([[1], [-2]], [[0.5], [0.5]], "names instance -2"),
            ([[2**33], [0]], [[0.5], [0.5]], "names instance 8589934592"),
            ([[1], [0]], [[np.nan], [0.5]], "similarities run from nan to nan"),
            ([[1], [0]], [[1.5], [0.5]], "from 0.5 to 1.5, but cosines .*normalise"),
            ([[1], [0]], [[-INF], [0.5]], "from -inf to 0.5"),
        ],
    )
    def test_candidates_that_cannot_be_neighbours_are_refused(self, ids, similarities, message):
        with pytest.raises(InputError, match=message):
            NeighborGraph.from_candidates(ids, similarities)

    def test_a_width_below_one_is_refused(self):
        with pytest.raises(InputError, match="n_neighbors=0; choose at least 1"):
            NeighborGraph.from_candidates([[1], [0]], [[0.5], [0.5]], 0)

    def test_a_sparse_graph_with_one_very_long_row_is_refused(self, monkeypatch):
        monkeypatch.setattr(graph_module, "_MAX_PADDING", 2)
        monkeypatch.setattr(graph_module, "_ALWAYS_PADDED", 5)
        with pytest.raises(InputError, match="row 1 of the sparse graph lists 2 neighbours"):
            NeighborGraph.from_csr(sparse.csr_matrix(([0.1, 0.2], ([1, 1], [0, 2])), shape=(3, 3)))

    def test_more_rows_than_are_sorted_at_a_time(self, monkeypatch):
        source = random_graph(30, 5, missing_share=0.2)
        monkeypatch.setattr(graph_module, "_ROW_BLOCK", 7)
        made = NeighborGraph.from_candidates(source.indices[:, ::-1], source.similarities[:, ::-1])
        np.testing.assert_array_equal(made.indices, source.indices)

    def test_a_float_type_too_short_for_the_ids_is_refused(self):
        ids = np.zeros((2049, 1), dtype=np.float16)
        with pytest.raises(InputError, match="float16, which is exact up to 2048 only"):
            NeighborGraph.from_candidates(ids, np.zeros((2049, 1)))


class TestFromCSR:
    def test_distances_written_by_scikit_learn(self):
        features, _ = clustered_features(5, 6, 8)
        matrix = KNeighborsTransformer(n_neighbors=6, metric="cosine").fit_transform(features)
        graph = NeighborGraph.from_csr(matrix)
        ids, values = nearest_neighbors(features, 6)
        np.testing.assert_array_equal(graph.indices, ids)
        np.testing.assert_allclose(graph.similarities, values, atol=COSINE_TOLERANCE)

    def test_similarities_of_rows_of_unlike_length(self):
        matrix = sparse.csr_array(
            (np.array([0.5, 0.9, 0.5]), np.array([1, 2, 0]), np.array([0, 2, 3, 3])), shape=(3, 3)
        )
        graph = NeighborGraph.from_csr(matrix, values="similarity")
        assert graph.indices.tolist() == [[2, 1], [0, MISSING], [MISSING, MISSING]]

    def test_a_distance_of_zero_is_a_duplicate_and_not_a_missing_entry(self):
        matrix = sparse.csr_matrix(
            (np.array([0.0, 0.0]), np.array([1, 0]), np.array([0, 1, 2])), shape=(2, 2)
        )
        assert NeighborGraph.from_csr(matrix).similarities.tolist() == [[1], [1]]

    @pytest.mark.parametrize(
        ("matrix", "values", "message"),
        [
            (sparse.csr_matrix((2, 3)), "distance", r"must be square, got \(2, 3\)"),
            (sparse.csr_matrix((2, 2)), "cosine", "values='cosine'; choose 'distance' or"),
        ],
    )
    def test_other_matrices_are_refused(self, matrix, values, message):
        with pytest.raises(InputError, match=message):
            NeighborGraph.from_csr(matrix, values=values)


class TestRequire:
    def test_a_graph_as_wide_as_needed_is_enough(self):
        random_graph(12, 8).require((8, 8), 8)

    @pytest.mark.parametrize(
        ("k_at_hop", "n_edge_neighbors", "message"),
        [
            (
                (200, 10),
                5,
                r"k_at_hop\[0\]=200 but the graph stores K=8 neighbours for each of 12 instances; "
                r"rebuild it with at least 200 neighbours \(facelink neighbors --k 200\) or lower "
                r"k_at_hop\[0\]",
            ),
            ((8, 9), 5, r"k_at_hop\[1\]=9"),
            ((8, 8), 9, "n_edge_neighbors=9"),
        ],
    )
    def test_a_narrower_one_says_what_to_do(self, k_at_hop, n_edge_neighbors, message):
        with pytest.raises(InputError, match=message):
            random_graph(12, 8).require(k_at_hop, n_edge_neighbors)
