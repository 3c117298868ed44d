"""What the benchmarks share: clocks, turns, and Markdown tables of medians."""

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


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return 'median (smallest-largest)'."""
    low, middle, high = min(values), statistics.median(values), max(values)
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
