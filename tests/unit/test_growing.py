from dataclasses import replace

import numpy as np
import pytest

from facelink.clustering import LinkageClustering
from facelink.context.impostors import ImpostorStatistics
from facelink.context_prediction import predict_context_likelihoods
from facelink.errors import InputError
from facelink.growing import find_and_judge, grow_judged
from facelink.metrics import bcubed_scores
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.growing import extend_graph
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features

# The features of one pair are computed in another batch, with other blocks of its products.
FLOAT32_ROUNDING = 1e-5

FEATURES, LABELS = clustered_features(n_people=30, faces_each=8, n_features=32, spread=0.45)


@pytest.fixture(scope="module")
def model():
    return ContextGCN.pretrained()


class TestTheGraph:
    @pytest.mark.parametrize("n_old", [2, 60, 239, 240])
    @pytest.mark.parametrize("k", [1, 20])
    def test_it_is_the_graph_of_all_faces(self, n_old, k):
        old = find_neighbors(FEATURES[:n_old], min(k, n_old - 1), "exact")
        grown = extend_graph(old, FEATURES, k)
        anew = find_neighbors(FEATURES, k, "exact")
        np.testing.assert_array_equal(grown.graph.indices, anew.indices)
        np.testing.assert_array_equal(grown.graph.similarities, anew.similarities)

    def test_duplicates_are_ordered_by_id(self):
        twice = np.concatenate([FEATURES[:50], FEATURES[:50]])
        grown = extend_graph(find_neighbors(twice[:50], 10, "exact"), twice, 10)
        anew = find_neighbors(twice, 10, "exact")
        np.testing.assert_array_equal(grown.graph.indices, anew.indices)

    def test_lists_that_hold_a_new_face_are_marked_and_no_others(self):
        grown = extend_graph(find_neighbors(FEATURES[:200], 10, "exact"), FEATURES[:204], 10)
        holds_new = (grown.graph.indices >= 200).any(axis=1)
        np.testing.assert_array_equal(grown.is_changed[:200], holds_new[:200])
        assert grown.is_changed[200:].all()
        assert not grown.is_changed.all()

    def test_a_graph_does_not_shrink(self):
        graph = find_neighbors(FEATURES[:50], 10, "exact")
        with pytest.raises(InputError, match="50 instances and 10 neighbours cannot be extended"):
            extend_graph(graph, FEATURES[:40], 10)
        with pytest.raises(InputError, match="to 240 and 5"):
            extend_graph(graph, FEATURES, 5)


class TestLinks:
    def test_only_what_new_faces_touch_is_judged(self, model):
        before = find_and_judge(model, FEATURES[:236])
        after = grow_judged(before, model, FEATURES)
        untouched = np.flatnonzero(~after.is_fresh)
        assert len(untouched) > 0
        np.testing.assert_array_equal(after.likelihoods[untouched], before.likelihoods[untouched])
        fresh = predict_context_likelihoods(
            model,
            FEATURES,
            after.graph,
            after.graph.n_neighbors,
            pivots=np.flatnonzero(after.is_fresh),
            impostors=ImpostorStatistics.of(FEATURES[:236]),
        )
        np.testing.assert_allclose(after.likelihoods[after.is_fresh], fresh, atol=FLOAT32_ROUNDING)

    @pytest.mark.parametrize("n_old", [150, 20])
    def test_all_are_judged_again_after_much_has_come(self, model, n_old):
        grown = grow_judged(find_and_judge(model, FEATURES[:n_old]), model, FEATURES)
        anew = find_and_judge(model, FEATURES)
        assert grown.is_fresh.all()
        assert grown.n_when_judged == len(FEATURES)
        np.testing.assert_allclose(grown.likelihoods, anew.likelihoods, atol=FLOAT32_ROUNDING)

    def test_without_new_faces_nobody_is_fresh(self, model):
        judged = find_and_judge(model, FEATURES[:50])
        same = grow_judged(judged, model, FEATURES[:50])
        assert same.graph is judged.graph
        assert not same.is_fresh.any()

    def test_parts_of_different_sizes_are_refused(self, model):
        judged = find_and_judge(model, FEATURES[:50])
        with pytest.raises(InputError, match="judge all links of one graph"):
            replace(judged, likelihoods=judged.likelihoods[1:])


class TestPartialFit:
    def test_earlier_labels_stay_and_new_faces_join_them(self):
        clustering = LinkageClustering().partial_fit(FEATURES[:180])
        for end in (200, 239, 240):
            before = clustering.labels_
            clustering.partial_fit(FEATURES[len(before) : end])
            np.testing.assert_array_equal(clustering.labels_[: len(before)], before)
        assert len(clustering.probabilities_) == len(clustering.runner_up_) == 240
        at_once = LinkageClustering().fit(FEATURES)
        score = bcubed_scores(LABELS, clustering.labels_).fscore
        assert score > bcubed_scores(LABELS, at_once.labels_).fscore - 0.02

    def test_predict_stores_nothing(self):
        clustering = LinkageClustering().fit(FEATURES[:200])
        before = clustering.labels_.copy()
        first = clustering.predict(FEATURES[200:])
        np.testing.assert_array_equal(clustering.predict(FEATURES[200:]), first)
        np.testing.assert_array_equal(clustering.labels_, before)
        added = clustering.partial_fit(FEATURES[200:]).labels_[200:]
        np.testing.assert_array_equal(first, np.where(added > before.max(), -1, added))

    def test_strangers_belong_to_nobody(self):
        clustering = LinkageClustering().fit(FEATURES)
        strangers, _ = clustered_features(n_people=3, faces_each=1, n_features=32, seed=5)
        assert clustering.predict(strangers).tolist() == [-1, -1, -1]

    def test_only_what_can_grow_has_it(self):
        assert hasattr(LinkageClustering(), "partial_fit")
        for other in (LinkageClustering("cosine"), LinkageClustering(threshold=0.5)):
            assert not hasattr(other, "partial_fit")
            assert not hasattr(other, "predict")

    def test_another_width_is_refused(self):
        clustering = LinkageClustering().fit(FEATURES[:50])
        with pytest.raises(ValueError, match="expecting 32 features"):
            clustering.partial_fit(FEATURES[50:60, :16])


class TestFacesThatAreGone:
    GONE = np.isin(np.arange(240), [3, 77, 78, 200])

    def test_the_lists_they_stood_in_are_searched_and_judged_anew(self, model):
        fewer = grow_judged(
            find_and_judge(model, FEATURES).without(self.GONE), model, FEATURES[~self.GONE]
        )
        anew = find_neighbors(FEATURES[~self.GONE], fewer.graph.n_neighbors, "exact")
        np.testing.assert_array_equal(fewer.graph.indices, anew.indices)
        np.testing.assert_array_equal(fewer.graph.similarities, anew.similarities)
        everyone = predict_context_likelihoods(
            model,
            FEATURES[~self.GONE],
            anew,
            anew.n_neighbors,
            impostors=ImpostorStatistics.of(FEATURES),
        )
        np.testing.assert_allclose(
            fewer.likelihoods[fewer.is_fresh],
            everyone[fewer.is_fresh],
            atol=FLOAT32_ROUNDING,
        )

    def test_lists_they_did_not_stand_in_keep_what_was_judged(self, model):
        before = find_and_judge(model, FEATURES)
        fewer = grow_judged(before.without(self.GONE), model, FEATURES[~self.GONE])
        stood_in = self.GONE[before.graph.indices].any(axis=1)
        np.testing.assert_array_equal(fewer.is_fresh, stood_in[~self.GONE])
        kept = ~self.GONE & ~stood_in
        assert kept.any()
        np.testing.assert_array_equal(fewer.likelihoods[~fewer.is_fresh], before.likelihoods[kept])

    def test_others_that_come_meanwhile_enter_lists_as_always(self, model):
        kept = find_and_judge(model, FEATURES[:230]).without(self.GONE[:230])
        fewer = grow_judged(kept, model, FEATURES[~self.GONE])
        anew = find_neighbors(FEATURES[~self.GONE], fewer.graph.n_neighbors, "exact")
        np.testing.assert_array_equal(fewer.graph.indices, anew.indices)

    def test_few_that_are_left_have_fewer_neighbours(self, model):
        left = np.arange(240) < 40
        fewer = grow_judged(find_and_judge(model, FEATURES).without(~left), model, FEATURES[left])
        anew = find_and_judge(model, FEATURES[left])
        np.testing.assert_array_equal(fewer.graph.indices, anew.graph.indices)
        np.testing.assert_array_equal(fewer.likelihoods, anew.likelihoods)
