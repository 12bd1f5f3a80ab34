"""Context features by name, in groups: what they mean, and the order of their columns.

Notation: p is the pivot, q its neighbour with cosine s; L(p) are the k nearest
neighbours of p, N(p) the same with p itself in front; z = (s − median) / spread
of the collection's impostors; depths are shares of k. Every feature is bounded.
"""

OVERLAP_DEPTHS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of k at which neighbour lists are compared."""

FEATURE_GROUPS: dict[str, tuple[str, ...]] = {
    # s against the collection
    "similarity": (
        "standardized",  # z / 10
        "centred",  # (s − median) / (1 − median), which a constant offset leaves as it is
        "above_expected_nearest",  # z − z of the nearest of N − 1 normal impostors, / 5
        "impostor_spread",  # 5 spread / (1 − median): wide where nearly all are one person
        "relative_to_isolated",  # (s − median) / the same of isolated instances' k-th neighbours
        "relative_to_nearest",  # (s − median) / the same of most instances' nearest neighbours
    ),
    # s against both ends' own lists
    "lists": (
        "within_pivot_range",  # 0 at the k-th, 1 at the nearest neighbour of p
        "within_node_range",  # the same for q; negative below its k-th
        "in_pivot_deviations",  # (s − mean of L(p)) / deviation of L(p), / 3
        "in_node_deviations",
    ),
    "gaps": (
        "gap_above",  # from the neighbour of p some ranks nearer, in spreads / 3
        "gap_below",  # to the neighbour of p some ranks farther, in spreads / 3
        "gap_pivot_nearest",  # from the nearest neighbour of p, in spreads / 5
        "gap_node_nearest",
        "gap_pivot_last",  # to the k-th neighbour of p, in spreads / 5
        "gap_node_last",
    ),
    "densities": (
        "density_pivot",  # z of the nearest neighbours' mean, / 10
        "density_node",
        "last_pivot",  # z of the k-th neighbour, / 10
        "last_node",
        "density_difference",  # of the node less the pivot, in spreads / 3
    ),
    "ranks": (
        "rank_of_node",  # of q in L(p), / k
        "rank_of_pivot",  # of p in L(q), / k; 1.25 where it is not there
        "log_rank_of_node",  # log of the rank / log (1 + k)
        "log_rank_of_pivot",
        "mutual",  # whether p is in L(q)
    ),
    # common members of N(p) and N(q)
    "overlaps": (
        *(f"overlap_{round(1 / depth)}" for depth in OVERLAP_DEPTHS),  # at depth k / …
        "overlap_at_rank",  # at the depth where p's list reaches q
    ),
    "weighted_overlaps": (
        "shared_weight",  # common share of s − s of the k-th, each list's total being 1
        "shared_strength",  # the lesser over the greater of max(0, z − 2), summed
    ),
    # how similar either end is to the other's neighbours, in spreads / 5
    "linkage": (
        "node_to_near",  # mean from q to the nearest of L(p), less that from p
        "node_to_wide",
        "pivot_to_near",  # mean from p to the nearest of L(q), less s
        "pivot_to_wide",
    ),
    # share of L(p) that has q among its nearest, or among its k nearest
    "support": ("near_support", "support"),
    # log of the number of lists that p or q is in / log (1 + k)
    "hubness": ("hubness_pivot", "hubness_node"),
    "size": ("depth",),  # log (1 + k) / log 81
}
"""Groups of features, in the order of the columns."""

FEATURE_NAMES = tuple(name for names in FEATURE_GROUPS.values() for name in names)
"""Names of the F features, in the order of the columns."""


def first_column(group: str) -> int:
    """Column of the first feature of a group."""
    return FEATURE_NAMES.index(FEATURE_GROUPS[group][0])
