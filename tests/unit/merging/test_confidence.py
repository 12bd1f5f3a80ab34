import numpy as np
import pytest

from facelink.errors import InputError
from facelink.merging.confidence import membership_confidence
from tests.unit.merging.helpers import chain, make_links

# Likelihoods are float32 and so is the result: 24 bits, one rounding.
FLOAT32_ROUNDING = 1e-7


def assert_confidence(confidence, expected):
    assert confidence.dtype == np.float32
    np.testing.assert_allclose(confidence, expected, rtol=0, atol=FLOAT32_ROUNDING)


def test_mean_of_all_judged_links_into_the_own_group():
    # 0–2 is below any merge threshold and still counts; 2–3 leads out of the group.
    links = make_links(4, (0, 1, 0.9), (1, 2, 0.8), (0, 2, 0.2), (2, 3, 0.4))
    confidence = membership_confidence(links, [0, 0, 0, 1])
    assert_confidence(confidence, [0.55, 0.85, 0.5, 0.6])


def test_alone_is_as_sure_as_the_best_link_is_wrong():
    links = make_links(3, (0, 1, 0.1), (0, 2, 0.3))
    assert_confidence(membership_confidence(links, [0, 1, 2]), [0.7, 0.9, 0.7])


def test_alone_without_links_is_certain():
    assert_confidence(membership_confidence(make_links(2), [0, 1]), [1, 1])


def test_not_clustered_is_alone_even_beside_others():
    links = chain([0.75, 0.25])
    assert_confidence(membership_confidence(links, [-1, -1, -1]), [0.25, 0.25, 0.75])


def test_no_judged_link_into_the_group():
    links = make_links(3, (0, 1, 0.9))
    assert_confidence(membership_confidence(links, [5, 7, 7]), [1 - 0.9, 0, 0])


def test_no_instances():
    assert membership_confidence(make_links(0), np.zeros(0, dtype=np.int64)).shape == (0,)


@pytest.mark.parametrize("labels", [[0, 1], [[0], [1], [2]]])
def test_labels_must_match_the_links(labels):
    with pytest.raises(InputError, match="for links between 3 instances"):
        membership_confidence(make_links(3), labels)
