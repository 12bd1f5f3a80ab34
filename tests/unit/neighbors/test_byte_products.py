import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from numba import njit

from facelink.neighbors.byte_products import (
    AT_ONCE,
    PACK,
    can_pack,
    has_byte_products,
    multiply,
    offsets,
    pack,
)


@njit
def products_of(packed, n_packs, queries, rows, of_queries):
    """All products of rows, a multiple of 8, with packed members."""
    found = np.empty((len(rows), n_packs * PACK), dtype=np.int32)
    products = np.empty(AT_ONCE * PACK, dtype=np.int32)
    for start in range(0, len(rows), AT_ONCE):
        for number in range(n_packs):
            multiply(packed, number, queries, rows, start, of_queries, products)
            block = found[start : start + AT_ONCE, number * PACK : (number + 1) * PACK]
            block[:] = products.reshape(AT_ONCE, PACK)
    return found


@pytest.mark.parametrize("n_members", [1, 15, 16, 40])
@pytest.mark.parametrize("dim", [4, 16, 100, 128, 256, 512, 1024])
def test_products_are_those_of_integers(dim, n_members):
    if not has_byte_products():
        pytest.skip("this processor has no instruction that multiplies bytes")
    random = np.random.default_rng(dim)
    queries = random.integers(-127, 128, (70, dim), dtype=np.int8)
    members = random.integers(-127, 128, (n_members, dim), dtype=np.int8)
    queries[5], members[0] = 127, 127
    queries[6] = -127
    rows = np.concatenate([[5, 6, 5], random.choice(70, 21)]).astype(np.int32)
    n_packs = -(-n_members // PACK)
    packed = np.zeros(n_packs * PACK * dim // 4, dtype=np.uint32)
    pack(members, packed)
    found = products_of(packed, n_packs, queries, rows, offsets(queries))[:, :n_members]
    np.testing.assert_array_equal(found, queries[rows].astype(int) @ members.astype(int).T)


def test_rows_have_to_be_whole_operands():
    assert can_pack(128)
    assert not can_pack(130)


class TestHardware:
    def said(self, monkeypatch, **features):
        monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
        return has_byte_products.__wrapped__()

    def test_the_instruction_is_needed(self, monkeypatch):
        assert self.said(monkeypatch, avx2=True, avx512vnni=True)
        assert not self.said(monkeypatch, avx2=True, avx512vnni=False)
        assert not self.said(monkeypatch, neon=True)

    def test_code_for_other_processors_has_it_not(self, monkeypatch):
        monkeypatch.setattr(numba.config, "CPU_NAME", "generic")
        assert not self.said(monkeypatch, avx512vnni=True)
