"""The path on real embeddings. Nothing is fitted here: the people are those to look at only."""

from pathlib import Path

import numpy as np
import pytest

from facelink.clustering import LinkageClustering
from facelink.features import load_features
from facelink.labels import load_labels
from facelink.metrics import pairwise_scores
from facelink.neighbors.search import find_neighbors
from facelink.upper_bound import upper_bound_by_k

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "dev"

EMBEDDERS = ("mbf", "reid")
N_PEOPLE = 400
SINGLETON_SHARE = 0.5

COSINE_THRESHOLD = 0.5
"""Taken as it is by default, (1 + 0.5) / 2 as a likelihood; not the best for these faces."""

LEAST_PAIRWISE_F = 0.9
"""The whole set reaches 0.98 at its best threshold; a few hundred people are easier."""

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real embeddings in ../shared/data/dev"),
]


@pytest.fixture(scope="module", params=EMBEDDERS)
def faces(request):
    """Features and labels of a few hundred people, half of them with a single face."""
    features = load_features(DATA / f"lfw.{request.param}.features.npy")
    labels = load_labels(DATA / "lfw.labels.npy")
    people, sizes = np.unique(labels, return_counts=True)
    random = np.random.default_rng(0)
    n_alone = int(N_PEOPLE * SINGLETON_SHARE)
    alone = random.choice(people[sizes == 1], n_alone, replace=False)
    several = random.choice(people[sizes > 1], N_PEOPLE - n_alone, replace=False)
    kept = np.isin(labels, np.concatenate([alone, several]))
    return features[kept], labels[kept]


def test_features_of_half_precision_are_read_as_unit_rows(faces):
    features, labels = faces
    assert features.dtype == np.float32
    assert len(features) == len(labels)
    norms = np.linalg.norm(features.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)


def test_the_upper_bound_rises_with_k(faces):
    features, labels = faces
    ks = [1, 2, 5, 20, 80]
    bounds = upper_bound_by_k(find_neighbors(features, max(ks)), labels, ks)
    for score in (lambda one: one.scores.bcubed.fscore, lambda one: one.pair_coverage):
        values = [score(bound) for bound in bounds]
        assert values == sorted(values)
        assert values[0] < values[-1]
    assert all(bound.scores.bcubed.precision == 1 for bound in bounds)
    assert bounds[-1].scores.bcubed.fscore > 0.98


def test_similarity_links_find_most_people(faces):
    features, labels = faces
    threshold = (1 + COSINE_THRESHOLD) / 2
    found = LinkageClustering(merge="threshold", threshold=threshold).fit_predict(features)
    assert pairwise_scores(labels, found).fscore > LEAST_PAIRWISE_F
