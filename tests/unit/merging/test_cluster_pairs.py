import numpy as np
import pytest

from facelink.errors import InputError
from facelink.merging.cluster_pairs import merge_evidence
from tests.unit.merging.helpers import chain, make_links


class TestMergeEvidence:
    def test_by_hand(self):
        # Log-odds ln 3 and −ln 3 between the first two clusters; of four pairs two are missing.
        links = make_links(5, (0, 2, 0.75), (1, 3, 0.25), (3, 4, 0.9), (0, 1, 0.1))
        found = merge_evidence(links, [0, 0, 1, 1, 2], n_neighbors=80)
        assert found.pairs.tolist() == [[1, 2], [0, 1]]
        assert found.n_links.tolist() == [1, 2]
        expected = [(np.log(9) - 1) / 2, -2 / 4]
        np.testing.assert_allclose(found.evidence, expected, atol=1e-4)

    def test_far_above_k_fewer_pairs_are_expected(self):
        links = make_links(4, (0, 2, 0.75), (1, 3, 0.75))
        found = merge_evidence(links, [0, 0, 1, 1], n_neighbors=2)
        assert found.evidence[0] == pytest.approx(np.log(3), abs=1e-4)

    def test_equal_evidence_is_ordered_by_label(self):
        found = merge_evidence(chain([0.2, 0.2, 0.2]), [3, 2, 1, 0], n_neighbors=3)
        assert found.pairs.tolist() == [[0, 1], [1, 2], [2, 3]]

    @pytest.mark.parametrize("n_instances", [0, 3])
    def test_no_links(self, n_instances):
        found = merge_evidence(make_links(n_instances), np.arange(n_instances), 80)
        assert found.pairs.shape == (0, 2)
        assert found.evidence.shape == found.n_links.shape == (0,)

    def test_wrong_labels(self):
        with pytest.raises(InputError, match=r"labels of shape \(3,\) for links between 2"):
            merge_evidence(chain([0.5]), [0, 0, 0], 1)
        with pytest.raises(InputError, match="label -1; clusters are numbered from 0"):
            merge_evidence(chain([0.5]), [0, -1], 1)
