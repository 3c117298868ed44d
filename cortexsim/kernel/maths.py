"""Elementary functions on vectors of lanes: no branch, no table, no call into libm.

Reduction: x = n ln 2 + r with |r| <= ln(2)/2, n rounded by adding 1.5 2^52 (1.5 2^23 in float32), which leaves n in
the low bits of the sum, so that 2^n is one shift away. exp(r) - 1 = r + r^2 q(r), q interpolated at Chebyshev nodes
(degree 9, relative error 1.7e-17; degree 4, 1.1e-8). log m = 2 s + s^3 R(s^2), s = (m - 1)/(m + 1), sqrt(1/2) <= m <
sqrt(2). A NaN stays a NaN.

The public functions carry NumPy's names: this module stands in for `numpy` when a circuit's equations are compiled.
"""

# mypy: ignore-errors
import numpy as np
from numba import njit, types
from numba.extending import overload

from cortexsim.kernel import simd
from cortexsim.kernel.simd import (
    as_float32,
    as_float64,
    as_signed,
    bits_32,
    bits_64,
    sqrt,
    to_float32,
    where,
)

__all__ = ["abs", "absolute", "exp", "expm1", "log", "maximum", "minimum", "sqrt", "tanh", "where"]

absolute = abs = simd.absolute

# nsz, contract, arcp, afn: never nnan or ninf (a NaN must stay visible), no reassoc (sums keep their order).
FLAGS = {"nsz", "contract", "arcp", "afn"}


def inline(function):
    """Compile a small function so that LLVM always inlines it."""
    return njit(error_model="numpy", fastmath=FLAGS, forceinline=True)(function)


_LOG2E = 1.4426950408889634
_MAGIC_64 = 6755399441055744.0
_LN2_HIGH_64 = 0.6931471803691238  # its last 32 bits are zero, so n * _LN2_HIGH_64 is exact
_LN2_LOW_64 = 1.9082149292705877e-10
_52 = np.uint64(52)
_EXPONENT_1022 = np.uint64(1022 << 52)


@inline
def _reduce_64(x):
    """Return exp(r) - 1 and 2^(n-1) for x = n ln 2 + r."""
    t = x * _LOG2E + _MAGIC_64
    n = t - _MAGIC_64
    r = (x - n * _LN2_HIGH_64) - n * _LN2_LOW_64
    r2 = r * r
    r4 = r2 * r2
    low = (0.5 + r * 0.16666666666666667453) + r2 * (0.041666666666624127873 + r * 0.0083333333333300618325)
    high = (0.0013888888917213716901 + r * 0.00019841269863053616878) + r2 * (
        0.000024801521295954375131 + r * 2.7557268459997064772e-6
    )
    q = low + r4 * (high + r4 * (2.7620088445409748161e-7 + r * 2.5100385495510319078e-8))
    return r + r2 * q, as_float64((bits_64(t) << _52) + _EXPONENT_1022)


_MAGIC_32 = 12582912.0
_LN2_HIGH_32 = 0.693145751953125
_LN2_LOW_32 = 1.42860682030941723212e-6
_23 = np.uint32(23)
_EXPONENT_126 = np.uint32(126 << 23)


@inline
def _reduce_32(x):
    t = x * _LOG2E + _MAGIC_32
    n = t - _MAGIC_32
    r = (x - n * _LN2_HIGH_32) - n * _LN2_LOW_32
    r2 = r * r
    q = (0.5 + r * 0.16666576989698775683) + r2 * (
        (0.041666554617204574203 + r * 0.0083631790527225773704) + r2 * 0.0013926183587713494542
    )
    return r + r2 * q, as_float32((bits_32(t) << _23) + _EXPONENT_126)


@inline
def _log_64(x):
    bits = bits_64(x)
    # Shift the border of the exponent to sqrt(1/2), so that the mantissa lies around 1.
    shifted = bits - np.uint64(0x3FE6A09E667F3BCD)
    m = as_float64((shifted & np.uint64(0x000FFFFFFFFFFFFF)) + np.uint64(0x3FE6A09E667F3BCD))
    # The exponent + 2048 sits in 12 bits; or-ed into 2^52 it becomes a float without a conversion.
    biased = (shifted >> _52) ^ np.uint64(0x800)
    e = as_float64(biased | np.uint64(0x4330000000000000)) - 4503599627372544.0
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    z2 = z * z
    tail = (0.66666666666666697077 + z * 0.39999999999898890514) + z2 * (
        (0.28571428626253837606 + z * 0.22222211089379496214)
        + z2 * ((0.18182892432536871201 + z * 0.15331611722055007885) + z2 * 0.14617807153417324965)
    )
    # 2 s = f - s f exactly, which keeps the leading term free of the rounding of s.
    y = e * _LN2_HIGH_64 + (f - (s * (f - z * tail) - e * _LN2_LOW_64))
    return _log_edges(x, y, 2.2250738585072014e-308)


@inline
def log_normal_32(x):
    """log(x) for normal positive finite x only: what the random numbers need."""
    shifted = bits_32(x) - np.uint32(0x3F3504F3)
    m = as_float32((shifted & np.uint32(0x007FFFFF)) + np.uint32(0x3F3504F3))
    e = to_float32(as_signed(shifted) >> np.int32(23))
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    tail = 0.66666685095429068746 + z * (0.39988757616847003 + z * 0.29580985929974422621)
    return e * _LN2_HIGH_32 + (f - (s * (f - z * tail) - e * _LN2_LOW_32))


@inline
def _log_32(x):
    return _log_edges(x, log_normal_32(x), 1.1754943508222875e-38)


@inline
def _log_edges(x, y, tiny):
    y = where(x < tiny, -np.inf, y)
    y = where(x < 0.0, np.nan, y)
    y = where(x == np.inf, x, y)
    return where(x != x, x, y)


@inline
def _overflow_64(x, y, bottom, at_bottom):
    return where(x > 709.782712893384, np.inf, where(x < bottom, at_bottom, y))


@inline
def _overflow_32(x, y, bottom, at_bottom):
    return where(x > 88.7228317, np.inf, where(x < bottom, at_bottom, y))


@inline
def _exp_64(x):
    p, half = _reduce_64(x)
    return _overflow_64(x, (half * p + half) * 2.0, -707.7, 0.0)


@inline
def _exp_32(x):
    p, half = _reduce_32(x)
    return _overflow_32(x, (half * p + half) * 2.0, -86.6, 0.0)


@inline
def _expm1_64(x):
    p, half = _reduce_64(x)
    return _overflow_64(x, (half * p + (half - 0.5)) * 2.0, -37.5, -1.0)


@inline
def _expm1_32(x):
    p, half = _reduce_32(x)
    return _overflow_32(x, (half * p + (half - 0.5)) * 2.0, -18.0, -1.0)


@inline
def _tanh_64(x):
    a = absolute(x)
    a = where(a > 22.0, 22.0, a)
    p, half = _reduce_64(a + a)
    e = (half * p + (half - 0.5)) * 2.0
    y = e / (e + 2.0)
    return where(x < 0.0, -y, y)


@inline
def _tanh_32(x):
    a = absolute(x)
    a = where(a > 10.0, 10.0, a)
    p, half = _reduce_32(a + a)
    e = (half * p + (half - 0.5)) * 2.0
    y = e / (e + 2.0)
    return where(x < 0.0, -y, y)


def _by_precision(name, doc, float64, float32):
    def function(x):
        raise TypeError(f"{name} of cortexsim.kernel.maths is for compiled equations; use numpy.{name}.")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc

    @overload(function, jit_options={"forceinline": True, "error_model": "numpy", "fastmath": FLAGS})
    def choose(x):
        if not isinstance(x, simd.Lanes):
            return None
        chosen = float64 if x.dtype == types.float64 else float32
        return lambda x: chosen(x)

    return function


exp = _by_precision("exp", "exp(x): inf above 709.78 (88.72), 0 below -707.7 (-86.6).", _exp_64, _exp_32)
expm1 = _by_precision("expm1", "exp(x) - 1, to the last bits near 0 too.", _expm1_64, _expm1_32)
tanh = _by_precision("tanh", "tanh(x) = e / (e + 2), e = exp(2 |x|) - 1, with the sign of x.", _tanh_64, _tanh_32)
log = _by_precision("log", "log(x); -inf at 0 and below the smallest normal number.", _log_64, _log_32)


@inline
def maximum(a, b):
    """Return the larger of `a` and `b` lane by lane; NaN in `a` stays."""
    return where(a < b, b, a)


@inline
def minimum(a, b):
    """Return the smaller of `a` and `b` lane by lane; NaN in `a` stays."""
    return where(a > b, b, a)
