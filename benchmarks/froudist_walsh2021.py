"""Cost of a working-memory trial of Froudist-Walsh et al. 2021: the simulator against plain NumPy, in one run.

    python benchmarks/froudist_walsh2021.py            # under three minutes; prints the tables
    python benchmarks/froudist_walsh2021.py --write    # the same, and into benchmarks/results/
    python benchmarks/froudist_walsh2021.py --quick    # seconds; shows that it runs, its times say little

First both must agree. Then they take turns, one core each, and every ratio is of two neighbours in time: medians, and
the smallest and the largest in brackets. Times are CPU time of the process unless a table says otherwise.
"""

from __future__ import annotations

import os

# Before NumPy is imported, which reads them then.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from measuring import cpu_seconds, functions_alone, in_turn, machine, ratios, spread, table, wall_seconds

import cortexsim as cx

RESULTS = Path(__file__).parent / "results" / "froudist_walsh2021.md"
DT = 0.5  # ms
CUE = {"onset": 1000.0, "duration": 400.0, "amplitude": 100.0}  # ms, ms, pA; to the dendrite of E1 in V1
EVERY = 10.0  # ms, sampling interval of the rates
POPULATIONS = ("E1", "E2", "PV", "SST1", "SST2", "VIP1", "VIP2")
AIM_ALONE, AIM_BATCH = 3.0, 2.0  # us per step and trial
AIM_IMPORT, AIM_FIRST = 1.5, 1.0  # s
QUOTED = (("as published, with the brian2 unit library", 1.5, 1.9), ("the same without units", 0.47, 0.67))


@dataclass(frozen=True)
class Size:
    """How much is run: durations in ms, numbers of paired rounds."""

    agreement: float
    noisy_agreement: float
    alone: float
    batch: float
    plain_batch: float
    trials: int
    rounds: int
    starts: int
    cold: bool


FULL = Size(5000, 2000, 5000, 5000, 500, trials=64, rounds=5, starts=5, cold=True)
QUICK = Size(100, 50, 100, 20, 20, trials=8, rounds=2, starts=1, cold=False)


# --- The same model in plain NumPy -----------------------------------------------------------------------------------


def plain_numpy(
    fln: np.ndarray,
    sln: np.ndarray,
    spine_count: np.ndarray,
    d1: np.ndarray,
    areas: Sequence[str],
    *,
    steps: int,
    noise: np.ndarray | np.random.Generator | None,
    every: int = 1,
    trials: int | None = None,
    dopamine: float = 1.5,
) -> np.ndarray:
    """Return the rates (sample, population, area), or (sample, population, trial, area) of several trials at once.

    The equations as the paper's authors would write them in NumPy without a unit library: whole arrays over areas (and
    trials), one time step after the other; nA, Hz and s.

    Parameters
    ----------
    fln, sln : array (target, source)
    spine_count, d1 : array (area,)
    steps : int
        Euler steps of .5 ms.
    noise : array (step, population, [trial,] area), Generator or None
        Standard normals, where to draw them from, or no noise.
    every : int
        Steps between samples.
    """
    dt = 0.0005
    shape = (len(areas),) if trials is None else (trials, len(areas))

    # Long-range weights, divided into superficial and deep origin; rows are targets
    W = fln**0.3
    W /= W.sum(axis=1, keepdims=True)
    W_superficial, W_deep = W * sln, W * (1 - sln)
    FEF = np.isin(areas, ("8m", "8l"))
    split_PV, split_SST, split_VIP = (np.where(FEF, f, o) for f, o in ((0.2, 0.31), (0.1, 0.22), (0.7, 0.47)))

    # Spine count and dopamine
    def sigmoid(x: np.ndarray | float) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    e = 0.45 + 0.55 * (spine_count - spine_count.min()) / (spine_count.max() - spine_count.min())
    d = (d1 - d1.min()) / (d1.max() - d1.min())
    occupied = sigmoid(2 * (dopamine - 1)) * d
    m = 1 + 0.6 * sigmoid(10 * (occupied - 0.35))
    g_E_PV = -0.4 + 0.399 * occupied
    g_dendrite_SST = -0.09 - 0.02 * occupied
    g_a_E = -0.004 - 0.5 * sigmoid(14 * (occupied - 0.85))

    r = np.full((7, *shape), 5.0)  # E1 E2 PV SST1 SST2 VIP1 VIP2
    f = np.empty_like(r)
    S_NMDA, S_AMPA, S_dendrite = np.zeros((3, 2, *shape))
    S_PV, S_SST, S_VIP = np.zeros(shape), np.zeros((2, *shape)), np.zeros((2, *shape))
    a = np.zeros((7, *shape))
    eta = np.zeros((7, *shape))
    stimulus = np.zeros((2, *shape))
    V1 = list(areas).index("V1")
    cue_on, cue_off = round(CUE["onset"] / DT), round((CUE["onset"] + CUE["duration"]) / DT)
    rates = np.empty((-(-steps // every), 7, *shape))

    for n in range(steps):
        if n % every == 0:
            rates[n // every] = r
        stimulus[0, ..., V1] = 1e-3 * CUE["amplitude"] if cue_on <= n < cue_off else 0.0

        # Noise currents
        if noise is not None:
            xi = noise.standard_normal(eta.shape) if isinstance(noise, np.random.Generator) else noise[n]
            eta += -eta * dt / 0.002 + 0.005 * np.sqrt(dt / 0.002) * xi

        # Excitation: local, from superficial layers afar to dendrites, from deep layers afar to interneurons
        NMDA, NMDA_deep = m * S_NMDA, m * (S_NMDA @ W_deep.T)
        AMPA_deep = S_AMPA @ W_deep.T
        local = 0.9 * NMDA + 0.1 * S_AMPA
        superficial = 0.9 * m * (S_NMDA @ W_superficial.T) + 0.1 * (S_AMPA @ W_superficial.T)
        deep = 0.9 * NMDA_deep + 0.1 * AMPA_deep

        # Dendrites
        x = 0.030 + stimulus + 1.45 * e * (0.9 * superficial + 0.1 * superficial[::-1])
        y = g_dendrite_SST * S_dendrite
        I_dendrite = 0.120 * np.tanh((x + 7 * y) / (0.00964 * np.exp(-y / 0.020))) + 0.13624

        # Currents
        I_E = e * 0.18 * local + g_E_PV * S_PV + 0.310 + eta[:2] + I_dendrite + g_a_E * a[:2]
        I_PV = e * 0.174 * (0.8 * NMDA + 0.2 * S_AMPA).sum(axis=0) - 0.18 * S_PV - 0.17 * S_SST.sum(axis=0)
        I_PV += 2.24 * e * split_PV * (0.8 * NMDA_deep + 0.2 * AMPA_deep).sum(axis=0) + 0.300 + eta[2]
        I_SST = e * 0.0435 * local.sum(axis=0) - 0.05 * S_VIP + 0.300 + eta[3:5] - 0.004 * a[3:5]
        I_SST += 2.24 * e * split_SST * deep
        I_VIP = e * 0.058 * local - 0.10 * S_SST + 0.300 + eta[5:] - 0.004 * a[5:]
        I_VIP += 2.24 * e * split_VIP * deep

        # Rates
        z = 135 * I_E - 54
        f[:2] = z / (1 - np.exp(-0.308 * z))
        f[2] = np.maximum(330 * I_PV - 95, 0)
        f[3:5] = np.maximum(132 * I_SST - 33, 0)
        f[5:] = np.maximum(132 * I_VIP - 33, 0)
        r += dt * (f - r) / 0.002

        # Gating and adaptation, from the new rates
        S_NMDA += dt * (-S_NMDA / 0.060 + 1.282 * (1 - S_NMDA) * r[:2])
        S_AMPA += dt * (-S_AMPA / 0.002 + 5 * r[:2])
        S_PV += dt * (-S_PV / 0.005 + 2 * r[2])
        S_SST += dt * (-S_SST / 0.005 + 2 * r[3:5])
        S_VIP += dt * (-S_VIP / 0.005 + 2 * r[5:])
        S_dendrite += dt * (-S_dendrite / 0.010 + 2 * r[3:5])
        a += dt * (-a / 0.1 + r)
    return rates


# --- Both programs on the same cortex --------------------------------------------------------------------------------

CORTEX, MAPS = cx.load_connectome("macaque40"), cx.gradients.macaque40()
MODEL = cx.Model(CORTEX, cx.circuits.FroudistWalsh2021(dopamine=1.5), MAPS)
PULSE = cx.Pulse(area="V1", input="E1_dendrite", **CUE)
ANATOMY = (
    CORTEX.fln.to_numpy(),
    CORTEX.sln.to_numpy(),
    MAPS.spine_count.sel(area=list(CORTEX.areas)).to_numpy(),
    MAPS.d1.sel(area=list(CORTEX.areas)).to_numpy(),
    CORTEX.areas,
)


def simulate(duration: float, **how: Any) -> xr.Dataset:
    """Run the simulator as a user does, on one thread unless told."""
    return cx.simulate(MODEL, PULSE, duration=duration, dt=DT, progress=False, **{"threads": 1, "every": EVERY} | how)


def plain(duration: float, trials: int | None = None) -> np.ndarray:
    """Run the plain NumPy program with its own noise."""
    rng = np.random.default_rng(0)
    return plain_numpy(*ANATOMY, steps=round(duration / DT), noise=rng, every=round(EVERY / DT), trials=trials)


def agreement(size: Size) -> list[list[str]]:
    """Compare all rates of both programs at every step.

    Raises
    ------
    SystemExit
        If they differ by more than the bound: their times would then compare two different models.
    """
    rng = np.random.default_rng(1)
    trials, n = 4, round(size.noisy_agreement / DT)
    normals = rng.standard_normal((trials, n, len(CORTEX.areas), len(POPULATIONS)))
    cases = (
        ("float64, noise off", size.agreement, None, "float64", 1e-9),
        (f"float64, {trials} trials under given noise", size.noisy_agreement, normals, "float64", 1e-9),
        ("float32, noise off", size.agreement, None, "float32", 1e-2),
    )
    rows = []
    for name, duration, noise, dtype, bound in cases:
        steps = round(duration / DT)
        given = False if noise is None else noise
        result = simulate(duration, noise=given, dtype=dtype, every=DT, trials=1 if noise is None else trials)
        ours = np.stack([result[f"r_{p}"].transpose("time", "trial", "area") for p in POPULATIONS], axis=1)
        xi = None if noise is None else np.ascontiguousarray(noise.transpose(1, 3, 0, 2))
        theirs = plain_numpy(*ANATOMY, steps=steps, noise=xi, trials=ours.shape[2])
        difference = float(np.abs(ours - theirs).max())
        rows.append([name, f"{steps}", f"{theirs.max():.1f}", f"{difference:.1e}", f"{bound:.0e}"])
        if not difference <= bound:
            raise SystemExit(f"The programs differ by {difference:.2e} Hz ({name}), but may by {bound:.0e} Hz at most.")
    return rows


# --- Measuring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Seconds per step and trial of each program, one per round."""

    trials: int
    per_step: dict[str, list[float]]

    def rows(self) -> list[list[str]]:
        """Return the table's rows."""
        plain_times = self.per_step["plain NumPy, float64"]
        return [
            [
                str(self.trials),
                name,
                spread(times, 2, 1e6),
                spread(times, 4, 1e3 / DT),
                spread(ratios(plain_times, times), 0 if times is not plain_times else 1),
            ]
            for name, times in self.per_step.items()
        ]


def measure_batch(size: Size, trials: int) -> Batch:
    """Measure the simulator and plain NumPy in turn, `trials` trials side by side."""
    duration, short = (size.alone, size.alone) if trials == 1 else (size.batch, size.plain_batch)
    runs = {
        "cortexsim, float64": lambda: simulate(duration, trials=trials),
        "cortexsim, float32": lambda: simulate(duration, trials=trials, dtype="float32"),
        "cortexsim, float64, noise off": lambda: simulate(duration, trials=trials, noise=False),
        "cortexsim, float32, noise off": lambda: simulate(duration, trials=trials, noise=False, dtype="float32"),
        "plain NumPy, float64": lambda: plain(short, None if trials == 1 else trials),
    }
    times = in_turn(size.rounds, {name: partial(cpu_seconds, run) for name, run in runs.items()})
    steps = {name: round((short if name.startswith("plain") else duration) / DT) for name in runs}
    return Batch(trials, {name: [t / steps[name] / trials for t in ts] for name, ts in times.items()})


def measure_call(size: Size) -> list[float]:
    """Return the CPU seconds of a one-step run: checking, laying out, labelling."""
    return in_turn(3 * size.rounds, {"call": partial(cpu_seconds, lambda: simulate(DT, every=DT))})["call"]


def measure_threads(size: Size) -> dict[int, list[float]]:
    """Return the wall-clock seconds of the batch on one thread and on two, in turn."""

    def seconds(threads: int) -> float:
        return wall_seconds(lambda: simulate(size.batch, trials=size.trials, threads=threads))

    return in_turn(size.rounds, {threads: partial(seconds, threads) for threads in (1, 2)})


_FRESH_PROCESS = """
import json, time
start = time.perf_counter()
import cortexsim as cx
imported = time.perf_counter()
model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
made = time.perf_counter()
cx.simulate(model, duration=0.5, every=0.5, progress=False)
first = time.perf_counter()
cx.simulate(model, duration=0.5, every=0.5, progress=False)
second = time.perf_counter()
print(json.dumps([imported - start, first - made, second - first]))
"""


def measure_start(size: Size) -> dict[str, list[float]]:
    """Return wall-clock seconds in fresh processes: the import, and the first `simulate` beyond what a second takes.

    The first process has an empty folder for compiled kernels, and those after it use what that one left.
    """
    out: dict[str, list[float]] = {"import": [], "cold": [], "warm": []}
    with tempfile.TemporaryDirectory() as empty:
        cache = {"CORTEXSIM_CACHE_DIR": empty} if size.cold else {}
        for k in range(size.starts + size.cold):
            done = subprocess.run(
                [sys.executable, "-c", _FRESH_PROCESS],
                env=os.environ | cache,
                check=True,
                capture_output=True,
                text=True,
            )
            imported, first, second = json.loads(done.stdout)
            out["cold" if size.cold and k == 0 else "warm"].append(first - second)
            out["import"].append(imported)
    return out


def measure_functions(size: Size) -> dict[str, dict[str, list[float]]]:
    """Return seconds per number of an exp and a standard normal, in the kernel and in NumPy."""
    numbers, blocks = 2000 * 1024, range(2000)
    x, out, rng = np.linspace(-5, 5, 1024), np.empty(1024), np.random.default_rng(0)
    in_double, in_single = functions_alone("float64", numbers), functions_alone("float32", numbers)
    times = in_turn(
        size.rounds,
        {
            "exp_float64": in_double["exp"],
            "exp_float32": in_single["exp"],
            "exp_NumPy": partial(cpu_seconds, lambda: [np.exp(x, out=out) for _ in blocks]),
            "normal_kernel": in_single["normal"],
            "normal_NumPy": partial(cpu_seconds, lambda: [rng.standard_normal(out=out) for _ in blocks]),
        },
    )
    return {name: [t / numbers for t in ts] for name, ts in times.items()}


# --- The report ------------------------------------------------------------------------------------------------------


def report(size: Size, quick: bool) -> str:
    """Measure everything, and return it as Markdown."""
    here = machine()
    agreed = agreement(size)
    wall, cpu = time.perf_counter(), time.process_time()
    alone, batch = measure_batch(size, 1), measure_batch(size, size.trials)
    share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    call, threads = measure_call(size), measure_threads(size)
    start, functions = measure_start(size), measure_functions(size)

    first = "cortexsim, float64"
    per_step = {b.trials: [1e6 * t for t in b.per_step[first]] for b in (alone, batch)}
    aims = [
        [what, f"{aim:g} {unit}", spread(values, 2), "yes" if statistics.median(values) <= aim else "no"]
        for what, aim, unit, values in (
            ("one trial, float64, noise on", AIM_ALONE, "us per step", per_step[1]),
            (f"batch of {size.trials}, float64, noise on", AIM_BATCH, "us per step and trial", per_step[size.trials]),
            ("first `simulate`, kernel on disk", AIM_FIRST, "s", start["warm"]),
            ("`import cortexsim`", AIM_IMPORT, "s", start["import"]),
        )
    ]
    ours = [t * 1e3 / DT for t in alone.per_step[first]]
    quoted = [
        [what, f"{low:g} to {high:g}", f"{low / statistics.median(ours):.0f} to {high / statistics.median(ours):.0f}"]
        for what, low, high in QUOTED
    ]
    starts = [["`import cortexsim`", spread(start["import"], 2)]]
    if start["cold"]:
        starts.append(["first `simulate`, no kernel on disk: compiles", spread(start["cold"])])
    starts.append(["first `simulate`, kernel on disk: imports Numba, loads", spread(start["warm"], 2)])

    n_areas = len(CORTEX.areas)
    bounds = []
    for name, dtype in (("float64", "float64"), ("float32", "float32")):
        # Per area and step: two exp, two expm1 and two tanh, each built on one exp; seven normals, of eight drawn.
        exps = [6 * n_areas * t for t in functions[f"exp_{dtype}"]]
        normals = [8 * n_areas * t for t in functions["normal_kernel"]]
        on, off = (batch.per_step[f"cortexsim, {dtype}{noise}"] for noise in ("", ", noise off"))
        noise = [a - b for a, b in zip(on, off, strict=True)]
        bounds.append([name, *(spread(v, 2, 1e6) for v in (on, noise, normals, exps))])
    costs = [
        [name, *(spread(functions[key], 2, 1e9) if key else "" for key in keys)]
        for name, keys in (
            ("exp", ("exp_float64", "exp_float32", "exp_NumPy")),
            ("standard normal", (None, "normal_kernel", "normal_NumPy")),
        )
    ]
    simulated = f"{size.alone / 1000:g} s ({size.alone / DT:.0f} Euler steps of {DT:g} ms)"
    parts = [
        "# A working-memory trial of Froudist-Walsh et al. 2021",
        f"Machine: {here}.",
        *(["**A quick run: too short for its times to mean anything.**"] if quick else []),
        f"One trial is {simulated} of {n_areas} areas with seven populations; rates are kept every {EVERY:g} ms. "
        f"Times are of whole calls on one core: medians (smallest-largest) of {size.rounds} rounds in which all take "
        f"turns. Meanwhile the benchmark got {share:.0%} of a core: below 100% others used the machine too, which "
        f"slows it beyond the waiting, and leaves a second thread little.",
        "## Aims",
        table(["what", "at most", "measured", "met"], aims),
        "## Agreement of the two programs, all rates at every step",
        table(["run", "steps", "largest rate (Hz)", "largest difference (Hz)", "may be"], agreed),
        "## CPU time",
        table(
            [
                "trials",
                "program",
                "us per step and trial",
                "CPU s per simulated s and trial",
                "plain NumPy over this, pair by pair",
            ],
            alone.rows() + batch.rows(),
        ),
        f"Plain NumPy works on arrays (population, area) or (population, trial, area) in float64, noise on; its "
        f"batches are of {size.plain_batch / DT:.0f} steps. Checking, laying out and labelling take "
        f"{spread(call, scale=1e3)} ms of CPU in each call of `simulate`: "
        f"{1e6 * statistics.median(call) / (size.alone / DT):.2f} us of each step of the single trial.",
        "## The authors' program, quoted",
        table(["version", "CPU s per simulated s", "over cortexsim float64, one trial"], quoted),
        "Measured earlier on one thread of another machine, not in this run: the ratios are rough.",
        f"## Two threads against one, {size.trials} trials, float64, wall clock",
        table(
            ["one thread (s)", "two threads (s)", "one over two, pair by pair"],
            [[spread(threads[1], 2), spread(threads[2], 2), spread(ratios(threads[1], threads[2]), 2)]],
        ),
        "## Starting, in fresh processes, wall clock",
        table(["what", "s"], starts),
        f"## What bounds a step in a batch of {size.trials}",
        table(
            [
                "precision",
                "us per step and trial",
                "of it noise (on minus off)",
                "8 normals for each area",
                "6 exp for each area",
            ],
            bounds,
        ),
        "The last two columns are what the functions cost by themselves, back to back:",
        table(["ns per number", "kernel, float64", "kernel, float32", "NumPy, float64"], costs),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the benchmark and print its report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tiny size, to see that it runs")
    parser.add_argument("--write", action="store_true", help=f"write the report to {RESULTS.name} too")
    chosen = parser.parse_args()
    if chosen.quick and chosen.write:
        parser.error("--write keeps full runs only; leave --quick out")
    text = report(QUICK if chosen.quick else FULL, chosen.quick)
    print(text, end="")
    if chosen.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
