import numpy as np
import pytest

from facelink.neighbors.cells import CellIndex
from tests.helpers import clustered_features, members_of

FEATURES, _ = clustered_features(30, 20, 16, spread=1.0)
EVERYONE = np.arange(len(FEATURES))


@pytest.fixture(scope="module")
def index():
    return CellIndex.build(FEATURES, seed=0)


def test_every_instance_is_in_the_cell_of_its_nearest_center(index):
    assert index.n_cells == len(FEATURES) // 40
    assert sorted(index.members) == list(EVERYONE)
    nearest = np.argmax(FEATURES @ index.centers.T, axis=1)
    np.testing.assert_array_equal(index.cell_of(), nearest)


def test_members_of_a_cell_are_in_order_of_their_ids(index):
    for cell in range(index.n_cells):
        members = members_of(index, cell)
        assert (np.diff(members) > 0).all()
        assert (index.cell_of()[members] == cell).all()


def test_the_seed_decides(index):
    again, other = CellIndex.build(FEATURES, seed=0), CellIndex.build(FEATURES, seed=1)
    np.testing.assert_array_equal(again.members, index.members)
    np.testing.assert_array_equal(again.centers, index.centers)
    assert not np.array_equal(again.centers, other.centers)


def test_cohesion_is_the_mean_cosine_to_the_center(index):
    cosines = (FEATURES * index.centers[index.cell_of()]).sum(axis=1)
    expected = [cosines[index.cell_of() == cell].mean() for cell in range(index.n_cells)]
    np.testing.assert_allclose(index.cohesion, expected, atol=1e-6)
    np.testing.assert_allclose(index.scatter**2 + index.cohesion**2, 1, atol=1e-5)


def test_cells_of_duplicates_hold_them_all_and_scatter_a_little():
    features = np.repeat(clustered_features(2, 1, 8)[0], 60, axis=0)
    index = CellIndex.build(features, seed=0)
    assert sorted(np.diff(index.starts)) == [0, 60, 60]
    assert (index.scatter[np.diff(index.starts) > 0] < 0.01).all()
    assert (index.scatter > 0).all()
