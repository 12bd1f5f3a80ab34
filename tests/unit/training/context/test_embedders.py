import numpy as np
import pytest

from facelink.training.context import embedders
from tests.helpers import clustered_features

FEATURES, LABELS = clustered_features(n_people=30, faces_each=8, n_features=96, spread=0.5)


def nearest_is_linked(features):
    """Share of faces whose nearest neighbour is of the same person."""
    similarities = features @ features.T
    np.fill_diagonal(similarities, -np.inf)
    return float((LABELS[similarities.argmax(axis=1)] == LABELS).mean())


@pytest.mark.parametrize("seed", range(12))
def test_a_drawn_embedder_gives_unit_vectors_that_still_tell_people_apart(seed):
    drawn = embedders.draw_embedder(FEATURES, np.random.default_rng(seed))
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    assert nearest_is_linked(drawn) > 0.5


def test_the_seed_decides_the_embedder():
    first, again, other = (
        embedders.draw_embedder(FEATURES, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_a_changed_spectrum_has_no_more_dimensions():
    widths = {
        embedders.change_spectrum(FEATURES, np.random.default_rng(seed)).shape[1]
        for seed in range(8)
    }
    assert max(widths) == 96
    assert 40 <= min(widths) < 96


@pytest.mark.parametrize("mean_length", [0.3, 0.9])
def test_a_shift_makes_the_mean_long(mean_length):
    shifted = embedders.shift(FEATURES, mean_length, np.random.default_rng(0))
    assert np.linalg.norm(shifted.mean(axis=0)) == pytest.approx(mean_length, abs=0.1)


def test_noise_is_as_long_as_asked_for():
    noisy = embedders.add_noise(FEATURES, 0.5, 0.0, np.random.default_rng(0))
    cosines = np.einsum("ij,ij->i", noisy, FEATURES)
    assert cosines.mean() == pytest.approx(1 / np.sqrt(1 + 0.5**2), abs=0.02)


def test_junk_faces_are_alike_and_the_others_stay():
    junk = embedders.make_junk(FEATURES, 0.2, np.random.default_rng(0))
    is_junk = (junk != FEATURES).any(axis=1)
    assert is_junk.mean() == pytest.approx(0.2, abs=0.08)
    strangers = LABELS[is_junk][:, None] != LABELS[is_junk]
    assert (junk[is_junk] @ junk[is_junk].T)[strangers].mean() > 0.4


def test_mixing_by_nothing_changes_nothing():
    mixed = embedders.mix_dimensions(FEATURES, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(mixed, FEATURES, atol=1e-6)


def test_a_stronger_embedder_brings_a_person_together_and_leaves_the_single_ones():
    labels = np.where(LABELS < 5, np.arange(len(LABELS)) + 100, LABELS)
    sharp = embedders.sharpen(FEATURES, labels, 2.0, np.random.default_rng(0))
    is_single = LABELS < 5
    np.testing.assert_allclose(sharp[is_single], FEATURES[is_single], atol=1e-6)
    is_linked = (LABELS[:, None] == LABELS)[~is_single][:, ~is_single]
    before = FEATURES[~is_single] @ FEATURES[~is_single].T
    after = sharp[~is_single] @ sharp[~is_single].T
    assert after[is_linked].mean() > before[is_linked].mean() + 0.03
    assert after[~is_linked].mean() == pytest.approx(before[~is_linked].mean(), abs=0.02)


def test_families_are_alike_and_the_others_stay():
    alike = embedders.make_families(FEATURES, LABELS, 0.5, np.random.default_rng(0))
    is_related = np.abs(alike - FEATURES).max(axis=1) > 1e-6
    assert len(np.unique(LABELS[is_related])) == 15
    similarities = alike @ alike.T - FEATURES @ FEATURES.T
    is_stranger = LABELS[:, None] != LABELS
    rises = similarities > 0.1
    within = np.ix_(is_related, is_related)
    assert rises[within][is_stranger[within]].mean() > 0.05
    assert not rises[~is_related][:, ~is_related].any()


def test_no_families():
    alike = embedders.make_families(FEATURES, LABELS, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(alike, FEATURES, atol=1e-6)
