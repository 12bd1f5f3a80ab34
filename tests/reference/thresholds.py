"""Every threshold tried, one by one."""

from tests.reference.merging import components
from tests.reference.metrics import bcubed, pairwise


def best_cut(n_instances, pairs, likelihoods, labels_true):
    """Best mean of pairwise and BCubed F over every cut, and the best of each."""
    scores = []
    for threshold in [*likelihoods, 1.0]:
        clusters = components(n_instances, pairs, likelihoods, threshold)
        found = [next(min(c) for c in clusters if face in c) for face in range(n_instances)]
        scores.append((pairwise(labels_true, found)[2], bcubed(labels_true, found)[2]))
    return (
        max(sum(both) / 2 for both in scores),
        max(pairwise_f for pairwise_f, _ in scores),
        max(bcubed_f for _, bcubed_f in scores),
    )
