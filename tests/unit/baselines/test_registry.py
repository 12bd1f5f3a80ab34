import numpy as np
import pytest

from facelink.baselines.registry import BASELINES, baseline_called
from facelink.baselines.view import FaceView
from facelink.errors import InputError
from tests.unit.baselines.helpers import FEATURES, LABELS, easy_view

KEYS = [baseline.key for baseline in BASELINES]


def test_keys_and_titles_are_unique():
    assert len(set(KEYS)) == len(KEYS)
    assert len({baseline.title for baseline in BASELINES}) == len(BASELINES)


def test_facelink_comes_first_and_needs_nothing():
    assert BASELINES[0].key == "facelink"
    assert BASELINES[0].parameter is None
    assert all(baseline.parameter is not None for baseline in BASELINES[1:])


@pytest.mark.parametrize("key", KEYS)
def test_grids_rise(key):
    grid = baseline_called(key).grid
    assert list(grid) == sorted(set(grid))


@pytest.mark.parametrize("key", KEYS)
def test_limits_give_a_reason(key):
    baseline = baseline_called(key)
    assert (baseline.max_faces is None) == (baseline.why == "")


@pytest.mark.parametrize("key", KEYS)
def test_some_value_of_the_grid_finds_easy_people(key):
    baseline = baseline_called(key)
    refused = baseline.refusal(len(FEATURES))
    if refused:
        pytest.skip(refused)
    view, together = easy_view(), LABELS[:, None] == LABELS[None, :]
    agreement = []
    for value in baseline.grid:
        found = baseline.group(view, value)
        assert found.shape == LABELS.shape
        assert found.dtype == np.int64
        is_grouped = (found >= 0)[:, None]
        agreement.append((together == ((found[:, None] == found) & is_grouped)).mean())
    assert max(agreement) > 0.92


@pytest.mark.parametrize("key", KEYS)
def test_two_faces_are_enough(key):
    baseline = baseline_called(key)
    refused = baseline.refusal(2)
    if refused:
        pytest.skip(refused)
    found = baseline.group(FaceView(FEATURES[:2]), baseline.grid[len(baseline.grid) // 2])
    assert found.shape == (2,)


def test_an_unknown_method_is_named_with_those_that_there_are():
    with pytest.raises(InputError, match="'optics' is unknown; choose from facelink, cosine"):
        baseline_called("optics")
