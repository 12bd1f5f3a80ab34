import numpy as np
import pytest

from facelink.baselines import centroids
from facelink.baselines.view import FaceView
from tests.helpers import clustered_features
from tests.unit.baselines.helpers import FEATURES, LABELS, easy_view, partition

SHARE = 12 / 72
"""As many clusters as people."""

INTO_A_SHARE = [
    centroids.group_by_kmeans,
    centroids.group_by_minibatch_kmeans,
    centroids.group_by_spectrum,
]


@pytest.mark.parametrize("group", INTO_A_SHARE)
def test_there_are_as_many_clusters_as_asked_for(group):
    found = group(easy_view(), SHARE)
    assert found.dtype == np.int64
    assert len(set(found)) == 12
    together = LABELS[:, None] == LABELS[None, :]
    assert (together == (found[:, None] == found[None, :])).mean() > 0.9


@pytest.mark.parametrize("group", INTO_A_SHARE)
def test_a_seed_repeats(group):
    first, second = (group(easy_view(seed=5), 0.3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("group", INTO_A_SHARE)
def test_duplicates_do_no_harm(group):
    features = np.repeat(FEATURES[:3], 8, axis=0)
    assert len(partition(group(FaceView(features), 0.5))) >= 3


def test_affinity_propagation_finds_easy_people():
    found = centroids.group_by_affinity_propagation(easy_view(), 0.2)
    assert partition(found) == partition(LABELS)


def test_eigenvectors_are_those_with_the_greatest_eigenvalues(monkeypatch):
    matrix = centroids._normalized_adjacency(FaceView(clustered_features(30, 6, 32)[0]))
    greatest = np.linalg.eigvalsh(matrix.toarray())[::-1][:40]
    assert greatest[0] == pytest.approx(1)
    for width in (128, 40):  # all at once for few faces, then step by step
        monkeypatch.setattr(centroids, "SPECTRAL_WIDTH", width)
        vectors = centroids._leading_eigenvectors(matrix, seed=0)[:, :40]
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(40), atol=1e-6)
        values = np.diag(vectors.T @ (matrix @ vectors))
        np.testing.assert_allclose(values, greatest, atol=1e-3)
