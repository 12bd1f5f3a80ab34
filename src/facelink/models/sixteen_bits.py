"""bfloat16 in compiled loops: arrays of its bits, uint16, which numpy has no type for.

The same loops are compiled for float32, whose values stay as they are.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

_SHORT, _WORD, _FLOAT = ir.IntType(16), ir.IntType(32), ir.FloatType()


def widened(value: Any) -> Any:
    """Value of an array's element, float32; only in compiled code."""
    raise NotImplementedError


def put(row: Any, column: Any, value: Any) -> None:
    """Write a float32 into an array's row, rounded to what it holds; only in compiled code."""
    raise NotImplementedError


@intrinsic
def _from_bfloat16(_context: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = builder.shl(builder.zext(arguments[0], _WORD), ir.Constant(_WORD, 16))
        return builder.bitcast(word, _FLOAT)

    return types.float32(types.uint16), generate


@intrinsic
def _to_bfloat16(_context: Any, value: Any) -> Any:
    """Round to nearest, ties to even; NaN stays NaN as processors make them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = builder.bitcast(arguments[0], _WORD)
        half = ir.Constant(_WORD, 16)
        is_odd = builder.and_(builder.lshr(word, half), ir.Constant(_WORD, 1))
        rounded = builder.add(word, builder.add(is_odd, ir.Constant(_WORD, 0x7FFF)))
        return builder.trunc(builder.lshr(rounded, half), _SHORT)

    return types.uint16(types.float32), generate


@overload(widened)
def _widened(value: Any) -> Callable[[Any], Any]:
    def as_it_is(value: Any) -> Any:
        return value

    def of_bits(value: Any) -> Any:
        return _from_bfloat16(value)

    return of_bits if value == types.uint16 else as_it_is


@overload(put)
def _put(row: Any, column: Any, value: Any) -> Callable[[Any, Any, Any], None]:
    def as_it_is(row: Any, column: Any, value: Any) -> None:
        row[column] = value

    def rounded(row: Any, column: Any, value: Any) -> None:
        row[column] = _to_bfloat16(value)

    return rounded if row.dtype == types.uint16 else as_it_is
