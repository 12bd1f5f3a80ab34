import numpy as np
import pytest

from facelink.benchmark.cosine import best_threshold, spanning_forest
from facelink.link_prediction import similarity_links
from facelink.links import Links
from facelink.merging.threshold import merge_threshold
from facelink.metrics import bcubed_scores, pairwise_scores
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features
from tests.reference import thresholds as reference


def random_links(n_instances, n_links, seed):
    random = np.random.default_rng(seed)
    pairs = np.unique(np.sort(random.integers(0, n_instances, (n_links, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]].astype(np.int32)
    likelihoods = random.random(len(pairs)).astype(np.float32).round(1)
    return Links(pairs, likelihoods, np.zeros(len(pairs), dtype=bool), n_instances)


@pytest.mark.parametrize("seed", range(5))
def test_the_forest_has_the_components_of_all_links_at_any_threshold(seed):
    links = random_links(40, 120, seed)
    forest = spanning_forest(links)
    assert len(forest) < links.n_instances < len(links)
    for threshold in np.linspace(0, 1, 11):
        np.testing.assert_array_equal(
            merge_threshold(forest, threshold).labels, merge_threshold(links, threshold).labels
        )


def test_links_of_likelihood_zero_and_one_are_links():
    pairs = np.array([[0, 1], [1, 2]], dtype=np.int32)
    links = Links(pairs, np.array([0, 1], dtype=np.float32), np.zeros(2, dtype=bool), 3)
    assert spanning_forest(links).likelihoods.tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_no_cut_is_better_than_the_best(seed):
    links = random_links(30, 90, seed)
    labels = np.random.default_rng(seed).integers(0, 8, 30)
    best = best_threshold(links, labels)
    expected = reference.best_cut(
        30, links.pairs.tolist(), links.likelihoods.tolist(), labels.tolist()
    )
    reached = (
        pairwise_scores(labels, best.labels).fscore + bcubed_scores(labels, best.labels).fscore
    ) / 2
    assert (reached, best.best_pairwise_f, best.best_bcubed_f) == pytest.approx(expected)
    np.testing.assert_array_equal(merge_threshold(links, best.threshold).labels, best.labels)


def test_a_few_people_are_found_among_many_strangers():
    features, labels = clustered_features(5, 6, 64)
    strangers = clustered_features(600, 1, 64, seed=1)[0]
    links = similarity_links(find_neighbors(np.concatenate([features, strangers]), 40), 40)
    everyone = np.concatenate([labels, 5 + np.arange(len(strangers))])
    best = best_threshold(links, everyone, n_scored=len(labels))
    assert best.best_bcubed_f == best.best_pairwise_f == 1


def test_only_the_first_faces_are_scored():
    links = random_links(20, 60, seed=1)
    labels = np.random.default_rng(1).integers(0, 4, 20)
    best = best_threshold(links, labels, n_scored=12)
    others = labels.copy()
    others[12:] = others[12:][::-1] + 7
    again = best_threshold(links, others, n_scored=12)
    assert (again.threshold, again.best_bcubed_f) == (best.threshold, best.best_bcubed_f)


def test_without_links_everybody_is_alone():
    nothing = Links(np.empty((0, 2), np.int32), np.empty(0, np.float32), np.empty(0, bool), 3)
    assert best_threshold(nothing, np.arange(3)).labels.tolist() == [0, 1, 2]
