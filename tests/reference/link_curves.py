"""Precision and recall of links, one threshold at a time, in plain loops."""


def precision_recall(scores, is_same, threshold, n_same):
    """Precision and recall of the links whose score reaches a threshold."""
    n_accepted = n_right = 0
    for score, same in zip(scores, is_same, strict=True):
        if score >= threshold:
            n_accepted += 1
            n_right += bool(same)
    return (n_right / n_accepted if n_accepted else 1.0), n_right / n_same


def jaccard(neighbors, first, second):
    """Jaccard index of the neighbours of two faces, each counted among its own."""
    one = {first, *(i for i in neighbors[first] if i >= 0)}
    other = {second, *(i for i in neighbors[second] if i >= 0)}
    return len(one & other) / len(one | other)
