"""Counter-based standard normals: the same numbers for a trial, area, variable and step whatever else runs.

Philox4x32-10 (Salmon et al. 2011, SC'11, doi 10.1145/2063384.2063405) maps a 128-bit counter under a 64-bit key to
four 32-bit words. The key is the seed; the counter is (step, trial, area key, group of four noise variables). Where a
circuit has one (two) noise variables, the four are those of four (two) steps, and the counter holds step // 4 (// 2).
The Box-Muller transform gives four normals,

    z_0 = sqrt(-2 ln u_0) cos(2 pi u_1),   z_1 = sqrt(-2 ln u_0) sin(2 pi u_1),   and the same for (u_2, u_3).

They are computed in float32 (24 bits, |z| <= 6.66) for runs of either precision, so that a float32 and a float64 run
with one seed see the same noise; it is also twice as fast.
"""

# mypy: ignore-errors
import numpy as np

from cortexsim.kernel.maths import inline, log_normal_32
from cortexsim.kernel.simd import (
    as_float32,
    as_signed,
    bits_32,
    narrow_uint64,
    sqrt,
    to_float32,
    where,
    widen_uint32,
)

_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint32(0x9E3779B9)
_W1 = np.uint32(0xBB67AE85)
_32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@inline
def philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10: four vectors of words for the counters (c0, c1, c2, c3) under the key (k0, k1); all uint32."""
    # In 64-bit lanes: x86 multiplies 32 x 32 -> 64 bits there and ignores the high halves, which may hold anything.
    a0, a1, a2, a3 = widen_uint32(c0), widen_uint32(c1), widen_uint32(c2), widen_uint32(c3)
    for _ in range(10):
        p0 = (a0 & _LOW) * _M0
        p1 = (a2 & _LOW) * _M1
        a0 = (p1 >> _32) ^ a1 ^ np.uint64(k0)
        a2 = (p0 >> _32) ^ a3 ^ np.uint64(k1)
        a1 = p1
        a3 = p0
        k0 = np.uint32(k0 + _W0)
        k1 = np.uint32(k1 + _W1)
    return narrow_uint64(a0), narrow_uint64(a1), narrow_uint64(a2), narrow_uint64(a3)


_QUADRANT = np.uint32(0x40000000)
_SIGN = np.uint32(0x80000000)


@inline
def box_muller(w0, w1):
    """Two vectors of standard normals (float32) from two of words (uint32)."""
    u = (to_float32(as_signed(w0 >> np.uint32(1))) + 0.5) * 2.0**-31
    radius = sqrt(log_normal_32(u) * -2.0)
    # The two high bits of w1 are the quadrant, the others the angle within it: x in [-1/4, 1/4) half turns.
    x = to_float32(as_signed(w1 << np.uint32(2))) * 2.0**-33
    z = x * x
    # sin(pi x) / x and cos(pi x) in x^2, interpolated at Chebyshev nodes (relative error 4e-9, 7e-11).
    s = x * (3.14159264391 + z * (-5.16770782132 + z * (2.54976696473 - z * 0.58907509924)))
    c = 1.0 + z * (-4.93480216253 + z * (4.05870725848 + z * (-1.33504444802 + z * 0.231328784993)))
    even = (w1 & _QUADRANT) == np.uint32(0)
    sign_cos = (w1 ^ (w1 << np.uint32(1))) & _SIGN
    a = radius * where(even, c, s)
    b = radius * where(even, s, c)
    return as_float32(bits_32(a) ^ sign_cos), as_float32(bits_32(b) ^ (w1 & _SIGN))


@inline
def normals(step, trial, area_low, area_high, k0, k1):
    """Four vectors of standard normals (float32), one value per lane; see the module for the counter."""
    w0, w1, w2, w3 = philox(step, trial, area_low, area_high, k0, k1)
    z0, z1 = box_muller(w0, w1)
    z2, z3 = box_muller(w2, w3)
    return z0, z1, z2, z3
