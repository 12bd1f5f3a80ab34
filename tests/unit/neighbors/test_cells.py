import numba
import numpy as np
import pytest

from facelink.neighbors import cells
from facelink.neighbors.cells import CellIndex
from tests.helpers import clustered_features

FEATURES, _ = clustered_features(30, 20, 16, spread=1.0)
EVERYONE = np.arange(len(FEATURES))


@pytest.fixture(scope="module")
def index():
    return CellIndex.build(FEATURES, seed=0)


def cell_of(index):
    """The cell of each instance."""
    cell = np.empty(len(FEATURES), dtype=int)
    for number, (start, end) in enumerate(zip(index.starts, index.starts[1:], strict=False)):
        cell[index.members[start:end]] = number
    return cell


def best_in_cells(index, instance, n_cells, n_candidates):
    """Similarities of the best candidates, one by one, the greatest first."""
    nearness = [float(FEATURES[instance] @ center) for center in index.centers]
    visited = sorted(range(index.n_cells), key=lambda cell: -nearness[cell])[:n_cells]
    found = [
        float(FEATURES[instance] @ FEATURES[other])
        for other in EVERYONE
        if cell_of(index)[other] in visited
    ]
    return sorted(found, reverse=True)[:n_candidates]


class TestBuild:
    def test_every_instance_is_in_the_cell_of_its_nearest_center(self, index):
        assert index.n_cells == len(FEATURES) // 40
        assert sorted(index.members) == list(EVERYONE)
        nearest = np.argmax(FEATURES @ index.centers.T, axis=1)
        np.testing.assert_array_equal(cell_of(index), nearest)

    def test_members_of_a_cell_are_in_order_of_their_ids(self, index):
        for start, end in zip(index.starts, index.starts[1:], strict=False):
            assert (np.diff(index.members[start:end]) > 0).all()

    def test_the_seed_decides(self):
        again = CellIndex.build(FEATURES, seed=0)
        other = CellIndex.build(FEATURES, seed=1)
        np.testing.assert_array_equal(again.members, CellIndex.build(FEATURES, seed=0).members)
        assert not np.array_equal(again.centers, other.centers)


class TestSearch:
    @pytest.mark.parametrize("n_cells", [1, 3, 15])
    def test_it_finds_the_best_of_the_nearest_cells(self, index, n_cells):
        asked = EVERYONE[::50]
        candidates = index.search(asked, n_cells, 9)
        for instance, found in zip(asked, candidates, strict=True):
            similarities = sorted(
                (float(FEATURES[instance] @ FEATURES[other]) for other in found if other >= 0),
                reverse=True,
            )
            expected = best_in_cells(index, instance, n_cells, 9)
            assert similarities == pytest.approx(expected, abs=1e-6)
            assert len(set(found[found >= 0])) == len(expected)

    def test_places_that_the_cells_cannot_fill_hold_minus_one(self, index):
        candidates = index.search(EVERYONE, 1, 200)
        sizes = np.diff(index.starts)[cell_of(index)]
        np.testing.assert_array_equal((candidates >= 0).sum(axis=1), np.minimum(sizes, 200))

    def test_the_sizes_of_blocks_and_the_threads_do_not_matter(self, index, monkeypatch):
        whole = index.search(EVERYONE, 3, 9)
        for name, size in (("_QUERY_BLOCK", 70), ("_RANKING_BLOCK", 11), ("_VISITORS_AT_ONCE", 13)):
            monkeypatch.setattr(cells, name, size)
        before = numba.get_num_threads()
        numba.set_num_threads(1)
        in_pieces = index.search(EVERYONE, 3, 9)
        numba.set_num_threads(before)
        np.testing.assert_array_equal(np.sort(whole), np.sort(in_pieces))

    def test_the_instance_itself_is_among_its_candidates(self, index):
        assert (index.search(EVERYONE, 1, 5) == EVERYONE[:, None]).any(axis=1).all()


class TestCellsNeeded:
    NEIGHBORS = np.argsort(-FEATURES @ FEATURES.T, axis=1)[:, 1:9].astype(np.int32)

    @pytest.mark.parametrize("recall", [0.3, 0.8, 0.95, 1.0])
    def test_fewer_cells_would_miss_the_recall(self, index, recall):
        needed = index.cells_needed(EVERYONE, self.NEIGHBORS, recall)
        nearness = FEATURES @ index.centers.T
        place = np.argsort(np.argsort(-nearness, axis=1), axis=1)
        places = np.take_along_axis(place, cell_of(index)[self.NEIGHBORS], axis=1)
        assert (places < needed).mean() >= recall
        assert (places < needed - 1).mean() < recall
