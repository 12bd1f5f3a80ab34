import numpy as np
import pytest

from facelink.merging.agglomeration import agglomerate
from facelink.merging.evidence import BLOCKED, UNITS

TOGETHER = np.zeros(6, dtype=np.int32)


def links(*triples):
    pairs = np.array([triple[:2] for triple in triples], dtype=np.int32).reshape(-1, 2)
    return pairs, np.array([triple[2] for triple in triples], dtype=np.float32)


def others(*triples):
    pairs = np.array([triple[:2] for triple in triples], dtype=np.int32).reshape(-1, 2)
    return pairs, np.array([triple[2] for triple in triples], dtype=np.int64)


def roots(*given, **settings):
    return agglomerate(TOGETHER, links(*given), 80, **settings).roots.tolist()


TRIANGLES = [(a, b, 0.9) for a, b in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]]
BRIDGES = [(a, b, 0.7) for a in range(3) for b in range(3, 6)]


def test_a_blocked_pair_that_has_a_link_too_stays_apart_through_all_merges():
    assert roots(*TRIANGLES, *BRIDGES) == [0] * 6
    apart = roots(*TRIANGLES, *BRIDGES, others=others((2, 5, BLOCKED)))
    assert apart == [0, 0, 0, 3, 3, 3]


@pytest.mark.parametrize(("against", "n_groups"), [(7.5, 1), (7.8, 2)])
def test_pairs_without_a_link_count_with_their_sum(against, n_groups):
    # Nine links of log-odds .847: 7.63 in all.
    burden = others((0, 3, round(-against * UNITS / 2)), (1, 4, round(-against * UNITS / 2)))
    assert len(set(roots(*TRIANGLES, *BRIDGES, others=burden))) == n_groups


def test_a_pair_may_come_several_times():
    assert roots((0, 1, 0.6), (1, 0, 0.2)) == [0, 1, 2, 3, 4, 5]
    assert roots((0, 1, 0.6), (1, 0, 0.6)) == [0, 0, 2, 3, 4, 5]


def test_pairs_beyond_reach_are_left_out():
    reach = np.array([0, 0, 1, 1, 1, 1])
    found = agglomerate(
        reach, links((0, 1, 0.9), (1, 2, 0.9), (2, 3, 0.9)), 80, others=others((1, 3, BLOCKED))
    )
    assert found.roots.tolist() == [0, 0, 2, 2, 4, 5]


def test_long_chains_of_short_rows_keep_their_room():
    # Everyone has two links, so that every entry of several links must cross from row to row.
    n, random = 400, np.random.default_rng(0)
    one, other = random.permutation(n), random.permutation(n)
    ring = np.concatenate([np.stack([part, np.roll(part, 1)], axis=1) for part in (one, other)])
    likelihoods = random.uniform(0.75, 0.99, len(ring)).astype(np.float32)
    found = agglomerate(
        np.zeros(n, dtype=np.int32), (ring.astype(np.int32), likelihoods), 3,
        least_evidence=-np.inf,
    )  # fmt: skip
    assert set(found.roots) == {0}
    assert len(found.merges) == n - 1
