import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from facelink.benchmark.link_curves import link_curve
from facelink.errors import InputError
from tests.reference.link_curves import precision_recall


@pytest.fixture
def links():
    random = np.random.default_rng(3)
    is_same = random.random(200) < 0.4
    return np.round(random.random(200) + 0.3 * is_same, 1).astype(np.float32), is_same


def test_every_threshold_agrees_with_the_reference(links):
    curve = link_curve(*links, n_same=120)
    assert len(curve.thresholds) == len(np.unique(links[0]))
    for place, threshold in enumerate(curve.thresholds):
        expected = precision_recall(*links, threshold, 120)
        assert (curve.precision[place], curve.recall[place]) == pytest.approx(expected)


@pytest.mark.parametrize("threshold", [-1, 0.25, 0.5, 1.21, 2])
def test_between_thresholds_it_is_that_of_the_next_score_above(links, threshold):
    expected = precision_recall(*links, threshold, int(links[1].sum()))
    assert link_curve(*links).at(threshold) == pytest.approx(expected)


def test_average_precision_is_that_of_scikit_learn(links):
    expected = average_precision_score(links[1], links[0])
    assert link_curve(*links).average_precision == pytest.approx(expected)


def test_the_best_threshold_separates_what_can_be_separated():
    curve = link_curve(np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, True, False, False]))
    assert curve.best_threshold == 0.8
    assert curve.fscores.max() == 1


@pytest.mark.parametrize(
    ("scores", "is_same", "n_same", "message"),
    [
        (np.ones(2), np.ones(3, bool), None, r"scores of shape \(2,\) and truths of \(3,\)"),
        (np.array([np.nan]), np.ones(1, bool), None, "not a number"),
        (np.ones(2), np.zeros(2, bool), None, "0 of 2 links are of one person"),
        (np.ones(2), np.ones(2, bool), 1, "n_same=1"),
    ],
)
def test_what_gives_no_curve_is_refused(scores, is_same, n_same, message):
    with pytest.raises(InputError, match=message):
        link_curve(scores, is_same, n_same)
