import json
import tracemalloc

import bcubed
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from facelink.errors import InputError
from facelink.metrics import (
    PrecisionRecallF,
    bcubed_scores,
    clustering_scores,
    group_ids,
    pair_count,
    pairwise_scores,
)

# Sums of up to a few hundred thousand float64 terms of order one over their number.
FLOAT64_SUM = 1e-9

# Six faces of three people in three clusters, one of them mixed.
TRUE = [0, 0, 0, 1, 1, 2]
PRED = [7, 7, 3, 3, 3, 9]


def astuple(scores):
    return scores.precision, scores.recall, scores.fscore


class TestByHand:
    def test_pairwise(self):
        # In one cluster: 1 + 3 pairs; of one identity: 3 + 1; both: (0,1) and (3,4).
        assert pairwise_scores(TRUE, PRED) == PrecisionRecallF(0.5, 0.5, 0.5)

    def test_bcubed(self):
        # Precision 1, 1, 1/3, 2/3, 2/3, 1; recall 2/3, 2/3, 1/3, 1, 1, 1.
        assert astuple(bcubed_scores(TRUE, PRED)) == pytest.approx((7 / 9, 7 / 9, 7 / 9))

    def test_counts(self):
        scores = clustering_scores(TRUE, PRED)
        assert (scores.n_instances, scores.n_identities, scores.n_clusters) == (6, 3, 3)
        assert scores.n_singletons == 1

    def test_all_in_one_cluster(self):
        scores = clustering_scores([0, 0, 1, 1], [4, 4, 4, 4])
        assert scores.pairwise.precision == pytest.approx(1 / 3)
        assert scores.pairwise.recall == 1
        assert astuple(scores.bcubed) == pytest.approx((0.5, 1, 2 / 3))
        assert (scores.nmi_arithmetic, scores.nmi_geometric, scores.ari) == (0, 0, 0)

    def test_nmi_means_differ(self):
        # Entropies log 2 and log 4, information log 2.
        scores = clustering_scores([0, 0, 1, 1], [0, 1, 2, 3])
        assert scores.nmi_arithmetic == pytest.approx(2 / 3)
        assert scores.nmi_geometric == pytest.approx(np.sqrt(0.5))

    def test_worse_than_chance(self):
        assert clustering_scores([0, 0, 1, 1], [0, 1, 0, 1]).ari == pytest.approx(-0.5)


class TestConventions:
    def test_no_pair_predicted_is_no_wrong_pair(self):
        assert pairwise_scores([0, 0, 1], [0, 1, 2]) == PrecisionRecallF(1, 0, 0)

    def test_no_pair_to_find_is_no_missed_pair(self):
        assert pairwise_scores([0, 1, 2], [0, 0, 1]) == PrecisionRecallF(0, 1, 0)

    @pytest.mark.parametrize("labels", [[3], [0, 1, 2], [5, 5, 5], [-1, -1]])
    def test_trivial_but_right(self, labels):
        scores = clustering_scores(labels, labels)
        assert scores.pairwise == scores.bcubed == PrecisionRecallF(1, 1, 1)
        assert scores.nmi_arithmetic == pytest.approx(1, abs=FLOAT64_SUM)
        assert scores.nmi_geometric == pytest.approx(1, abs=FLOAT64_SUM)
        assert scores.ari == 1

    def test_minus_one_is_a_group_of_its_own(self):
        with_minus_one = clustering_scores([-1, 0, 0, -1, -1], [2, 2, -1, -1, -1])
        assert with_minus_one == clustering_scores([8, 0, 0, 6, 7], [2, 2, 3, 4, 5])
        assert (with_minus_one.n_identities, with_minus_one.n_clusters) == (4, 4)
        assert with_minus_one.n_singletons == 3

    def test_group_ids(self):
        assert group_ids([30, -1, -5, 30, -1]).tolist() == [1, 2, 0, 1, 3]


class TestWithoutSingletons:
    def test_scores_of_the_other_faces(self):
        scores = clustering_scores([0, 0, 0, 1, 1, 2], [5, 5, 6, 7, 7, 7])
        kept = scores.without_singletons
        assert kept == clustering_scores([0, 0, 1, 1, 2], [5, 5, 7, 7, 7]).without_singletons
        assert (kept.n_instances, kept.n_clusters, kept.n_singletons) == (5, 2, 0)
        assert kept.pairwise.recall == 1 > scores.pairwise.recall
        assert kept.without_singletons is None

    def test_the_same_where_there_are_none(self):
        scores = clustering_scores([0, 0, 1], [4, 4, 4])
        assert scores.without_singletons.pairwise == scores.pairwise
        assert scores.without_singletons.n_instances == 3

    @pytest.mark.parametrize("labels_pred", [[0, 1, 2], [-1, -1, -1]])
    def test_none_where_every_face_is_one(self, labels_pred):
        assert clustering_scores([0, 0, 1], labels_pred).without_singletons is None


def test_as_dict_is_ready_for_json():
    scores = clustering_scores(np.array(TRUE), np.array(PRED))
    decoded = json.loads(json.dumps(scores.as_dict()))
    assert decoded["pairwise"] == {"precision": 0.5, "recall": 0.5, "fscore": 0.5}
    assert decoded["without_singletons"]["n_instances"] == 5
    assert decoded["without_singletons"]["without_singletons"] is None


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_any_integer_type(dtype):
    labels_true, labels_pred = np.array(TRUE, dtype=dtype), np.array(PRED, dtype=dtype)
    assert clustering_scores(labels_true, labels_pred) == clustering_scores(TRUE, PRED)


class TestAgainstOtherImplementations:
    @pytest.fixture(params=[0, 1, 2])
    def labels(self, request):
        random = np.random.default_rng(request.param)
        labels_true = random.zipf(1.6, size=400) % 60
        labels_pred = np.where(random.random(400) < 0.6, labels_true, random.integers(0, 90, 400))
        return labels_true, labels_pred

    def test_bcubed_package(self, labels):
        true, pred = ({face: {label} for face, label in enumerate(side)} for side in labels)
        scores = bcubed_scores(*labels)
        assert scores.precision == pytest.approx(bcubed.precision(pred, true), abs=FLOAT64_SUM)
        assert scores.recall == pytest.approx(bcubed.recall(pred, true), abs=FLOAT64_SUM)
        assert scores.fscore == pytest.approx(
            bcubed.fscore(scores.precision, scores.recall), abs=FLOAT64_SUM
        )

    def test_scikit_learn(self, labels):
        scores = clustering_scores(*labels)
        for mean, value in (
            ("arithmetic", scores.nmi_arithmetic),
            ("geometric", scores.nmi_geometric),
        ):
            expected = normalized_mutual_info_score(*labels, average_method=mean)
            assert value == pytest.approx(expected, abs=FLOAT64_SUM)
        assert scores.ari == pytest.approx(adjusted_rand_score(*labels), abs=FLOAT64_SUM)


class TestLarge:
    def test_counts_are_exact_beyond_float_and_int32(self):
        assert pair_count(np.array([2**31 - 1])) == (2**31 - 1) * (2**30 - 1)
        assert pair_count(np.array([100_000_001, 2])) == 5_000_000_050_000_001

    def test_adjusted_rand_index_of_many_pairs(self):
        # Products of pair counts are near 10²¹ here, beyond int64.
        random = np.random.default_rng(0)
        labels_true, labels_pred = random.integers(0, 2, size=(2, 300_000))
        expected = adjusted_rand_score(labels_true, labels_pred)
        ari = clustering_scores(labels_true, labels_pred).ari
        assert ari == pytest.approx(expected, abs=FLOAT64_SUM)

    def test_memory_grows_with_faces_only(self):
        # Trap 10: as a dense table this is 8,573 × 200,000 counts, 14 GB.
        random = np.random.default_rng(0)
        n_faces, bytes_per_face = 584_013, 200
        labels_true = random.integers(0, 8_573, n_faces)
        labels_pred = random.integers(0, 200_000, n_faces)
        tracemalloc.start()
        try:
            scores = clustering_scores(labels_true, labels_pred)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < n_faces * bytes_per_face
        assert scores.n_clusters == len(np.unique(labels_pred))


class TestBadInput:
    @pytest.mark.parametrize("score", [pairwise_scores, bcubed_scores, clustering_scores])
    def test_lengths_differ(self, score):
        with pytest.raises(InputError, match="3 true labels but 2 predicted ones"):
            score([0, 1, 2], [0, 1])

    @pytest.mark.parametrize("score", [pairwise_scores, bcubed_scores, clustering_scores])
    def test_empty(self, score):
        with pytest.raises(InputError, match=r"labels_true of shape \(0,\)"):
            score([], [])

    def test_two_dimensions(self):
        with pytest.raises(InputError, match=r"labels_pred of shape \(2, 1\)"):
            clustering_scores([0, 1], [[0], [1]])

    def test_not_whole_numbers(self):
        with pytest.raises(InputError, match="labels_pred of type float64"):
            clustering_scores([0, 1], [0.0, 0.5])
