import numba
import numpy as np
import pytest

from facelink.neighbors import cell_search, centers, visits, walking
from facelink.neighbors.cell_search import CellSearch
from facelink.neighbors.cells import CellIndex
from facelink.neighbors.exact import RecallSample
from tests.helpers import clustered_features
from tests.reference.neighbors import promising_cells

FEATURES, _ = clustered_features(60, 15, 24, spread=1.0)
EVERYONE = np.arange(len(FEATURES))
COSINES = FEATURES.astype(np.float64) @ FEATURES.T.astype(np.float64)
K = 10


@pytest.fixture(scope="module")
def index():
    return CellIndex.build(FEATURES, seed=0)


@pytest.fixture(scope="module")
def sample():
    return RecallSample.draw(FEATURES, K, seed=0)


def cells_looked_into(search, instance):
    """By the definition, one cell after another."""
    index = search.index
    nearness = index.centers.astype(np.float64) @ FEATURES[instance]
    first = sorted(range(index.n_cells), key=lambda cell: -nearness[cell])[: search.n_first]
    found = np.isin(index.cell_of(), first) & (instance != EVERYONE)
    nearest = sorted(COSINES[instance, found], reverse=True)
    least = nearest[K - 1] if len(nearest) >= K else -np.inf
    others = promising_cells(nearness, index.cohesion, index.scatter(), least, search.reach)
    return set(first) | set(others)


class TestSearch:
    @pytest.mark.parametrize(("n_first", "reach"), [(1, -np.inf), (2, 0.05), (4, 0.3), (22, 0.1)])
    def test_it_finds_the_best_of_the_cells_that_are_looked_into(self, index, n_first, reach):
        search = CellSearch(index, K, n_first, reach)
        asked = EVERYONE[::30]
        for instance, found in zip(asked, search.search(FEATURES, asked, K + 2), strict=True):
            is_inside = np.isin(index.cell_of(), list(cells_looked_into(search, instance)))
            expected = sorted(COSINES[instance, is_inside], reverse=True)[: K + 2]
            similarities = sorted(COSINES[instance, found[found >= 0]], reverse=True)
            assert similarities == pytest.approx(expected, abs=1e-6)
            assert len(set(found[found >= 0])) == len(expected)
            assert instance in found

    @pytest.mark.parametrize(("n_first", "reach"), [(1, -np.inf), (2, 0.05), (4, 0.3)])
    def test_what_is_compared_is_what_is_in_these_cells(self, index, n_first, reach):
        search = CellSearch(index, K, n_first, reach)
        sizes = np.diff(index.starts)
        expected = [sizes[list(cells_looked_into(search, one))].sum() for one in EVERYONE[::90]]
        assert search.n_compared(FEATURES, EVERYONE[::90]).tolist() == expected

    def test_places_that_the_cells_cannot_fill_hold_minus_one(self, index):
        candidates = CellSearch(index, K, 1, -np.inf).search(FEATURES, EVERYONE, 200)
        sizes = np.diff(index.starts)[index.cell_of()]
        np.testing.assert_array_equal((candidates >= 0).sum(axis=1), np.minimum(sizes, 200))

    def test_the_sizes_of_blocks_and_the_threads_do_not_matter(self, index, monkeypatch):
        search = CellSearch(index, K, 2, 0.3)
        whole = search.search(FEATURES, EVERYONE, 12)
        for module, name, size in (
            (cell_search, "_QUERY_BLOCK", 70),
            (centers, "_RANKING_BLOCK", 11),
            (visits, "_RANKING_BLOCK", 7),
            (walking, "_VISITORS_AT_ONCE", 13),
        ):
            monkeypatch.setattr(module, name, size)
        before = numba.get_num_threads()
        numba.set_num_threads(1)
        in_pieces = search.search(FEATURES, EVERYONE[::-1], 12)[::-1]
        numba.set_num_threads(before)
        np.testing.assert_array_equal(np.sort(whole), np.sort(in_pieces))


class TestForRecall:
    @pytest.mark.parametrize("recall", [0.3, 0.8, 0.9, 0.95, 0.99, 1.0])
    def test_it_looks_just_far_enough(self, index, sample, recall):
        search = CellSearch.for_recall(FEATURES, index, sample, recall)
        assert self.share_in_reach(search, sample) >= recall
        nearer = CellSearch(index, K, search.n_first, search.reach - 2e-4)
        if search.reach == -np.inf:
            nearer = CellSearch(index, K, search.n_first - 1, -np.inf)
        assert nearer.n_first == 0 or self.share_in_reach(nearer, sample) < recall

    def share_in_reach(self, search, sample):
        cell_of = search.index.cell_of()
        is_in_reach = [
            np.isin(cell_of[neighbors], list(cells_looked_into(search, instance)))
            for instance, neighbors in zip(sample.instances, sample.neighbors, strict=True)
        ]
        return np.mean(is_in_reach)

    def test_crowded_lists_look_into_few_cells_and_others_into_many(self):
        crowded, _ = clustered_features(4, 150, 24, spread=0.3)
        alone, _ = clustered_features(600, 1, 24)
        features = np.concatenate([crowded, alone])
        index = CellIndex.build(features, seed=0)
        sample = RecallSample.draw(features, K, seed=0)
        search = CellSearch.for_recall(features, index, sample, 0.98)
        asked = np.arange(len(features))
        first = CellSearch(index, K, search.n_first, -np.inf)
        few = first.search(features, asked, K + 1)
        more = search.search(features, asked, K + 1)
        is_same = (np.sort(few) == np.sort(more)).all(axis=1)
        assert is_same[: len(crowded)].mean() > 0.95
        assert is_same[len(crowded) :].mean() < 0.5
