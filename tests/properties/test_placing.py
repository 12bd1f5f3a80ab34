import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.likelihood import merge_by_likelihood
from facelink.merging.placing import FREE, KnownGroups, merge_into_groups
from facelink.newcomers import place_newcomers
from tests.properties.test_likelihood_merging import consistent_constraints, random_links


def with_neighbors(links, n_neighbors):
    return Links(links.pairs, links.likelihoods, links.one_sided, links.n_instances, n_neighbors)


@st.composite
def known_groups(draw, n_instances):
    """Some faces in groups 0 to 3, of which some are fixed."""
    groups = draw(st.lists(st.integers(-1, 3), min_size=n_instances, max_size=n_instances))
    fixed = draw(st.sets(st.integers(0, 3)))
    groups = np.array(groups, dtype=np.int64)
    return KnownGroups(groups, np.isin(groups, list(fixed)))


def nobody(n_instances):
    return KnownGroups(np.full(n_instances, FREE), np.zeros(n_instances, dtype=bool))


@given(random_links(), st.integers(1, 12), st.data())
def test_without_known_groups_it_is_merging_by_likelihood(links, n_neighbors, data):
    links = with_neighbors(links, n_neighbors)
    must, cannot = data.draw(consistent_constraints(links.n_instances), label="constraints")
    constraints = {"must_link": must or None, "cannot_link": cannot or None}
    placed = merge_into_groups(links, nobody(links.n_instances), **constraints).merged
    merged = merge_by_likelihood(links, **constraints)
    np.testing.assert_array_equal(placed.labels, merged.labels)
    np.testing.assert_array_equal(placed.membership.confidence, merged.membership.confidence)


@given(random_links(), st.integers(1, 12), st.data())
def test_known_groups_keep_their_faces_and_fixed_ones_stay_apart(links, n_neighbors, data):
    links = with_neighbors(links, n_neighbors)
    known = data.draw(known_groups(links.n_instances), label="known")
    is_fresh = np.array(
        data.draw(st.lists(st.booleans(), min_size=links.n_instances, max_size=links.n_instances))
    )
    photos = np.array(
        data.draw(
            st.lists(st.integers(-1, 3), min_size=links.n_instances, max_size=links.n_instances)
        )
    )
    labels = merge_into_groups(links, known, is_fresh=is_fresh, photos=photos).merged.labels
    for group in np.unique(known.groups[known.is_known]):
        assert len(np.unique(labels[known.groups == group])) == 1
    for label in np.unique(labels):
        assert len(np.unique(known.groups[(labels == label) & known.is_fixed])) <= 1


@given(random_links(), st.integers(1, 12), st.data())
def test_decisions_hold_beside_known_groups(links, n_neighbors, data):
    links = with_neighbors(links, n_neighbors)
    known = data.draw(known_groups(links.n_instances), label="known")
    must, cannot = data.draw(consistent_constraints(links.n_instances), label="constraints")
    try:
        merged = merge_into_groups(
            links, known, must_link=must or None, cannot_link=cannot or None
        ).merged
    except InputError:  # they contradict the groups
        return
    assert all(merged.labels[one] == merged.labels[other] for one, other in must)
    assert all(merged.labels[one] != merged.labels[other] for one, other in cannot)


@given(random_links(), st.integers(1, 12), st.data())
def test_earlier_labels_stay_and_new_ones_follow(links, n_neighbors, data):
    links = with_neighbors(links, n_neighbors)
    n_earlier = data.draw(st.integers(0, links.n_instances), label="earlier")
    given_labels = data.draw(st.lists(st.integers(0, 3), min_size=n_earlier, max_size=n_earlier))
    earlier = np.unique(np.array(given_labels, dtype=np.int64), return_inverse=True)[1]
    result = place_newcomers(links, earlier)
    np.testing.assert_array_equal(result.labels[:n_earlier], earlier)
    assert sorted(set(result.labels)) == list(range(result.n_clusters))
    assert set(result.membership.runner_up) <= {-1, *result.labels}
