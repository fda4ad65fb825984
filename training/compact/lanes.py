"""One vector instruction that compiled loops use: choosing between two rows of bytes by a third."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

LANES: Final = 64
"""Bytes of a row: so many rows of data go through a tree together."""


@intrinsic
def choose_lanes(  # noqa: PLR0917
    typing: Any,  # noqa: ARG001
    table: Any,
    codes: Any,
    into: Any,  # noqa: ARG001
    near: Any,  # noqa: ARG001
    far: Any,  # noqa: ARG001
    column: Any,  # noqa: ARG001
    low: Any,  # noqa: ARG001
    width: Any,  # noqa: ARG001
) -> Any:
    """Set ``table[into] = where(codes[column] - low < width, table[far], table[near])``.

    Both arrays are uint8 [any, `LANES`] and contiguous; the difference is modulo 256. Written as a loop it stays
    one, because the compiler cannot know that the rows of the table are different ones.
    """
    row, byte = types.uint64, types.uint8
    signature = types.void(table, codes, row, row, row, row, byte, byte)
    lanes = ir.VectorType(ir.IntType(8), LANES)
    word, numbers = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        into, near, far, column, low, width = arguments[2:]
        table, codes = (
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[:2], arguments[:2], strict=True)
        )

        def place(base: Any, number: Any) -> Any:
            offset = builder.mul(number, ir.Constant(number.type, LANES))
            return builder.bitcast(builder.gep(base, [offset]), lanes.as_pointer())

        def spread(value: Any) -> Any:
            first = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, ir.Constant(word, 0))
            return builder.shuffle_vector(first, ir.Constant(lanes, ir.Undefined), ir.Constant(numbers, None))

        shifted = builder.sub(builder.load(place(codes, column), align=1), spread(low))
        is_far = builder.icmp_unsigned("<", shifted, spread(width))
        sides = [builder.load(place(table, child), align=1) for child in (far, near)]
        builder.store(builder.select(is_far, *sides), place(table, into), align=1)
        return context.get_dummy_value()

    return signature, generate
