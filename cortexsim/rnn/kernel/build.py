"""The compiled loops, one module for each precision, in Numba's disk cache.

The module's name is the digest of its text, of what it imports and of the versions, as for the simulator's kernels.
"""

# mypy: ignore-errors
from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import llvmlite
import numba
import numpy as np

from cortexsim.kernel import maths, random, simd
from cortexsim.kernel.build import cache_folder
from cortexsim.kernel.source import register_bytes
from cortexsim.rnn.kernel.product import product_text

_HEAD = '''"""Forward and backward pass of leaky networks in {dtype}; put together by cortexsim.rnn.kernel."""

import numpy as np
from numba import njit

from cortexsim.kernel.maths import FLAGS, inline
from cortexsim.kernel.simd import broadcast, load, multiply_add, spread, store, to_float64

WIDTH = {width}
ZERO, ONE, TINY = np.{dtype}(0), np.{dtype}(1), np.finfo(np.{dtype}).tiny
FLOAT = inline(lambda x: {convert})
'''


@functools.cache
def loops(dtype: str):
    """Return the module of compiled loops for "float32" or "float64"."""
    size = register_bytes()
    width = size // np.dtype(dtype).itemsize
    convert = "x" if dtype == "float32" else "to_float64(x)"
    head = _HEAD.format(dtype=dtype, width=width, convert=convert)
    body = (Path(__file__).parent / "loops.py").read_text(encoding="utf-8")
    text = head + product_text(width, 32 if size == 64 else 16) + body
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {np.__version__} {text}".encode())
    for module in (maths, random, simd):
        digest.update(Path(module.__file__).read_bytes())
    name = f"cortexsim_rnn_{digest.hexdigest()[:24]}"
    path = cache_folder() / f"{name}.py"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
