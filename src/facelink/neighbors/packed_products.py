"""Products of codes by vector instructions that multiply and add up, where there are such.

Members are packed: 8 or 16 of them side by side, so that each has a place of its own in vectors
and nothing is added up across one. Loops that compilers make of `codes.product` widen the bytes
first, and add up across. The sums are of integers, the same as those loops', exactly.

Bytes without a sign are multiplied by bytes with one. Members are packed 63 too large for it, and
what that adds to a product, 63 times the sum of the query, is taken off. AVX-512 VNNI multiplies
four by four, and adds up in 32 bits. AVX2 multiplies two by two and adds up in 16 bits, which hold
the eight products of four words: 8 · 126 · 32 = 32,256.
"""

import functools
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from facelink.neighbors.codes import LARGEST_OF_MEMBERS

AT_ONCE = 8
"""Queries that are multiplied together."""

WORD_BYTES = 4
"""Of a row that are multiplied at a time."""


@dataclass(frozen=True)
class Instruction:
    """What multiplies vectors.

    Parameters
    ----------
    name : str
        Of LLVM's function.
    n_sums : int
        Sums of 32 bits in a vector.
    n_words : int
        Words whose products are added up before they are added to sums of 32
        bits.
    """

    name: str
    n_sums: int
    n_words: int


_VNNI = Instruction("llvm.x86.avx512.vpdpbusd.512", 16, 1)
_AVX2 = Instruction("llvm.x86.avx2.pmadd.ub.sw", 8, 4)


def best_instruction() -> Instruction | None:
    """The best of this processor's instructions, if code may be made for it and it has any."""
    if numba.config.CPU_NAME is not None or not numba.config.ENABLE_AVX:
        return None
    try:
        features = dict(llvm.get_host_cpu_features())
    except RuntimeError:  # not known of this kind of machine
        return None
    if features.get("avx512vnni"):
        return _VNNI
    return _AVX2 if features.get("avx2") else None


INSTRUCTION = best_instruction()

PACK = INSTRUCTION.n_sums if INSTRUCTION is not None else 1
"""Members that are multiplied together."""

_SIGNS = np.uint32(0x80808080)
_ABOVE_SHIFT = np.uint32((128 - LARGEST_OF_MEMBERS) * 0x01010101)
"""Turning the signs of bytes adds 128 to each; this much is taken off again."""


def can_multiply(n_dimensions: int) -> bool:
    """Whether there is an instruction, and rows of so many codes are whole operands of it."""
    return INSTRUCTION is not None and n_dimensions % WORD_BYTES == 0


def offsets_of(queries: NDArray[np.int8]) -> NDArray[np.int32]:
    """What is to be added to products of queries, int8 (S, D), and packed members; (S,)."""
    offsets: NDArray[np.int32] = queries.sum(axis=1, dtype=np.int32)
    return offsets * np.int32(-LARGEST_OF_MEMBERS)


@njit(nogil=True, cache=True)
def pack(codes: NDArray[np.int8], packed: NDArray[np.uint32]) -> None:
    """Put codes (M, D) where the instruction takes them.

    Parameters
    ----------
    codes
        Of members; D a multiple of 4.
    packed : uint32 (at least ⌈M / PACK⌉ · PACK · words of a row,)
        Filled; what is in the places of missing members does not matter.
    """
    for member in range(len(codes)):
        row = codes[member].view(np.uint32)
        start = member // PACK * PACK * len(row) + member % PACK
        for word in range(len(row)):
            packed[start + word * PACK] = (row[word] ^ _SIGNS) - _ABOVE_SHIFT


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
    """Multiply `AT_ONCE` queries by `PACK` centres, and find those that are near enough.

    Parameters
    ----------
    packed : uint32
        As from `pack`.
    number : int64
        Which `PACK` of them.
    queries : int8 (S, D)
        Codes of queries.
    offsets : int32 (S,)
        As from `offsets_of`.
    rows : int32
        Of the queries.
    start : int64
        The first of the rows that are multiplied.
    factors, slack : float32 (as many as packed,)
        Of the centres.
    scales, least : float32 (S,)
        Of the queries.
    hits : int32 (AT_ONCE,)
        Filled: where product · factor · scale + slack is at least `least`,
        a bit for each of the centres, the first one the lowest.
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
    """Multiply `AT_ONCE` queries by `PACK` members, and find those that are similar enough.

    Parameters
    ----------
    packed, number, queries, offsets, rows, start
        As for `find_near_parts`.
    scales : float32 (as many as packed,)
        Of the members.
    least : float32 (S,)
        Of the queries.
    hits : int32 (AT_ONCE,)
        Filled: where product · scale is at least `least`, as for
        `find_near_parts`.
    values : float32 (PACK · AT_ONCE,)
        Filled if there are any: product · scale of the first query and the
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


_BYTE, _PAIR, _WORD = ir.IntType(8), ir.IntType(16), ir.IntType(32)
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
        """Products of the queries and the packed members, as floats."""
        builder, count, packed, queries = (
            self._builder, self._count, self._arrays[0], self._arrays[2],
        )  # fmt: skip
        n_bytes = cgutils.unpack_tuple(builder, queries.shape)[1]
        n_words = builder.sdiv(n_bytes, count(WORD_BYTES))
        first = builder.mul(self._arguments[1], builder.mul(n_words, count(PACK)))
        members = builder.gep(packed.data, [first])
        operands, totals = [], []
        for row in self.rows:
            query = builder.gep(queries.data, [builder.mul(row, n_bytes)])
            operands.append(builder.bitcast(query, _WORD.as_pointer()))
            totals.append(cgutils.alloca_once_value(builder, self._repeat(self._load(5, row))))

        def add_up(start: Any, stop: Any, n_at_once: int) -> None:
            with cgutils.for_range_slice(builder, start, stop, count(n_at_once)) as (word, _):
                places = [builder.add(word, count(place)) for place in range(n_at_once)]
                of_members = [
                    self._unaligned(builder.gep(members, [builder.mul(place, count(PACK))]), _WORDS)
                    for place in places
                ]
                for query, total in zip(operands, totals, strict=True):
                    words = [builder.load(builder.gep(query, [place])) for place in places]
                    for one in words:
                        one.align = 1
                    of_query = [self._repeat(one) for one in words]
                    added = self._add_products(builder.load(total), of_members, of_query)
                    builder.store(added, total)

        assert INSTRUCTION is not None
        some = INSTRUCTION.n_words
        many = builder.sub(n_words, builder.srem(n_words, count(some)))
        add_up(count(0), many, some)
        if some > 1:
            add_up(many, n_words, 1)
        return [builder.sitofp(builder.load(total), _FLOATS) for total in totals]

    def _add_products(self, total: Any, of_members: list[Any], of_query: list[Any]) -> Any:
        """Add the products of words of the members and words of one query to their sums."""
        assert INSTRUCTION is not None
        if INSTRUCTION is _VNNI:
            function = self._function(INSTRUCTION.name, _WORDS, [_WORDS] * 3)
            return self._builder.call(function, [total, *of_members, *of_query])
        builder = self._builder
        bytes_, pairs = ir.VectorType(_BYTE, 4 * PACK), ir.VectorType(_PAIR, 2 * PACK)
        multiply = self._function(INSTRUCTION.name, pairs, [bytes_] * 2)
        widen = self._function("llvm.x86.avx2.pmadd.wd", _WORDS, [pairs] * 2)
        products = [
            builder.call(multiply, [builder.bitcast(one, bytes_) for one in both])
            for both in zip(of_members, of_query, strict=True)
        ]
        together = functools.reduce(builder.add, products)
        ones = ir.Constant(pairs, [1] * 2 * PACK)
        return builder.add(total, builder.call(widen, [together, ones]))

    def _function(self, name: str, result: Any, arguments: list[Any]) -> Any:
        function = ir.FunctionType(result, arguments)
        return cgutils.get_or_insert_function(self._builder.module, function, name)

    def vector(self, argument: int) -> Any:
        """The floats of an argument that belong to the packed members."""
        start = self._builder.mul(self._arguments[1], self._count(PACK))
        at = self._builder.gep(self._arrays[argument].data, [start])
        return self._unaligned(at, _FLOATS)

    def everywhere(self, argument: int, row: Any) -> Any:
        """A row's value of an argument, for each member."""
        return self._repeat(self._load(argument, row))

    def is_at_least(self, value: Any, argument: int, row: Any) -> Any:
        """Bits of the values that reach a row's value of an argument."""
        builder = self._builder
        reached = builder.fcmp_ordered(">=", value, self.everywhere(argument, row))
        return builder.zext(builder.bitcast(reached, ir.IntType(PACK)), _WORD)

    def store(self, argument: int, place: int, value: Any) -> None:
        """Store one value or a vector from a place of an argument on."""
        at = self._builder.gep(self._arrays[argument].data, [self._count(place)])
        at = self._builder.bitcast(at, value.type.as_pointer())
        self._builder.store(value, at).align = WORD_BYTES

    def _load(self, argument: int, place: Any) -> Any:
        return self._builder.load(self._builder.gep(self._arrays[argument].data, [place]))

    def _unaligned(self, at: Any, kind: Any) -> Any:
        loaded = self._builder.load(self._builder.bitcast(at, kind.as_pointer()))
        loaded.align = WORD_BYTES
        return loaded

    def _repeat(self, value: Any) -> Any:
        anything = ir.Constant(ir.VectorType(value.type, PACK), ir.Undefined)
        one = self._builder.insert_element(anything, value, _WORD(0))
        return self._builder.shuffle_vector(one, anything, ir.Constant(_WORDS, [0] * PACK))
