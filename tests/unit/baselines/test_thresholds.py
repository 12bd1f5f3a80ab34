import numpy as np
import pytest

from facelink.baselines import thresholds
from facelink.baselines.view import FaceView
from tests.helpers import clustered_features
from tests.reference.baselines import average_linkage, dbscan, single_linkage
from tests.unit.baselines.helpers import partition

FEATURES, _ = clustered_features(6, 5, 12, seed=1, spread=0.9)
COSINES = [0.2, 0.4, 0.5, 0.6, 0.75]


@pytest.mark.parametrize("cosine", COSINES)
def test_components_and_single_linkage_join_all_pairs_from_a_cosine_on(cosine):
    wanted = partition(single_linkage(FEATURES, cosine))
    for group in (thresholds.group_by_components, thresholds.group_by_single_linkage):
        found = group(FaceView(FEATURES), cosine)
        assert found.dtype == np.int64
        assert partition(found) == wanted


def test_the_cosines_tell_the_partitions_apart():
    sizes = [len(partition(single_linkage(FEATURES, cosine))) for cosine in COSINES]
    assert len(set(sizes)) > 3


@pytest.mark.parametrize("cosine", COSINES)
def test_average_linkage_joins_by_the_mean_cosine(cosine):
    found = thresholds.group_by_average_linkage(FaceView(FEATURES), cosine)
    assert partition(found) == {frozenset(one) for one in average_linkage(FEATURES, cosine)}


def test_one_tree_serves_every_cut():
    view = FaceView(FEATURES)
    tree = view.shared("average-linkage tree", lambda: thresholds._average_linkage(FEATURES))
    thresholds.group_by_average_linkage(view, 0.3)
    assert view.shared("average-linkage tree", lambda: None) is tree


@pytest.mark.parametrize("cosine", COSINES)
def test_dbscan_on_the_graph_is_dbscan(cosine):
    found = thresholds.group_by_dbscan(FaceView(FEATURES), cosine)
    cosines = FEATURES @ FEATURES.T
    np.fill_diagonal(cosines, 1)
    near = [set(np.flatnonzero(row >= cosine).tolist()) for row in cosines]
    groups, reached = dbscan(near, thresholds.DBSCAN_MIN_SAMPLES)
    assert len(set(found) - {-1}) == len(groups)
    numbers = [found[list(group)] for group in groups]
    assert all(len(set(number)) == 1 and number[0] >= 0 for number in numbers)
    for face, choices in reached.items():
        allowed = {int(numbers[choice][0]) for choice in choices} or {-1}
        assert int(found[face]) in allowed


def test_hdbscan_takes_graphs_that_are_not_connected_and_duplicates():
    features, labels = clustered_features(3, 90, 16, spread=0.3)
    features[labels == 0] = features[labels == 0][0]
    found = thresholds.group_by_hdbscan(FaceView(features), 5)
    assert [len(set(found[labels == person])) for person in range(3)] == [1, 1, 1]
    assert len(set(found)) == 3


def test_hdbscan_leaves_groups_that_are_too_small_out():
    features, labels = clustered_features(4, 8, 16, spread=0.3)
    kept = np.flatnonzero((labels != 0) | (np.cumsum(labels == 0) <= 3))
    found = thresholds.group_by_hdbscan(FaceView(features[kept]), 5)
    assert set(found[labels[kept] == 0]) == {-1}
    assert len(set(found) - {-1}) == 3
