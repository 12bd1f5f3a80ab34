import numpy as np
import pytest

from facelink.baselines import communities
from facelink.baselines.communities import (
    group_by_early_stopping,
    group_by_early_stopping_and_infomap,
    group_by_infomap,
    group_by_louvain,
)
from facelink.baselines.shared_neighbors import edge_probabilities
from facelink.baselines.view import FaceView
from facelink.neighbors.graph import MISSING
from tests.helpers import clustered_features, graph_from_lists
from tests.unit.baselines.helpers import FEATURES, LABELS, easy_view, partition

INFOMAP_REASON = "infomap is under the GPL and only there if a user installs it"


class TestLouvain:
    def test_easy_people_are_found(self):
        pytest.importorskip("sknetwork", reason="the extra benchmark is not installed")
        assert partition(group_by_louvain(easy_view(), 0.5)) == partition(LABELS)

    def test_without_edges_everyone_stays_alone(self):
        found = group_by_louvain(easy_view(), 1.0)
        assert len(set(found)) == len(FEATURES)

    def test_a_seed_repeats(self):
        pytest.importorskip("sknetwork", reason="the extra benchmark is not installed")
        features, _ = clustered_features(12, 6, 16, spread=1.2)
        first, second = (group_by_louvain(FaceView(features, seed=4), 0.35) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert 1 < len(set(first)) < len(features)


class TestEarlyStopping:
    def test_easy_people_are_found(self):
        assert partition(group_by_early_stopping(easy_view(), 0.8)) == partition(LABELS)

    def test_no_edge_stands_behind_a_weak_one(self):
        graph = graph_from_lists([[1, 2, 3], [0, 3], [3], [0, 1, 2]])
        likely = edge_probabilities(graph)
        level = float(np.median(likely[graph.indices != MISSING]))
        rows, nodes, weights = communities._stopped_edges(FaceView(FEATURES[:4], graph), level)
        expected = []
        for face, row in enumerate(graph.indices.tolist()):
            for node, value in zip(row, likely[face], strict=True):
                if node == MISSING or value < np.float32(level):
                    break
                expected.append((face, node, value))
        assert list(zip(rows.tolist(), nodes.tolist(), weights, strict=True)) == expected
        assert 0 < len(expected) < np.count_nonzero(likely >= np.float32(level))


@pytest.mark.parametrize("group", [group_by_infomap, group_by_early_stopping_and_infomap])
class TestInfomap:
    def test_easy_people_are_found(self, group):
        pytest.importorskip("infomap", reason=INFOMAP_REASON)
        value = 0.5 if group is group_by_infomap else 0.8
        assert partition(group(easy_view(), value)) == partition(LABELS)

    def test_without_edges_everyone_stays_alone(self, group):
        pytest.importorskip("infomap", reason=INFOMAP_REASON)
        assert set(group(easy_view(), 1.1)) == {-1}
