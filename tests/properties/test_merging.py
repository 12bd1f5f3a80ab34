from dataclasses import replace
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facelink.links import Links
from facelink.merging import membership_confidence, merge_bfs, merge_threshold
from tests.reference import merging as reference

JUST_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
JUST_BELOW_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))

# Sums of a few float32 values in float64, rounded once to float32.
FLOAT32_ROUNDING = 1e-6

likelihoods = st.one_of(
    st.sampled_from([0.0, JUST_BELOW_HALF, 0.5, 0.75, 0.875, JUST_BELOW_ONE, 1.0]),
    st.floats(0, 1, width=32),
)
thresholds = st.one_of(st.sampled_from([0.0, 0.5, 0.75, 1.0]), st.floats(0, 1))
steps = st.sampled_from([0.05, 0.3, 0.5, 1.0])
caps = st.integers(1, 14)


@st.composite
def random_links(draw):
    n_instances = draw(st.integers(1, 14))
    possible = list(combinations(range(n_instances), 2))
    pairs = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    values = draw(st.lists(likelihoods, min_size=len(pairs), max_size=len(pairs)))
    return Links(
        np.array(pairs, dtype=np.int32).reshape(-1, 2),
        np.array(values, dtype=np.float32),
        np.zeros(len(pairs), dtype=bool),
        n_instances,
    )


@st.composite
def links_and_shuffled(draw):
    links = draw(random_links())
    order = np.array(draw(st.permutations(range(len(links)))), dtype=np.int64)
    shuffled = replace(
        links,
        pairs=links.pairs[order],
        likelihoods=links.likelihoods[order],
        one_sided=links.one_sided[order],
    )
    return links, shuffled


@st.composite
def links_and_renamed(draw):
    """Links, the same with other ids (which turns the direction of pairs), and the new ids."""
    links = draw(random_links())
    new_ids = np.array(draw(st.permutations(range(links.n_instances))), dtype=np.int32)
    return links, replace(links, pairs=np.sort(new_ids[links.pairs], axis=1)), new_ids


def clusters(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def as_lists(links):
    return links.n_instances, links.pairs.tolist(), links.likelihoods.tolist()


@given(random_links(), thresholds)
def test_threshold_agrees_with_the_reference(links, threshold):
    labels = merge_threshold(links, threshold).labels
    assert clusters(labels) == reference.components(*as_lists(links), threshold)


@given(random_links(), thresholds, steps, caps, st.booleans())
def test_bfs_agrees_with_the_reference(links, initial, step, cap, without_threshold):
    result = merge_bfs(
        links,
        initial_threshold=initial,
        threshold_step=step,
        max_cluster_size=cap,
        first_pass_without_threshold=without_threshold,
    )
    expected, uncuttable, n_passes = reference.rising_threshold(
        *as_lists(links), initial, step, cap, without_threshold
    )
    assert clusters(result.labels) == expected
    reported = {cluster.label: cluster.size for cluster in result.uncuttable}
    assert {frozenset(np.flatnonzero(result.labels == k).tolist()) for k in reported} == uncuttable
    assert list(reported.values()) == [np.sum(result.labels == label) for label in reported]
    assert result.n_passes == n_passes


@given(links_and_shuffled(), caps)
def test_link_order_does_not_matter(both, cap):
    links, shuffled = both
    for merge in (lambda x: merge_threshold(x, 0.5), lambda x: merge_bfs(x, max_cluster_size=cap)):
        np.testing.assert_array_equal(merge(links).labels, merge(shuffled).labels)


@given(links_and_renamed(), caps)
def test_ids_and_directions_do_not_matter(both, cap):
    links, renamed, new_ids = both
    for merge in (lambda x: merge_threshold(x, 0.5), lambda x: merge_bfs(x, max_cluster_size=cap)):
        assert clusters(merge(links).labels) == clusters(merge(renamed).labels[new_ids])


@given(random_links(), thresholds, thresholds)
def test_a_higher_threshold_only_splits(links, one, other):
    low = clusters(merge_threshold(links, min(one, other)).labels)
    high = clusters(merge_threshold(links, max(one, other)).labels)
    assert all(any(part <= whole for whole in low) for part in high)


@given(random_links(), thresholds, caps, caps)
def test_a_lower_cap_only_splits(links, initial, one, other):
    large, small = (
        clusters(merge_bfs(links, initial_threshold=initial, max_cluster_size=cap).labels)
        for cap in (max(one, other), min(one, other))
    )
    assert all(any(part <= whole for whole in large) for part in small)


@given(random_links(), thresholds, steps, caps, st.booleans())
def test_the_cap_is_kept_or_the_cluster_reported(links, initial, step, cap, without_threshold):
    result = merge_bfs(
        links,
        initial_threshold=initial,
        threshold_step=step,
        max_cluster_size=cap,
        first_pass_without_threshold=without_threshold,
    )
    sizes = np.bincount(result.labels)
    assert [c.label for c in result.uncuttable] == np.flatnonzero(sizes > cap).tolist()
    held_by_ones = reference.components(*as_lists(links), 1.0)
    for cluster in result.uncuttable:
        assert frozenset(np.flatnonzero(result.labels == cluster.label).tolist()) in held_by_ones


@given(random_links(), thresholds, steps, caps)
def test_no_cluster_is_joined_below_the_first_threshold(links, initial, step, cap):
    settings = {"initial_threshold": initial, "threshold_step": step, "max_cluster_size": cap}
    first_pass = clusters(merge_threshold(links, initial).labels)
    merged = clusters(merge_bfs(links, **settings).labels)
    assert all(any(part <= whole for whole in first_pass) for part in merged)


@given(random_links(), st.data())
def test_confidence_agrees_with_the_reference(links, data):
    n_instances = links.n_instances
    labels = data.draw(
        st.lists(st.integers(-1, 4), min_size=n_instances, max_size=n_instances), label="labels"
    )
    confidence = membership_confidence(links, labels)
    expected = reference.membership_confidence(*as_lists(links), labels)
    np.testing.assert_allclose(confidence, expected, rtol=0, atol=FLOAT32_ROUNDING)
    assert confidence.min() >= 0
    assert confidence.max() <= 1


@given(random_links(), caps)
def test_merged_instances_always_have_a_judged_link_into_their_cluster(links, cap):
    labels = merge_bfs(links, max_cluster_size=cap).labels
    in_company = np.bincount(labels)[labels] > 1
    assert (membership_confidence(links, labels)[in_company] > 0).all()
