import numpy as np
import pytest

from facelink.merging.agglomeration import agglomerate
from facelink.merging.contraction import Contraction
from facelink.merging.evidence import BLOCKED
from facelink.merging.parts import GroupEvidence, likely_groups
from tests.unit.merging.test_parts import evidence


def test_what_lies_within_groups_is_gone_and_the_rest_is_counted_by_group():
    given = GroupEvidence(
        np.array([[0, 2], [1, 3], [4, 2], [1, 4]], dtype=np.int32),
        np.array([0.9, 0.8, 0.7, 0.6], dtype=np.float32),
        np.array([[0, 2], [3, 4]], dtype=np.int32),
        np.array([-5, BLOCKED]),
        np.array([[0, 2]], dtype=np.int32),
        np.array([-1, 7, 8, -1, -1], dtype=np.int32),
        3,
    )
    found = Contraction.of(given, np.array([0, 1, 0, 1, 4], dtype=np.int32))
    assert found.smallest.tolist() == [0, 1, 4]
    assert found.group_of.tolist() == [0, 1, 0, 1, 2]
    assert found.sizes.tolist() == [2, 2, 1]
    between = found.evidence
    assert between.pairs.tolist() == [[2, 0], [1, 2]]
    assert between.likelihoods.tolist() == np.array([0.7, 0.6], dtype=np.float32).tolist()
    assert (between.others.tolist(), between.totals.tolist()) == ([[1, 2]], [BLOCKED])
    assert between.anchors.tolist() == [8, 7, -1]
    assert len(between.joined) == 0
    after = found.roots_of_instances(np.array([0, 1, 0], dtype=np.int32))
    assert after.tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_merging_contracted_groups_is_merging_their_instances(seed):
    given = evidence(seed)
    likely = likely_groups(given).roots
    whole = agglomerate(
        given.reach(0),
        (given.pairs, given.likelihoods),
        given.n_neighbors,
        others=(given.others, given.totals),
        joined=np.stack([likely, np.arange(len(likely), dtype=np.int32)], axis=1),
        anchors=given.anchors,
    )
    contracted = Contraction.of(given, likely)
    between = contracted.evidence
    found = agglomerate(
        between.reach(0),
        (between.pairs, between.likelihoods),
        given.n_neighbors,
        sizes=contracted.sizes,
        others=(between.others, between.totals),
        anchors=between.anchors,
    )
    assert whole.n_rounds > 0
    assert found.n_rounds == whole.n_rounds
    np.testing.assert_array_equal(contracted.roots_of_instances(found.roots), whole.roots)
