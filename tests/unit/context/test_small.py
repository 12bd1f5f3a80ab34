import numpy as np
import pytest

from facelink.context.small import LARGEST, SimilarityScale
from facelink.errors import InputError
from tests.helpers import clustered_features, unit_rows

N_FEATURES = 128
STRANGERS = unit_rows(np.random.default_rng(0).normal(size=(LARGEST, N_FEATURES)))
DIRECTION = unit_rows(np.random.default_rng(1).normal(size=(1, N_FEATURES)))


def shifted(features):
    """As by an embedder that is not centred: the mean's length is near 0.9."""
    return unit_rows(features + 2 * DIRECTION)


def one_person(n_faces, seed=0):
    """One person's photographs of very different quality: their median cosine is near 0.6."""
    random = np.random.default_rng(seed)
    person = unit_rows(random.normal(size=(1, N_FEATURES)))
    poses = unit_rows(random.normal(size=(12, N_FEATURES)))[random.integers(12, size=n_faces)]
    noise = unit_rows(random.normal(size=(n_faces, N_FEATURES)))
    blur = random.uniform(0.2, 1.4, size=(n_faces, 1))
    return unit_rows(person + 0.4 * poses + blur * noise)


@pytest.mark.parametrize("n_faces", [10, 20, 60, LARGEST])
def test_strangers_of_a_centred_embedder(n_faces):
    scale = SimilarityScale.of(STRANGERS[:n_faces])
    assert scale.strangers == pytest.approx(0, abs=0.06)
    assert not scale.is_one_person


@pytest.mark.parametrize("n_faces", [20, 60, LARGEST])
def test_strangers_of_an_embedder_that_is_not_centred(n_faces):
    scale = SimilarityScale.of(shifted(STRANGERS[:n_faces]))
    assert scale.strangers == pytest.approx(0.8, abs=0.05)
    assert not scale.is_one_person


@pytest.mark.parametrize("n_people", [2, 3, 8])
def test_pairs_of_one_person_do_not_move_the_strangers(n_people):
    features, _ = clustered_features(n_people, 96 // n_people, N_FEATURES, spread=0.9)
    scale = SimilarityScale.of(features)
    assert scale.strangers == pytest.approx(0, abs=0.1)
    assert not scale.is_one_person


@pytest.mark.parametrize("n_faces", [20, 50, 100, LARGEST])
@pytest.mark.parametrize("embedder", [lambda features: features, shifted])
def test_one_person_is_no_collection_of_strangers(n_faces, embedder):
    features = embedder(one_person(n_faces))
    scale = SimilarityScale.of(features)
    assert scale.is_one_person
    median = np.median((features @ features.T)[np.triu_indices(n_faces, 1)])
    assert scale.strangers < median - 0.3 * (1 - median)


def test_hardly_any_faces_are_taken_for_a_typical_embedder():
    alike = unit_rows(STRANGERS[:2] * [[1], [0]] + STRANGERS[2:4])  # a cosine near 0.5 to another
    for features in (STRANGERS[:1], STRANGERS[:2], alike):
        assert SimilarityScale.of(features).strangers == pytest.approx(0.05, abs=0.05)


def test_exact_duplicates_alone():
    scale = SimilarityScale.of(np.repeat(STRANGERS[:1], 30, axis=0))
    assert scale.strangers < 1
    assert scale.likelihoods(np.ones(1)).min() > 0.9


def test_likelihoods_rise_with_similarity():
    found = SimilarityScale(0.8).likelihoods(np.linspace(-1, 1, 50))
    assert found.dtype == np.float32
    assert (np.diff(found) >= 0).all()
    assert found[0] < 0.001
    assert found[-1] > 0.99


def test_an_offset_changes_no_likelihood():
    """Cosines s become a + (1 − a) s."""
    cosines = np.linspace(-0.2, 1, 13)
    plain = SimilarityScale(0.1).likelihoods(cosines)
    moved = SimilarityScale(0.8 + 0.2 * 0.1).likelihoods(0.8 + 0.2 * cosines)
    np.testing.assert_allclose(moved, plain, atol=1e-6)


def test_the_order_of_the_faces_does_not_matter():
    features = one_person(40)
    first, other = SimilarityScale.of(features), SimilarityScale.of(features[::-1])
    assert first.strangers == pytest.approx(other.strangers, abs=1e-6)


def test_too_many_faces():
    with pytest.raises(InputError, match="201 faces; similarity alone judges at most 200"):
        SimilarityScale.of(np.zeros((LARGEST + 1, 4), dtype=np.float32))


@pytest.mark.parametrize("strangers", [1.0, -1.5, np.nan])
def test_no_cosine_of_strangers(strangers):
    with pytest.raises(InputError, match=r"it lies in \[−1, 1\)"):
        SimilarityScale(strangers)


def test_an_even_similarity_of_strangers():
    with pytest.raises(InputError, match="above that of strangers"):
        SimilarityScale(0.1, 0.0)


def test_few_dimensions_ask_for_more_similarity():
    narrow = unit_rows(np.random.default_rng(0).normal(size=(100, 32)))
    assert SimilarityScale.of(narrow).even > 0.5 > SimilarityScale.of(STRANGERS[:100]).even
