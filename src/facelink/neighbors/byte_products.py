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
def find_near_parts(
    _context: Any,
    packed: Any,
    number: Any,
    queries: Any,
    rows: Any,
    start: Any,
    offsets: Any,
    factors: Any,
    slack: Any,
    scales: Any,
    least: Any,
    hits: Any,
) -> Any:
    """Multiply 8 queries by 16 packed centres, and find those that are near enough.

    Parameters
    ----------
    packed : uint32
        As from `pack`.
    number : int64
        Which 16.
    queries : int8 (S, D)
        C-contiguous.
    rows : int32
        Of the queries.
    start : int64
        The first of 8 such rows.
    offsets : int32 (S,)
        As from `offsets`.
    factors, slack : float32 (16,)
        Of the centres.
    scales, least : float32 (S,)
        Of the queries.
    hits : int32 (8,)
        Filled: where product · factor · scale + slack is at least `least`,
        a bit for each of the 16 centres, the first one the lowest.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        code = _Code(context, builder, signature.args, arguments)
        factor, extra = code.vector(6), code.vector(7)
        for place, total in enumerate(code.products()):
            row = code.rows[place]
            value = builder.fmul(builder.fmul(total, factor), code.everywhere(8, row))
            value = builder.fadd(value, extra)
            code.store(10, place, code.is_at_least(value, 9, row))
        return context.get_dummy_value()

    every = (packed, number, queries, rows, start, offsets, factors, slack, scales, least, hits)
    return types.void(*every), generate


@intrinsic
def find_similar(
    _context: Any,
    packed: Any,
    number: Any,
    queries: Any,
    rows: Any,
    start: Any,
    offsets: Any,
    scales: Any,
    least: Any,
    hits: Any,
    values: Any,
) -> Any:
    """Multiply 8 queries by 16 packed members, and find those that are similar enough.

    Parameters
    ----------
    packed, number, queries, rows, start, offsets
        As for `find_near_parts`.
    scales : float32 (16,)
        Of the members.
    least : float32 (S,)
        Of the queries.
    hits : int32 (8,)
        Filled: where product · scale is at least `least`, as for
        `find_near_parts`.
    values : float32 (128,)
        Filled if there are any: product · scale of the first query and the 16
        members, then of the next.

    Returns
    -------
    int32
        All hits together; 0 if there are none.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        code = _Code(context, builder, signature.args, arguments)
        factor, together, found = code.vector(6), ir.Constant(_WORD, 0), []
        for place, total in enumerate(code.products()):
            found.append(builder.fmul(total, factor))
            here = code.is_at_least(found[-1], 7, code.rows[place])
            together = builder.or_(together, here)
            code.store(8, place, here)
        with builder.if_then(builder.icmp_signed("!=", together, _WORD(0)), likely=False):
            for place, value in enumerate(found):
                code.store(9, place * PACK, value)
        return together

    every = (packed, number, queries, rows, start, offsets, scales, least, hits, values)
    return types.int32(*every), generate


@intrinsic
def lowest_bit(_context: Any, bits: Any) -> Any:
    """Place of the lowest bit that is set in an int32, which is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int32(types.int32), generate


_WORD = ir.IntType(32)
_WORDS = ir.VectorType(_WORD, PACK)
_FLOATS = ir.VectorType(ir.FloatType(), PACK)


class _Code:
    """Makes the code of the functions above, whose first six arguments are the same."""

    def __init__(self, context: Any, builder: Any, kinds: Any, arguments: Any) -> None:
        self._builder, self._arguments = builder, arguments
        self._arrays = {
            place: context.make_array(kind)(context, builder, value)
            for place, (kind, value) in enumerate(zip(kinds, arguments, strict=True))
            if isinstance(kind, types.Array)
        }
        start = arguments[4]
        self._count = start.type
        places = [builder.add(start, self._count(place)) for place in range(AT_ONCE)]
        self.rows = [builder.sext(self._load(3, place), self._count) for place in places]

    def products(self) -> list[Any]:
        """Products of 8 queries and 16 packed members, as floats."""
        builder, count = self._builder, self._count
        instruction = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_WORDS, [_WORDS] * 3), _INSTRUCTION
        )
        packed, queries = self._arrays[0], self._arrays[2]
        n_bytes = cgutils.unpack_tuple(builder, queries.shape)[1]
        n_groups = builder.sdiv(n_bytes, count(_BYTES))
        first = builder.mul(self._arguments[1], builder.mul(n_groups, count(PACK)))
        members = builder.gep(packed.data, [first])
        operands, totals = [], []
        for row in self.rows:
            query = builder.gep(queries.data, [builder.mul(row, n_bytes)])
            operands.append(builder.bitcast(query, _WORD.as_pointer()))
            totals.append(cgutils.alloca_once_value(builder, self._repeat(self._load(5, row))))
        with cgutils.for_range(builder, n_groups) as loop:
            at = builder.gep(members, [builder.mul(loop.index, count(PACK))])
            of_members = self._unaligned(at, _WORDS)
            for query, total in zip(operands, totals, strict=True):
                of_query = builder.load(builder.gep(query, [loop.index]))
                of_query.align = 1
                added = [builder.load(total), of_members, self._repeat(of_query)]
                builder.store(builder.call(instruction, added), total)
        return [builder.sitofp(builder.load(total), _FLOATS) for total in totals]

    def vector(self, argument: int) -> Any:
        """The 16 floats of an argument."""
        return self._unaligned(self._arrays[argument].data, _FLOATS)

    def everywhere(self, argument: int, row: Any) -> Any:
        """A row's value of an argument, 16 times."""
        return self._repeat(self._load(argument, row))

    def is_at_least(self, value: Any, argument: int, row: Any) -> Any:
        """Bits of the 16 values that reach a row's value of an argument."""
        builder = self._builder
        reached = builder.fcmp_ordered(">=", value, self.everywhere(argument, row))
        return builder.zext(builder.bitcast(reached, ir.IntType(PACK)), _WORD)

    def store(self, argument: int, place: int, value: Any) -> None:
        """Store one or 16 values from a place of an argument on."""
        at = self._builder.gep(self._arrays[argument].data, [self._count(place)])
        at = self._builder.bitcast(at, value.type.as_pointer())
        self._builder.store(value, at).align = _BYTES

    def _load(self, argument: int, place: Any) -> Any:
        return self._builder.load(self._builder.gep(self._arrays[argument].data, [place]))

    def _unaligned(self, at: Any, kind: Any) -> Any:
        loaded = self._builder.load(self._builder.bitcast(at, kind.as_pointer()))
        loaded.align = _BYTES
        return loaded

    def _repeat(self, value: Any) -> Any:
        anything = ir.Constant(ir.VectorType(value.type, PACK), ir.Undefined)
        one = self._builder.insert_element(anything, value, _WORD(0))
        return self._builder.shuffle_vector(one, anything, ir.Constant(_WORDS, [0] * PACK))
