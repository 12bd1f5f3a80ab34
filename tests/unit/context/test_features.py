import numpy as np
import pytest

from facelink.context.features import ContextFeatures
from facelink.context.impostors import ImpostorStatistics
from facelink.context.names import FEATURE_GROUPS, FEATURE_NAMES
from facelink.errors import InputError
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features, neighbor_lists
from tests.reference.context import context_features

TOLERANCE = 2e-5
"""Float32 columns of order 1 whose means are of float32 similarities, against float64."""

MEDIAN, SPREAD = 0.02, 0.11
IMPOSTORS = ImpostorStatistics(MEDIAN, SPREAD)
FEATURES, _ = clustered_features(n_people=8, faces_each=6, n_features=12, spread=0.8)


def with_gaps(graph, seed=0):
    """The same graph, whose rows end after 1 to K neighbours."""
    length = np.random.default_rng(seed).integers(1, graph.n_neighbors + 1, graph.n_instances)
    is_kept = np.arange(graph.n_neighbors) < length[:, None]
    return NeighborGraph(
        np.where(is_kept, graph.indices, MISSING).astype(np.int32),
        np.where(is_kept, graph.similarities, -np.inf).astype(np.float32),
    )


def expected_features(graph, k, pivots):
    """The slow reference's table, NaN where a neighbour is missing."""
    lists = neighbor_lists(graph)
    similarities = [
        [float(s) for s in row[: len(own)]]
        for row, own in zip(graph.similarities, lists, strict=True)
    ]
    table = np.full((len(pivots), k, len(FEATURE_NAMES)), np.nan)
    for row, pivot in enumerate(pivots):
        described = context_features(lists, similarities, k, MEDIAN, SPREAD, pivot)
        for rank, values in enumerate(described):
            assert values.keys() == set(FEATURE_NAMES)
            table[row, rank] = [values[name] for name in FEATURE_NAMES]
    return table


class TestAgainstTheReference:
    @pytest.mark.parametrize("k", [1, 2, 7, 20, 47])
    @pytest.mark.parametrize("has_gaps", [False, True])
    def test_every_feature(self, k, has_gaps):
        graph = find_neighbors(FEATURES, 47)
        graph = with_gaps(graph) if has_gaps else graph
        pivots = np.array([5, 0, 17, 47])
        found = ContextFeatures(graph, k, IMPOSTORS).of(pivots)
        expected = expected_features(graph, k, pivots)
        missing = np.isnan(expected).all(axis=2)
        assert (found[missing] == 0).all()
        for column, name in enumerate(FEATURE_NAMES):
            np.testing.assert_allclose(
                found[~missing][:, column],
                expected[~missing][:, column],
                atol=TOLERANCE * (50 if name.startswith("in_") else 1),  # divided by deviations
                err_msg=name,
            )

    def test_exact_duplicates(self):
        graph = find_neighbors(np.repeat(FEATURES[::6], 5, axis=0), 12)
        found = ContextFeatures(graph, 12, IMPOSTORS).of(np.arange(40))
        expected = expected_features(graph, 12, range(40))
        near_ties = [
            name for name in FEATURE_NAMES if name.startswith(("in_", "within_", "shared_w"))
        ]
        columns = [c for c, name in enumerate(FEATURE_NAMES) if name not in near_ties]
        np.testing.assert_allclose(found[..., columns], expected[..., columns], atol=TOLERANCE)
        assert np.isfinite(found).all()


def test_a_narrower_context_is_that_of_a_narrower_graph():
    wide, narrow = find_neighbors(FEATURES, 30), find_neighbors(FEATURES, 9)
    pivots = np.arange(len(FEATURES))
    np.testing.assert_array_equal(
        ContextFeatures(wide, 9, IMPOSTORS).of(pivots),
        ContextFeatures(narrow, 9, IMPOSTORS).of(pivots),
    )


def test_threads_and_batches_change_nothing(two_numba_threads):
    graph = find_neighbors(FEATURES, 12)
    everyone = np.arange(len(FEATURES))
    together = ContextFeatures(graph, 12, IMPOSTORS).of(everyone)
    context = ContextFeatures(graph, 12, IMPOSTORS)
    one_by_one = [context.of(everyone[i : i + 1]) for i in everyone]
    np.testing.assert_array_equal(together, np.concatenate(one_by_one))


def test_every_feature_is_bounded_whatever_the_impostors():
    graph = find_neighbors(FEATURES, 20)
    for impostors in (ImpostorStatistics(0.999, 0.001), ImpostorStatistics(-0.5, 1.0)):
        found = ContextFeatures(graph, 20, impostors).of(np.arange(len(FEATURES)))
        assert np.abs(found).max() <= 4


def test_groups_hold_every_name_once():
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) == sum(map(len, FEATURE_GROUPS.values()))


def test_no_pivots():
    graph = find_neighbors(FEATURES, 5)
    assert ContextFeatures(graph, 5, IMPOSTORS).of(np.array([], dtype=int)).shape == (
        0, 5, len(FEATURE_NAMES),
    )  # fmt: skip


@pytest.mark.parametrize("pivots", [[-1], [3, 48]])
def test_a_pivot_that_is_no_instance(pivots):
    context = ContextFeatures(find_neighbors(FEATURES, 5), 5, IMPOSTORS)
    with pytest.raises(InputError, match="instance ids run from 0 to 47"):
        context.of(np.array(pivots))


def test_a_graph_narrower_than_the_context():
    with pytest.raises(InputError, match=r"k_at_hop\[0\]=9 but the graph stores K=5"):
        ContextFeatures(find_neighbors(FEATURES, 5), 9, IMPOSTORS)
