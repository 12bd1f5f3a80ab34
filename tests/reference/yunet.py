"""YuNet's outputs read square by square, and overlapping boxes dropped pair by pair."""

import math


def candidates(outputs, stride, n_columns, min_score):
    """Rows of box, landmarks and score of every square above `min_score`."""
    rows = []
    for square in range(outputs[f"cls_{stride}"].shape[1]):
        column, row = square % n_columns, square // n_columns
        probabilities = (outputs[f"{name}_{stride}"][0, square, 0] for name in ("cls", "obj"))
        first, second = (min(1.0, max(0.0, float(value))) for value in probabilities)
        score = math.sqrt(first * second)
        if score <= min_score:
            continue
        right, down, log_width, log_height = map(float, outputs[f"bbox_{stride}"][0, square])
        width, height = math.exp(log_width) * stride, math.exp(log_height) * stride
        left = (column + right) * stride - width / 2
        top = (row + down) * stride - height / 2
        points = []
        for point in range(5):
            across, along = map(
                float, outputs[f"kps_{stride}"][0, square, 2 * point : 2 * point + 2]
            )
            points += [(column + across) * stride, (row + along) * stride]
        rows.append([left, top, width, height, *points, score])
    return rows


def boxes_left(rows, most_overlap):
    """Positions of the rows that overlap no better one that is left, the best first."""
    left = []
    for position in sorted(range(len(rows)), key=lambda position: -rows[position][14]):
        if all(overlap(rows[position], rows[other]) <= most_overlap for other in left):
            left.append(position)
    return left


def overlap(first, second):
    """Share of the union of two boxes, cut down to whole pixels, that both cover."""
    a_left, a_top, a_width, a_height = map(int, first[:4])
    b_left, b_top, b_width, b_height = map(int, second[:4])
    across = min(a_left + a_width, b_left + b_width) - max(a_left, b_left)
    down = min(a_top + a_height, b_top + b_height) - max(a_top, b_top)
    common = max(0, across) * max(0, down)
    return common / (a_width * a_height + b_width * b_height - common)
