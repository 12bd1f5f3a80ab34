"""Merging only what a change reaches comes to what merging everything does."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facelink.calibration import Calibration
from facelink.links import Links
from facelink.merging.placing import FREE, KnownGroups, Learned, merge_into_groups
from facelink.merging.reach import reach_of

K, MOST_ROUNDS = 8, 12


def made_up_links(random, n):
    """Links between made-up people, likelier within than between them, and some in error."""
    person = random.integers(0, max(2, n // random.integers(2, 7)), n)
    ends = random.integers(0, n, (n * random.integers(2, 7), 2))
    order = np.argsort(person, kind="stable")
    first, count = np.searchsorted(person[order], person), np.bincount(person)[person]
    partner = order[first + (random.random(n) * count).astype(int)]
    within = random.random(len(ends)) < 0.5
    ends[within, 1] = partner[ends[within, 0]]
    pairs = np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0).astype(np.int32)
    is_same = person[pairs[:, 0]] == person[pairs[:, 1]]
    likely = np.where(is_same, random.beta(4, 2, len(pairs)), random.beta(2, 5, len(pairs)))
    return Links(pairs, likely.astype(np.float32), np.zeros(len(pairs), dtype=bool), n, K)


def groups_after(labels, groups):
    """Labels of those who are with others or were in a group; the others are free."""
    return np.where((np.bincount(labels)[labels] > 1) | (groups != FREE), labels, FREE)


def same_company(one, other):
    both = np.unique(np.stack([one, other], axis=1), axis=0)
    return len(both) == len(np.unique(one)) == len(np.unique(other))


def settled(links, names, **settings):
    """Groups that another look at everyone does not change; those named among the first stay."""
    n = links.n_instances
    groups, fixed, is_fresh = np.full(n, FREE), np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    for look in range(MOST_ROUNDS):
        known = KnownGroups(groups, fixed)
        labels = merge_into_groups(links, known, is_fresh=is_fresh, **settings).merged.labels
        after = groups_after(labels, groups)
        if look and same_company(after, groups):
            return known
        fixed = (after != FREE) & np.isin(after, after[fixed] if look else np.unique(after)[names])
        groups, is_fresh = after, np.zeros(n, dtype=bool)
    raise AssertionError("merging does not come to an end")


@given(st.integers(0, 2**32 - 1), st.integers(20, 300), st.booleans())
@settings(max_examples=60)
def test_what_a_change_does_not_reach_stays_as_it_is(seed, n, with_photos):
    random = np.random.default_rng(seed)
    n_old = n - int(random.integers(1, 4))
    links = made_up_links(random, n)
    learned = Learned(Calibration(random.uniform(0.7, 1.5), random.normal() / 2), -2.0)
    photos = np.where(random.random(n) < 0.3, random.integers(0, n, n) // 4, -1)
    settings = {"learned": learned, "photos": photos if with_photos else None}
    old = links.only((links.pairs < n_old).all(axis=1))
    known = settled(old, slice(None, None, 3), **settings)

    is_fresh = np.arange(n) >= n_old
    is_fresh[links.pairs[(links.pairs >= n_old).any(axis=1)]] = True
    judged = links.likelihoods + 0.08 * random.normal(size=len(links)) * is_fresh[links.pairs].any(
        axis=1
    )
    links = Links(links.pairs, judged.clip(0.01, 0.99).astype(np.float32), links.one_sided, n, K)
    whole = merge_into_groups(links, known, is_fresh=is_fresh, **settings).merged.labels

    concerned = ~known.is_known | np.isin(known.groups, known.groups[is_fresh & known.is_known])
    reach = reach_of(
        links.only(concerned[links.pairs].any(axis=1)), known, is_fresh,
        is_fresh=is_fresh, must_link=np.empty((0, 2), dtype=np.int64), learned=learned,
    )  # fmt: skip
    partly = merge_into_groups(
        reach.links, known, is_fresh=is_fresh, may_come=reach.may_come, **settings
    ).merged.labels
    np.testing.assert_array_equal(partly, whole)
