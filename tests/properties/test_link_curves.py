import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facelink.benchmark.link_curves import link_curve

SCORES = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=40).filter(
    lambda links: any(same for _, same in links)
)


def arrays(links):
    scores, is_same = zip(*links, strict=True)
    return np.array(scores) / 10, np.array(is_same)


@given(SCORES, st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_of_links_does_not_matter(links, random):
    curve = link_curve(*arrays(links))
    random.shuffle(links)
    other = link_curve(*arrays(links))
    np.testing.assert_array_equal(curve.precision, other.precision)
    np.testing.assert_array_equal(curve.recall, other.recall)


@given(SCORES, st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_recall_rises_to_its_share_and_values_are_shares(links, n_unseen):
    scores, is_same = arrays(links)
    curve = link_curve(scores, is_same, int(is_same.sum()) + n_unseen)
    assert (np.diff(curve.recall) >= 0).all()
    assert (np.diff(curve.thresholds) < 0).all()
    assert curve.recall[-1] == is_same.sum() / (is_same.sum() + n_unseen)
    for values in (curve.precision, curve.recall, curve.fscores, [curve.average_precision]):
        assert 0 <= np.min(values) <= np.max(values) <= 1
