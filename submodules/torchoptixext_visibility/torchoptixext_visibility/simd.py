"""Two operations the compiler finds in no loop: 32 linear inequalities as bits, and the lowest set bit."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I32 = ir.IntType(32)
_LANES = ir.VectorType(ir.FloatType(), 32)


@intrinsic
def at_least(typing_context, table, column, coefficients, limit):
    """Bit k of the uint32 result is sum_r coefficients[r] * table[r, column + k] >= limit.

    Args:
        table: [R, N] float32, C-contiguous.
        column: int64, the first of 32 columns.
        coefficients: tuple of at most R float32.
        limit: float32.
    """

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        columns = builder.extract_value(array.shape, 1)

        def splat(scalar):
            first = builder.insert_element(ir.Constant(_LANES, ir.Undefined), scalar, ir.Constant(_I32, 0))
            return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_I32, 32), [0] * 32))

        total = None
        for row in range(len(signature.args[2])):
            offset = builder.add(builder.mul(columns, ir.Constant(columns.type, row)), arguments[1])
            pointer = builder.bitcast(builder.gep(array.data, [offset]), _LANES.as_pointer())
            lanes = builder.load(pointer, align=4)
            product = builder.fmul(lanes, splat(builder.extract_value(arguments[2], row)), flags=("contract",))
            total = product if total is None else builder.fadd(total, product, flags=("contract",))
        return builder.bitcast(builder.fcmp_ordered(">=", total, splat(arguments[3])), _I32)

    row_values = types.UniTuple(types.float32, len(coefficients))
    return types.uint32(table, types.int64, row_values, types.float32), generate


@intrinsic
def lowest_bit(typing_context, bits):
    """Index of the lowest set bit of a uint32 that is not 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint32(types.uint32), generate
