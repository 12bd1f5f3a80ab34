import numpy as np
import pytest

from facelink.calibration import Calibration
from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.likelihood import consecutive_labels, merge_by_likelihood
from tests.unit.merging.helpers import chain, complete_links, make_links


def labels_of(links, n_neighbors=80, **settings):
    return merge_by_likelihood(links, n_neighbors, **settings).labels.tolist()


def people_of(n_people, n_faces):
    return np.repeat(np.arange(n_people), n_faces)


def noisy_links(identities, mean_log_odds, seed=0, shift=0.0):
    """All pairs, log-odds ± the mean with noise, all shifted."""
    random = np.random.default_rng(seed)

    def likelihood(same):
        log_odds = np.where(same, mean_log_odds, -mean_log_odds) + shift
        return 1 / (1 + np.exp(-(log_odds + random.normal(size=len(same)))))

    return complete_links(identities, likelihood)


class TestEdgeCases:
    def test_no_instances(self):
        result = merge_by_likelihood(make_links(0), 1)
        assert result.labels.shape == result.membership.runner_up.shape == (0,)
        assert result.n_clusters == 0

    def test_no_links(self):
        result = merge_by_likelihood(make_links(3), 80)
        assert result.labels.tolist() == [0, 1, 2]
        assert result.membership.outlier_score.tolist() == [1, 1, 1]
        assert result.membership.runner_up.tolist() == [-1, -1, -1]

    @pytest.mark.parametrize(
        ("likelihood", "labels"), [(0.6, [0, 0]), (0.4, [0, 1]), (0.5, [0, 1])]
    )
    def test_two_faces(self, likelihood, labels):
        assert labels_of(make_links(2, (0, 1, likelihood))) == labels

    @pytest.mark.parametrize("certain", [False, True])
    def test_all_strangers(self, certain):
        links = complete_links(np.arange(12), lambda same: np.where(same, 1, 0 if certain else 0.1))
        assert labels_of(links) == list(range(12))

    @pytest.mark.parametrize("likelihood", [0.7, 1.0])
    def test_all_one_person(self, likelihood):
        links = complete_links(np.zeros(12), lambda same: np.where(same, likelihood, 0))
        assert labels_of(links) == [0] * 12

    def test_certain_likelihoods(self):
        links = complete_links([0, 1, 0, 1, 2], lambda same: same)
        result = merge_by_likelihood(links, 4)
        assert result.labels.tolist() == [0, 1, 0, 1, 2]
        assert np.isfinite(result.membership.confidence).all()

    def test_more_neighbors_than_instances(self):
        assert labels_of(chain([0.9]), n_neighbors=1000) == [0, 0]

    def test_no_neighbors(self):
        with pytest.raises(InputError, match="n_neighbors=0; give the number"):
            merge_by_likelihood(chain([0.9]), 0)


class TestEvidence:
    def test_pairs_against_outweigh_one_for(self):
        # Two triangles, one link between them that says yes and eight that say no.
        links = complete_links(people_of(2, 3), lambda same: np.where(same, 0.95, 0.2))
        links.likelihoods[np.flatnonzero(links.likelihoods < 0.5)[0]] = 0.94
        assert labels_of(links) == [0, 0, 0, 1, 1, 1]

    def test_missing_pairs_count_against(self):
        triangles = [(a, b, 0.95) for a, b in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]]
        links = make_links(6, *triangles, (2, 3, 0.95))
        assert labels_of(links) == [0, 0, 0, 1, 1, 1]

    def test_missing_pairs_are_expected_of_people_far_above_k(self):
        # A ring of 60 faces, each with its 4 nearest on either side.
        triples = [
            (min(i, (i + d) % 60), max(i, (i + d) % 60), 0.95)
            for i in range(60)
            for d in range(1, 5)
        ]
        assert set(labels_of(make_links(60, *triples), n_neighbors=4)) == {0}

    def test_numbered_by_smallest_instance(self):
        links = make_links(5, (0, 4, 0.9), (1, 2, 0.9))
        assert labels_of(links) == [0, 1, 1, 2, 0]

    def test_ties_go_to_the_smaller_id(self):
        assert labels_of(make_links(3, (0, 1, 0.7), (1, 2, 0.7))) == [0, 0, 1]
        assert labels_of(make_links(3, (0, 2, 0.7), (1, 2, 0.7))) == [0, 1, 0]


class TestSelfCalibration:
    IDENTITIES = people_of(8, 12)

    @pytest.mark.parametrize("shift", [-2.0, 2.0])
    def test_shifted_likelihoods_are_put_right(self, shift):
        links = noisy_links(self.IDENTITIES, 2.5, shift=shift)
        result = merge_by_likelihood(links, 80)
        assert result.labels.tolist() == self.IDENTITIES.tolist()
        assert np.sign(result.calibration.bias) == -np.sign(shift)

    def test_hard_faces_come_to_their_group(self):
        # Everyone is judged too sceptically; a fifth of the faces so much that they stay alone.
        links = noisy_links(self.IDENTITIES, 3.0, shift=-1.5)
        is_hard = np.arange(len(self.IDENTITIES)) % 5 == 0
        hard = is_hard[links.pairs].any(axis=1)
        odds = links.likelihoods[hard] / (1 - links.likelihoods[hard])
        links.likelihoods[hard] = odds / (odds + np.exp(2.0))
        at_their_word = merge_by_likelihood(links, 80, self_calibrate=False)
        refitted = merge_by_likelihood(links, 80)
        assert at_their_word.n_clusters > len(set(self.IDENTITIES))
        assert refitted.n_clusters < at_their_word.n_clusters
        for label in range(refitted.n_clusters):
            assert len(set(self.IDENTITIES[refitted.labels == label])) == 1

    def test_strangers_never_gain(self):
        # The groups ask for a higher likelihood of all; pairs of strangers have no witnesses.
        people = noisy_links(self.IDENTITIES, 2.5, shift=-2.0)
        n_people = len(self.IDENTITIES)
        pairs = np.array([(n_people + 2 * i, n_people + 2 * i + 1) for i in range(10)])
        links = Links(
            np.concatenate([people.pairs, pairs.astype(np.int32)]),
            np.concatenate([people.likelihoods, np.full(10, 0.45, dtype=np.float32)]),
            np.zeros(len(people) + 10, dtype=bool),
            n_people + 20,
        )
        result = merge_by_likelihood(links, 80)
        assert result.calibration.bias > 0.5
        assert len(set(result.labels[n_people:])) == 20

    def test_fragments_are_no_example_of_two_people(self):
        # Rings of faces, each linked with its nearest alone: people fall into fragments that
        # sure links connect. Taken for different people, they would discredit all links.
        n_faces, reach = 120, 3
        rings = [
            (start + min(i, (i + d) % n_faces), start + max(i, (i + d) % n_faces), 0.9)
            for start in (0, n_faces)
            for i in range(n_faces)
            for d in range(1, reach + 1)
        ]
        links = make_links(2 * n_faces, *rings)
        at_their_word = merge_by_likelihood(links, 80, self_calibrate=False)
        result = merge_by_likelihood(links, 80)
        assert at_their_word.n_clusters > 10
        assert result.n_clusters <= at_their_word.n_clusters
        assert result.calibration.apply(np.array([0.9])) > 0.8

    def test_without_groups_nothing_is_learnt(self):
        assert merge_by_likelihood(chain([0.9]), 80).calibration == Calibration()

    def test_it_can_be_left_out(self):
        links = noisy_links(self.IDENTITIES, 2.5, shift=-2.0)
        result = merge_by_likelihood(links, 80, self_calibrate=False)
        assert result.calibration == Calibration()
        np.testing.assert_array_equal(result.links.likelihoods, links.likelihoods)

    def test_the_links_given_stay_as_they_are(self):
        links = noisy_links(self.IDENTITIES, 2.5, shift=-2.0)
        before = links.likelihoods.copy()
        merge_by_likelihood(links, 80)
        np.testing.assert_array_equal(links.likelihoods, before)


class TestConstraints:
    def test_must_link_outweighs_every_likelihood(self):
        links = complete_links([0, 0, 1, 1], lambda same: same)
        assert labels_of(links, must_link=[[1, 2]], self_calibrate=False) == [0, 1, 1, 2]

    def test_must_link_without_a_link(self):
        assert labels_of(make_links(3), must_link=[[2, 0]]) == [0, 1, 0]

    def test_cannot_link_outweighs_every_likelihood(self):
        links = complete_links([0, 0, 0], lambda same: same)
        assert labels_of(links, cannot_link=[[1, 0]]) == [0, 1, 0]

    def test_cannot_link_without_a_link_holds_for_groups(self):
        assert labels_of(chain([0.99, 0.6, 0.99]), 1, cannot_link=[[0, 3]]) == [0, 0, 1, 1]

    def test_they_may_come_as_an_array(self):
        assert labels_of(make_links(2), must_link=np.array([[0, 1]])) == [0, 0]


class TestRoots:
    def test_consecutive_labels(self):
        labels = consecutive_labels(np.array([0, 3, 0, 3, 4], dtype=np.int32))
        assert labels.dtype == np.int64
        assert labels.tolist() == [0, 1, 0, 1, 2]
