import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from numba import njit

from facelink.neighbors.packed_products import (
    AT_ONCE,
    INSTRUCTION,
    PACK,
    WORD_BYTES,
    best_instruction,
    can_multiply,
    find_near_parts,
    find_similar,
    lowest_bit,
    offsets_of,
    pack,
)

FACTOR, SLACK, SCALE = 0.25, 3.0, 0.5


@njit
def near_parts(packed, n_packs, queries, offsets, rows, scales, least):
    """Where products · factor · scale + slack reach the least of rows, a multiple of 24."""
    found = np.zeros((len(rows), n_packs * PACK), dtype=np.bool_)
    hits = np.empty(AT_ONCE, dtype=np.int32)
    n_centers = n_packs * PACK
    factors, slack = np.full(n_centers, np.float32(FACTOR)), np.full(n_centers, np.float32(SLACK))
    for start in range(0, len(rows), AT_ONCE):
        for number in range(n_packs):
            find_near_parts(
                packed, number, queries, rows, start, offsets, factors, slack, scales, least,
                hits,
            )  # fmt: skip
            for row in range(AT_ONCE):
                for lane in range(PACK):
                    found[start + row, number * PACK + lane] = hits[row] >> lane & 1
    return found


@njit
def similar(packed, n_packs, queries, offsets, rows, least):
    """Products · scale of rows, a multiple of 24; −inf where they do not reach the least."""
    found = np.full((len(rows), n_packs * PACK), np.float32(-np.inf))
    hits, values = np.empty(AT_ONCE, dtype=np.int32), np.empty(AT_ONCE * PACK, dtype=np.float32)
    scales = np.full(n_packs * PACK, np.float32(SCALE))
    for start in range(0, len(rows), AT_ONCE):
        for number in range(n_packs):
            together = find_similar(
                packed, number, queries, rows, start, offsets, scales, least, hits, values
            )
            for row in range(AT_ONCE if together else 0):
                bits = hits[row]
                while bits:
                    lane = lowest_bit(bits)
                    bits &= bits - 1
                    found[start + row, number * PACK + lane] = values[row * PACK + lane]
    return found


class TestProducts:
    @pytest.fixture(params=[1, 15, 16, 40], ids="{} members".format)
    def n_members(self, request):
        return request.param

    @pytest.fixture(params=[4, 16, 100, 128, 256, 512, 1024], ids="{}-d".format)
    def codes(self, request, n_members):
        """Queries, rows of them, members and their products."""
        if INSTRUCTION is None:
            pytest.skip("this processor has no instruction for such products")
        dim = request.param
        random = np.random.default_rng(dim)
        queries = random.integers(-32, 33, (70, dim), dtype=np.int8)
        members = random.integers(-63, 64, (n_members, dim), dtype=np.int8)
        queries[5], members[0] = 32, 63
        queries[6] = -32
        rows = np.concatenate([[5, 6, 5], random.choice(70, 21)]).astype(np.int32)
        return queries, rows, members, queries[rows].astype(int) @ members.astype(int).T

    def packed(self, members):
        n_packs = -(-len(members) // PACK)
        found = np.zeros(n_packs * PACK * members.shape[1] // WORD_BYTES, dtype=np.uint32)
        pack(members, found)
        return found, n_packs

    @pytest.mark.parametrize("share", [0.0, 0.5, 0.99, 1.0])
    def test_members_that_are_similar_enough(self, codes, share):
        queries, rows, members, products = codes
        expected = (products * SCALE).astype(np.float32)
        least = np.full(len(queries), np.quantile(expected, share), dtype=np.float32)
        found = similar(*self.packed(members), queries, offsets_of(queries), rows, least)
        expected[expected < least[0]] = -np.inf
        np.testing.assert_array_equal(found[:, : len(members)], expected)

    def test_nothing_is_similar_enough(self, codes):
        queries, rows, members, _ = codes
        least = np.full(len(queries), np.inf, dtype=np.float32)
        found = similar(*self.packed(members), queries, offsets_of(queries), rows, least)
        assert (found == -np.inf).all()

    def test_centers_that_are_near_enough(self, codes):
        queries, rows, members, products = codes
        scales = np.random.default_rng(0).uniform(0.5, 2, len(queries)).astype(np.float32)
        values = products.astype(np.float32) * np.float32(FACTOR) * scales[rows, None]
        values += np.float32(SLACK)
        least = np.random.default_rng(1).choice(values.ravel(), len(queries))
        found = near_parts(*self.packed(members), queries, offsets_of(queries), rows, scales, least)
        expected = values >= least[rows, None]
        np.testing.assert_array_equal(found[:, : len(members)], expected)


def test_rows_have_to_be_whole_operands():
    assert can_multiply(128) == (INSTRUCTION is not None)
    assert not can_multiply(130)


class TestInstruction:
    def best(self, monkeypatch, **features):
        monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
        return best_instruction()

    def test_adding_up_in_32_bits_is_better_than_in_16(self, monkeypatch):
        best = self.best(monkeypatch, avx2=True, avx512vnni=True)
        assert best.name == "llvm.x86.avx512.vpdpbusd.512"
        best = self.best(monkeypatch, avx2=True, avx512vnni=False)
        assert best.name == "llvm.x86.avx2.pmadd.ub.sw"

    def test_other_processors_have_none(self, monkeypatch):
        assert self.best(monkeypatch, neon=True) is None
        assert self.best(monkeypatch, avx=True, avx2=False) is None

    def test_machines_that_tell_nothing_have_none(self, monkeypatch):
        def ask():
            raise RuntimeError("host features")

        monkeypatch.setattr(llvm, "get_host_cpu_features", ask)
        assert best_instruction() is None

    def test_code_for_other_processors_has_none(self, monkeypatch):
        monkeypatch.setattr(numba.config, "CPU_NAME", "generic")
        assert self.best(monkeypatch, avx512vnni=True) is None


@pytest.mark.slow
@pytest.mark.parametrize("missing", [["avx512vnni"], ["avx512vnni", "avx2"]])
def test_processors_without_some_instructions(missing, tmp_path):
    """The same tests in a process that finds fewer instructions."""
    features = llvm.get_host_cpu_features()
    if not features.get(missing[-1]):
        pytest.skip(f"this processor has no {missing[-1]} anyhow")
    code = f"""
import sys

import llvmlite.binding as llvm
import pytest

features = llvm.get_host_cpu_features()
features.update(dict.fromkeys({missing!r}, False))
llvm.get_host_cpu_features = lambda: features
files = ["test_packed_products.py", "test_walking.py"]
places = [f"{Path(__file__).parent}/{{name}}" for name in files]
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "not without_some", *places]))
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert ("skipped" in found.stdout) == ("avx2" in missing)
