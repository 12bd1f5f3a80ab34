import numpy as np
import pytest

from facelink.calibration import (
    Calibration,
    expected_calibration_error,
    fit_calibration,
    log_loss,
)
from facelink.errors import InputError

# The fit counts likelihoods in bins of log-odds 0.012 wide, and 200,000 draws scatter.
FIT_TOLERANCE = 0.03


def drawn_pairs(temperature, bias, n=200_000, seed=0):
    """Likelihoods, and marks drawn from what this calibration makes of them."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(0, 2, size=n)
    honest = 1 / (1 + np.exp(-(log_odds / temperature + bias)))
    return 1 / (1 + np.exp(-log_odds)), random.random(n) < honest


class TestFit:
    @pytest.mark.parametrize(("temperature", "bias"), [(1, 0), (2, 0), (0.5, 1), (1, -2)])
    def test_recovers_the_calibration(self, temperature, bias):
        fitted = fit_calibration(*drawn_pairs(temperature, bias))
        assert 1 / fitted.temperature == pytest.approx(1 / temperature, abs=FIT_TOLERANCE)
        assert fitted.bias == pytest.approx(bias, abs=FIT_TOLERANCE)

    def test_lowers_loss_and_calibration_error(self):
        likelihoods, linked = drawn_pairs(temperature=3, bias=-1)
        calibrated = fit_calibration(likelihoods, linked).apply(likelihoods)
        assert log_loss(calibrated, linked) < log_loss(likelihoods, linked) - 0.1
        assert expected_calibration_error(likelihoods, linked) > 0.1
        assert expected_calibration_error(calibrated, linked) < 0.01

    def test_no_other_calibration_nearby_is_better(self):
        likelihoods, linked = drawn_pairs(temperature=1.5, bias=0.5, n=5_000)
        fitted = fit_calibration(likelihoods, linked)
        best = log_loss(fitted.apply(likelihoods), linked)
        for change in (-0.1, 0.1):
            for other in (
                Calibration(fitted.temperature + change, fitted.bias),
                Calibration(fitted.temperature, fitted.bias + change),
            ):
                assert log_loss(other.apply(likelihoods), linked) > best

    @pytest.mark.parametrize("linked", [True, False])
    def test_pairs_of_one_kind_stay_finite(self, linked):
        likelihoods = np.linspace(0, 1, 1000)
        calibrated = fit_calibration(likelihoods, np.full(1000, linked)).apply(likelihoods)
        assert ((calibrated > 0.5) == linked).mean() > 0.95

    def test_order_of_likelihoods_is_never_turned_around(self):
        likelihoods = np.linspace(0, 1, 1000)
        fitted = fit_calibration(likelihoods, likelihoods < 0.5)
        assert fitted.temperature == pytest.approx(20)

    def test_order_of_pairs_does_not_matter(self):
        likelihoods, linked = drawn_pairs(2, 1, n=1000)
        assert fit_calibration(likelihoods, linked) == fit_calibration(
            likelihoods[::-1], linked[::-1]
        )


class TestApply:
    def test_values(self):
        odds = np.array([0.25, 1.0, 4.0])
        calibrated = Calibration(temperature=0.5, bias=np.log(3)).apply(odds / (1 + odds))
        assert calibrated.dtype == np.float32
        np.testing.assert_allclose(calibrated / (1 - calibrated), 3 * odds**2, rtol=1e-5)

    def test_certain_likelihoods_stay_probabilities(self):
        calibrated = Calibration(0.01, 0.0).apply(np.array([0.0, 0.5, 1.0], dtype=np.float32))
        assert calibrated.tolist() == [0.0, 0.5, 1.0]

    @pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan])
    def test_temperature_out_of_range(self, temperature):
        with pytest.raises(InputError, match=r"temperature=.* it must be a number above 0"):
            Calibration(temperature, 0.0)

    def test_bias_out_of_range(self):
        with pytest.raises(InputError, match="bias=inf; it must be finite"):
            Calibration(1.0, np.inf)


class TestMeasures:
    def test_log_loss_by_hand(self):
        expected = -(np.log(0.8) + np.log(0.4)) / 2
        assert log_loss([0.8, 0.6], np.array([True, False])) == pytest.approx(expected)

    def test_log_loss_of_a_certain_error_is_finite(self):
        assert log_loss([1.0], np.array([False])) == pytest.approx(12, abs=1e-4)

    def test_calibration_error_by_hand(self):
        likelihoods = [0.1, 0.1, 0.9, 0.9]
        linked = np.array([False, True, True, True])
        # Lower bin: mean 0.1, share 0.5; upper bin: mean 0.9, share 1.
        assert expected_calibration_error(likelihoods, linked, 2) == pytest.approx(0.25)

    def test_likelihood_of_one_belongs_to_the_last_bin(self):
        assert expected_calibration_error([1.0], np.array([True])) == 0

    def test_bins_out_of_range(self):
        with pytest.raises(InputError, match="n_bins=0; at least 1 bin"):
            expected_calibration_error([0.5], np.array([True]), 0)


@pytest.mark.parametrize("measure", [fit_calibration, log_loss, expected_calibration_error])
class TestBadInput:
    def test_no_pairs(self, measure):
        with pytest.raises(InputError, match="L ≥ 1"):
            measure([], np.empty(0, dtype=bool))

    def test_shapes_differ(self, measure):
        with pytest.raises(InputError, match=r"got \(2,\) and \(1,\)"):
            measure([0.5, 0.5], np.array([True]))

    def test_marks_are_not_bool(self, measure):
        with pytest.raises(InputError, match="is_linked needs bool marks, got int64"):
            measure([0.5], np.array([1]))

    @pytest.mark.parametrize("bad", [-0.1, 1.5, np.nan])
    def test_likelihood_out_of_range(self, measure, bad):
        with pytest.raises(InputError, match="probabilities, not logits"):
            measure([0.5, bad], np.array([True, False]))
