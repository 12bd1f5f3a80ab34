import numpy as np
import pytest

from facelink.training.context import regimes
from facelink.training.context.settings import ContextTrainingSettings
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features

SETTINGS = ContextTrainingSettings(max_faces=900)


def face_set(name, n_people, faces_each, n_features, seed):
    features, labels = clustered_features(n_people, faces_each, n_features, seed, spread=0.5)
    return FaceSet(name, features, labels)


FACE_SETS = {
    "narrow": [face_set("a", 60, 5, 24, 0), face_set("b", 8, 60, 24, 1)],
    "wide": [face_set("a", 60, 5, 40, 0), face_set("b", 8, 60, 40, 1)],
}


def drawn(n, **changes):
    settings = ContextTrainingSettings(max_faces=900, **changes)
    return [
        regimes.draw_faces(FACE_SETS, settings, np.random.default_rng(seed)) for seed in range(n)
    ]


def test_draws_are_collections_of_unit_vectors():
    for faces in drawn(20):
        assert 2 <= len(faces) <= 900
        assert faces.features.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(faces.features, axis=1), 1, atol=1e-5)


def test_draws_cover_sizes_people_and_embedders():
    collections = drawn(60, made_up_share=0.0)
    largest = [np.unique(faces.labels, return_counts=True)[1].max() for faces in collections]
    assert min(len(faces) for faces in collections) < 100
    assert max(largest) > 60, "someone has grown beyond the real sets"
    assert min(largest) <= 5
    widths = {faces.n_features for faces in collections}
    assert {24, 40, 64} <= widths, "either embedder, and both side by side"
    lengths = [np.linalg.norm(faces.features.mean(axis=0)) for faces in collections]
    assert max(lengths) > 0.7, "an embedder that is not centred"


def test_made_up_people_only():
    collections = drawn(6, made_up_share=1.0)
    assert {faces.name for faces in collections} == {"made up"}


def test_the_seed_decides_the_draw():
    first, again = drawn(1)[0], drawn(1)[0]
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.labels, again.labels)


@pytest.mark.parametrize("seed", range(4))
def test_grown_people_are_near_their_own_faces(seed):
    faces = FACE_SETS["wide"][0]
    grown = regimes.grow_people(faces, np.random.default_rng(seed))
    people, sizes = np.unique(grown.labels, return_counts=True)
    assert set(people) <= set(faces.labels)
    assert sizes.max() >= 10
    is_new = ~np.isin(grown.features[:, 0], faces.features[:, 0])
    nearest = (grown.features[is_new] @ faces.features.T).argmax(axis=1)
    assert (faces.labels[nearest] == grown.labels[is_new]).mean() > 0.8


def test_nobody_grows_from_too_few_faces():
    faces = face_set("pairs", 5, 2, 8, 0)
    assert regimes.grow_people(faces, np.random.default_rng(0)) is faces


@pytest.mark.parametrize("seed", range(4))
def test_repeated_faces_keep_their_person(seed):
    faces = FACE_SETS["narrow"][0]
    repeated = regimes.repeat_faces(faces, np.random.default_rng(seed))
    again, labels = repeated.features[len(faces) :], repeated.labels[len(faces) :]
    assert 1 <= len(again) <= 0.2 * len(faces)
    nearest = (again @ faces.features.T).argmax(axis=1)
    assert (faces.labels[nearest] == labels).all()


def test_k_is_drawn_between_its_limits_and_below_the_faces():
    random = np.random.default_rng(0)
    settings = ContextTrainingSettings(min_k=10, max_k=80)
    ks = [regimes.draw_k(10_000, settings, random) for _ in range(300)]
    assert min(ks) >= 10
    assert max(ks) == 80
    assert np.mean(np.array(ks) == 80) == pytest.approx(0.36, abs=0.1)
    assert {regimes.draw_k(4, settings, random) for _ in range(20)} == {3}
    assert regimes.draw_k(2, settings, random) == 1
