"""Merging by likelihood as slow loops over sets of instances, one round after the other."""

from itertools import combinations
from math import exp, inf, log

MAX_LOG_ODDS = 4.0
MISSING_LOG_ODDS = -1.0
UNITS = 65536


def log_odds(likelihood):
    """Clipped log-odds in whole units."""
    lowest = 1 / (1 + exp(MAX_LOG_ODDS))
    clipped = min(max(float(likelihood), lowest), 1 - lowest)
    return round(log(clipped / (1 - clipped)) * UNITS)


def mean_evidence(first, second, links, blocked, n_neighbors):
    """Mean log-odds of the pairs between two sets of instances.

    `links` maps frozensets of two instances to log-odds, `blocked` is a set
    of them.
    """
    between = [frozenset((one, other)) for one in first for other in second]
    if any(pair in blocked for pair in between):
        return -inf
    judged = [links[pair] for pair in between if pair in links]
    size = len(first) + len(second)
    expected = len(between) * min(1.0, n_neighbors / size)
    missing = max(0.0, expected - len(judged))
    return (sum(judged) / UNITS + MISSING_LOG_ODDS * missing) / max(expected, len(judged))


def joined_by(n_instances, pairs):
    """The partition that a list of pairs makes, as a set of frozensets."""
    groups = {frozenset([instance]) for instance in range(n_instances)}
    for first, second in pairs:
        parts = {group for group in groups if first in group or second in group}
        groups = (groups - parts) | {frozenset().union(*parts)}
    return groups


def agglomerate(n_instances, pairs, likelihoods, n_neighbors, must=(), cannot=()):
    """Clusters, as a set of frozensets, and the number of rounds of both levels."""
    links = {
        frozenset(pair): log_odds(likelihood)
        for pair, likelihood in zip(pairs, likelihoods, strict=True)
    }
    blocked = {frozenset(pair) for pair in cannot}
    groups = joined_by(n_instances, must)
    n_rounds = 0
    for least in (1.5, 0.0):
        groups, n_more = merge_above(least, groups, links, blocked, n_neighbors)
        n_rounds += n_more
    return groups, n_rounds


def merge_above(least, groups, links, blocked, n_neighbors):
    """Groups after merging those that are each other's best, and the number of rounds."""
    n_rounds = 0
    while True:
        best = {}
        for group in groups:
            linked = [
                other
                for other in groups
                if other != group and any(frozenset((a, b)) in links for a in group for b in other)
            ]
            judged = [
                (mean_evidence(group, other, links, blocked, n_neighbors), -min(other), other)
                for other in linked
            ]
            evidence, _, partner = max(judged, default=(least, 0, None))
            if evidence > least:
                best[group] = partner
        mutual = {
            frozenset((group, partner))
            for group, partner in best.items()
            if best.get(partner) == group
        }
        if not mutual:
            return groups, n_rounds
        n_rounds += 1
        for first, second in mutual:
            groups = (groups - {first, second}) | {first | second}


def n_leaving(group, links):
    """Links with one end in the group."""
    return sum(len(pair & group) == 1 for pair in links)


def attach(n_instances, pairs, likelihoods, n_neighbors, clusters, cannot=()):
    """Clusters after up to three rounds of attachment to the goal of most links."""
    links = {
        frozenset(pair): log_odds(likelihood)
        for pair, likelihood in zip(pairs, likelihoods, strict=True)
    }
    blocked = {frozenset(pair) for pair in cannot}
    for _ in range(3):
        best = {}
        for group in clusters:
            leaving = n_leaving(group, links)
            for larger in clusters:
                n_links = sum(len(pair & group) == 1 and len(pair & larger) == 1 for pair in links)
                place = (len(group), leaving, -min(group))
                if n_links == 0 or (len(larger), n_leaving(larger, links), -min(larger)) <= place:
                    continue
                odds = n_links / (leaving - n_links + 2)
                by_chance = leaving * len(larger) / (n_instances - len(group))
                odds_by_chance = by_chance / (leaving - by_chance + 2)
                majority = log(odds) - (log(odds_by_chance) if odds_by_chance > 1 else 0.0)
                majority = min(max(majority, 0.0), 4.0)
                mean = mean_evidence(group, larger, links, blocked, n_neighbors)
                evidence = mean + 1.5 * majority
                judged = (evidence, -min(larger), larger)
                if evidence > 0 and (group not in best or judged > best[group]):
                    best[group] = judged
        now_in = {group: group for group in clusters}
        for group, (_, _, larger) in sorted(best.items(), key=lambda b: (-b[1][0], min(b[0]))):
            first, second = now_in[group], now_in[larger]
            if first != second and not any(
                frozenset((one, other)) in blocked for one in first for other in second
            ):
                now_in = {
                    member: first | second if whole in (first, second) else whole
                    for member, whole in now_in.items()
                }
        if set(now_in.values()) == clusters:
            break
        clusters = set(now_in.values())
    return clusters


def membership(n_instances, pairs, likelihoods, n_neighbors, clusters, cannot=()):
    """(confidence, outlier score, runner-up or None) of each instance; `clusters` in order."""
    links = {
        frozenset(pair): log_odds(likelihood)
        for pair, likelihood in zip(pairs, likelihoods, strict=True)
    }
    blocked = {frozenset(pair) for pair in cannot}
    judged = []
    for instance in range(n_instances):
        own = next(cluster for cluster in clusters if instance in cluster)
        alone = {instance}
        own_odds = 0.0
        if len(own) > 1:
            own_odds = exp(mean_evidence(alone, own - alone, links, blocked, n_neighbors))
        others = [
            (mean_evidence(alone, cluster, links, blocked, n_neighbors), -label)
            for label, cluster in enumerate(clusters)
            if cluster != own and any(frozenset((instance, mate)) in links for mate in cluster)
        ]
        most, minus_label = max(others, default=(-inf, 0))
        runner_up = None if most == -inf else -minus_label
        total = 1 + own_odds + exp(most)
        judged.append(((own_odds if len(own) > 1 else 1.0) / total, 1 / total, runner_up))
    return judged


def cluster_pair_evidence(pairs, likelihoods, n_neighbors, clusters):
    """Evidence of each pair of cluster numbers that links connect."""
    links = {
        frozenset(pair): log_odds(likelihood)
        for pair, likelihood in zip(pairs, likelihoods, strict=True)
    }
    found = {}
    for one, other in combinations(range(len(clusters)), 2):
        first, second = clusters[one], clusters[other]
        if any(frozenset((a, b)) in links for a in first for b in second):
            found[one, other] = mean_evidence(first, second, links, set(), n_neighbors)
    return found
