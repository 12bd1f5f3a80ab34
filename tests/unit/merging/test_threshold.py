import numpy as np
import pytest

from facelink.errors import InputError
from facelink.merging.threshold import merge_threshold
from tests.unit.merging.helpers import chain, make_links


def test_keeps_links_at_or_above_the_threshold():
    result = merge_threshold(chain([0.9, 0.5, 0.49]), 0.5)
    assert result.labels.tolist() == [0, 0, 0, 1]
    assert result.labels.dtype == np.int64
    assert result.n_clusters == 2
    assert result.uncuttable == ()
    assert (result.n_passes, result.final_threshold) == (1, 0.5)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 0.9])
def test_a_link_stored_as_the_threshold_is_kept(threshold):
    # float32(0.7) < 0.7 and float32(0.1) > 0.1 in float64: neither may matter.
    assert merge_threshold(chain([threshold]), threshold).labels.tolist() == [0, 0]


def test_extremes():
    links = chain([0.0, 1.0, np.nextafter(np.float32(1), np.float32(0))])
    assert merge_threshold(links, 0).labels.tolist() == [0, 0, 0, 0]
    assert merge_threshold(links, 1).labels.tolist() == [0, 1, 1, 2]


def test_instances_without_links_are_singletons():
    assert merge_threshold(make_links(4, (1, 2, 0.8)), 0.5).labels.tolist() == [0, 1, 1, 2]


def test_no_instances():
    result = merge_threshold(make_links(0), 0.5)
    assert result.labels.shape == (0,)
    assert result.n_clusters == 0


@pytest.mark.parametrize("threshold", [-0.1, 1.01, float("nan")])
def test_threshold_out_of_range(threshold):
    with pytest.raises(InputError, match=rf"threshold={threshold}, but .* in \[0, 1\]"):
        merge_threshold(chain([0.9]), threshold)
