import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelink.links import Links
from facelink.merging import parts
from facelink.merging.agglomeration import NO_ANCHOR
from facelink.merging.constraints import Constraints
from facelink.merging.likelihood import group_links, merge_by_likelihood
from facelink.merging.parts import LIKELY_EVIDENCE, GroupEvidence, Part, likely_groups, solve

N_PEOPLE, N_FACES = 12, 15


def evidence(seed, n_neighbors=6):
    """Links that are likely within people and rarely between them, with all that goes with it."""
    random = np.random.default_rng(seed)
    n = N_PEOPLE * N_FACES
    person = np.repeat(np.arange(N_PEOPLE), N_FACES)
    pairs = np.unique(np.sort(random.integers(0, n, (3 * n, 2)), axis=1), axis=0)
    inner = np.sort(random.integers(0, N_FACES, (4 * n, 2)), axis=1)
    inner += np.repeat(np.arange(N_PEOPLE), 4 * N_FACES)[:, None] * N_FACES
    pairs = np.unique(np.concatenate([pairs, inner]), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]].astype(np.int32)
    same = person[pairs[:, 0]] == person[pairs[:, 1]]
    likelihoods = np.where(same, random.beta(4, 1, len(pairs)), random.beta(1, 4, len(pairs)))
    anchors = np.full(n, NO_ANCHOR, dtype=np.int32)
    anchors[[0, 5, 40]] = [0, 1, 1]
    apart = np.array([[2, 3], [16, 20], [50, 51]], dtype=np.int32)
    return GroupEvidence(
        pairs,
        likelihoods.astype(np.float32),
        apart,
        np.array([-(1 << 61), -70_000, -200_000]),
        np.array([[31, 32], [32, 44]], dtype=np.int32),
        anchors,
        n_neighbors,
    )


@given(st.integers(0, 1_000), st.integers(1, 300))
def test_parts_give_what_the_whole_gives(seed, links_per_part):
    given_evidence = evidence(seed)
    whole = likely_groups(given_evidence)
    divided = likely_groups(given_evidence, links_per_part=links_per_part)
    np.testing.assert_array_equal(divided.roots, whole.roots)
    assert divided.n_rounds == whole.n_rounds


def test_a_part_holds_no_more_links_than_it_may():
    given_evidence = evidence(seed=0)
    ends = given_evidence.reach(LIKELY_EVIDENCE)[given_evidence.pairs]
    sizes = np.bincount(ends[ends[:, 0] == ends[:, 1], 0])
    seen = []

    def each(function, parts):
        for part in parts:
            seen.append(part)
            yield function(part)

    likely_groups(given_evidence, each=each, links_per_part=100)
    assert len(seen) > 3
    assert max(len(part.evidence.pairs) for part in seen) <= max(100, sizes.max())
    everyone = np.concatenate([part.instances for part in seen])
    assert len(everyone) == len(set(everyone.tolist()))


def test_more_evidence_is_asked_for_while_a_component_is_too_large(monkeypatch):
    given_evidence = evidence(seed=3)
    largest = {
        level: np.bincount(given_evidence.reach(level)).max()
        for level in (LIKELY_EVIDENCE, *parts._MORE_EVIDENCE)
    }
    all_levels = set()
    for limit in (10_000, largest[LIKELY_EVIDENCE] - 1, largest[2.0] - 1, min(largest.values())):
        level = next(level for level, size in largest.items() if size <= limit)
        all_levels.add(level)
        monkeypatch.setattr(parts, "_LARGEST_COMPONENT", limit)
        levels = []

        def each(function, some, levels=levels):
            for part in some:
                levels.append(part.least_evidence)
                yield function(part)

        divided = likely_groups(given_evidence, each=each, links_per_part=50)
        assert set(levels) == {level}
        everyone = np.arange(given_evidence.n_instances, dtype=np.int32)
        reach = np.zeros(given_evidence.n_instances, dtype=np.int64)
        expected = solve(Part(everyone, reach, given_evidence, level))
        np.testing.assert_array_equal(divided.roots, expected.roots)
        np.testing.assert_array_equal(likely_groups(given_evidence).roots, expected.roots)
    assert len(all_levels) >= 3


def test_the_most_evidence_there_is_divides_what_it_can(monkeypatch):
    monkeypatch.setattr(parts, "_LARGEST_COMPONENT", 0)
    given_evidence = evidence(seed=3)
    everyone = np.arange(given_evidence.n_instances, dtype=np.int32)
    most = parts._MORE_EVIDENCE[-1]
    assert len(set(given_evidence.reach(most))) < len(everyone), "some links are above it"
    expected = solve(Part(everyone, given_evidence.reach(most), given_evidence, most))
    np.testing.assert_array_equal(likely_groups(given_evidence).roots, expected.roots)


def test_a_part_travels():
    given_evidence = evidence(seed=1)

    def elsewhere(function, parts):
        for part in parts:
            yield pickle.loads(pickle.dumps(solve))(pickle.loads(pickle.dumps(part)))

    whole = likely_groups(given_evidence)
    divided = likely_groups(given_evidence, each=elsewhere, links_per_part=100)
    np.testing.assert_array_equal(divided.roots, whole.roots)


def test_anchors_and_blocked_pairs_stay_apart_and_joined_ones_together():
    roots = likely_groups(evidence(seed=2), links_per_part=50).roots
    assert len({roots[0], roots[5], roots[40]}) >= 2
    assert roots[2] != roots[3]
    assert roots[31] == roots[32] == roots[44]


@pytest.mark.parametrize("seed", range(3))
def test_merging_does_not_depend_on_the_parts(seed, monkeypatch):
    found = evidence(seed)
    links = Links(
        found.pairs, found.likelihoods, np.zeros(len(found.pairs), bool), len(found.anchors), 6
    )
    whole = merge_by_likelihood(links)
    monkeypatch.setattr(likely_groups, "__kwdefaults__", {"each": map, "links_per_part": 64})
    parts = merge_by_likelihood(links)
    np.testing.assert_array_equal(parts.labels, whole.labels)
    np.testing.assert_array_equal(parts.membership.confidence, whole.membership.confidence)


def test_nothing_to_merge():
    nobody = Links(np.empty((0, 2), np.int32), np.empty(0, np.float32), np.empty(0, bool), 0, 3)
    found = group_links(nobody, 3, Constraints.checked(0, None, None))
    assert (len(found.roots), found.n_rounds) == (0, 0)
