"""bfloat16 in compiled loops: arrays of its bits, uint16, which numpy has no type for.

The same loops are compiled for float32, whose values stay as they are.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_SHORT, _WORD, _FLOAT = ir.IntType(16), ir.IntType(32), ir.FloatType()
_HALF = ir.Constant(_WORD, 16)


@intrinsic
def widened(_context: Any, value: Any) -> Any:
    """Value of an array's element, float32."""

    def of_bits(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.shl(builder.zext(arguments[0], _WORD), _HALF), _FLOAT)

    def as_it_is(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[0]

    if value == types.uint16:
        return types.float32(types.uint16), of_bits
    return types.float32(types.float32), as_it_is


@intrinsic
def narrowed(_context: Any, value: Any, row: Any) -> Any:
    """What an array's row holds for a float32: itself, or the nearest bfloat16, ties to even."""

    def rounded(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = builder.bitcast(arguments[0], _WORD)
        is_odd = builder.and_(builder.lshr(word, _HALF), ir.Constant(_WORD, 1))
        up = builder.add(word, builder.add(is_odd, ir.Constant(_WORD, 0x7FFF)))
        return builder.trunc(builder.lshr(up, _HALF), _SHORT)

    def as_it_is(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[0]

    if row.dtype == types.uint16:
        return types.uint16(types.float32, row), rounded
    return types.float32(types.float32, row), as_it_is
