import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facelink.context.features import ContextFeatures
from facelink.context.impostors import ImpostorStatistics
from facelink.context.names import FEATURE_NAMES
from facelink.neighbors.search import find_neighbors
from tests.helpers import neighbor_lists, unit_rows
from tests.reference.context import context_features

TOLERANCE = 1e-3
"""Float32 similarities of a few digits, divided by ranges that may be as small as they are."""


@st.composite
def collections(draw):
    """A few faces, some of them exact duplicates, and how many neighbours make up the context."""
    n_faces = draw(st.integers(2, 24))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    features = unit_rows(random.normal(size=(n_faces, draw(st.integers(2, 16)))))
    n_repeated = draw(st.integers(0, n_faces // 3))
    features[:n_repeated] = features[n_repeated : 2 * n_repeated]
    return features, draw(st.integers(1, n_faces - 1))


@given(collections())
def test_features_are_those_of_the_definitions(collection):
    features, k = collection
    impostors, graph = ImpostorStatistics.of(features), find_neighbors(features, k)
    lists = neighbor_lists(graph)
    similarities = [[float(s) for s in row] for row in graph.similarities]
    pivot = len(features) - 1
    found = ContextFeatures(graph, k, impostors).of(np.array([pivot]))[0]
    expected = context_features(lists, similarities, k, impostors.median, impostors.spread, pivot)
    for row, values in zip(found, expected, strict=True):
        for value, name in zip(row, FEATURE_NAMES, strict=True):
            assert abs(value - values[name]) <= TOLERANCE * (1 + abs(values[name])), name


@given(collections(), st.floats(-0.5, 0.99), st.floats(0.001, 0.5))
def test_features_are_finite_and_bounded(collection, median, spread):
    features, k = collection
    graph = find_neighbors(features, k)
    found = ContextFeatures(graph, k, ImpostorStatistics(median, spread)).of(
        np.arange(len(features))
    )
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 4


@given(collections(), st.integers(0, 1_000))
def test_renaming_the_faces_renames_the_rows(collection, seed):
    """Without ties, which are broken by id."""
    features, k = collection
    features = unit_rows(features + 1e-2 * np.random.default_rng(seed).normal(size=features.shape))
    order = np.random.default_rng(seed).permutation(len(features))
    impostors = ImpostorStatistics(0.0, 0.1)
    everyone = np.arange(len(features))
    before, after = (
        ContextFeatures(find_neighbors(faces, k), k, impostors).of(everyone)
        for faces in (features, features[order])
    )
    np.testing.assert_allclose(after, before[order], atol=TOLERANCE)
