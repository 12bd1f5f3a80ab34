import numpy as np
import pytest

from facelink.errors import InputError
from facelink.merging.constraints import Constraints


class TestChecked:
    def test_nothing_given(self):
        constraints = Constraints.checked(3, None, [])
        assert constraints.must_link.shape == constraints.cannot_link.shape == (0, 2)
        assert constraints.must_link.dtype == np.int32

    def test_pairs_are_kept(self):
        constraints = Constraints.checked(4, [(3, 1)], np.array([[0, 1]], dtype=np.uint8))
        assert constraints.must_link.tolist() == [[3, 1]]
        assert constraints.cannot_link.tolist() == [[0, 1]]
        assert constraints.cannot_link.dtype == np.int32

    def test_the_cycle_is_named(self):
        must = [(5, 2), (2, 4), (4, 1), (0, 3)]
        with pytest.raises(
            InputError,
            match=r"cannot_link \(1, 5\) contradicts must_link, .* through 1 – 4 – 2 – 5; remove",
        ):
            Constraints.checked(6, must, [(0, 1), (1, 5)])

    def test_the_cycle_named_is_the_shortest(self):
        must = [(0, 1), (1, 2), (2, 3), (0, 3)]
        with pytest.raises(InputError, match="through 0 – 3;"):
            Constraints.checked(4, must, [(0, 3)])

    def test_an_instance_cannot_differ_from_itself(self):
        with pytest.raises(InputError, match=r"cannot_link \(2, 2\) .* through 2;"):
            Constraints.checked(3, None, [(2, 2)])

    @pytest.mark.parametrize("bad", [[0, 1], [[0, 1, 2]], [[0.0, 1.0]]])
    def test_not_pairs_of_whole_numbers(self, bad):
        with pytest.raises(InputError, match="must_link needs whole numbers of shape"):
            Constraints.checked(3, bad, None)

    @pytest.mark.parametrize("bad", [(0, 3), (-1, 2)])
    def test_ids_out_of_range(self, bad):
        with pytest.raises(InputError, match=r"cannot_link names .* ids must run from 0 to 2"):
            Constraints.checked(3, None, [bad])
