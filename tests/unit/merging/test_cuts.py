import numpy as np
import pytest

from facelink.errors import InputError
from facelink.merging.cuts import weakest_cut
from tests.unit.merging.helpers import chain, complete_links, make_links


class TestWeakestCut:
    def test_two_people_in_one_cluster(self):
        links = complete_links([0, 1, 0, 1, 0], lambda same: np.where(same, 0.9, 0.3))
        cut = weakest_cut(links, [0] * 5, 0, n_neighbors=80)
        assert cut.part.tolist() == [1, 3]
        assert cut.evidence == pytest.approx(np.log(3 / 7), abs=1e-4)

    def test_only_the_cluster_is_looked_at(self):
        links = make_links(5, (0, 3, 0.9), (1, 3, 0.2), (2, 4, 0.99), (2, 3, 0.99))
        cut = weakest_cut(links, [1, 1, 0, 1, 0], 1, n_neighbors=80)
        assert cut.part.tolist() == [1]

    def test_pieces_without_links(self):
        cut = weakest_cut(make_links(5, (0, 1, 0.9), (2, 4, 0.9), (0, 4, 0.9)), [0] * 5, 0, 80)
        assert (cut.part.tolist(), cut.evidence) == ([3], -1.0)

    def test_parts_of_a_least_size(self):
        links = complete_links([0, 0, 1, 1, 2], lambda same: np.where(same, 0.9, 0.4))
        links.likelihoods[(links.pairs == 4).any(axis=1)] = 0.05
        assert weakest_cut(links, [0] * 5, 0, 80).part.tolist() == [4]
        cut = weakest_cut(links, [0] * 5, 0, 80, min_part=2)
        assert len(cut.part) == 2
        assert 4 not in cut.part

    def test_too_small(self):
        assert weakest_cut(make_links(2), [0, 1], 1, 80) is None
        assert weakest_cut(chain([0.9, 0.9]), [0, 0, 0], 0, 80, min_part=2) is None

    def test_no_such_label(self):
        with pytest.raises(InputError, match="no instance has label 2; labels run from 0 to 0"):
            weakest_cut(chain([0.9]), [0, 0], 2, 1)

    def test_min_part_out_of_range(self):
        with pytest.raises(InputError, match="min_part=0; a part has at least 1"):
            weakest_cut(chain([0.9]), [0, 0], 0, 1, min_part=0)
