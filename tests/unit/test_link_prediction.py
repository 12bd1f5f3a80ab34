import numba
import numpy as np
import pytest
import torch

from facelink import judging
from facelink.errors import InputError
from facelink.link_prediction import (
    combine_directions,
    combine_rows,
    link_offsets,
    predict_likelihoods,
    predict_links,
    similarity_links,
)
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.graph import MISSING
from facelink.subgraphs import SubgraphSettings
from tests.helpers import (
    AGGREGATORS,
    clustered_features,
    dense_logits,
    graph_from_lists,
    random_graph,
    random_model,
)

LIKELIHOOD_TOLERANCE = 1e-5
"""Softmax of float32 logits that are exact to about 1e-5, against float64."""

N = 40
D = 16
SETTINGS = SubgraphSettings((6, 4), 3)
FEATURES, _ = clustered_features(8, 5, D)
GRAPH = random_graph(N, 8, missing_share=0.3, n_hubs=2)


@pytest.fixture
def model():
    return random_model("mean", D, SETTINGS)


class TestLikelihoods:
    @pytest.mark.parametrize("aggregator", AGGREGATORS)
    def test_they_are_the_reference_networks_in_the_order_of_the_graph(self, aggregator):
        model = random_model(aggregator, D, SETTINGS)
        judged = predict_likelihoods(model, FEATURES, GRAPH)
        expected = torch.softmax(dense_logits(model, FEATURES, GRAPH, SETTINGS, range(N)), dim=1)
        assert (judged.shape, judged.dtype) == ((N, 6), np.float32)
        np.testing.assert_allclose(
            judged[GRAPH.indices[:, :6] != MISSING], expected[:, 1], atol=LIKELIHOOD_TOLERANCE
        )

    def test_they_are_nan_where_the_neighbour_is_missing(self, model):
        judged = predict_likelihoods(model, FEATURES, GRAPH)
        np.testing.assert_array_equal(np.isnan(judged), GRAPH.indices[:, :6] == MISSING)
        assert np.isnan(judged).any()

    def test_the_size_of_the_batches_does_not_matter(self, model, monkeypatch):
        whole = predict_likelihoods(model, FEATURES, GRAPH)
        monkeypatch.setattr(judging, "_NODES_PER_CPU_BATCH", 3 * SETTINGS.max_nodes)
        in_parts = predict_likelihoods(model, FEATURES, GRAPH)
        np.testing.assert_allclose(in_parts, whole, rtol=0, atol=LIKELIHOOD_TOLERANCE)

    def test_some_pivots_get_what_they_get_among_all(self, model):
        pivots = np.array([7, 0, 39, 7])
        np.testing.assert_allclose(
            predict_likelihoods(model, FEATURES, GRAPH, pivots=pivots),
            predict_likelihoods(model, FEATURES, GRAPH)[pivots],
            rtol=0,
            atol=LIKELIHOOD_TOLERANCE,
        )

    def test_no_pivots(self, model):
        assert predict_likelihoods(model, FEATURES, GRAPH, pivots=np.array([])).shape == (0, 6)

    def test_settings_that_are_given_replace_the_models(self, model):
        settings = SubgraphSettings((3, 8), 2, include_pivot=True)
        judged = predict_likelihoods(model, FEATURES, GRAPH, settings)
        expected = torch.softmax(dense_logits(model, FEATURES, GRAPH, settings, range(N)), dim=1)
        np.testing.assert_allclose(
            judged[GRAPH.indices[:, :3] != MISSING], expected[:, 1], atol=LIKELIHOOD_TOLERANCE
        )

    def test_a_repeated_call_gives_the_same_with_any_number_of_threads(
        self, model, two_numba_threads
    ):
        first = predict_likelihoods(model, FEATURES, GRAPH)
        np.testing.assert_array_equal(predict_likelihoods(model, FEATURES, GRAPH), first)
        numba.set_num_threads(1)
        np.testing.assert_array_equal(predict_likelihoods(model, FEATURES, GRAPH), first)

    def test_features_may_be_mapped_from_a_file(self, model, tmp_path):
        np.save(tmp_path / "features.npy", FEATURES)
        mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
        np.testing.assert_array_equal(
            predict_likelihoods(model, mapped, GRAPH), predict_likelihoods(model, FEATURES, GRAPH)
        )

    def test_progress_adds_up_to_all_pivots(self, model, monkeypatch):
        monkeypatch.setattr(judging, "_NODES_PER_CPU_BATCH", 7 * SETTINGS.max_nodes)
        done = []
        predict_likelihoods(model, FEATURES, GRAPH, progress=done.append)
        assert done == [7, 7, 7, 7, 7, 5]


class TestMode:
    @pytest.mark.parametrize("is_training", [True, False])
    def test_a_model_is_judged_in_eval_mode_and_left_in_its_own(self, model, is_training):
        expected = predict_likelihoods(model, FEATURES, GRAPH)
        model.train(is_training)
        before = model.input_norm.running_mean.clone()
        np.testing.assert_array_equal(predict_likelihoods(model, FEATURES, GRAPH), expected)
        assert model.training is is_training
        assert torch.equal(model.input_norm.running_mean, before)

    def test_it_is_left_so_even_if_judging_fails(self, model):
        def stop(_):
            raise KeyboardInterrupt("stopped")

        model.train()
        with pytest.raises(KeyboardInterrupt, match="stopped"):
            predict_likelihoods(model, FEATURES, GRAPH, progress=stop)
        assert model.training


class TestRefusal:
    @pytest.mark.parametrize(
        ("features", "graph", "options", "message"),
        [
            (FEATURES[:, :-1], GRAPH, {}, r"reads features of width 16, got shape \(40, 15\)"),
            (FEATURES[:-1], GRAPH, {}, "39 features but a neighbour graph of 40 instances"),
            (FEATURES, random_graph(N, 5), {}, r"k_at_hop\[0\]=6 but the graph stores K=5"),
            (FEATURES, GRAPH, {"pivots": np.array([40])}, "pivot 40 is not an instance"),
        ],
    )
    def test_inputs_that_do_not_fit(self, model, features, graph, options, message):
        with pytest.raises(InputError, match=message):
            predict_likelihoods(model, features, graph, **options)

    def test_an_unknown_combination_is_refused_before_the_work(self, model, monkeypatch):
        monkeypatch.setattr(LinkGCN, "forward", lambda *_: pytest.fail("the work has begun"))
        with pytest.raises(InputError, match="combine='sum'; choose one of mean, max, min"):
            predict_links(model, FEATURES, GRAPH, combine="sum")

    @pytest.mark.parametrize("shape", [(N - 1, 6), (N, 9)])
    def test_likelihoods_of_another_graph(self, shape):
        with pytest.raises(InputError, match=rf"shape \({shape[0]}, {shape[1]}\) do not fit"):
            combine_directions(GRAPH, np.zeros(shape, dtype=np.float32))
        offsets = link_offsets(GRAPH.indices)
        with pytest.raises(InputError, match=rf"shape \({shape[0]}, {shape[1]}\) do not fit"):
            combine_rows(GRAPH, np.zeros(shape, dtype=np.float32), offsets, 0, 1)


class TestCombination:
    """Instances 0 and 1 list each other; 2 lists 0, and 3 lists 2, from one side only."""

    GRAPH = graph_from_lists([[1], [0], [0], [2]])
    JUDGED = np.array([[0.25], [1.0], [0.125], [0.5]], dtype=np.float32)

    @pytest.mark.parametrize(("combine", "both"), [("mean", 0.625), ("max", 1.0), ("min", 0.25)])
    def test_two_directions_become_one_and_a_lone_one_is_kept_and_marked(self, combine, both):
        links = combine_directions(self.GRAPH, self.JUDGED, combine)
        assert links.pairs.tolist() == [[0, 1], [0, 2], [2, 3]]
        assert links.likelihoods.tolist() == [both, 0.125, 0.5]
        assert links.one_sided.tolist() == [False, True, True]
        assert links.n_instances == 4

    def test_the_mean_is_the_default(self):
        assert combine_directions(self.GRAPH, self.JUDGED).likelihoods[0] == 0.625

    def test_a_neighbour_beyond_k1_does_not_count_as_listing(self):
        graph = graph_from_lists([[1, 2], [2, 0], [1, 0]])
        links = combine_directions(graph, np.full((3, 1), 0.5, dtype=np.float32))
        assert links.pairs.tolist() == [[0, 1], [1, 2]]
        assert links.one_sided.tolist() == [True, False]

    def test_missing_neighbours_make_no_links(self):
        graph = graph_from_lists([[1, 2], [], [0]])
        judged = np.array([[0.5, 0.75], [np.nan, np.nan], [0.25, np.nan]], dtype=np.float32)
        links = combine_directions(graph, judged)
        assert links.pairs.tolist() == [[0, 1], [0, 2]]
        assert links.likelihoods.tolist() == [0.5, 0.5]

    def test_nobody_with_neighbours_has_no_links(self):
        graph = graph_from_lists([[], []], width=2)
        assert len(combine_directions(graph, np.full((2, 2), np.nan, dtype=np.float32))) == 0

    def test_offsets_are_where_each_pivot_s_links_begin(self):
        assert link_offsets(self.GRAPH.indices).tolist() == [0, 1, 1, 2, 3]

    @pytest.mark.parametrize(
        ("start", "stop", "pairs"),
        [
            (0, 1, [[0, 1]]),
            (1, 3, [[0, 2], [0, 3]]),
            (2, 4, [[0, 3], [1, 4]]),
            (3, 5, [[1, 4], [3, 4]]),
        ],
    )
    def test_rows_may_begin_and_end_within_a_pivot_s_links(self, start, stop, pairs):
        """Pivot 0 has three links, 1 and 3 one each, and 2 none of its own."""
        graph = graph_from_lists([[1, 2, 3], [0, 4], [0], [4, 0], [1, 3]])
        judged = np.linspace(0, 1, 15, dtype=np.float32).reshape(5, 3)
        offsets = link_offsets(graph.indices)
        assert offsets.tolist() == [0, 3, 4, 4, 5, 5]
        rows = combine_rows(graph, judged, offsets, start, stop)
        assert rows.pairs.tolist() == pairs
        whole = combine_directions(graph, judged)
        np.testing.assert_array_equal(rows.likelihoods, whole.likelihoods[start:stop])

    def test_the_number_of_threads_does_not_matter(self, two_numba_threads):
        judged = np.random.default_rng(0).random((N, 8), dtype=np.float32)
        in_two = combine_directions(GRAPH, judged)
        numba.set_num_threads(1)
        in_one = combine_directions(GRAPH, judged)
        np.testing.assert_array_equal(in_two.pairs, in_one.pairs)
        np.testing.assert_array_equal(in_two.likelihoods, in_one.likelihoods)

    def test_predicted_links_are_the_combined_likelihoods(self, model):
        links = predict_links(model, FEATURES, GRAPH, combine="min")
        expected = combine_directions(GRAPH, predict_likelihoods(model, FEATURES, GRAPH), "min")
        np.testing.assert_array_equal(links.pairs, expected.pairs)
        np.testing.assert_array_equal(links.likelihoods, expected.likelihoods)
        assert links.one_sided.any()
        assert not links.one_sided.all()


class TestSimilarityLinks:
    def test_a_likelihood_is_the_cosine_moved_to_0_and_1(self):
        links = similarity_links(graph_from_lists([[1, 2], [0], [1]]), 2)
        assert links.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
        np.testing.assert_allclose(links.likelihoods, [0.95, 0.55, 0.95], atol=1e-6)
        assert links.one_sided.tolist() == [False, True, True]

    def test_a_graph_that_is_too_narrow_is_refused(self):
        with pytest.raises(InputError, match=r"k_at_hop\[0\]=9 but the graph stores K=8"):
            similarity_links(GRAPH, 9)
