import numpy as np
import pytest

from facelink.benchmark.cases import WHOLE, robustness_cases
from facelink.errors import InputError
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features

D = 48
FACES = FaceSet("faces", *clustered_features(60, 6, D))
STRANGERS = FaceSet("strangers", *clustered_features(200, 2, D, seed=1))


@pytest.fixture(scope="module")
def cases():
    return list(robustness_cases(FACES, STRANGERS, n_draws=2, n_large_person=100, seed=3))


def of_family(cases, family):
    return [case for case in cases if case.family == family]


def test_the_whole_collection_comes_first_and_every_kind_of_change_follows(cases):
    assert cases[0].name == WHOLE
    assert cases[0].faces.features is FACES.features
    assert list(dict.fromkeys(case.family for case in cases)) == [
        "fewer faces",
        "strangers",
        "noise",
        "outliers",
        "unbalanced sizes",
        "small sets",
        "exact copies",
        "one person alone",
        "other embedders",
    ]


def test_every_case_is_a_collection_of_unit_rows(cases):
    for case in cases:
        norms = np.linalg.norm(case.faces.features, axis=1)
        np.testing.assert_allclose(norms, 1, atol=1e-5, err_msg=case.name)
        assert len(case.faces.features) == case.faces.n_faces >= case.n_scored > 0


def test_half_of_the_faces_know_where_they_come_from(cases):
    half = cases[1]
    assert half.faces.n_faces == FACES.n_faces // 2
    np.testing.assert_array_equal(half.faces.features, FACES.features[half.origins])


def test_strangers_follow_the_people_and_are_not_scored(cases):
    alone, *among, only = of_family(cases, "strangers")
    own = alone.faces
    assert [case.n_scored for case in among] == [own.n_faces] * 3
    for case in among:
        np.testing.assert_array_equal(case.faces.features[: own.n_faces], own.features)
        strangers = case.faces.labels[own.n_faces :]
        assert len(np.unique(strangers)) == len(strangers)
        assert not np.isin(strangers, own.labels).any()
    assert among[-1].name == "among 200 strangers (0.6 ×)"
    assert len(np.unique(only.faces.labels)) == only.faces.n_faces == 60


def test_strangers_are_made_up_where_none_are_given():
    cases = robustness_cases(FACES, n_draws=1, n_large_person=9)
    among = [case for case in cases if case.name.startswith("among")]
    assert [len(case.faces.features) / case.n_scored for case in among] == [2, 4, 11]


def test_a_large_person_stands_beside_singletons(cases):
    made_up, real = of_family(cases, "unbalanced sizes")
    assert sorted(np.unique(made_up.faces.labels, return_counts=True)[1]) == [1] * 60 + [100]
    assert sorted(np.unique(real.faces.labels, return_counts=True)[1]) == [1] * 59 + [6]


def test_small_sets_are_drawn_several_times(cases):
    small = of_family(cases, "small sets")
    assert [case.faces.n_faces for case in small] == [20, 20, 200, 200]
    assert not np.array_equal(small[0].faces.features, small[1].faces.features)


def test_copies_are_exact_and_of_the_same_person(cases):
    some, everyone = of_family(cases, "exact copies")
    assert [some.faces.n_faces, everyone.faces.n_faces] == [396, 720]
    np.testing.assert_array_equal(everyone.faces.features[360:], FACES.features)
    np.testing.assert_array_equal(everyone.faces.labels[360:], everyone.faces.labels[:360])


def test_one_person_alone_is_one_person(cases):
    alone = of_family(cases, "one person alone")
    assert [case.name for case in alone] == ["5 faces"] * 2
    assert all(len(np.unique(case.faces.labels)) == 1 for case in alone)


def test_other_embedders_describe_the_same_people(cases):
    embedders = of_family(cases, "other embedders")
    assert len({case.name for case in embedders}) == len(embedders) == 7
    for case in embedders:
        np.testing.assert_array_equal(case.faces.labels, cases[0].faces.labels)
        assert case.faces.features.shape != FACES.features.shape or not np.array_equal(
            case.faces.features, FACES.features
        )


def test_the_seed_repeats_the_cases(cases):
    for case, again in zip(
        cases,
        robustness_cases(FACES, STRANGERS, n_draws=2, n_large_person=100, seed=3),
        strict=True,
    ):
        np.testing.assert_array_equal(case.faces.features, again.faces.features)


def test_faces_of_unknown_people_are_people_of_their_own():
    labels = np.where(FACES.labels == 0, -1, FACES.labels)
    whole = next(robustness_cases(FaceSet("faces", FACES.features, labels)))
    assert len(np.unique(whole.faces.labels)) == 59 + 6


@pytest.mark.parametrize(
    ("faces", "options", "message"),
    [
        (FACES.take(np.flatnonzero(FACES.labels < 9)), {}, "9 people; robustness needs at least"),
        (FACES, {"n_draws": 0}, "n_draws=0, n_large_person=3000; give at least 1"),
        (
            FACES,
            {"strangers": FaceSet("narrow", *clustered_features(9, 2, 16))},
            "narrow have features of width 16, faces of 48",
        ),
    ],
)
def test_what_cannot_be_changed_is_refused(faces, options, message):
    with pytest.raises(InputError, match=message):
        next(robustness_cases(faces, **options))
