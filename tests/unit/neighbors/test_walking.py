import numpy as np
import pytest

from facelink.neighbors import parts
from facelink.neighbors.codes import Codes
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.visits import by_cell
from facelink.neighbors.walking import BestMembers, cosines, least_similarity
from tests.helpers import clustered_features

FEATURES, _ = clustered_features(25, 12, 16, spread=1.0)
FEATURES[100:140] = FEATURES[:40]  # equally similar members
EVERYONE = np.arange(len(FEATURES))


@pytest.fixture
def index(monkeypatch):
    monkeypatch.setattr(parts, "_FACES_PER_PART", 10)
    return DividedCells.build(FEATURES, seed=0)


def similar(instance, members):
    """Members with their similarities by codes, the most similar first; equals by id."""
    codes = Codes.of(FEATURES, EVERYONE)
    products = codes.values[members].astype(int) @ codes.values[instance].astype(int)
    values = products.astype(np.float32) * codes.scales[members]
    return sorted(zip(-values, members, strict=True))


def visits_of(rows_and_cells, n_cells):
    rows, cells = np.array(sorted(rows_and_cells), dtype=np.int32).T.reshape(2, -1)
    return by_cell(rows.copy(), cells.copy(), n_cells)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_the_most_similar_are_kept_whatever_is_looked_into_first(index, n):
    random = np.random.default_rng(n)
    n_parts = index.parts.n_cells
    seen = random.random((len(EVERYONE), n_parts)) < 0.3
    orders = (
        np.zeros(n_parts, int),
        random.integers(0, 3, n_parts),
        random.integers(0, 9, n_parts),
    )
    for turn in orders:
        best = BestMembers(Codes.of(FEATURES, EVERYONE), n)
        for number in range(turn.max() + 1):
            pairs = np.argwhere(seen & (turn == number))
            best.look_into(index, index.parts.starts, visits_of(map(tuple, pairs), n_parts))
        found = best.instances(index)
        part_of = index.parts.cell_of()
        for instance in EVERYONE[::17]:
            members = np.flatnonzero(seen[instance, part_of])
            expected = similar(instance, members)[:n]
            kept = found[instance] >= 0
            values = -best.values[instance][kept]
            assert sorted(zip(values, found[instance][kept], strict=True)) == expected
            assert (best.values[instance][~kept] == -np.inf).all()


def test_whole_cells_are_their_parts(index):
    in_cells, in_parts = (BestMembers(Codes.of(FEATURES, EVERYONE), 9) for _ in range(2))
    cells = [(row, row % index.cells.n_cells) for row in EVERYONE.tolist()]
    within = [
        (row, part)
        for row, cell in cells
        for part in range(index.parts_of(cell).start, index.parts_of(cell).stop)
    ]
    in_cells.look_into(index, index.cells.starts, visits_of(cells, index.cells.n_cells))
    in_parts.look_into(index, index.parts.starts, visits_of(within, index.parts.n_cells))
    for one, other in zip(in_cells.instances(index), in_parts.instances(index), strict=True):
        assert sorted(one) == sorted(other)


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
    assert least_similarity(similarities, is_itself, 1) == pytest.approx([0.5, 0.9])
    assert least_similarity(similarities, is_itself, 3) == pytest.approx([0.3, -np.inf])
