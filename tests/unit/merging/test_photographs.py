import numpy as np
import pytest

from facelink.links import Links
from facelink.merging.photographs import TYPICAL_LOG_ODDS, InOnePhotograph


def test_all_pairs_of_one_photograph_and_no_others():
    found = InOnePhotograph.of(np.array([3, -1, 3, 5, -1, 3, 5]))
    assert sorted(found.pairs.tolist()) == [[0, 2], [0, 5], [2, 5], [3, 6]]
    assert InOnePhotograph.of(np.array([-1, -1])).pairs.shape == (0, 2)


def collection(n_same, n_different, likelihood=0.5):
    """Pairs in one photograph, some within one large group, some between it and another."""
    labels = np.repeat([0, 1], 50)
    pairs = [(place, place + 1) for place in range(n_same)]
    pairs += [(place, 50 + place) for place in range(n_different)]
    pairs = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    likelihoods = np.full(len(pairs), likelihood, dtype=np.float32)
    return Links(pairs, likelihoods, np.zeros(len(pairs), dtype=bool), 100, 80), labels, pairs


@pytest.mark.parametrize(("n_same", "n_different"), [(0, 0), (3, 40), (20, 20), (40, 0), (0, 49)])
def test_the_term_is_what_makes_the_links_right_on_average(n_same, n_different):
    links, labels, pairs = collection(n_same, n_different)
    found = InOnePhotograph(pairs).fitted(links, labels).log_odds
    assert -6 <= found <= 0
    share = 1 / (1 + np.exp(-TYPICAL_LOG_ODDS))
    rate = (n_same + 20 * share) / (n_same + n_different + 20)
    assert found == pytest.approx(min(0, np.log(rate / (1 - rate))), abs=1e-6)


def test_links_of_small_groups_and_other_photographs_do_not_count():
    links, labels, pairs = collection(20, 20)
    small = np.arange(100) // 2
    assert InOnePhotograph(pairs).fitted(links, small).log_odds == pytest.approx(TYPICAL_LOG_ODDS)
    none = InOnePhotograph(np.empty((0, 2), dtype=np.int32))
    assert none.fitted(links, labels).log_odds == pytest.approx(TYPICAL_LOG_ODDS)


def test_the_term_is_of_pairs_of_groups():
    found = InOnePhotograph(np.array([[0, 3]], dtype=np.int32), -1.5)
    labels = np.array([0, 0, 1, 1, 2])
    between = found.between(labels, np.array([[0, 1], [0, 2], [1, 2]]))
    assert between.tolist() == [-1.5, 0, 0]
