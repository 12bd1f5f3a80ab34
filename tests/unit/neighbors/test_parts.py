import numba
import numpy as np
import pytest

from facelink.neighbors import parts
from facelink.neighbors.cells import CellIndex
from facelink.neighbors.parts import DividedCells
from tests.helpers import clustered_features, members_of

FEATURES, _ = clustered_features(30, 20, 16, spread=1.0)


@pytest.fixture(scope="module")
def cells():
    return CellIndex.build(FEATURES, seed=0)


@pytest.fixture
def index(cells, monkeypatch):
    monkeypatch.setattr(parts, "_FACES_PER_PART", 9)
    return DividedCells.of(FEATURES, cells)


def test_cells_stay_as_they_were(index, cells):
    np.testing.assert_array_equal(index.cells.centers, cells.centers)
    np.testing.assert_array_equal(index.cells.starts, cells.starts)
    np.testing.assert_array_equal(index.cells.cohesion, cells.cohesion)
    np.testing.assert_array_equal(index.cells.cell_of(), cells.cell_of())


def test_a_cell_has_about_as_many_parts_as_faces_go_into_parts(index, cells):
    sizes = np.diff(cells.starts)
    np.testing.assert_array_equal(np.diff(index.firsts), np.maximum(1, sizes // 9))
    assert index.parts.n_cells > 2 * cells.n_cells


def test_every_member_is_in_the_part_of_its_cell_whose_center_is_nearest(index, cells):
    cell_of, part_of = index.cells.cell_of(), index.parts.cell_of()
    for instance, feature in enumerate(FEATURES):
        here = index.parts_of(cell_of[instance])
        nearness = index.parts.centers[here] @ feature
        assert nearness[part_of[instance] - here.start] == pytest.approx(nearness.max(), abs=1e-6)


def test_cohesion_is_the_mean_cosine_to_the_center(index):
    part_of = index.parts.cell_of()
    cosines = (FEATURES * index.parts.centers[part_of]).sum(axis=1)
    for part in range(index.parts.n_cells):
        inside = cosines[part_of == part]
        expected = inside.mean() if len(inside) else 0
        assert index.parts.cohesion[part] == pytest.approx(expected, abs=1e-6)


def test_parts_scatter_less_than_cells(index):
    of_cells = index.cells.scatter[index.cells.cell_of()].mean()
    assert index.parts.scatter[index.parts.cell_of()].mean() < 0.95 * of_cells


def test_members_of_a_part_are_in_order_of_their_ids(index):
    for part in range(index.parts.n_cells):
        assert (np.diff(members_of(index.parts, part)) > 0).all()


def test_small_cells_are_one_part(cells, monkeypatch):
    monkeypatch.setattr(parts, "_FACES_PER_PART", 21)
    index = DividedCells.of(FEATURES, cells)
    assert index.parts.n_cells > cells.n_cells
    whole = np.flatnonzero(np.diff(index.firsts) == 1)
    assert len(whole) > 0
    ones = index.firsts[whole]
    np.testing.assert_array_equal(index.parts.centers[ones], cells.centers[whole])
    np.testing.assert_allclose(index.parts.cohesion[ones], cells.cohesion[whole], atol=1e-6)


def test_a_crowded_cell_has_a_limited_number_of_parts(monkeypatch):
    monkeypatch.setattr(parts, "_FACES_PER_PART", 2)
    monkeypatch.setattr(parts, "_MOST_PARTS", 5)
    features = np.repeat(clustered_features(2, 1, 8)[0], 60, axis=0)
    index = DividedCells.build(features, seed=0)
    assert sorted(np.diff(index.firsts)) == [1, 5, 5]
    assert sorted(index.parts.members) == list(range(120))


def test_threads_do_not_matter(index, cells, monkeypatch):
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    again = DividedCells.of(FEATURES, cells)
    numba.set_num_threads(before)
    for name in ("centers", "members", "starts", "cohesion"):
        np.testing.assert_array_equal(getattr(again.parts, name), getattr(index.parts, name))


def test_some_cells_alone(index):
    some = index.only(slice(3, 7))
    assert some.cells.n_cells == 4
    for cell in range(4):
        members, there = members_of(some.cells, cell), members_of(index.cells, cell + 3)
        np.testing.assert_array_equal(members, there)
        here, all_parts = some.parts_of(cell), index.parts_of(cell + 3)
        np.testing.assert_array_equal(some.parts.centers[here], index.parts.centers[all_parts])
        for part, same in zip(
            range(here.start, here.stop), range(all_parts.start, all_parts.stop), strict=True
        ):
            members, there = members_of(some.parts, part), members_of(index.parts, same)
            np.testing.assert_array_equal(members, there)
