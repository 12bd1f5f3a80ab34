import numpy as np
import pytest

from facelink.baselines.whispers import MAX_ROUNDS, group_by_chinese_whispers, whisper
from tests.reference.baselines import chinese_whispers
from tests.unit.baselines.helpers import LABELS, easy_view, partition


def random_edges(n_faces, n_edges, seed):
    random = np.random.default_rng(seed)
    codes = random.choice(n_faces**2, n_edges, replace=False)
    pairs = np.stack(np.divmod(codes, n_faces), axis=1)
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0).astype(np.int32)
    # quarters add up exactly in any order, so that ties are ties
    return pairs, random.integers(1, 5, len(pairs)) / 4


@pytest.mark.parametrize("seed", range(4))
def test_labels_are_those_of_the_definition(seed):
    pairs, weights = random_edges(30, 90, seed)
    random = np.random.default_rng(seed)
    orders = [random.permutation(30).tolist() for _ in range(MAX_ROUNDS)]
    weight_of = {}
    for (first, second), weight in zip(pairs.tolist(), weights, strict=True):
        weight_of[first, second] = weight_of[second, first] = weight
    found = whisper(30, pairs, weights, seed)
    assert found.tolist() == chinese_whispers(30, weight_of, orders)
    assert len(set(found)) < 30


def test_the_order_of_edges_does_not_matter_and_a_seed_repeats():
    pairs, weights = random_edges(40, 150, 0)
    order = np.random.default_rng(1).permutation(len(pairs))
    first = whisper(40, pairs, weights, 7)
    np.testing.assert_array_equal(first, whisper(40, pairs[order], weights[order], 7))


def test_without_edges_everyone_stays_alone():
    none = np.empty((0, 2), dtype=np.int32)
    assert whisper(4, none, np.empty(0), 0).tolist() == [0, 1, 2, 3]


def test_easy_people_are_found():
    assert partition(group_by_chinese_whispers(easy_view(), 0.5)) == partition(LABELS)
