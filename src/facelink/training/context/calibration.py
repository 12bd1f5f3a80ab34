"""Calibration: likelihoods that come true as often as they say, on people held out of training."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from facelink.errors import InputError


def fit_scale_and_shift(
    log_odds: NDArray[np.floating],
    is_linked: NDArray[np.bool_],
    weights: NDArray[np.floating],
) -> tuple[float, float]:
    """Scale and shift of log-odds with the least log-loss (Platt scaling).

    Parameters
    ----------
    log_odds : float (L,)
        What the model says.
    is_linked : bool (L,)
        What is true.
    weights : float (L,)
        Weight of each link, so that every collection counts alike.

    Returns
    -------
    scale, shift : float
        Calibrated log-odds are scale · x + shift.

    Raises
    ------
    InputError
        If all links are true, or none is.
    """
    if is_linked.all() or not is_linked.any():
        raise InputError(
            f"{int(is_linked.sum())} of {len(is_linked)} held-out links are true; calibration "
            "needs true and false ones, so hold out more people."
        )
    x = log_odds.astype(np.float64)
    truth = is_linked.astype(np.float64)
    share = weights.astype(np.float64) / weights.sum()

    def loss_and_gradient(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        calibrated = parameters[0] * x + parameters[1]
        loss = share @ (np.logaddexp(0, calibrated) - truth * calibrated)
        error = share * (expit(calibrated) - truth)
        return float(loss), np.array([error @ x, error.sum()])

    found = minimize(
        loss_and_gradient, np.array([1.0, 0.0]), jac=True, bounds=[(0.1, 10.0), (-10.0, 10.0)]
    )
    return float(found.x[0]), float(found.x[1])
