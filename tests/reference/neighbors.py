"""Exact nearest neighbours by comparing all pairs, one by one."""

import math

import numpy as np


def cosine(first, second):
    """Cosine of two unit vectors, correctly rounded."""
    return math.fsum(float(a) * float(b) for a, b in zip(first, second, strict=True))


def cosines(features):
    """All pairs' cosines, float64 (N, N)."""
    n = len(features)
    table = np.zeros((n, n))
    for i in range(n):
        for j in range(i, n):
            table[i, j] = table[j, i] = cosine(features[i], features[j])
    return table


def nearest_neighbors(features, k):
    """Ids and cosines of the k nearest others, nearest first, ties by id: two (N, k) arrays."""
    table = cosines(features)
    ids, values = [], []
    for i in range(len(features)):
        others = sorted((-table[i, j], j) for j in range(len(features)) if j != i)[:k]
        ids.append([j for _, j in others])
        values.append([-negative for negative, _ in others])
    return np.array(ids), np.array(values)


def promising_cells(nearness, cohesion, scatter, least, reach):
    """Cells where a member `reach` scatters nearer than the average is as near as `least`."""
    cells = []
    for cell in range(len(nearness)):
        if nearness[cell] * cohesion[cell] + reach * scatter[cell] >= least:
            cells.append(cell)
    return cells
