"""The compiled loops, one module for each precision, in Numba's disk cache.

The module's name is the digest of its text, of what it imports and of the versions, as for the simulator's kernels.
"""

# mypy: ignore-errors
from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import llvmlite
import numba
import numpy as np

from cortexsim.kernel import build, maths, random, simd
from cortexsim.kernel.source import register_bytes
from cortexsim.rnn.kernel.product import product_text

_HEAD = '''"""Forward and backward pass of networks in {dtype}; put together by cortexsim.rnn.kernel."""

import numpy as np
from numba import njit

from cortexsim.kernel.maths import FLAGS, inline
from cortexsim.kernel.simd import broadcast, load, multiply_add, spread, store, to_float64

WIDTH = {width}
ZERO, ONE, TINY = np.{dtype}(0), np.{dtype}(1), np.finfo(np.{dtype}).tiny
FLOAT = inline(lambda x: {convert})
'''


_SHARED = (
    "_drives", "_input_gradients", "_mix", "_read_back", "multiply", "random_step", "read_out", "start_noise"
)  # fmt: skip


@functools.cache
def loops(dtype: str):
    """Return the module of compiled loops of leaky networks for "float32" or "float64"."""
    size = register_bytes()
    return _module(dtype, product_text(size // np.dtype(dtype).itemsize, 32 if size == 64 else 16), "loops.py")


@functools.cache
def gated_loops(dtype: str):
    """Return the module of compiled loops of gated networks; readout, noise and products are those of `loops`."""
    return _module(dtype, f"from {loops(dtype).__name__} import {', '.join(_SHARED)}\n\n", "gated.py")


def _module(dtype, before, body):
    convert = "x" if dtype == "float32" else "to_float64(x)"
    head = _HEAD.format(dtype=dtype, width=register_bytes() // np.dtype(dtype).itemsize, convert=convert)
    text = head + before + (Path(__file__).parent / body).read_text(encoding="utf-8")
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {np.__version__} {text}".encode())
    for part in (maths, random, simd):
        digest.update(Path(part.__file__).read_bytes())
    return build.module(f"cortexsim_rnn_{digest.hexdigest()[:24]}", text)
