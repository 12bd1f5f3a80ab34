import numba
import numpy as np
import pytest

from facelink.neighbors import cell_search, centers, parts, visits
from facelink.neighbors.cell_search import CellSearch
from facelink.neighbors.codes import Codes
from facelink.neighbors.exact import RecallSample
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.visits import NOWHERE, Reach
from tests.helpers import clustered_features
from tests.reference.neighbors import promising_cells

FEATURES, _ = clustered_features(60, 15, 24, spread=1.0)
EVERYONE = np.arange(len(FEATURES))
COSINES = FEATURES.astype(np.float64) @ FEATURES.T.astype(np.float64)
K = 10


@pytest.fixture(scope="module", params=[64, 8], ids=["whole cells", "cells in parts"])
def index(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_FACES_PER_PART", request.param)
        return DividedCells.build(FEATURES, seed=0)


@pytest.fixture(scope="module")
def sample():
    return RecallSample.draw(FEATURES, K, seed=0)


def rounded(codes):
    """What codes stand for."""
    return codes.values.astype(np.float64) * codes.scales[:, None]


MEMBERS = rounded(Codes.of_members(FEATURES, EVERYONE))


def looked_into(search, instance):
    """Nearest cells, and further parts, by the definition, one after another; and parts seen."""
    cells, parts_of = search.index.cells, search.index.parts_of
    nearness = cells.centers.astype(np.float64) @ FEATURES[instance]
    first = sorted(range(cells.n_cells), key=lambda cell: -nearness[cell])[: search.n_first]
    found = np.isin(cells.cell_of(), first) & (instance != EVERYONE)
    code = rounded(Codes.of_queries(FEATURES, np.array([instance])))[0]
    nearest = sorted((MEMBERS @ code)[found], reverse=True)
    least = nearest[K - 1] if len(nearest) >= K else -np.inf

    feature = FEATURES[instance]

    def promising(centers, index, reach):
        similarities = centers.astype(np.float64) @ feature
        return promising_cells(similarities, index.cohesion, index.scatter, least, reach)

    others = set(promising(cells.centers, cells, search.reach.of_cells)) - set(first)
    seen = [part for cell in others for part in range(*parts_of(cell).indices(10**9))]
    feature = code
    of_parts = search.index.codes_of_parts
    in_reach = promising(rounded(of_parts), search.index.parts, search.reach.of_parts)
    return first, set(seen) & set(in_reach), len(seen)


def is_inside(search, instance):
    """Which instances are in what an instance looks into."""
    first, further, _ = looked_into(search, instance)
    of_cells, of_parts = search.index.cells.cell_of(), search.index.parts.cell_of()
    return np.isin(of_cells, first) | np.isin(of_parts, list(further))


REACHES = [
    (1, NOWHERE),
    (2, Reach(0.05, 0.1)),
    (2, Reach(0.3, -0.1)),
    (4, Reach(0.3, 0.3)),
    (22, Reach(0.1, 0.1)),
]


class TestSearch:
    @pytest.mark.parametrize(("n_first", "reach"), REACHES)
    def test_it_finds_the_best_of_what_is_looked_into(self, index, n_first, reach):
        search = CellSearch(index, K, n_first, reach)
        asked = EVERYONE[::30]
        for instance, found in zip(asked, search.search(FEATURES, asked, K + 2), strict=True):
            inside = is_inside(search, instance)
            expected = sorted(COSINES[instance, inside], reverse=True)[: K + 2]
            found = found[found >= 0]
            similarities = sorted(COSINES[instance, found], reverse=True)[: K + 2]
            assert similarities == pytest.approx(expected, abs=1e-6)
            assert len(set(found)) == len(found)
            assert inside[found].all()
            assert instance in found

    @pytest.mark.parametrize(("n_first", "reach"), REACHES)
    def test_what_is_compared_is_what_is_inside_and_centers_of_parts(self, index, n_first, reach):
        search = CellSearch(index, K, n_first, reach)
        expected = [
            is_inside(search, one).sum() + looked_into(search, one)[2] for one in EVERYONE[::90]
        ]
        assert search.n_compared(FEATURES, EVERYONE[::90]).tolist() == expected

    def test_places_that_the_cells_cannot_fill_hold_minus_one(self, index):
        candidates = CellSearch(index, K, 1).search(FEATURES, EVERYONE, 200)
        sizes = np.diff(index.cells.starts)[index.cells.cell_of()]
        np.testing.assert_array_equal((candidates >= 0).sum(axis=1), np.minimum(sizes, 232))

    def test_the_sizes_of_blocks_and_the_threads_do_not_matter(self, index, monkeypatch):
        search = CellSearch(index, K, 2, Reach(0.3, 0.2))
        whole = search.search(FEATURES, EVERYONE, 12)
        for module, name, size in (
            (cell_search, "_QUERY_BLOCK", 70),
            (centers, "_RANKING_BLOCK", 11),
            (visits, "_RANKING_BLOCK", 7),
            (visits, "VISITS_AT_ONCE", 50),
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
        of_cells, of_parts = search.reach.of_cells, search.reach.of_parts
        if search.reach == NOWHERE:
            assert search.n_first == 8
        else:
            nearer = CellSearch(index, K, search.n_first, Reach(of_cells, of_parts - 2e-4))
            assert self.share_in_reach(nearer, sample) < recall

    def share_in_reach(self, search, sample):
        is_in_reach = [
            is_inside(search, instance)[neighbors]
            for instance, neighbors in zip(sample.instances, sample.neighbors, strict=True)
        ]
        return np.mean(is_in_reach)

    def test_of_all_ways_to_miss_neighbors_the_cheapest_is_chosen(self, index, sample, monkeypatch):
        costs = []
        shares = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
        for share in shares:
            monkeypatch.setattr(cell_search, "_MISSED_BY_CELLS", (share,))
            search = CellSearch.for_recall(FEATURES, index, sample, 0.9)
            costs.append(search.n_compared(FEATURES, sample.instances).sum())
        monkeypatch.setattr(cell_search, "_MISSED_BY_CELLS", shares)
        search = CellSearch.for_recall(FEATURES, index, sample, 0.9)
        assert search.n_compared(FEATURES, sample.instances).sum() == min(costs)

    def test_crowded_lists_look_into_few_cells_and_others_into_many(self):
        crowded, _ = clustered_features(4, 150, 24, spread=0.3)
        alone, _ = clustered_features(600, 1, 24)
        features = np.concatenate([crowded, alone])
        index = DividedCells.build(features, seed=0)
        sample = RecallSample.draw(features, K, seed=0)
        search = CellSearch.for_recall(features, index, sample, 0.98)
        asked = np.arange(len(features))
        first = CellSearch(index, K, search.n_first)
        few = first.search(features, asked, K + 1)
        more = search.search(features, asked, K + 1)
        is_same = (np.sort(few) == np.sort(more)).all(axis=1)
        assert is_same[: len(crowded)].mean() > 0.95
        assert is_same[len(crowded) :].mean() < 0.5
