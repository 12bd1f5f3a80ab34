import numpy as np
import pytest

from facelink.benchmark import changes
from tests.helpers import clustered_features

FEATURES, LABELS = clustered_features(60, 5, 48)


def generator():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "change",
    [
        lambda random: changes.made_up_strangers(FEATURES, 200, random),
        lambda random: changes.made_up_person(FEATURES, 200, random),
        lambda random: changes.noisy(FEATURES, 0.5, random),
        lambda random: changes.blurred(FEATURES, 0.5, 0.5, random),
        lambda random: changes.uncentred(FEATURES, random),
        lambda random: changes.steeper_spectrum(FEATURES),
    ],
    ids=["strangers", "person", "noisy", "blurred", "uncentred", "steeper"],
)
def test_rows_are_of_length_one_and_repeat_with_the_seed(change):
    rows = change(generator())
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(rows, change(generator()))


def test_whole_people_are_drawn():
    chosen = changes.some_people(LABELS, 23, generator())
    assert len(chosen) == 25
    assert (np.bincount(LABELS[chosen], minlength=60) % 5 == 0).all()


def test_strangers_are_of_different_people():
    drawn = changes.one_each(LABELS, generator())
    assert sorted(LABELS[drawn]) == list(range(60))


def test_made_up_strangers_have_the_mean_of_the_embedder_but_nobody_is_near():
    features = changes.uncentred(FEATURES, generator())
    strangers = changes.made_up_strangers(features, 300, generator())
    mean, own = strangers.mean(axis=0), features.mean(axis=0)
    assert mean @ own / np.linalg.norm(mean) / np.linalg.norm(own) > 0.99
    pairs = strangers @ strangers.T
    np.fill_diagonal(pairs, -1)
    same_person = (features @ features.T)[(LABELS[:, None] == LABELS) & ~np.eye(300, dtype=bool)]
    assert pairs.max() < same_person.min()


def test_a_made_up_person_resembles_itself_and_no_one_else():
    person = changes.made_up_person(FEATURES, 200, generator())
    assert (person @ person.T).mean() == pytest.approx(0.53, abs=0.05)
    assert abs((person @ FEATURES.T).mean()) < 0.1


def test_noise_lowers_the_similarity_with_the_clean_face_as_its_length_tells():
    noisy = changes.noisy(FEATURES, 0.75, generator())
    cosines = (noisy * FEATURES).sum(axis=1)
    assert cosines.mean() == pytest.approx(1 / np.sqrt(1 + 0.75**2), abs=0.02)


def test_blurred_faces_resemble_each_other_and_the_others_stay():
    blurred = changes.blurred(FEATURES, 0.3, 0.7, generator())
    moved = (blurred != FEATURES).any(axis=1)
    assert 0.2 < moved.mean() < 0.4
    before, after = (rows[moved] @ rows[moved].T for rows in (FEATURES, blurred))
    assert after.mean() > before.mean() + 0.5


def test_an_uncentred_embedder_has_a_long_mean():
    moved = changes.uncentred(FEATURES, generator())
    assert np.linalg.norm(moved.mean(axis=0)) > 0.85


def test_a_steeper_spectrum_has_fewer_effective_dimensions():
    def effective_dimensions(features):
        variances = np.linalg.eigvalsh(np.cov(features.T))
        return variances.sum() ** 2 / (variances**2).sum()

    steeper = changes.steeper_spectrum(FEATURES)
    assert effective_dimensions(steeper) < 0.7 * effective_dimensions(FEATURES)
