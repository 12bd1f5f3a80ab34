"""Products of codes by the instruction that multiplies bytes and adds them up, where there is one.

Loops that compilers make of `codes.product` take six times as long: they widen the bytes first.
The sums are of integers, the same as those loops', exactly.

AVX-512 VNNI multiplies bytes without a sign by others with one. Members are therefore packed
128 too large, and what that adds to the product, 128 times the sum of the query, is taken off.
"""

from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

AT_ONCE = 8
"""Queries that are multiplied together: as many sums stay in the processor's registers."""

PACK = 16
"""Members that are multiplied together: a vector of 32-bit sums."""

_BYTES = 4
"""Of a row that the instruction multiplies at a time."""

_INSTRUCTION = "llvm.x86.avx512.vpdpbusd.512"


@cache
def has_byte_products() -> bool:
    """Whether this processor has the instruction and code may be made for it."""
    if numba.config.CPU_NAME is not None or not numba.config.ENABLE_AVX:
        return False
    return bool(dict(llvm.get_host_cpu_features()).get("avx512vnni"))


def can_pack(n_dimensions: int) -> bool:
    """Whether rows of so many values are whole operands."""
    return n_dimensions % _BYTES == 0


@njit(nogil=True, cache=True)
def offsets(queries: NDArray[np.int8]) -> NDArray[np.int32]:
    """What is to be added to the products of each query, int32 (S,)."""
    found = np.empty(len(queries), dtype=np.int32)
    for row in range(len(queries)):
        total = 0
        for column in range(queries.shape[1]):
            total += queries[row, column]
        found[row] = -128 * total
    return found


@njit(nogil=True, cache=True)
def pack(codes: NDArray[np.int8], packed: NDArray[np.uint32]) -> None:
    """Put codes (M, D) where the instruction takes them.

    Parameters
    ----------
    codes
        D a multiple of 4.
    packed : uint32 (at least ⌈M / 16⌉ · 16 · D / 4,)
        Filled; what is in the places of missing members does not matter.
    """
    n_groups = codes.shape[1] // 4
    for member in range(len(codes)):
        row = codes[member].view(np.uint32)
        start = member // PACK * PACK * n_groups + member % PACK
        for group in range(n_groups):
            packed[start + group * PACK] = row[group] ^ np.uint32(0x80808080)


@intrinsic
def multiply(
    _context: Any,
    packed: Any,
    number: Any,
    queries: Any,
    rows: Any,
    start: Any,
    offsets: Any,
    products: Any,
) -> Any:
    """Multiply 8 queries by 16 packed members.

    Parameters
    ----------
    packed : uint32
        As from `pack`.
    number : int64
        Which 16 members.
    queries : int8 (S, D)
        C-contiguous.
    rows : int32
        Of the queries.
    start : int64
        The first of 8 such rows.
    offsets : int32 (S,)
        As from `offsets`.
    products : int32 (at least 128,)
        Filled: 16 products of the first query, then those of the next.
    """
    signature = types.void(packed, number, queries, rows, start, offsets, products)
    return signature, _multiply


def _multiply(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    packed, queries, rows, offsets, products = (
        context.make_array(signature.args[place])(context, builder, arguments[place])
        for place in (0, 2, 3, 5, 6)
    )
    number, start = arguments[1], arguments[4]
    word, count = ir.IntType(32), number.type
    vector = ir.VectorType(word, PACK)
    instruction = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), _INSTRUCTION
    )
    anything = ir.Constant(vector, ir.Undefined)
    first_of_each = ir.Constant(vector, [0] * PACK)

    def everywhere(value: Any) -> Any:
        one = builder.insert_element(anything, value, word(0))
        return builder.shuffle_vector(one, anything, first_of_each)

    n_bytes = cgutils.unpack_tuple(builder, queries.shape)[1]
    n_groups = builder.sdiv(n_bytes, count(_BYTES))
    members = builder.gep(packed.data, [builder.mul(number, builder.mul(n_groups, count(PACK)))])
    operands, totals = [], []
    for place in range(AT_ONCE):
        at = builder.gep(rows.data, [builder.add(start, count(place))])
        row = builder.sext(builder.load(at), count)
        query = builder.gep(queries.data, [builder.mul(row, n_bytes)])
        operands.append(builder.bitcast(query, word.as_pointer()))
        offset = builder.load(builder.gep(offsets.data, [row]))
        totals.append(cgutils.alloca_once_value(builder, everywhere(offset)))
    with cgutils.for_range(builder, n_groups) as loop:
        at = builder.gep(members, [builder.mul(loop.index, count(PACK))])
        of_members = builder.load(builder.bitcast(at, vector.as_pointer()))
        of_members.align = _BYTES
        for query, total in zip(operands, totals, strict=True):
            of_query = builder.load(builder.gep(query, [loop.index]))
            of_query.align = 1
            added = [builder.load(total), of_members, everywhere(of_query)]
            builder.store(builder.call(instruction, added), total)
    for place, total in enumerate(totals):
        at = builder.gep(products.data, [count(place * PACK)])
        stored = builder.store(builder.load(total), builder.bitcast(at, vector.as_pointer()))
        stored.align = _BYTES
    return context.get_dummy_value()
