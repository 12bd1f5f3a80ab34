import numpy as np
import pytest

from facelink.benchmark.idea import N_SHOWN, find_idea_example, shared_neighbors
from facelink.benchmark.idea_section import idea_figure, idea_section, neighborhood_layout
from facelink.errors import InputError
from facelink.synthetic import SyntheticSettings, make_faces
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features, random_graph
from tests.reference.link_curves import jaccard

HARD = SyntheticSettings(
    n_faces=600, n_features=64, spread=1.1, family_share=0.3, family_similarity=0.55
)


@pytest.fixture(scope="module")
def faces():
    made = make_faces(HARD, seed=1)
    return FaceSet("made-up <faces>", made.features, made.labels)


@pytest.fixture(scope="module")
def example(faces):
    return find_idea_example(faces)


def test_each_method_errs_less_than_the_one_before(example):
    errors = [method.n_false + method.n_missed for method in example.methods]
    assert errors[0] > errors[1] > errors[2]
    assert 1 <= example.n_alike <= example.n_pivots


def test_mistakes_are_those_of_the_links_drawn(example):
    for method in example.methods:
        n_false = n_missed = 0
        for first in range(N_SHOWN + 1):
            for second in range(first):
                is_same = example.labels[first] == example.labels[second]
                n_false += method.is_linked[first, second] and not is_same
                n_missed += is_same and not method.is_linked[first, second]
        assert (method.n_false, method.n_missed) == (n_false, n_missed)
        np.testing.assert_array_equal(method.is_linked, method.is_linked.T)


def test_the_cosine_links_what_is_as_near_as_its_threshold(example):
    cosine = example.methods[0]
    cosines = example.features @ example.features.T
    is_clear = np.abs(cosines - cosine.threshold) > 1e-5
    is_linked = cosine.is_linked & is_clear
    assert (cosines[is_linked] > cosine.threshold).all()
    assert np.argmax(cosines[0, 1:]) == 0


def test_shared_neighbors_are_those_of_the_reference():
    graph = random_graph(30, 8, missing_share=0.4)
    pairs = np.array([(a, b) for a in range(30) for b in range(a + 1, 30)], dtype=np.int32)
    expected = [jaccard(graph.indices.tolist(), int(a), int(b)) for a, b in pairs]
    np.testing.assert_allclose(shared_neighbors(graph.indices, pairs), expected, rtol=1e-6)


def test_faces_are_drawn_apart(example):
    places = neighborhood_layout(example.features)
    twice = neighborhood_layout(example.features[[0, 0, 1]])
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert distances[np.triu_indices(len(places), 1)].min() > 0.1
    assert np.isfinite(twice).all()


def test_it_is_drawn_the_same_each_time(example):
    assert idea_figure(example).svg == idea_figure(example).svg


def test_a_section_says_how_the_neighbourhood_was_picked(faces, example):
    section = idea_section(faces)
    assert "was picked" in section.text
    assert f"In {example.n_alike:,} of all {example.n_pivots:,} neighbourhoods" in section.text
    assert [row[0] for row in section.tables[0].rows] == [each.name for each in example.methods]


def test_collections_that_cannot_show_it_are_refused():
    features, labels = clustered_features(5, 8, 32, spread=0.1)
    with pytest.raises(InputError, match="in no neighbourhood"):
        find_idea_example(FaceSet("easy", features, labels))
    with pytest.raises(InputError, match="14 faces in few"):
        find_idea_example(FaceSet("few", features[:14], labels[:14]))
