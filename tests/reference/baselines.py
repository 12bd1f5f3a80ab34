"""Baselines as slow loops, from their papers' definitions.

Neighbour lists never hold the face itself, nearest first.
"""

import math


def rank_order_distance(lists, first, second, k):
    """Otto et al.: neighbours that the other lacks, over the nearer place of the two."""

    def place(face, other):
        if face == other:
            return 0
        return lists[face].index(other) + 1 if other in lists[face] else k + 1

    def lacking(face, other):
        asked = lists[face][: min(place(face, other), k)]
        return sum(place(other, node) > k for node in asked)

    total = lacking(first, second) + lacking(second, first)
    return total / min(place(first, second), place(second, first))


def edge_probability(lists, cosines, first, second, temperature):
    """FC-ES: half of the weights that two faces give those whom both list."""

    def weights(face):
        raw = {face: 1.0}
        for node, cosine in zip(lists[face], cosines[face], strict=False):
            raw[node] = math.exp(-(2 - 2 * cosine) / temperature)
        total = sum(raw.values())
        return {node: value / total for node, value in raw.items()}

    of_first, of_second = weights(first), weights(second)
    return sum(of_first[node] + of_second[node] for node in of_first if node in of_second) / 2


def jaccard(lists, first, second):
    """Common members of two lists over all their members, everyone in its own list."""
    ours, theirs = {first, *lists[first]}, {second, *lists[second]}
    return len(ours & theirs) / len(ours | theirs)


def chinese_whispers(n_faces, weight_of, orders):
    """Every face takes the label with the most weight around it, the smaller one of equal ones.

    `weight_of` maps (face, face) in both directions; `orders` has one order for each round.
    """
    labels = list(range(n_faces))
    for order in orders:
        before = list(labels)
        for face in order:
            votes = {}
            for (one, other), weight in sorted(weight_of.items()):
                if one == face:
                    votes[labels[other]] = votes.get(labels[other], 0.0) + weight
            if votes:
                most = max(votes.values())
                labels[face] = min(label for label, vote in votes.items() if vote == most)
        if labels == before:
            break
    return labels


def dbscan(near, min_samples):
    """Groups of core faces that reach each other, with the faces next to them.

    `near[face]` holds the faces within reach, itself included. Returns the core faces' groups
    as sets, and for every other face the groups that it borders on.
    """
    cores = [face for face in range(len(near)) if len(near[face]) >= min_samples]
    groups, waiting = [], set(cores)
    while waiting:
        group, border = set(), [min(waiting)]
        while border:
            face = border.pop()
            if face in waiting:
                waiting.remove(face)
                group.add(face)
                border += [other for other in near[face] if other in waiting]
        groups.append(group)
    reached = {
        face: [number for number, group in enumerate(groups) if group & near[face]]
        for face in range(len(near))
        if face not in cores
    }
    return groups, reached


def average_linkage(features, cosine):
    """Join the two groups with the greatest mean cosine while it is at least this one."""
    groups = [[face] for face in range(len(features))]

    def mean_cosine(first, second):
        cosines = [float(features[one] @ features[other]) for one in first for other in second]
        return sum(cosines) / len(cosines)

    while len(groups) > 1:
        pairs = [(i, j) for i in range(len(groups)) for j in range(i + 1, len(groups))]
        best, i, j = max((mean_cosine(groups[i], groups[j]), i, j) for i, j in pairs)
        if best < cosine:
            break
        groups[i] += groups.pop(j)
    return groups


def single_linkage(features, cosine):
    """Components of all pairs with at least this cosine."""
    n_faces = len(features)
    labels = list(range(n_faces))
    for i in range(n_faces):
        for j in range(i):
            if float(features[i] @ features[j]) >= cosine and labels[i] != labels[j]:
                old, new = labels[i], labels[j]
                labels = [new if label == old else label for label in labels]
    return labels
