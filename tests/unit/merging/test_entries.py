import numpy as np
import pytest

from facelink.merging.entries import n_slots_of, read_entry, row_starts, write_entry
from facelink.merging.evidence import BLOCKED


@pytest.mark.parametrize(
    ("total", "n_links", "n_slots"),
    [
        (-262144, 1, 1),
        (0, 1, 1),
        (-1, 0, 2),
        (BLOCKED, 0, 2),
        (BLOCKED, 1, 2),  # a link and a pair that must not be one
        (1 << 31, 1, 2),
        (-(1 << 31), 1, 2),
        ((1 << 46) + 12345, 1 << 28, 2),
        (-(1 << 46) - 1, 2, 2),
        (-1, 2, 2),
    ],
)
def test_an_entry_is_read_as_it_was_written(total, n_links, n_slots):
    slots = np.full((4, 2), 99, dtype=np.int32)
    assert n_slots_of(total, n_links) == n_slots
    for partner in (0, 2**31 - 1):
        assert write_entry(slots, 1, partner, total, n_links) == 1 + n_slots
        assert read_entry(slots, 1) == (partner, total, n_links, 1 + n_slots)
    assert (slots[0] == 99).all()
    assert (slots[1 + n_slots :] == 99).all()


def test_rows_have_a_slot_to_spare_and_leave_out_what_is_beyond_reach():
    pairs = np.array([[0, 1], [1, 2], [2, 3]], dtype=np.int32)
    others = np.array([[0, 2], [0, 3]], dtype=np.int32)
    starts = row_starts(pairs, others, np.array([5, 5, 5, 6]))
    assert np.diff(starts).tolist() == [1 + 1 + 2, 1 + 2, 1 + 1 + 2, 1]
