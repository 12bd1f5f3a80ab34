"""Calibration: likelihoods that mean what they say, by a temperature and a bias.

Source: Platt scaling with the temperature of Guo et al., "On calibration of
modern neural networks" (arXiv 1706.04599), section 4. Likelihoods are counted
in fine bins first, so that the cost of a fit does not depend on their number.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from facelink.blocks import blocks
from facelink.errors import InputError

_MAX_LOG_ODDS = 12.0
"""Likelihoods beyond these log-odds (6e-6 from 0 or 1) count like these."""

N_BINS = 2048
"""Bins of log-odds, each 0.012 wide: far finer than any fit can tell apart."""

_WEAKEST_SLOPE = 0.05
"""The temperature is at most 20: calibration never turns the order of likelihoods around."""


@dataclass(frozen=True)
class Calibration:
    """Makes likelihoods honest: new log-odds = log-odds / temperature + bias.

    Parameters
    ----------
    temperature : float
        Above 0; above 1 for likelihoods that were too sure.
    bias : float
        Log-odds that are added.

    Raises
    ------
    InputError
        If the temperature is not above 0, or a value is not finite.
    """

    temperature: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        if not (_is_finite(self.temperature) and self.temperature > 0):
            raise InputError(
                f"temperature={self.temperature!r:.40}; it must be a number above 0, and 1 changes "
                "nothing."
            )
        if not _is_finite(self.bias):
            raise InputError(f"bias={self.bias!r:.40}; it must be finite, and 0 changes nothing.")

    def apply(self, likelihoods: NDArray[np.floating]) -> NDArray[np.float32]:
        """Calibrated likelihoods, float32 of the same shape; their order stays."""
        given = np.asarray(likelihoods)
        calibrated = np.empty(given.size, dtype=np.float32)
        flat = given.reshape(-1)
        for block in blocks(len(flat)):
            log_odds = _log_odds(flat[block]) / self.temperature + self.bias
            calibrated[block] = np.exp(-np.logaddexp(0, -log_odds))
        return calibrated.reshape(given.shape)


def _is_finite(value: Any) -> bool:
    if not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(
        -sys.float_info.max <= value <= sys.float_info.max
    )  # not NaN, and no whole number beyond floats


def fit_calibration(likelihoods: ArrayLike, is_linked: ArrayLike) -> Calibration:
    """Fit temperature and bias to pairs whose identities are known, by least log-loss.

    Parameters
    ----------
    likelihoods : float (L,)
        Probabilities in [0, 1] of pairs that the model has not learnt from.
    is_linked : bool (L,)
        Whether the two instances of each pair are one person.

    Returns
    -------
    Calibration
        Deterministic, independent of the order of the pairs. The temperature
        is in (0, 20].

    Raises
    ------
    InputError
        If there are no pairs, shapes differ or a likelihood is outside [0, 1].
    """
    given, linked = _checked(likelihoods, is_linked)
    return fit_binned(*count_binned(given, linked))


def count_binned(
    likelihoods: NDArray[np.floating], is_linked: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Linked and other pairs in each bin of log-odds, float64 (bins,) each."""
    bins = _bins(likelihoods)
    n_linked = np.bincount(bins[is_linked], minlength=N_BINS).astype(np.float64)
    n_other = np.bincount(bins[~is_linked], minlength=N_BINS).astype(np.float64)
    return n_linked, n_other


def log_loss(likelihoods: ArrayLike, is_linked: ArrayLike) -> float:
    """Mean negative log-likelihood of the pairs, in nats; likelihoods are kept 6e-6 from 0 and 1.

    Raises
    ------
    InputError
        As from `fit_calibration`.
    """
    given, linked = _checked(likelihoods, is_linked)
    log_odds = _log_odds(given)
    return float(np.logaddexp(0, np.where(linked, -log_odds, log_odds)).mean())


def expected_calibration_error(
    likelihoods: ArrayLike, is_linked: ArrayLike, n_bins: int = 15
) -> float:
    """Mean gap between the likelihoods and the share of linked pairs, over equally wide bins.

    Source: Guo et al., equation 3.

    Parameters
    ----------
    n_bins : int
        Number of bins of [0, 1], at least 1.

    Returns
    -------
    float
        In [0, 1]; 0 for likelihoods that mean what they say.

    Raises
    ------
    InputError
        As from `fit_calibration`, or if `n_bins` is below 1.
    """
    if n_bins < 1:
        raise InputError(f"n_bins={n_bins}; at least 1 bin is needed, and 15 is usual.")
    given, linked = _checked(likelihoods, is_linked)
    bins = np.minimum((given * n_bins).astype(np.int64), n_bins - 1)
    gaps = np.bincount(bins, weights=given - linked, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(given))


def _checked(
    likelihoods: ArrayLike, is_linked: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    given = np.asarray(likelihoods, dtype=np.float64)
    linked = np.asarray(is_linked)
    if given.ndim != 1 or given.shape != linked.shape or len(given) == 0:
        raise InputError(
            f"calibration needs likelihoods and marks of one shape (L,) with L ≥ 1, got "
            f"{given.shape} and {linked.shape}."
        )
    if linked.dtype != np.bool_:
        raise InputError(f"is_linked needs bool marks, got {linked.dtype}; compare the labels.")
    if not (given.min() >= 0 and given.max() <= 1):
        raise InputError(
            f"likelihoods must lie in [0, 1], got values from {given.min()} to {given.max()}; "
            "they are probabilities, not logits."
        )
    return given, linked


def _log_odds(likelihoods: NDArray[np.floating]) -> NDArray[np.float64]:
    lowest = 1 / (1 + np.exp(_MAX_LOG_ODDS))
    clipped = np.clip(likelihoods.astype(np.float64), lowest, 1 - lowest)
    log_odds: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return log_odds


def _bins(likelihoods: NDArray[np.floating]) -> NDArray[np.int64]:
    position = (_log_odds(likelihoods) + _MAX_LOG_ODDS) * (N_BINS / (2 * _MAX_LOG_ODDS))
    return np.minimum(position.astype(np.int64), N_BINS - 1)


def fit_binned(
    n_linked: NDArray[np.float64], n_other: NDArray[np.float64], *, n_imagined: float = 1.0
) -> Calibration:
    """Fit to counts from `count_binned`: Newton's method on a log-loss of two parameters.

    `n_imagined` pairs at log-odds −2, and as many at 2, are added that say
    that the likelihoods are right: they keep the fit finite where all pairs
    are of one kind, and close to no change where pairs are few.
    """
    centers = ((np.arange(N_BINS) + 0.5) / N_BINS * 2 - 1) * _MAX_LOG_ODDS
    for place in (np.searchsorted(centers, -2.0), np.searchsorted(centers, 2.0)):
        honest = 1 / (1 + np.exp(-centers[place]))
        n_linked = n_linked + n_imagined * honest * (np.arange(N_BINS) == place)
        n_other = n_other + n_imagined * (1 - honest) * (np.arange(N_BINS) == place)
    n_pairs = n_linked + n_other
    weights = np.array([1.0, 0.0])  # slope, bias

    def loss(at: NDArray[np.float64]) -> float:
        log_odds = at[0] * centers + at[1]
        return float(n_linked @ np.logaddexp(0, -log_odds) + n_other @ np.logaddexp(0, log_odds))

    current = loss(weights)
    for _ in range(100):
        predicted = expit(weights[0] * centers + weights[1])
        error = predicted * n_pairs - n_linked
        gradient = np.array([error @ centers, error.sum()])
        spread = n_pairs * predicted * (1 - predicted)
        hessian = np.array(
            [
                [spread @ centers**2, spread @ centers],
                [spread @ centers, spread.sum()],
            ]
        )
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
        while loss(weights - step) > current and np.abs(step).max() > 1e-9:
            step = step / 2
        weights = weights - step
        current = loss(weights)
        if np.abs(step).max() <= 1e-9:
            break
    slope, bias = (float(weight) for weight in weights)
    return Calibration(temperature=1 / max(_WEAKEST_SLOPE, slope), bias=bias)
