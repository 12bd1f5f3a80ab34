import numpy as np
import torch
from numba import njit

from facelink.models.sixteen_bits import narrowed, widened

VALUES = np.concatenate(
    [
        np.random.default_rng(0).normal(0, 10, 10_000).astype(np.float32),
        np.random.default_rng(1).integers(0, 1 << 23, 100, dtype=np.uint32).view(np.float32),
        np.array([0, -0.0, 1, 3.4e38, -3.4e38, np.inf, -np.inf], dtype=np.float32),
        (np.arange(64, dtype=np.uint32) << 15 | 0x3F800000).view(np.float32),  # ties
    ]
)


@njit
def narrow_all(values, row):
    for column in range(len(values)):
        row[column] = narrowed(values[column], row)


@njit
def widened_all(row, values):
    for column in range(len(row)):
        values[column] = widened(row[column])


def test_values_are_rounded_as_torch_rounds_them():
    bits = np.empty(len(VALUES), dtype=np.uint16)
    narrow_all(VALUES, bits)
    expected = torch.from_numpy(VALUES).bfloat16()
    np.testing.assert_array_equal(bits.view(np.int16), expected.view(torch.int16).numpy())
    back = np.empty_like(VALUES)
    widened_all(bits, back)
    np.testing.assert_array_equal(back, expected.float().numpy())
    assert (back != VALUES).mean() > 0.9


def test_what_is_not_a_number_stays_so():
    bits, back = np.empty(1, dtype=np.uint16), np.empty(1, dtype=np.float32)
    narrow_all(np.array([np.nan], dtype=np.float32), bits)
    widened_all(bits, back)
    assert np.isnan(back).all()


def test_float32_stays_as_it_is():
    row, back = np.empty_like(VALUES), np.empty_like(VALUES)
    narrow_all(VALUES, row)
    widened_all(row, back)
    np.testing.assert_array_equal(back, VALUES)
