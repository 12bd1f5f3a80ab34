import numpy as np
import pytest

from facelink.neighbors.codes import Codes, n_with_spare, product
from tests.helpers import clustered_features

FEATURES, _ = clustered_features(20, 10, 64, spread=1.0)
EVERYONE = np.arange(len(FEATURES))


KINDS = pytest.mark.parametrize(
    ("of", "largest"), [(Codes.of_queries, 32), (Codes.of_members, 63)], ids=["queries", "members"]
)


@KINDS
def test_rows_are_multiples_of_their_scales_rounded_to_the_nearest(of, largest):
    codes = of(FEATURES, EVERYONE)
    assert np.abs(codes.values).max(axis=1).tolist() == [largest] * len(FEATURES)
    error = np.abs(codes.values * codes.scales[:, None] - FEATURES)
    assert (error <= codes.scales[:, None] * 0.501).all()


@KINDS
def test_zeros_stay_zeros(of, largest):
    codes = of(np.zeros((2, 5), dtype=np.float32), np.arange(2))
    assert (codes.values == 0).all()


def test_cosines_are_off_by_some_thousandths():
    queries, members = Codes.of_queries(FEATURES, EVERYONE), Codes.of_members(FEATURES, EVERYONE)
    products = queries.values.astype(int) @ members.values.T.astype(int)
    cosines = products * np.outer(queries.scales, members.scales)
    assert np.abs(cosines - FEATURES @ FEATURES.T).max() < 0.025
    assert np.abs(cosines - FEATURES @ FEATURES.T).mean() < 0.004


@KINDS
def test_some_rows_in_any_order(of, largest):
    which = np.array([7, 3, 3, 150])
    codes, everyone = of(FEATURES, which), of(FEATURES, EVERYONE)
    np.testing.assert_array_equal(codes.values, everyone.values[which])
    np.testing.assert_array_equal(codes.scales, everyone.scales[which])
    np.testing.assert_array_equal(everyone.only(slice(3, 9)).values, everyone.values[3:9])


@pytest.mark.parametrize("dim", [1, 7, 16, 255, 4096])
def test_a_product_is_the_sum_of_products(dim):
    random = np.random.default_rng(dim)
    first, second = random.integers(-127, 128, (2, dim)).astype(np.int16)
    assert product(first, second) == int(first.astype(int) @ second.astype(int))
    extreme = np.full(dim, -127, dtype=np.int16)
    assert product(extreme, extreme) == 127 * 127 * dim


def test_more_candidates_are_found_than_wanted_as_far_as_there_are_any():
    assert n_with_spare(1_000, 89) == 121
    assert n_with_spare(100, 89) == 100
