import numpy as np
import pytest

from facelink.blocks import blocks
from facelink.calibration import Calibration
from facelink.merging import merge_by_likelihood, merge_evidence
from facelink.merging.evidence import log_odds_units
from tests.unit.merging.helpers import complete_links


@pytest.mark.parametrize(
    ("length", "size", "expected"),
    [(0, 4, []), (3, 4, [(0, 3)]), (4, 4, [(0, 4)]), (9, 4, [(0, 4), (4, 8), (8, 9)])],
)
def test_blocks_cover_everything_once(length, size, expected):
    assert [(block.start, block.stop) for block in blocks(length, size)] == expected


def test_nothing_depends_on_where_a_block_ends(monkeypatch):
    likelihoods = np.linspace(0, 1, 1001, dtype=np.float32)
    shape = Calibration(0.7, -0.4).apply(likelihoods.reshape(7, 143)).shape
    whole = log_odds_units(likelihoods), Calibration(0.7, -0.4).apply(likelihoods)
    monkeypatch.setattr("facelink.blocks.blocks.__defaults__", (10,))
    assert shape == (7, 143)
    np.testing.assert_array_equal(log_odds_units(likelihoods), whole[0])
    np.testing.assert_array_equal(Calibration(0.7, -0.4).apply(likelihoods), whole[1])


@pytest.mark.parametrize("size", [1, 7, 100])
def test_merging_does_not_depend_on_the_size_of_blocks(monkeypatch, size):
    random = np.random.default_rng(3)
    identities = np.repeat(np.arange(12), 5)
    links = complete_links(
        identities, lambda same: np.clip(random.normal(0.3 + 0.4 * same, 0.15), 0.01, 0.99)
    )
    whole = merge_by_likelihood(links, 80)
    pairs = merge_evidence(links, identities, 80)
    monkeypatch.setattr("facelink.blocks.blocks.__defaults__", (size,))
    monkeypatch.setattr("facelink.merging.cluster_pairs.BLOCK", size)
    in_blocks = merge_by_likelihood(links, 80)
    np.testing.assert_array_equal(in_blocks.labels, whole.labels)
    np.testing.assert_array_equal(in_blocks.links.likelihoods, whole.links.likelihoods)
    np.testing.assert_array_equal(merge_evidence(links, identities, 80).pairs, pairs.pairs)
    np.testing.assert_array_equal(merge_evidence(links, identities, 80).evidence, pairs.evidence)
