"""The vector instructions that compiled loops use: comparing rows of values, choosing between rows of bytes."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES: Final = 64
"""Bytes of a row: so many rows of data go through a tree together."""

BLOCKS: Final = 8
"""Blocks of `LANES` rows whose bits lie side by side."""


_BYTES: Final = ir.VectorType(ir.IntType(8), LANES)
_FLOATS: Final = ir.VectorType(ir.FloatType(), LANES)
_TRUTHS: Final = ir.VectorType(ir.IntType(1), LANES)
_WORDS: Final = ir.VectorType(ir.IntType(64), BLOCKS)


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _row(builder: Any, data: Any, number: Any, vector: Any) -> Any:
    offset = builder.mul(number, ir.Constant(number.type, vector.count))
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


def _load(builder: Any, data: Any, number: Any, vector: Any) -> Any:
    return builder.load(_row(builder, data, number, vector), align=1)


def _store(builder: Any, value: Any, data: Any, number: Any, vector: Any) -> None:
    builder.store(value, _row(builder, data, number, vector), align=1)


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


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

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        into, near, far, column, low, width = arguments[2:]
        table, codes = (
            _data(context, builder, kind, value)
            for kind, value in zip(signature.args[:2], arguments[:2], strict=True)
        )
        shifted = builder.sub(_load(builder, codes, column, _BYTES), _spread(builder, low, _BYTES))
        is_far = builder.icmp_unsigned("<", shifted, _spread(builder, width, _BYTES))
        sides = [_load(builder, table, child, _BYTES) for child in (far, near)]
        _store(builder, builder.select(is_far, *sides), table, into, _BYTES)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def lanes_below(typing: Any, values: Any, row: Any, cut: Any) -> Any:  # noqa: ARG001
    """Return a uint64 whose bit r says whether ``values[row, r] <= cut``; never where it is NaN.

    Values are float32 [any, `LANES`] and contiguous.
    """
    signature = types.uint64(values, types.uint64, types.float32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature.args[0], arguments[0])
        found = _load(builder, data, arguments[1], _FLOATS)
        below = builder.fcmp_ordered("<=", found, _spread(builder, arguments[2], _FLOATS))
        return builder.bitcast(below, ir.IntType(64))

    return signature, generate


@intrinsic
def merge_lanes(  # noqa: PLR0917
    typing: Any,  # noqa: ARG001
    table: Any,
    into: Any,  # noqa: ARG001
    left: Any,  # noqa: ARG001
    right: Any,  # noqa: ARG001
    goes_left: Any,  # noqa: ARG001
) -> Any:
    """Set ``table[into, r]`` to ``table[left, r]`` where bit r of `goes_left` is set, else to ``table[right, r]``.

    The table is uint8 [any, `LANES`] and contiguous.
    """
    row = types.uint64
    signature = types.void(table, row, row, row, types.uint64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature.args[0], arguments[0])
        sides = [_load(builder, data, number, _BYTES) for number in arguments[2:4]]
        merged = builder.select(builder.bitcast(arguments[4], _TRUTHS), *sides)
        _store(builder, merged, data, arguments[1], _BYTES)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def unite(  # noqa: PLR0917
    typing: Any,  # noqa: ARG001
    into: Any,
    place: Any,  # noqa: ARG001
    rows: Any,
    base: Any,  # noqa: ARG001
    numbers: Any,
    start: Any,  # noqa: ARG001
    end: Any,  # noqa: ARG001
) -> Any:
    """Set ``into[place]`` to the bits that any of ``rows[base + numbers[start:end]]`` has.

    Both tables are uint64 [any, `BLOCKS`], the numbers are uint16, and all are contiguous. The union stays in a
    register, which a written loop does not achieve.
    """
    word = types.uint64
    signature = types.void(into, word, rows, word, numbers, word, word)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, table, listed = (
            _data(context, builder, signature.args[place], arguments[place]) for place in (0, 2, 4)
        )
        place, _, base, _, start, end = arguments[1:]
        nothing, one = ir.Constant(_WORDS, [0] * BLOCKS), ir.Constant(ir.IntType(64), 1)
        united = cgutils.alloca_once_value(builder, nothing)  # type: ignore[no-untyped-call]
        with cgutils.for_range_slice(builder, start, end, one) as (i, _):
            row = builder.add(base, builder.zext(builder.load(builder.gep(listed, [i])), ir.IntType(64)))
            builder.store(builder.or_(builder.load(united), _load(builder, table, row, _WORDS)), united)
        _store(builder, builder.load(united), target, place, _WORDS)
        return context.get_dummy_value()

    return signature, generate
