"""Clustering scores as slow loops over faces and pairs of faces, written from their definitions."""

from itertools import combinations
from math import log, sqrt


def own_groups(labels):
    """Give each face labelled −1 a label of its own."""
    return [("alone", face) if label == -1 else label for face, label in enumerate(labels)]


def fscore(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def pairwise(labels_true, labels_pred):
    """Precision, recall and F over all pairs of faces."""
    true, pred = own_groups(labels_true), own_groups(labels_pred)
    in_both = in_cluster = in_identity = 0
    for first, second in combinations(range(len(true)), 2):
        same_identity = true[first] == true[second]
        same_cluster = pred[first] == pred[second]
        in_identity += same_identity
        in_cluster += same_cluster
        in_both += same_identity and same_cluster
    precision = in_both / in_cluster if in_cluster else 1.0
    recall = in_both / in_identity if in_identity else 1.0
    return precision, recall, fscore(precision, recall)


def bcubed(labels_true, labels_pred):
    """Precision, recall and F averaged over faces."""
    true, pred = own_groups(labels_true), own_groups(labels_pred)
    faces = range(len(true))
    precision = recall = 0.0
    for face in faces:
        identity = {other for other in faces if true[other] == true[face]}
        cluster = {other for other in faces if pred[other] == pred[face]}
        precision += len(identity & cluster) / len(cluster) / len(true)
        recall += len(identity & cluster) / len(identity) / len(true)
    return precision, recall, fscore(precision, recall)


def normalized_mutual_information(labels_true, labels_pred):
    """NMI over the arithmetic and over the geometric mean of the entropies."""
    true, pred = own_groups(labels_true), own_groups(labels_pred)
    n_faces = len(true)
    information = 0.0
    for identity in set(true):
        for cluster in set(pred):
            both = sum(t == identity and p == cluster for t, p in zip(true, pred, strict=True))
            if both:
                expected = true.count(identity) * pred.count(cluster) / n_faces
                information += both / n_faces * log(both / expected)
    entropies = [
        -sum(groups.count(g) / n_faces * log(groups.count(g) / n_faces) for g in set(groups))
        for groups in (true, pred)
    ]
    if len(set(true)) == len(set(pred)) == 1:
        return 1.0, 1.0
    arithmetic, geometric = sum(entropies) / 2, sqrt(entropies[0] * entropies[1])
    return information / arithmetic, information / geometric if geometric else 0.0


def adjusted_rand_index(labels_true, labels_pred):
    """(Index − expected) / (greatest − expected) over all pairs of faces."""
    true, pred = own_groups(labels_true), own_groups(labels_pred)
    pairs = list(combinations(range(len(true)), 2))
    in_identity = sum(true[i] == true[j] for i, j in pairs)
    in_cluster = sum(pred[i] == pred[j] for i, j in pairs)
    in_both = sum(true[i] == true[j] and pred[i] == pred[j] for i, j in pairs)
    if in_identity == in_cluster == in_both:
        return 1.0
    expected = in_identity * in_cluster / len(pairs)
    return (in_both - expected) / ((in_identity + in_cluster) / 2 - expected)
