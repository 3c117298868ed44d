"""Vectors of lanes as a Numba type: what is written once for a number runs on a SIMD register.

A `Lanes(dtype, n)` value is an LLVM vector `<n x dtype>`; + - * / and comparisons act lane by lane, and a Python or
NumPy scalar met on the way is spread over the lanes in the vector's own precision (so `1 - S` stays float32 in a
float32 run). LLVM maps the vectors to whatever registers the machine has; nothing depends on its loop vectoriser,
which gives up silently on loops of this size.
"""

# mypy: ignore-errors
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model


class Lanes(types.Type):
    """Numba type of a vector of `n` numbers of the scalar type `dtype` (types.boolean: a mask)."""

    def __init__(self, dtype, n):
        self.dtype = dtype
        self.n = n
        super().__init__(name=f"Lanes({dtype}, {n})")


def _llvm(dtype):
    if dtype == types.boolean:
        return ir.IntType(1)
    return {
        types.float64: ir.DoubleType(),
        types.float32: ir.FloatType(),
        types.uint32: ir.IntType(32),
        types.int32: ir.IntType(32),
        types.uint64: ir.IntType(64),
    }[dtype]


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(_llvm(fe_type.dtype), fe_type.n))


def _spread(builder, scalar, n):
    vector = ir.VectorType(scalar.type, n)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), n), [0] * n)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask)


@lower_cast(types.Float, Lanes)
@lower_cast(types.Integer, Lanes)
@lower_cast(types.IntegerLiteral, Lanes)
def _cast_scalar(context, builder, fromty, toty, value):
    return _spread(builder, context.cast(builder, value, types.unliteral(fromty), toty.dtype), toty.n)


@lower_cast(Lanes, Lanes)
def _cast_lanes(context, builder, fromty, toty, value):
    if fromty == toty:
        return value
    raise TypeError(f"{fromty} does not become {toty} by itself; use one of the conversions of simd.")


_FLOAT_OPS = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}
_INT_OPS = {
    operator.add: "add",
    operator.sub: "sub",
    operator.mul: "mul",
    operator.and_: "and_",
    operator.or_: "or_",
    operator.xor: "xor",
    operator.lshift: "shl",
}
_COMPARISONS = {
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
}


def _lanes_of(args):
    """Return the one Lanes type among two operands, or None where there is none or they differ."""
    found = {a for a in args if isinstance(a, Lanes)}
    others = [a for a in args if not isinstance(a, Lanes)]
    if len(found) == 1 and all(isinstance(o, types.Number) for o in others):
        return found.pop()
    return None


def _declare(op, name_of):
    @infer_global(op)
    class _Template(AbstractTemplate):
        key = op

        def generic(self, args, kws):
            lanes = _lanes_of(args) if len(args) == 2 else None
            if lanes is None or name_of(lanes) is None:
                return None
            out = Lanes(types.boolean, lanes.n) if op in _COMPARISONS else lanes
            return signature(out, lanes, lanes)

    @lower_builtin(op, Lanes, Lanes)
    def _lower(context, builder, sig, args):
        lanes = sig.args[0]
        name = name_of(lanes)
        if op not in _COMPARISONS:
            return getattr(builder, name)(*args)
        if isinstance(lanes.dtype, types.Float):
            compare = builder.fcmp_unordered if op is operator.ne else builder.fcmp_ordered
            return compare(name, *args)
        return builder.icmp_unsigned(name, *args)


def _arithmetic_name(op):
    def name_of(lanes):
        if isinstance(lanes.dtype, types.Float):
            return _FLOAT_OPS.get(op)
        if op is operator.rshift:
            return "ashr" if lanes.dtype.signed else "lshr"
        return None if lanes.dtype == types.boolean and op not in _MASK_OPS else _INT_OPS.get(op)

    return name_of


_MASK_OPS = {operator.and_, operator.or_, operator.xor}
for _op in {*_FLOAT_OPS, *_INT_OPS, operator.rshift}:
    _declare(_op, _arithmetic_name(_op))
for _op in _COMPARISONS:
    _declare(_op, lambda lanes, _op=_op: _COMPARISONS[_op])


@infer_global(operator.neg)
class _Negative(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) == 1 and isinstance(args[0], Lanes) and isinstance(args[0].dtype, types.Float):
            return signature(args[0], args[0])
        return None


@lower_builtin(operator.neg, Lanes)
def _negative(context, builder, sig, args):
    return builder.fneg(args[0])


def _pointer(context, builder, array_type, array, index):
    # No wrap-around of negative indices and no bounds: the kernel's own arithmetic gives them.
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _vector_pointer(context, builder, array_type, array, index, lanes):
    pointer = _pointer(context, builder, array_type, array, index)
    return builder.bitcast(pointer, ir.PointerType(ir.VectorType(_llvm(lanes.dtype), lanes.n)))


@intrinsic(prefer_literal=True)
def load(typingctx, array, index, n):
    """`array[index : index + n]` of a contiguous 1-D array as Lanes; `n` a literal."""
    lanes = Lanes(array.dtype, n.literal_value)

    def codegen(context, builder, sig, args):
        value = builder.load(_vector_pointer(context, builder, sig.args[0], args[0], args[1], lanes))
        value.align = array.dtype.bitwidth // 8
        return value

    return lanes(array, types.intp, n), codegen


@intrinsic(prefer_literal=True)
def broadcast(typingctx, array, index, n):
    """`array[index]` in all `n` lanes; `n` a literal."""
    lanes = Lanes(array.dtype, n.literal_value)

    def codegen(context, builder, sig, args):
        return _spread(builder, builder.load(_pointer(context, builder, sig.args[0], args[0], args[1])), lanes.n)

    return lanes(array, types.intp, n), codegen


@intrinsic
def store(typingctx, array, index, value):
    """Write Lanes to `array[index : index + n]` of a contiguous 1-D array."""

    def codegen(context, builder, sig, args):
        out = builder.store(args[2], _vector_pointer(context, builder, sig.args[0], args[0], args[1], value))
        out.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic(prefer_literal=True)
def spread(typingctx, scalar, n):
    """All `n` lanes equal to `scalar`, in its own type; `n` a literal."""

    def codegen(context, builder, sig, args):
        return _spread(builder, args[0], n.literal_value)

    return Lanes(scalar, n.literal_value)(scalar, n), codegen


@intrinsic(prefer_literal=True)
def part(typingctx, x, first, n):
    """Lanes first ... first + n - 1 of `x`; both literals."""
    chosen = range(first.literal_value, first.literal_value + n.literal_value)

    def codegen(context, builder, sig, args):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(chosen)), list(chosen))
        return builder.shuffle_vector(args[0], ir.Constant(args[0].type, ir.Undefined), mask)

    return Lanes(x.dtype, n.literal_value)(x, first, n), codegen


@intrinsic
def join(typingctx, a, b):
    """Return the lanes of `a`, then those of `b`."""

    def codegen(context, builder, sig, args):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), 2 * a.n), list(range(2 * a.n)))
        return builder.shuffle_vector(*args, mask)

    return Lanes(a.dtype, 2 * a.n)(a, b), codegen


@intrinsic
def where(typingctx, mask, a, b):
    """Lane by lane `a` where `mask`, else `b`; one of the two may be a scalar."""
    lanes = a if isinstance(a, Lanes) else b

    def codegen(context, builder, sig, args):
        return builder.select(*args)

    return lanes(mask, lanes, lanes), codegen


def _llvm_function(name, n_args):
    def codegen(context, builder, sig, args):
        lanes = sig.return_type
        vector = args[0].type
        suffix = f"v{lanes.n}f{lanes.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * n_args), f"llvm.{name}.{suffix}"
        )
        return builder.call(function, args)

    return codegen


@intrinsic
def sqrt(typingctx, x):
    """Square root, lane by lane."""
    return x(x), _llvm_function("sqrt", 1)


@intrinsic
def absolute(typingctx, x):
    """Absolute value, lane by lane."""
    return x(x), _llvm_function("fabs", 1)


@intrinsic
def multiply_add(typingctx, a, b, c):
    """Return a * b + c, fused where the machine can."""
    return a(a, a, a), _llvm_function("fmuladd", 3)


def _conversion(emit, target):
    @intrinsic
    def convert(typingctx, x):
        to = Lanes(target, x.n)

        def codegen(context, builder, sig, args):
            return emit(builder, args[0], ir.VectorType(_llvm(target), x.n))

        return to(x), codegen

    return convert


def _plain(name):
    return lambda builder, value, to: getattr(builder, name)(value, to)


bits_64 = _conversion(_plain("bitcast"), types.uint64)
bits_32 = _conversion(_plain("bitcast"), types.uint32)
as_float64 = _conversion(_plain("bitcast"), types.float64)
as_float32 = _conversion(_plain("bitcast"), types.float32)
as_signed = _conversion(_plain("bitcast"), types.int32)
widen_uint32 = _conversion(_plain("zext"), types.uint64)
narrow_uint64 = _conversion(_plain("trunc"), types.uint32)
to_float32 = _conversion(_plain("sitofp"), types.float32)
to_float64 = _conversion(
    lambda builder, value, to: value if value.type == to else builder.fpext(value, to), types.float64
)
