"""Merging of links as slow loops, written from section 3.4 of the paper."""

from collections import deque

import numpy as np


def neighbors_at(n_instances, pairs, likelihoods, threshold):
    """Neighbour sets of all instances over the links with at least this likelihood."""
    neighbors = [set() for _ in range(n_instances)]
    for (first, second), likelihood in zip(pairs, likelihoods, strict=True):
        if np.float32(likelihood) >= np.float32(threshold):
            neighbors[first].add(second)
            neighbors[second].add(first)
    return neighbors


def breadth_first(start, neighbors):
    """Everything that can be reached from one instance."""
    reached, queue = {start}, deque([start])
    while queue:
        for neighbor in neighbors[queue.popleft()]:
            if neighbor not in reached:
                reached.add(neighbor)
                queue.append(neighbor)
    return reached


def components(n_instances, pairs, likelihoods=None, threshold=0.0):
    """Components as a set of frozensets of instance ids."""
    likelihoods = [1.0] * len(pairs) if likelihoods is None else likelihoods
    neighbors = neighbors_at(n_instances, pairs, likelihoods, threshold)
    return {frozenset(breadth_first(start, neighbors)) for start in range(n_instances)}


def rising_threshold(
    n_instances,
    pairs,
    likelihoods,
    initial_threshold,
    threshold_step,
    max_cluster_size,
    first_pass_without_threshold=False,
):
    """Run the queue of the paper pass by pass.

    Returns the clusters and the uncuttable ones among them, both as sets of
    frozensets, and the number of passes.
    """
    held_by_ones = neighbors_at(n_instances, pairs, likelihoods, 1.0)
    clusters, uncuttable = set(), set()
    queued = set(range(n_instances))
    threshold = 0.0 if first_pass_without_threshold else initial_threshold
    schedule = initial_threshold
    n_passes = 0
    while queued or n_passes == 0:
        neighbors = neighbors_at(n_instances, pairs, likelihoods, threshold)
        n_passes += 1
        waiting = set()
        while queued:
            component = breadth_first(min(queued), neighbors)
            assert component <= queued
            queued -= component
            if len(component) <= max_cluster_size:
                clusters.add(frozenset(component))
            elif component == breadth_first(min(component), held_by_ones):
                clusters.add(frozenset(component))
                uncuttable.add(frozenset(component))
            else:
                waiting |= component
        queued = waiting
        raised = schedule + (1 - schedule) * threshold_step
        schedule = threshold = 1.0 if raised == schedule else raised
    return clusters, uncuttable, n_passes


def membership_confidence(n_instances, pairs, likelihoods, labels):
    """Confidence of each instance in its cluster, one instance after the other."""
    confidence = []
    for instance in range(n_instances):
        judged = [
            (pair[1] if pair[0] == instance else pair[0], float(likelihood))
            for pair, likelihood in zip(pairs, likelihoods, strict=True)
            if instance in pair
        ]
        mates = [
            other
            for other in range(n_instances)
            if other != instance and labels[other] == labels[instance] != -1
        ]
        within = [likelihood for other, likelihood in judged if other in mates]
        if not mates:
            confidence.append(1 - max((likelihood for _, likelihood in judged), default=0.0))
        else:
            confidence.append(sum(within) / len(within) if within else 0.0)
    return confidence
