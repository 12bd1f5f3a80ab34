"""A similarity transform by solving its normal equations, written from the definition."""

import numpy as np


def fitted_similarity(source, target):
    """Matrix (2, 3) of u = a·x − b·y + c, v = b·x + a·y + d with least squared error."""
    rows, wanted = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, -y, 1, 0])
        wanted.append(u)
        rows.append([y, x, 0, 1])
        wanted.append(v)
    (a, b, c, d), *_ = np.linalg.lstsq(np.array(rows, float), np.array(wanted, float), rcond=None)
    return np.array([[a, -b, c], [b, a, d]])
