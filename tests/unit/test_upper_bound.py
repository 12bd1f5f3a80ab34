import json

import numpy as np
import pytest

from facelink.errors import InputError
from facelink.metrics import clustering_scores
from facelink.upper_bound import default_ks, upper_bound_by_k
from tests.helpers import graph_from_lists, neighbor_lists, random_graph
from tests.reference import merging as reference

# Faces 0–3 are one person and 4–5 another; 2 and 3 meet each other before they meet 0 and 1.
GRAPH = graph_from_lists([[1, 4, 2], [0, 5, 4], [3, 4, 0], [2, 5, 4], [5, 0, 1], [0, 4]])
LABELS = [0, 0, 0, 0, 1, 1]


class TestByHand:
    def test_clusters_are_connected_by_correct_pairs_only(self):
        nearest, second, third = upper_bound_by_k(GRAPH, LABELS, [1, 2, 3])
        assert [bound.k for bound in (nearest, second, third)] == [1, 2, 3]
        expected = clustering_scores(LABELS, [0, 0, 1, 1, 2, 2])
        assert nearest.scores == second.scores == expected
        assert third.scores == clustering_scores(LABELS, LABELS)

    def test_coverage_counts_each_pair_once(self):
        # Pairs of one person: 6 + 1. k = 1 sees 0–1 and 2–3 from both sides, 4–5 from one.
        coverage = [bound.pair_coverage for bound in upper_bound_by_k(GRAPH, LABELS, [1, 2, 3])]
        assert coverage == [3 / 7, 3 / 7, 4 / 7]

    def test_order_of_ks_is_kept(self):
        assert [bound.k for bound in upper_bound_by_k(GRAPH, LABELS, [3, 1])] == [3, 1]

    @pytest.mark.parametrize(
        ("n_instances", "ks"), [(2, (1,)), (6, (5,)), (41, (5, 10, 20, 40)), (40, (5, 10, 20))]
    )
    def test_by_default_as_many_as_there_are_others(self, n_instances, ks):
        assert default_ks(n_instances) == ks

    def test_no_ks(self):
        assert upper_bound_by_k(GRAPH, LABELS, []) == []

    def test_missing_neighbors_are_no_link_to_the_last_instance(self):
        # Id −1 would be instance 2, which is of the same identity.
        (bound,) = upper_bound_by_k(graph_from_lists([[1], [0], []]), [0, 0, 0], [1])
        assert bound.scores.n_clusters == 2

    def test_unknown_identities_link_to_nobody(self):
        (bound,) = upper_bound_by_k(graph_from_lists([[1], [0]]), [-1, -1], [1])
        assert bound.scores.n_clusters == 2
        assert bound.pair_coverage == 1

    def test_as_dict_is_ready_for_json(self):
        (bound,) = upper_bound_by_k(GRAPH, np.array(LABELS), np.array([2]))
        decoded = json.loads(json.dumps(bound.as_dict()))
        assert decoded["k"] == 2
        assert decoded["scores"]["bcubed"]["precision"] == 1


@pytest.mark.parametrize("seed", range(4))
class TestRandomGraphs:
    KS = range(1, 9)

    @pytest.fixture
    def graph(self, seed):
        return random_graph(60, width=8, seed=seed, missing_share=0.2)

    @pytest.fixture
    def labels(self, seed):
        return np.random.default_rng(seed).integers(0, 6, size=60).tolist()

    def test_agrees_with_a_slow_loop(self, graph, labels):
        for bound in upper_bound_by_k(graph, labels, self.KS):
            pairs = {
                tuple(sorted((instance, neighbor)))
                for instance, neighbors in enumerate(neighbor_lists(graph))
                for neighbor in neighbors[: bound.k]
                if labels[neighbor] == labels[instance]
            }
            clusters = reference.components(60, pairs)
            labels_pred = [next(i for i, c in enumerate(clusters) if n in c) for n in range(60)]
            expected = clustering_scores(labels, labels_pred)
            assert bound.scores.pairwise == expected.pairwise
            assert bound.scores.n_clusters == expected.n_clusters
            n_pairs = sum(labels.count(label) - 1 for label in labels) / 2
            assert bound.pair_coverage == len(pairs) / n_pairs

    def test_more_neighbors_never_lower_the_bound(self, graph, labels):
        bounds = upper_bound_by_k(graph, labels, self.KS)
        for values in (
            [bound.pair_coverage for bound in bounds],
            [bound.scores.pairwise.recall for bound in bounds],
            [bound.scores.bcubed.recall for bound in bounds],
        ):
            assert values == sorted(values)
            assert values[0] < values[-1]
        assert {bound.scores.pairwise.precision for bound in bounds} == {1.0}
        assert [bound.scores.bcubed.precision for bound in bounds] == pytest.approx([1.0] * 8)


class TestBadInput:
    def test_k_beyond_the_graph(self):
        with pytest.raises(InputError, match=r"k=4 but the graph stores K=3 .*--k 4\) or lower k"):
            upper_bound_by_k(GRAPH, LABELS, [2, 4])

    @pytest.mark.parametrize("k", [0, -1])
    def test_k_below_one(self, k):
        with pytest.raises(InputError, match=f"k={k}, but at least 1 neighbour"):
            upper_bound_by_k(GRAPH, LABELS, [k])

    def test_labels_of_other_features(self):
        with pytest.raises(InputError, match="2 labels but the graph has 6 instances"):
            upper_bound_by_k(GRAPH, [0, 1], [1])
