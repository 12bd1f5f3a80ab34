import numpy as np
import pytest

from facelink.calibration import expected_calibration_error
from facelink.errors import InputError
from facelink.training.context.calibration import fit_scale_and_shift
from facelink.training.context.evaluation import link_scores

RANDOM = np.random.default_rng(0)
LIKELIHOODS = RANDOM.random(40_000)
COMES_TRUE = RANDOM.random(40_000) < LIKELIHOODS
"""Links that come true exactly as often as their likelihoods say."""


def log_odds(likelihoods):
    return np.log(likelihoods / (1 - likelihoods))


def test_scores_by_hand():
    found = link_scores(
        np.array([0.9, 0.8, 0.2, 0.1]),
        np.array([0.5, 0.2, 0.4, 0.1]),
        np.array([True, True, False, False]),
    )
    assert (found.n_links, found.linked_share) == (4, 0.5)
    assert found.average_precision == 1.0
    assert found.cosine_average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.8, 0.8, 0.9]).mean())
    assert found.calibration_error == pytest.approx((0.1 + 0.2 + 0.2 + 0.1) / 4)


def test_calibrated_likelihoods_have_no_calibration_error():
    assert expected_calibration_error(LIKELIHOODS, COMES_TRUE) < 0.01


def test_overconfident_likelihoods_have_one():
    sure = 1 / (1 + np.exp(-4 * log_odds(LIKELIHOODS)))
    assert expected_calibration_error(sure, COMES_TRUE) > 0.1


def test_a_likelihood_of_one_has_a_bin():
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0


def test_nothing_has_no_scores():
    with pytest.raises(InputError, match="0 of 0 links are true"):
        link_scores(np.array([]), np.array([]), np.array([], dtype=bool))


@pytest.mark.parametrize("truth", [True, False])
def test_nothing_to_rank(truth):
    with pytest.raises(InputError, match="scores need true and false ones"):
        link_scores(np.ones(3), np.ones(3), np.full(3, truth))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.5, 0.0), (2.0, -1.0)])
def test_calibration_undoes_a_scale_and_a_shift(scale, shift):
    said = (log_odds(LIKELIHOODS) - shift) / scale
    found = fit_scale_and_shift(said, COMES_TRUE, np.ones(len(said)))
    assert found == pytest.approx((scale, shift), abs=0.05 * scale + 0.03)


def test_weights_decide_what_counts():
    said = np.concatenate([log_odds(LIKELIHOODS), log_odds(LIKELIHOODS) + 2])
    truth = np.tile(COMES_TRUE, 2)
    of_second = np.repeat([0.0, 1.0], len(LIKELIHOODS))
    assert fit_scale_and_shift(said, truth, of_second)[1] == pytest.approx(-2, abs=0.1)


@pytest.mark.parametrize("truth", [True, False])
def test_nothing_to_calibrate_on(truth):
    with pytest.raises(InputError, match="calibration needs true and false ones"):
        fit_scale_and_shift(np.zeros(3), np.full(3, truth), np.ones(3))
