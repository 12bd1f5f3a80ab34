from dataclasses import replace

import numpy as np
import pytest

from facelink import synthetic
from facelink.errors import InputError
from facelink.synthetic import SyntheticSettings, make_faces

UNIT_TOLERANCE = 1e-6
"""Norms of float32 rows, summed in float64."""

SMALL = SyntheticSettings(n_faces=2_000, n_features=64)
CLEAN = replace(SMALL, family_share=0.0, junk_share=0.0, spread_variation=0.0, spectrum_decay=0.0)
"""Nothing but people with modes, in an isotropic space."""


def cosines_within_and_across(faces):
    """All cosines of two faces of one person, and of two faces of different people."""
    cosines = faces.features @ faces.features.T
    upper = np.triu(np.ones_like(cosines, dtype=bool), 1)
    same = faces.labels[:, None] == faces.labels
    return cosines[same & upper], cosines[~same & upper]


def center_cosines(settings, seed=0):
    """For each person, the cosine with the most similar other person, where faces do not vary."""
    rigid = replace(settings, spread=0.0, mode_spread=0.0, junk_share=0.0)
    faces = make_faces(rigid, seed=seed)
    _, first = np.unique(faces.labels, return_index=True)
    cosines = faces.features[first] @ faces.features[first].T
    np.fill_diagonal(cosines, -1)
    return cosines.max(axis=1)


def test_the_same_seed_and_settings_give_the_same_faces():
    first, second = make_faces(SMALL, seed=3), make_faces(SMALL, seed=3)
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.is_junk, second.is_junk)


def test_another_seed_gives_other_faces_and_people():
    first, second = make_faces(SMALL, seed=3), make_faces(SMALL, seed=4)
    assert not np.array_equal(first.features, second.features)
    assert not np.array_equal(np.bincount(first.labels), np.bincount(second.labels))


def test_shapes_dtypes_and_unit_rows():
    faces = make_faces(SMALL, seed=1)
    assert faces.features.shape == (2_000, 64)
    assert faces.features.dtype == np.float32
    assert faces.labels.dtype == np.int64
    assert faces.is_junk.dtype == np.bool_
    assert faces.labels.shape == faces.is_junk.shape == (2_000,)
    norms = np.linalg.norm(faces.features.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, 1, atol=UNIT_TOLERANCE)


def test_more_faces_than_are_made_at_a_time(monkeypatch):
    monkeypatch.setattr(synthetic, "_BLOCK", 300)
    faces = make_faces(SMALL, seed=1)
    norms = np.linalg.norm(faces.features.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, 1, atol=UNIT_TOLERANCE)
    assert len(np.unique(faces.features, axis=0)) == len(faces.features)


@pytest.mark.parametrize("n_faces", [1, 2, 7])
def test_few_faces(n_faces):
    faces = make_faces(SyntheticSettings(n_faces=n_faces, n_features=1), seed=5)
    np.testing.assert_allclose(np.abs(faces.features), 1, atol=UNIT_TOLERANCE)
    assert len(faces.labels) == n_faces


class TestSizes:
    def test_labels_are_consecutive_and_in_random_order(self):
        labels = make_faces(SMALL, seed=2).labels
        assert np.unique(labels).tolist() == list(range(labels.max() + 1))
        assert (np.diff(labels) < 0).any()

    def test_the_tail_is_long(self):
        settings = SyntheticSettings(n_faces=20_000, n_features=2)
        sizes = np.bincount(make_faces(settings, seed=1).labels)
        singleton_share = (sizes == 1).mean()
        assert abs(singleton_share - settings.singleton_share) < 0.05  # of about 1,000 people
        assert np.median(sizes) < 5 < 50 < sizes.max() <= settings.max_faces_per_person

    def test_a_smaller_exponent_makes_the_tail_longer(self):
        n_people = [
            len(np.unique(make_faces(replace(SMALL, size_exponent=exponent), seed=1).labels))
            for exponent in (1.3, 3.0)
        ]
        assert n_people[0] < n_people[1]

    @pytest.mark.parametrize(
        "changes", [{"max_faces_per_person": 1}, {"singleton_share": 1.0}], ids=str
    )
    def test_everyone_alone(self, changes):
        labels = make_faces(replace(SMALL, **changes), seed=1).labels
        assert len(np.unique(labels)) == SMALL.n_faces

    def test_nobody_alone_but_whom_the_number_of_faces_cut(self):
        sizes = np.bincount(make_faces(replace(SMALL, singleton_share=0.0), seed=1).labels)
        assert (sizes == 1).sum() <= 1


class TestPeople:
    def test_two_faces_of_a_mode_are_as_similar_as_the_spread_says(self):
        settings = replace(CLEAN, max_modes=1, spread=1.0)
        within, across = cosines_within_and_across(make_faces(settings, seed=1))
        assert abs(within.mean() - 1 / (1 + settings.spread**2)) < 0.05
        assert abs(across.mean()) < 0.05

    def test_without_spread_all_faces_of_a_mode_are_one(self):
        settings = replace(CLEAN, max_modes=1, spread=0.0)
        within, _ = cosines_within_and_across(make_faces(settings, seed=1))
        np.testing.assert_allclose(within, 1, atol=UNIT_TOLERANCE)

    def test_people_have_several_modes(self):
        settings = replace(CLEAN, spread=0.0, max_modes=3)
        faces = make_faces(settings, seed=1)
        largest = faces.features[faces.labels == np.bincount(faces.labels).argmax()]
        assert 1 < len(np.unique(largest, axis=0)) <= settings.max_modes

    def test_people_differ_in_their_spread(self):
        settings = replace(CLEAN, max_modes=1, singleton_share=0.0, spread_variation=0.4)
        faces = make_faces(settings, seed=1)
        sizes = np.bincount(faces.labels)
        means = []
        for person in np.flatnonzero(sizes >= 20):
            own = faces.features[faces.labels == person]
            means.append(np.linalg.norm(own.mean(axis=0)))
        assert np.ptp(means) > 0.1

    def test_decay_of_the_spectrum_spreads_the_similarities_of_strangers(self):
        spread_out = [
            cosines_within_and_across(make_faces(replace(CLEAN, spectrum_decay=decay), seed=1))[1]
            for decay in (0.0, 1.0)
        ]
        assert spread_out[0].std() < 0.75 * spread_out[1].std()


class TestFamilies:
    def test_members_of_a_family_are_closer_than_strangers(self):
        wide = SyntheticSettings(n_faces=2_000, n_features=256, spectrum_decay=0.0)
        strangers = center_cosines(replace(wide, family_share=0.0))
        families = center_cosines(replace(wide, family_share=1.0, family_similarity=0.6))
        assert strangers.max() < 0.5
        assert abs(np.median(families) - 0.6) < 0.1

    def test_only_the_share_that_was_asked_for_has_one(self):
        wide = SyntheticSettings(n_faces=2_000, n_features=256, spectrum_decay=0.0)
        nearest = center_cosines(replace(wide, family_share=0.2, family_similarity=0.8))
        assert abs((nearest > 0.6).mean() - 0.2) < 0.05


class TestJunk:
    FACES = make_faces(replace(SMALL, junk_share=0.2, family_share=0.0), seed=1)

    def test_the_share_that_was_asked_for(self):
        assert abs(self.FACES.is_junk.mean() - 0.2) < 0.03

    def test_junk_resembles_junk_across_people_more_than_the_own_person(self):
        features, labels, is_junk = self.FACES.features, self.FACES.labels, self.FACES.is_junk
        cosines = features @ features.T
        same = labels[:, None] == labels
        among_junk = cosines[np.ix_(is_junk, is_junk)][~same[np.ix_(is_junk, is_junk)]]
        to_own_person = cosines[np.ix_(is_junk, ~is_junk)][same[np.ix_(is_junk, ~is_junk)]]
        of_clear_faces = cosines[np.ix_(~is_junk, ~is_junk)][~same[np.ix_(~is_junk, ~is_junk)]]
        assert among_junk.mean() > to_own_person.mean() > of_clear_faces.mean()

    def test_none_by_request(self):
        assert not make_faces(replace(SMALL, junk_share=0.0), seed=1).is_junk.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_faces": 0}, "n_faces=0; it must be at least 1"),
        ({"n_features": -1}, "n_features=-1; it must be at least 1"),
        ({"max_modes": 0}, "max_modes=0; it must be at least 1"),
        ({"max_faces_per_person": 0}, "max_faces_per_person=0; it must be at least 1"),
        ({"singleton_share": 1.1}, r"singleton_share=1.1; choose from \[0, 1\]"),
        ({"family_share": float("nan")}, r"family_share=nan; choose from \[0, 1\]"),
        ({"family_similarity": -0.1}, r"family_similarity=-0.1; choose from \[0, 1\]"),
        ({"junk_share": 2}, r"junk_share=2; choose from \[0, 1\]"),
        ({"spread": -1.0}, "spread=-1.0; it must not be negative"),
        ({"spread_variation": -1.0}, "spread_variation=-1.0; it must not be negative"),
        ({"mode_spread": -1.0}, "mode_spread=-1.0; it must not be negative"),
        ({"spectrum_decay": -1.0}, "spectrum_decay=-1.0; it must not be negative"),
        ({"size_exponent": 1.0}, "size_exponent=1.0; it must be above 1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_outside_their_range(changes, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **changes)


def test_a_negative_seed():
    with pytest.raises(InputError, match="seed=-1; it must not be negative"):
        make_faces(SMALL, seed=-1)
