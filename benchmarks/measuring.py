"""What the benchmarks share: clocks, turns, the kernel's functions by themselves, and Markdown tables of medians."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

import cortexsim as cx

Name = TypeVar("Name")


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of one call, of all threads."""
    start = time.process_time()
    run()
    return time.process_time() - start


def wall_seconds(run: Callable[[], object]) -> float:
    """Return the wall-clock time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(rounds: int, runs: Mapping[Name, Callable[[], float]]) -> dict[Name, list[float]]:
    """Return what each run returns (seconds), one per round: all run once unseen, then take turns."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(run())
    return times


def functions_alone(dtype: str, numbers: int) -> dict[str, Callable[[], float]]:
    """Return runs that give the CPU time of `numbers` (a multiple of 1024) exponentials and standard normals.

    As in the kernel, on blocks of 64 bytes and 8 counters; normals are float32 in either precision.
    """
    from numba import njit

    from cortexsim.kernel import maths, random, simd

    compiled = njit(error_model="numpy", fastmath=maths.FLAGS)
    n, exp = 64 // np.dtype(dtype).itemsize, maths.exp

    @compiled
    def exponential(x, y, repeats):
        for _ in range(repeats):
            for k in range(0, x.size, n):
                simd.store(y, k, exp(simd.load(x, k, n)))

    @compiled
    def draw(keys, z, repeats, k0, k1):
        for step in range(repeats):
            for k in range(0, z.size, 32):
                trial, low, high = simd.load(keys, k, 8), simd.load(keys, k + 8, 8), simd.load(keys, k + 16, 8)
                z0, z1, z2, z3 = random.normals(simd.spread(np.uint32(step), 8), trial, low, high, k0, k1)
                simd.store(z, k, z0)
                simd.store(z, k + 8, z1)
                simd.store(z, k + 16, z2)
                simd.store(z, k + 24, z3)

    x, y, z = np.linspace(-5, 5, 1024).astype(dtype), np.empty(1024, dtype), np.empty(1024, "float32")
    keys, seed = np.arange(1024, dtype=np.uint32), (np.uint32(1), np.uint32(2))
    return {
        "exp": lambda: cpu_seconds(lambda: exponential(x, y, numbers // 1024)),
        "normal": lambda: cpu_seconds(lambda: draw(keys, z, numbers // 1024, *seed)),
    }


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Return slow / fast, pair by pair."""
    return [s / f for s, f in zip(slow, fast, strict=True)]


def spread(values: Sequence[float], digits: int = 1, scale: float = 1.0) -> str:
    """Return 'median (smallest-largest)' of scale times the values."""
    low, middle, high = (scale * v for v in (min(values), statistics.median(values), max(values)))
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """Return what the times depend on: processor, versions, load."""
    import llvmlite.binding
    import numba

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    features = llvmlite.binding.get_host_cpu_features()
    registers = next((f"{key.upper()} registers" for key in ("avx512f", "avx2") if features.get(key)), "")
    facts = [
        f"{name} ({llvmlite.binding.get_host_cpu_name()})",
        f"{os.cpu_count()} cores",
        registers,
        platform.platform(),
        f"Python {platform.python_version()}",
        f"NumPy {np.__version__}",
        f"Numba {numba.__version__}",
        f"cortexsim {cx.__version__}",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        f"load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "",
    ]
    return ", ".join(fact for fact in facts if fact)
