"""Names beside the points of a scatter plot, none over another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GAP = 6.0
"""Between a point and its name, in points (1/72 inch)."""

_PLACES = (
    (1, 0, "left", "center"),
    (-1, 0, "right", "center"),
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
    (1, 1, "left", "bottom"),
    (1, -1, "left", "top"),
    (-1, 1, "right", "bottom"),
    (-1, -1, "right", "top"),
)
"""Direction from the point, and which side of the text stands there; the first is preferred."""

_DISTANCES = (1.0, 2.5, 4.0)
"""Of names that find no room close by, in gaps; they get a line to their point."""


def label_points(
    axes: Any, x: NDArray[np.floating], y: NDArray[np.floating], names: Sequence[str]
) -> None:
    """Write each point's name where it covers the fewest others, nearer places first.

    Parameters
    ----------
    axes
        matplotlib axes, drawn up to their limits; names stay within them.
    x, y : float (P,)
        Points in the axes' units.
    names
        One for each point.
    """
    renderer = axes.figure.canvas.get_renderer()
    frame = axes.get_window_extent(renderer).extents
    points = axes.transData.transform(np.column_stack([x, y]))
    radius = _GAP / 2 * axes.figure.dpi / 72
    taken = [(px - radius, py - radius, px + radius, py + radius) for px, py in points]
    places = [(distance, place) for distance in _DISTANCES for place in _PLACES]
    for point, name in zip(zip(x, y, strict=True), names, strict=True):
        costs, boxes = [], []
        for rank, place in enumerate(places):
            text = _write(axes, point, name, *place)
            box = text.get_window_extent(renderer).extents
            text.remove()
            boxes.append(tuple(box))
            costs.append(_overlap(box, taken) + _outside(box, frame) + rank)
        best = int(np.argmin(costs))
        _write(axes, point, name, *places[best])
        taken.append(boxes[best])


def _write(
    axes: Any, point: tuple[float, float], name: str, distance: float, place: tuple[Any, ...]
) -> Any:
    right, up, horizontal, vertical = place
    is_far = distance > _DISTANCES[0]
    text = axes.annotate(
        name,
        point,
        xytext=(right * distance * _GAP, up * distance * _GAP),
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        fontsize=9.5,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 0.5},
        arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": "#6E7781"} if is_far else None,
    )
    text.set_in_layout(False)
    return text


def _overlap(box: NDArray[np.float64], others: Sequence[tuple[float, ...]]) -> float:
    """Area in square pixels that the boxes (left, bottom, right, top) have in common."""
    if not others:
        return 0.0
    boxes = np.asarray(others)
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    return float(np.prod(np.clip(high - low, 0, None), axis=1).sum())


def _outside(box: NDArray[np.float64], frame: NDArray[np.float64]) -> float:
    """Area in square pixels of the box that lies outside the frame, weighed ten times."""
    size = np.prod(box[2:] - box[:2])
    inside = np.minimum(box[2:], frame[2:]) - np.maximum(box[:2], frame[:2])
    return 10 * float(size - np.prod(np.clip(inside, 0, None)))
