import numpy as np
import pytest

from facelink.neighbors import parts, walking
from facelink.neighbors.codes import Codes
from facelink.neighbors.comparing import Promise
from facelink.neighbors.packed_products import INSTRUCTION
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.visits import Reach, Seekers, by_cell
from facelink.neighbors.walking import (
    BestMembers,
    cosines,
    least_similarity,
    n_compared,
    nearness_by_codes,
)
from tests.helpers import clustered_features

FEATURES, _ = clustered_features(25, 12, 16, spread=1.0)
FEATURES[100:140] = FEATURES[:40]  # equally similar members
EVERYONE = np.arange(len(FEATURES))
QUERIES, MEMBERS = Codes.of_queries(FEATURES, EVERYONE), Codes.of_members(FEATURES, EVERYONE)
NONE = "this processor has no instruction for such products"


@pytest.fixture(scope="module")
def index():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_FACES_PER_PART", 4)
        return DividedCells.build(FEATURES, seed=0)


@pytest.fixture(params=["loops", "instruction"])
def way(request, monkeypatch):
    if request.param == "loops":
        monkeypatch.setattr(walking, "can_multiply", lambda _: False)
    elif INSTRUCTION is None:
        pytest.skip(NONE)


def similar(instance, members):
    """Members with their similarities by codes, the most similar first; equals by id."""
    products = MEMBERS.values[members].astype(int) @ QUERIES.values[instance].astype(int)
    values = products.astype(np.float32) * MEMBERS.scales[members]
    return sorted(zip(-values, members, strict=True))


def visits_of(seen):
    """Visits of bool (S, C)."""
    rows, cells = np.nonzero(seen)
    return by_cell(rows.astype(np.int32), cells.astype(np.int32), seen.shape[1])


def assert_best(best, index, instance, members, n):
    found, values = best.instances(index)[instance], best.values[instance]
    kept = found >= 0
    assert sorted(zip(-values[kept], found[kept], strict=True)) == similar(instance, members)[:n]
    assert (values[~kept] == -np.inf).all()


@pytest.mark.parametrize("n_spare", [1, 5, 64])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_the_most_similar_are_kept_whatever_is_looked_into_first(
    index, way, n, n_spare, monkeypatch
):
    monkeypatch.setattr(walking, "SPARE_PLACES", n_spare)
    random = np.random.default_rng(n)
    n_cells = index.cells.n_cells
    seen = random.random((len(EVERYONE), n_cells)) < 0.6
    orders = (np.zeros(n_cells, int), random.integers(0, 3, n_cells), np.arange(n_cells))
    for turn in orders:
        best = BestMembers(QUERIES, n)
        for number in range(turn.max() + 1):
            best.look_into(index, visits_of(seen & (turn == number)))
        cell_of = index.cells.cell_of()
        for instance in EVERYONE[::17]:
            members = np.flatnonzero(seen[instance, cell_of])
            assert_best(best, index, instance, members, n)


def by_definition(index, seekers, reach, seen):
    """Parts that each instance looks into, bool (S, P), one after another."""
    centers = index.codes_of_parts
    wanted = np.zeros((len(EVERYONE), index.parts.n_cells), dtype=bool)
    slack = np.float32(reach.of_parts) * index.parts.scatter
    for row in EVERYONE:
        for cell in np.flatnonzero(seen[row]):
            for part in range(index.parts_of(cell).start, index.parts_of(cell).stop):
                product = QUERIES.values[row].astype(int) @ centers.values[part].astype(int)
                average = (
                    np.float32(product)
                    * (centers.scales[part] * index.parts.cohesion[part])
                    * QUERIES.scales[row]
                )
                wanted[row, part] = average + slack[part] >= seekers.least[row]
    return wanted


class TestPromise:
    SEEN = np.random.default_rng(1).random((len(EVERYONE), 7)) < 0.7

    @pytest.fixture
    def seekers(self):
        least = np.random.default_rng(2).uniform(-0.2, 0.6, len(EVERYONE)).astype(np.float32)
        return Seekers(FEATURES, EVERYONE, np.empty((len(EVERYONE), 0), np.int32), least)

    @pytest.mark.parametrize("reach", [-0.5, 0.0, 0.3])
    def test_of_a_cell_the_parts_in_reach_are_looked_into(self, index, way, seekers, reach):
        reach = Reach(0.0, reach)
        wanted = by_definition(index, seekers, reach, self.SEEN)
        assert 0.05 < wanted.mean() < 0.95
        best = BestMembers(QUERIES, 9)
        best.look_into(index, visits_of(self.SEEN), Promise.of(index, seekers, reach))
        part_of = index.parts.cell_of()
        for instance in EVERYONE[::7]:
            assert_best(best, index, instance, np.flatnonzero(wanted[instance, part_of]), 9)

    def test_centers_and_members_are_counted(self, index, seekers):
        reach = Reach(0.0, 0.1)
        wanted = by_definition(index, seekers, reach, self.SEEN)
        centers = self.SEEN @ np.diff(index.firsts)
        members = wanted @ np.diff(index.parts.starts)
        promise = Promise.of(index, seekers, reach)
        counts = n_compared(QUERIES, index, visits_of(self.SEEN), promise)
        np.testing.assert_array_equal(counts, centers + members)


@pytest.mark.parametrize("dim", [16, 100, 256])
def test_the_instruction_and_loops_keep_the_same(dim, monkeypatch):
    """Of 2,500 visitors to a few cells."""
    if INSTRUCTION is None:
        pytest.skip(NONE)
    features, _ = clustered_features(250, 10, dim, spread=1.0)
    index = DividedCells.build(features, seed=0)
    codes = Codes.of_queries(features, np.arange(len(features)))
    seen = np.random.default_rng(3).random((len(features), index.cells.n_cells)) < 0.8
    found = []
    ways = (walking.can_multiply, lambda _: False)
    for can_multiply in ways:
        monkeypatch.setattr(walking, "can_multiply", can_multiply)
        best = BestMembers(codes, 20)
        best.look_into(index, visits_of(seen))
        order = np.argsort(best.places, axis=1)
        found.append([np.take_along_axis(one, order, 1) for one in (best.places, best.values)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nearness_by_codes():
    which = np.array([[3, 5], [0, 299]])
    few = Codes.of_queries(FEATURES, np.array([7, 8]))
    expected = [
        [FEATURES[i] @ FEATURES[j] for j in row] for i, row in zip((7, 8), which, strict=True)
    ]
    np.testing.assert_allclose(nearness_by_codes(few, MEMBERS, which), expected, atol=0.02)


def test_cosines_of_what_was_found():
    which = np.array([[3, 5, -1], [-1, -1, 299]], dtype=np.int32)
    found = cosines(FEATURES, np.array([7, 8]), FEATURES, which)
    expected = [
        [FEATURES[7] @ FEATURES[3], FEATURES[7] @ FEATURES[5], -np.inf],
        [-np.inf, -np.inf, FEATURES[8] @ FEATURES[299]],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_least_similarity_is_that_of_the_nth_other():
    similarities = np.array([[0.3, 1, 0.5, 0.4], [0.2, 0.9, 1, -np.inf]], dtype=np.float32)
    is_itself = similarities == 1
    values = 2 * similarities
    scales = np.full(2, 0.5, dtype=np.float32)
    assert least_similarity(values, scales, is_itself, 1) == pytest.approx([0.5, 0.9])
    assert least_similarity(values, scales, is_itself, 3) == pytest.approx([0.3, -np.inf])
