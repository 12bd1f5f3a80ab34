from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging import merge_by_likelihood, merge_evidence, weakest_cut
from facelink.merging.constraints import Constraints
from tests.reference import likelihood_merging as reference

# Probabilities from float64 evidence, rounded once to float32.
FLOAT32_ROUNDING = 1e-6

likelihoods = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0]), st.floats(0, 1, width=32)
)


@st.composite
def random_links(draw, max_instances=12):
    n_instances = draw(st.integers(1, max_instances))
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
def consistent_constraints(draw, n_instances):
    """Must-links and cannot-links that some partition of the instances honours."""
    people = draw(st.lists(st.integers(0, 3), min_size=n_instances, max_size=n_instances))
    possible = list(combinations(range(n_instances), 2))
    chosen = draw(st.lists(st.sampled_from(possible), max_size=6)) if possible else []
    must = [pair for pair in chosen if people[pair[0]] == people[pair[1]]]
    cannot = [pair for pair in chosen if people[pair[0]] != people[pair[1]]]
    return must, cannot


def clusters(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def in_order(labels):
    return [frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]


def as_lists(links):
    return links.n_instances, links.pairs.tolist(), links.likelihoods.tolist()


@given(random_links(), st.integers(1, 12), st.data())
def test_agrees_with_the_reference(links, n_neighbors, data):
    must, cannot = data.draw(consistent_constraints(links.n_instances), label="constraints")
    result = merge_by_likelihood(
        links, n_neighbors, must_link=must, cannot_link=cannot, self_calibrate=False
    )
    expected, n_rounds = reference.agglomerate(*as_lists(links), n_neighbors, must, cannot)
    expected = reference.attach(*as_lists(links), n_neighbors, expected, cannot)
    assert clusters(result.labels) == expected
    assert result.n_rounds == n_rounds


@given(random_links(), st.integers(1, 12), st.data())
def test_membership_agrees_with_the_reference(links, n_neighbors, data):
    _, cannot = data.draw(consistent_constraints(links.n_instances), label="constraints")
    result = merge_by_likelihood(links, n_neighbors, cannot_link=cannot)
    expected = reference.membership(
        *as_lists(result.links), n_neighbors, in_order(result.labels), cannot
    )
    membership = result.membership
    for column, found in enumerate((membership.confidence, membership.outlier_score)):
        values = [judged[column] for judged in expected]
        np.testing.assert_allclose(found, values, rtol=0, atol=FLOAT32_ROUNDING)
    runners_up = [-1 if judged[2] is None else judged[2] for judged in expected]
    assert membership.runner_up.tolist() == runners_up


@given(random_links(), st.integers(1, 12), st.data())
def test_order_of_links_and_constraints_does_not_matter(links, n_neighbors, data):
    must, cannot = data.draw(consistent_constraints(links.n_instances), label="constraints")
    order = np.array(data.draw(st.permutations(range(len(links)))), dtype=np.int64)
    shuffled = replace(
        links,
        pairs=links.pairs[order],
        likelihoods=links.likelihoods[order],
        one_sided=links.one_sided[order],
    )
    one = merge_by_likelihood(links, n_neighbors, must_link=must, cannot_link=cannot)
    turned = [pair[::-1] for pair in must[::-1]], [pair[::-1] for pair in cannot[::-1]]
    other = merge_by_likelihood(shuffled, n_neighbors, must_link=turned[0], cannot_link=turned[1])
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.membership.confidence, other.membership.confidence)
    np.testing.assert_array_equal(one.membership.runner_up, other.membership.runner_up)
    assert one.calibration == other.calibration


@given(random_links(), st.integers(1, 12), st.data())
def test_other_ids_permute_the_clusters(links, n_neighbors, data):
    # Likelihoods at irrational steps: no two means are equal, so that ids break no ties.
    steps = (np.arange(1, len(links) + 1) * np.sqrt(2)) % 1
    links = replace(links, likelihoods=(0.05 + 0.9 * steps).astype(np.float32))
    new_ids = np.array(data.draw(st.permutations(range(links.n_instances))), dtype=np.int32)
    renamed = replace(links, pairs=np.sort(new_ids[links.pairs], axis=1))
    one = merge_by_likelihood(links, n_neighbors).labels
    other = merge_by_likelihood(renamed, n_neighbors).labels
    assert clusters(one) == clusters(other[new_ids])


@given(random_links(), st.integers(1, 12), st.booleans(), st.data())
def test_constraints_are_honoured_exactly(links, n_neighbors, self_calibrate, data):
    must, cannot = data.draw(consistent_constraints(links.n_instances), label="constraints")
    labels = merge_by_likelihood(
        links,
        n_neighbors,
        must_link=must,
        cannot_link=cannot,
        self_calibrate=self_calibrate,
    ).labels
    assert all(labels[first] == labels[second] for first, second in must)
    assert all(labels[first] != labels[second] for first, second in cannot)


@given(st.integers(2, 8), st.data())
def test_constraints_are_refused_exactly_where_they_contradict(n_instances, data):
    pairs = st.lists(st.sampled_from(list(combinations(range(n_instances), 2))), max_size=8)
    must, cannot = data.draw(pairs, label="must"), data.draw(pairs, label="cannot")
    groups = reference.joined_by(n_instances, must)
    contradict = any(set(pair) <= group for pair in cannot for group in groups)
    try:
        Constraints.checked(n_instances, must, cannot)
    except InputError as error:
        assert contradict
        chain = [int(name) for name in str(error).split("through ")[1].split(";")[0].split(" – ")]
        undirected = {frozenset(pair) for pair in must}
        assert all(frozenset(step) in undirected for step in pairwise(chain))
        assert (chain[0], chain[-1]) in cannot
    else:
        assert not contradict


@given(random_links(), st.integers(1, 12))
def test_cluster_pairs_agree_with_the_reference(links, n_neighbors):
    labels = np.arange(links.n_instances) % 4
    found = merge_evidence(links, labels, n_neighbors)
    expected = reference.cluster_pair_evidence(
        links.pairs.tolist(), links.likelihoods.tolist(), n_neighbors, in_order(labels)
    )
    evidence = dict(zip(map(tuple, found.pairs.tolist()), found.evidence.tolist(), strict=True))
    assert evidence == expected
    assert (np.diff(found.evidence) <= 0).all()
    assert found.n_links.sum() == (labels[links.pairs[:, 0]] != labels[links.pairs[:, 1]]).sum()


@given(random_links(), st.integers(1, 12), st.integers(1, 3))
def test_a_cut_is_worth_what_it_says(links, n_neighbors, min_part):
    assume(links.n_instances >= 2)
    labels = np.zeros(links.n_instances, dtype=np.int64)
    cut = weakest_cut(links, labels, 0, n_neighbors, min_part=min_part)
    if cut is None:
        assert min_part > 1
        return
    part = set(cut.part.tolist())
    rest = set(range(links.n_instances)) - part
    assert min_part <= len(part) <= len(rest)
    by_pair = {
        frozenset(pair): reference.log_odds(value)
        for pair, value in zip(*as_lists(links)[1:], strict=True)
    }
    assert cut.evidence == reference.mean_evidence(part, rest, by_pair, set(), n_neighbors)
