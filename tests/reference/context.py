"""The context features by their definitions, one pair at a time, with dictionaries and sets.

`lists[i]` are the neighbours of instance i, nearest first; `similarities[i]` their cosines.
"""

import math
from statistics import NormalDist, fmean, pstdev

OVERLAP_SHARES = (32, 16, 8, 4, 2, 1)
TINY = 1e-6


def clip(value, lowest, highest):
    return max(lowest, min(highest, value))


def quantile(values, share):
    """Linear interpolation between the sorted values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def depth(k, share):
    """A share of k, rounded up, and the instance itself."""
    return 1 + math.ceil(k / share)


def context_features(lists, similarities, k, median, spread, pivot):
    """For each neighbour of the pivot: feature name → value."""
    lists = [row[:k] for row in lists]
    similarities = [row[:k] for row in similarities]
    return [
        pair_features(lists, similarities, k, median, spread, pivot, rank)
        for rank in range(len(lists[pivot]))
    ]


def pair_features(lists, similarities, k, median, spread, p, rank):
    n, q, s = len(lists), lists[p][rank], similarities[p][rank]
    to = [dict(zip(*rows, strict=True)) for rows in zip(lists, similarities, strict=True)]
    z = (s - median) / spread
    isolated = quantile([row[-1] if row else 0.0 for row in similarities], 0.1) - median
    nearest = quantile([row[0] if row else 0.0 for row in similarities], 0.75) - median
    found = {
        "standardized": clip(z / 10, -1, 3),
        "centred": clip((s - median) / (1 - median), -1, 1),
        "above_expected_nearest": clip((z - NormalDist().inv_cdf(1 - 1 / max(4, n))) / 5, -2, 2),
        "relative_to_isolated": clip((s - median) / max(isolated, spread), -1, 4),
        "impostor_spread": clip(5 * spread / (1 - median), 0, 3),
        "relative_to_nearest": clip((s - median) / max(nearest, spread), -1, 2),
        "depth": math.log(1 + k) / math.log(81),
    }
    found |= own_lists(similarities, k, median, spread, p, q, s)
    found |= hubness(lists, k, p, q)
    step = depth(k, 16)
    own = similarities[p]
    found["gap_above"] = clip((own[max(0, rank - step)] - s) / spread, 0, 8) / 3
    found["gap_below"] = clip((s - own[min(len(own) - 1, rank + step)]) / spread, 0, 8) / 3
    found |= ranks(lists, k, p, q)
    found |= overlaps(lists, k, p, q, rank)
    found |= weighted_overlaps(lists, to, similarities, median, spread, p, q)
    found |= linkage(lists, to, similarities, k, spread, p, q, s)
    near = depth(k, 8)
    found["near_support"] = sum(q in lists[x][:near] for x in lists[p]) / len(lists[p])
    found["support"] = sum(q in lists[x] for x in lists[p]) / len(lists[p])
    return found


def own_lists(similarities, k, median, spread, p, q, s):
    found, density = {}, {}
    for end, instance in (("pivot", p), ("node", q)):
        own = similarities[instance] or [0.0]
        density[end] = fmean(own[: depth(k, 8)])
        found[f"within_{end}_range"] = clip((s - own[-1]) / (own[0] - own[-1] + TINY), -1, 1)
        found[f"in_{end}_deviations"] = (
            clip((s - fmean(own)) / (pstdev(own) + 0.1 * spread), -3, 6) / 3
        )
        found[f"gap_{end}_nearest"] = clip((own[0] - s) / spread, 0, 12) / 5
        found[f"gap_{end}_last"] = clip((s - own[-1]) / spread, -6, 12) / 5
        found[f"density_{end}"] = clip((density[end] - median) / spread, -2, 15) / 10
        found[f"last_{end}"] = clip((own[-1] - median) / spread, -2, 15) / 10
    difference = density["node"] - density["pivot"]
    return found | {"density_difference": clip(difference / spread, -6, 6) / 3}


def hubness(lists, k, p, q):
    return {
        f"hubness_{end}": min(2, math.log(1 + sum(i in row for row in lists)) / math.log(1 + k))
        for end, i in (("pivot", p), ("node", q))
    }


def ranks(lists, k, p, q):
    there = lists[p].index(q) + 1
    is_mutual = p in lists[q]
    back = lists[q].index(p) + 1 if is_mutual else k + 1
    return {
        "rank_of_node": there / k,
        "rank_of_pivot": back / k if is_mutual else 1.25,
        "log_rank_of_node": math.log(there) / math.log(1 + k),
        "log_rank_of_pivot": math.log(back) / math.log(1 + k),
        "mutual": float(is_mutual),
    }


def overlaps(lists, k, p, q, rank):
    of_p, of_q = [p, *lists[p]], [q, *lists[q]]
    depths = {f"overlap_{share}": depth(k, share) for share in OVERLAP_SHARES}
    depths["overlap_at_rank"] = rank + 2
    return {
        name: len(set(of_p[:reached]) & set(of_q[:reached])) / reached
        for name, reached in depths.items()
    }


def weighted_overlaps(lists, to, similarities, median, spread, p, q):
    """An instance is as near to itself as its nearest neighbour."""

    def weights(i, weight):
        own = {i: similarities[i][0], **to[i]}
        return {member: weight(similarity, i) for member, similarity in own.items()}

    def above_last(similarity, i):
        return similarity - similarities[i][-1]

    def strength(similarity, i):
        return max(0.0, (similarity - median) / spread - 2)

    heavy_p, heavy_q = weights(p, above_last), weights(q, above_last)
    total_p, total_q = sum(heavy_p.values()) + TINY, sum(heavy_q.values()) + TINY
    strong_p, strong_q = weights(p, strength), weights(q, strength)
    common = heavy_p.keys() & heavy_q.keys()
    lesser = sum(min(strong_p[x], strong_q[x]) for x in common)
    greater = sum(strong_p.values()) + sum(strong_q.values()) - lesser
    return {
        "shared_weight": sum(min(heavy_p[x] / total_p, heavy_q[x] / total_q) for x in common),
        "shared_strength": lesser / (greater + TINY),
    }


def linkage(lists, to, similarities, k, spread, p, q, s):
    """Who is not in the list of an end is as similar to it as the last who is."""
    found = {}
    for name, share in (("near", 8), ("wide", 2)):
        reached = depth(k, share)
        to_pivots = [to[q].get(x, similarities[q][-1]) for x in lists[p][:reached] if x != q] or [
            similarities[q][-1]
        ]
        to_nodes = [to[p].get(x, similarities[p][-1]) for x in lists[q][:reached] if x != p] or [
            similarities[p][-1]
        ]
        from_pivot = fmean(similarities[p][:reached])
        found[f"node_to_{name}"] = clip((fmean(to_pivots) - from_pivot) / spread, -12, 6) / 5
        found[f"pivot_to_{name}"] = clip((fmean(to_nodes) - s) / spread, -12, 6) / 5
    return found
