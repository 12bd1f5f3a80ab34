import pytest

from facelink.baselines.method import (
    WITHOUT_PARAMETER,
    Baseline,
    Package,
    Parameter,
    n_clusters_of,
    steps,
)
from tests.unit.baselines.helpers import FEATURES, easy_view


def baseline(**changes):
    return Baseline("key", "Title", "source", lambda view, value: None, **changes)


def test_steps_hold_both_ends_and_are_round():
    assert steps(0.2, 0.5, 0.1) == (0.2, 0.3, 0.4, 0.5)


def test_a_method_without_a_parameter_has_one_value():
    assert baseline().grid == (WITHOUT_PARAMETER,)
    assert baseline(parameter=Parameter("cosine", (0.1, 0.2))).grid == (0.1, 0.2)


def test_a_collection_above_the_limit_is_refused_with_the_reason():
    limited = baseline(max_faces=1_000, why="all pairs.")
    assert limited.refusal(1_000) is None
    assert limited.refusal(1_001) == "up to 1,000 faces only, here are 1,001: all pairs."


def test_a_missing_package_is_named_with_the_remedy():
    missing = baseline(package=Package("no_such_package", "install it."))
    assert missing.refusal(5) == "needs the package no_such_package: install it."
    assert baseline(package=Package("numpy", "install it.")).refusal(5) is None


@pytest.mark.parametrize(("share", "count"), [(0.5, 36), (1e-9, 1)])
def test_numbers_of_clusters_are_shares_of_the_faces(share, count):
    assert len(FEATURES) == 72
    assert n_clusters_of(easy_view(), share) == count
