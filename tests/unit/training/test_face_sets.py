import numpy as np
import pytest

from facelink.errors import InputError
from facelink.neighbors.graph import MISSING
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import (
    Collection,
    FaceSet,
    cap_sizes,
    check_face_sets,
    draw_collection,
    limit_faces,
    merge_face_sets,
    power_law_sizes,
    split_by_identity,
)
from tests.helpers import clustered_features

SUBGRAPHS = SubgraphSettings((6, 3), 4)


def face_set(n_people=10, faces_each=5, n_features=8, seed=0, name="set"):
    """A set in which each face can be told by its first value, and labels are 100, 103, ….

    Labels that do not count from 0 show where a label is taken for an index.
    """
    features, labels = clustered_features(n_people, faces_each, n_features, seed=seed)
    return FaceSet(name, features, 100 + 3 * labels)


def sizes_of(faces):
    return np.unique(faces.labels, return_counts=True)[1]


def assert_faces_of(drawn, source):
    """Every face of `drawn` is one of `source`, with its person, and none is there twice."""
    rows = {row.tobytes(): label for row, label in zip(source.features, source.labels, strict=True)}
    found = [row.tobytes() for row in drawn.features]
    assert len(set(found)) == len(found)
    assert [rows[row] for row in found] == drawn.labels.tolist()


class TestFaceSet:
    def test_it_can_be_cut_to_some_faces(self):
        faces = face_set()
        part = faces.take(np.array([4, 2]))
        np.testing.assert_array_equal(part.features, faces.features[[4, 2]])
        np.testing.assert_array_equal(part.labels, faces.labels[[4, 2]])
        assert (part.name, len(part), part.n_features) == ("set", 2, 8)
        assert faces.take(np.array([0]), "other").name == "other"

    def test_each_face_needs_one_label(self):
        features = np.zeros((3, 2), dtype=np.float32)
        with pytest.raises(InputError, match=r"mine: features of shape \(3, 2\) but 2 labels"):
            FaceSet("mine", features, np.zeros(2, dtype=np.int64))
        with pytest.raises(InputError, match=r"mine: features of shape \(3,\) but 3 labels"):
            FaceSet("mine", features[:, 0], np.zeros(3, dtype=np.int64))


class TestCheck:
    def test_sets_of_one_width_that_have_links_pass(self):
        check_face_sets([face_set(), face_set(4, 2)])

    def test_no_set(self):
        with pytest.raises(InputError, match="no training set; give at least one pair"):
            check_face_sets([])

    @pytest.mark.parametrize("names", [("one", "two"), ("same", "same")])
    def test_sets_of_different_widths(self, names):
        sets = [face_set(name=names[0]), face_set(n_features=16, name=names[1])]
        message = rf"different widths \({names[0]}: 8, {names[1]}: 16\)"
        with pytest.raises(InputError, match=message):
            check_face_sets(sets)

    @pytest.mark.parametrize(("n_people", "faces_each"), [(3, 5), (20, 1)])
    def test_too_few_people_or_links(self, n_people, faces_each):
        message = f"mine: {n_people} people, the largest with {faces_each} faces; .* at least 4"
        with pytest.raises(InputError, match=message):
            check_face_sets([face_set(), face_set(n_people, faces_each, name="mine")])


class TestSplit:
    def test_no_person_is_on_both_sides_and_no_face_is_lost(self):
        faces = face_set(n_people=20)
        kept, held_out = split_by_identity(faces, 0.25, seed=1)
        assert set(kept.labels).isdisjoint(held_out.labels)
        assert len(np.unique(held_out.labels)) == 5
        together = np.concatenate([kept.features, held_out.features])
        assert len(together) == len(faces)
        assert_faces_of(kept, faces)
        assert_faces_of(held_out, faces)

    def test_the_seed_chooses_the_people(self):
        faces = face_set(n_people=20)
        people = [set(split_by_identity(faces, 0.25, seed)[1].labels) for seed in (1, 1, 2)]
        assert people[0] == people[1] != people[2]

    @pytest.mark.parametrize(("share", "n_held_out"), [(0.001, 2), (0.999, 8)])
    def test_two_people_at_least_are_on_either_side(self, share, n_held_out):
        kept, held_out = split_by_identity(face_set(n_people=10), share, seed=0)
        assert len(np.unique(held_out.labels)) == n_held_out
        assert len(np.unique(kept.labels)) == 10 - n_held_out


def test_merged_sets_keep_their_people_apart():
    first, second = face_set(6, 4), face_set(5, 3, seed=1)
    assert np.intersect1d(first.labels, second.labels).size
    merged = merge_face_sets([first, second], "both")
    assert merged.name == "both"
    np.testing.assert_array_equal(merged.features[:24], first.features)
    np.testing.assert_array_equal(merged.features[24:], second.features)
    assert set(merged.labels[:24]).isdisjoint(merged.labels[24:])
    same = merged.labels[:24, None] == merged.labels[:24]
    np.testing.assert_array_equal(same, first.labels[:, None] == first.labels)


class TestCollection:
    def test_it_has_the_neighbours_that_the_subgraphs_need(self):
        faces = face_set()
        collection = Collection.of(faces, SUBGRAPHS)
        expected = find_neighbors(faces.features, 6)
        np.testing.assert_array_equal(collection.graph.indices, expected.indices)
        np.testing.assert_array_equal(collection.graph.similarities, expected.similarities)

    def test_the_others_are_missing_where_there_are_few_faces(self):
        collection = Collection.of(face_set(2, 2), SUBGRAPHS)
        assert collection.graph.n_neighbors == 6
        assert (collection.graph.indices[:, :3] != MISSING).all()
        assert (collection.graph.indices[:, 3:] == MISSING).all()
        assert np.isneginf(collection.graph.similarities[:, 3:]).all()

    def test_side_by_side_no_face_has_neighbours_of_another(self):
        parts = [Collection.of(face_set(n, 2, seed=n), SUBGRAPHS) for n in (2, 6, 9)]
        joined = Collection.side_by_side(parts)
        assert len(joined.faces) == joined.graph.n_instances == 34
        start = 0
        for part in parts:
            rows = slice(start, start + len(part.faces))
            shifted = np.where(part.graph.indices == MISSING, MISSING, part.graph.indices + start)
            np.testing.assert_array_equal(joined.graph.indices[rows], shifted)
            np.testing.assert_array_equal(joined.graph.similarities[rows], part.graph.similarities)
            np.testing.assert_array_equal(joined.faces.features[rows], part.faces.features)
            start += len(part.faces)
        assert len(np.unique(joined.faces.labels)) == 17

    def test_faces_of_one_person_are_linked(self):
        faces = FaceSet("set", np.eye(3, dtype=np.float32), np.array([7, 7, 9]))
        collection = Collection.of(faces, SUBGRAPHS)
        linked = collection.is_linked(np.array([0, 0, 2]), np.array([1, 2, 1]))
        assert linked.tolist() == [True, False, False]


class TestSizes:
    def test_limit_keeps_whole_people(self):
        faces = face_set(n_people=20, faces_each=5)
        limited = limit_faces(faces, 33, np.random.default_rng(0))
        assert sizes_of(limited).tolist() == [5] * 6
        assert_faces_of(limited, faces)

    def test_limit_keeps_two_people_however_many_faces_they_have(self):
        limited = limit_faces(face_set(), 3, np.random.default_rng(0))
        assert sizes_of(limited).tolist() == [5, 5]

    def test_limit_above_the_number_of_faces_changes_nothing(self):
        faces = face_set()
        limited = limit_faces(faces, 1_000, np.random.default_rng(0))
        np.testing.assert_array_equal(limited.features, faces.features)

    def test_cap_counts_by_person_in_order_of_label(self):
        faces = face_set(n_people=4, faces_each=5)
        capped = cap_sizes(faces, np.array([1, 9, 3, 0]), np.random.default_rng(0))
        people, sizes = np.unique(capped.labels, return_counts=True)
        assert dict(zip(people.tolist(), sizes.tolist(), strict=True)) == {100: 1, 103: 5, 106: 3}
        assert_faces_of(capped, faces)

    def test_cap_chooses_at_random(self):
        faces = face_set(n_people=4, faces_each=5)
        chosen = [
            cap_sizes(faces, np.ones(4, dtype=int), np.random.default_rng(seed)).features
            for seed in (0, 0, 1)
        ]
        np.testing.assert_array_equal(chosen[0], chosen[1])
        assert not np.array_equal(chosen[0], chosen[2])

    @pytest.mark.parametrize("exponent", [1.5, 2.0, 2.5])
    def test_power_law(self, exponent):
        sizes = power_law_sizes(100_000, exponent, np.random.default_rng(0))
        assert sizes.dtype == np.int64
        assert sizes.min() == 1
        for least in (2, 10):
            expected = least ** -(exponent - 1.0)  # share of sizes of at least this
            assert abs((sizes >= least).mean() - expected) < 0.01


class TestDraw:
    SETS = (face_set(30, 20, seed=1, name="one"), face_set(25, 4, seed=2, name="two"))

    def draws(self, face_sets, n=60, max_faces=10_000):
        random = np.random.default_rng(0)
        return [draw_collection(face_sets, random, max_faces) for _ in range(n)]

    def test_the_generator_alone_decides(self):
        first, second = self.draws(self.SETS, 5), self.draws(self.SETS, 5)
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one.features, other.features)
            np.testing.assert_array_equal(one.labels, other.labels)

    def test_faces_keep_their_person_and_come_once(self):
        for drawn in self.draws(self.SETS[:1]):
            assert_faces_of(drawn, self.SETS[0])

    def test_sizes_come_from_several_regimes(self):
        sizes = [sizes_of(drawn) for drawn in self.draws(self.SETS[:1])]
        assert any((s == 20).all() for s in sizes), "everything of some people"
        assert any(s.max() < 20 and (s == s.max()).all() for s in sizes), "a cap"
        assert any(len(np.unique(s)) > 4 for s in sizes), "a power law"
        assert any(1 < (s == 1).sum() < len(s) for s in sizes), "some singletons"
        assert min(map(len, sizes)) < 15 < 25 < max(map(len, sizes)), "different numbers of people"

    def test_sets_are_drawn_alone_and_mixed(self):
        names = {drawn.name for drawn in self.draws(self.SETS)}
        assert names == {"one", "two", "mixed"}

    def test_there_are_never_too_few_faces_nor_too_many(self):
        counts = [len(drawn) for drawn in self.draws(self.SETS, max_faces=200)]
        assert min(counts) >= 64
        assert max(counts) == 200

    def test_a_small_set_is_drawn_whole_where_few_of_it_are_chosen(self):
        small = face_set(4, 3)
        assert all(len(drawn) == 12 for drawn in self.draws([small]))
