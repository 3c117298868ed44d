"""Node-updates per CPU second of the reduced Wong-Wang model: the simulator, the machine's limits, other simulators.

    python benchmarks/reduced_wong_wang.py                     # minutes; prints the tables
    python benchmarks/reduced_wong_wang.py --peers FOLDER      # beside others: requirements-peers.txt says how
    python benchmarks/reduced_wong_wang.py --write             # into benchmarks/results/ too
    python benchmarks/reduced_wong_wang.py --quick             # seconds; shows that it runs, its numbers say little

Additive noise, Euler-Maruyama with steps of .5 ms, every tenth kept, one synthetic connectome of 40 areas and one of
400. A node-update is one step of one area of one trial. All take turns, one core each; numbers are medians, with the
smallest and the largest in brackets. CPU time is of the whole call that runs a model; making and compiling it is not.
"""

from __future__ import annotations

import os

# Before NumPy is imported, which reads them then.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import functools
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from measuring import cpu_seconds, functions_alone, in_turn, machine, ratios, spread, table, wall_seconds

import cortexsim as cx

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "reduced_wong_wang.md"
DT, EVERY = 0.5, 5.0  # ms
PRECISIONS = ("float64", "float32")
CORTEX = {n: cx.synthetic_connectome(n, seed=1) for n in (40, 400)}


@dataclass(frozen=True)
class Workload:
    """What is run, and the aims: millions of node-updates per CPU second in float64 and float32."""

    areas: int
    trials: int
    steps: int
    aims: tuple[int, int]

    def __str__(self) -> str:
        """Return the name of the workload in the tables."""
        return f"{self.trials} x {self.areas} areas" if self.trials > 1 else f"{self.areas} areas"


WORKLOADS = (
    Workload(40, 1, 20_000, (100, 180)),
    Workload(400, 1, 20_000, (20, 45)),
    Workload(40, 64, 20_000, (200, 400)),
    Workload(400, 64, 2_000, (45, 95)),
)


@dataclass(frozen=True)
class Peer:
    """Another simulator: its precisions, and (trials, steps) of each workload, short where it is slow."""

    precisions: tuple[str, ...]
    runs: tuple[tuple[int, int], ...]
    differs: str
    agrees: float


PEERS = {
    "tvboptim": Peer(
        PRECISIONS,
        ((1, 20_000), (1, 4_000), (64, 2_000), (64, 200)),
        "the same model, and batches side by side too (`vmap`); it keeps every step until the end",
        1e-12,
    ),
    "neurolib": Peer(
        ("float64",),
        ((1, 20_000), (1, 2_000), (4, 20_000), (4, 1_000)),
        "two populations per node, so twice the work for a node-update; its noise is an OU process; it keeps every "
        "step; batches run one trial after the other",
        1e-12,
    ),
    "tvb-library": Peer(
        ("float64",),
        ((1, 4_000), (1, 2_000), (2, 2_000), (2, 1_000)),
        "the same model; batches run one trial after the other",
        1e-6,
    ),
}


@dataclass(frozen=True)
class Size:
    """How much is run: rounds of turns, and what the numbers of steps are divided by."""

    rounds: int
    shorter: int
    agreement_steps: int
    bytes_read: int


FULL = Size(rounds=5, shorter=1, agreement_steps=200, bytes_read=2**28)
QUICK = Size(rounds=1, shorter=200, agreement_steps=20, bytes_read=2**23)


# --- The simulator ---------------------------------------------------------------------------------------------------


def couplings(trials: int) -> float | tuple[float, ...]:
    """Return the long-range coupling G, one for each of several trials."""
    return 1.2 if trials == 1 else tuple(np.linspace(1.2, 1.3, trials))


@functools.cache
def model(areas: int, trials: int) -> cx.Model:
    """Return the model, made once as those of the others are."""
    return cx.Model(CORTEX[areas], cx.circuits.ReducedWongWang(G=couplings(trials)))


def simulate(areas: int, trials: int, steps: int, **how: object) -> xr.Dataset:
    """Run the simulator as a user does, on one thread unless told."""
    how = {"threads": 1, "every": EVERY} | how
    return cx.simulate(model(areas, trials), duration=steps * DT, dt=DT, trials=trials, progress=False, **how)


# --- The others, each in a process and an environment of its own -----------------------------------------------------


@contextmanager
def started(name: str, folder: Path, weights: Path, dtype: str) -> Iterator[Callable[..., dict[str, object]]]:
    """Start another simulator, and yield a function that has it run (areas, trials, steps, noise)."""
    process = subprocess.Popen(
        [str(folder / name / "bin" / "python"), str(HERE / "peers.py"), name, str(weights), dtype],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def ask(**what: object) -> dict[str, object]:
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name} stopped; start peers.py by hand in its environment to see why.")
        return json.loads(answer)

    with process:
        try:
            yield ask
        finally:
            process.stdin.close()


def agreement(size: Size, asked: dict[tuple[str, str], Callable[..., dict[str, object]]]) -> list[list[str]]:
    """Compare the gating of all areas after some steps without noise, from a start that differs between areas.

    Raises
    ------
    SystemExit
        If a simulator differs by more than its bound: the times would then compare two different models.
    """
    areas, steps = 40, size.agreement_steps
    start = xr.DataArray(
        np.linspace(0.1, 0.5, areas)[np.newaxis],
        dims=("state", "area"),
        coords={"state": ["S"], "area": list(CORTEX[areas].areas)},
    )
    ours = simulate(areas, 1, steps, noise=False, state=start).final_state.to_numpy().ravel()
    rows = []
    for (name, dtype), ask in asked.items():
        theirs = np.array(ask(areas=areas, trials=1, steps=steps, noise=False)["S"])
        difference, bound = float(np.abs(ours - theirs).max()), PEERS[name].agrees if dtype == "float64" else 1e-5
        rows.append([f"{name}, {dtype}", str(steps), f"{np.ptp(ours):.2f}", f"{difference:.1e}", f"{bound:.0e}"])
        if not difference <= bound:
            raise SystemExit(
                f"{name} ({dtype}) differs by {difference:.1e} from cortexsim, may by {bound:.0e} at most."
            )
    return rows


# --- What the machine can do -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """Seconds per number on one core, one per round: multiply-add, reads from each cache, exp, normal."""

    fma: list[float]
    read: dict[int, list[float]]
    exp: list[float]
    normal: list[float]


def measure_limits(size: Size, dtype: str) -> Limits:
    """Measure the arithmetic that stays in registers, and reading from arrays of 16 KB to 1.25 MB."""
    from numba import njit

    from cortexsim.kernel import maths, simd, source

    compiled = njit(error_model="numpy", fastmath=maths.FLAGS)
    item = np.dtype(dtype).itemsize
    n, load, store = source.register_bytes() // item, simd.load, simd.store

    @compiled
    def multiply_add(x, y, repeats):
        # Ten sums in flight, for two units with a latency of four or five; their starts differ, or they would be one.
        f = load(x, 0, n)
        a, b, c, d, e = f, load(x, n, n), load(x, 2 * n, n), load(x, 3 * n, n), load(x, 4 * n, n)
        p, q, r, s, t = (load(x, 5 * n, n), load(x, 6 * n, n), load(x, 7 * n, n), load(x, 8 * n, n), load(x, 9 * n, n))
        for _ in range(repeats):
            a = simd.multiply_add(a, f, f)
            b = simd.multiply_add(b, f, f)
            c = simd.multiply_add(c, f, f)
            d = simd.multiply_add(d, f, f)
            e = simd.multiply_add(e, f, f)
            p = simd.multiply_add(p, f, f)
            q = simd.multiply_add(q, f, f)
            r = simd.multiply_add(r, f, f)
            s = simd.multiply_add(s, f, f)
            t = simd.multiply_add(t, f, f)
        store(y, 0, a + b + c + d + e + p + q + r + s + t)

    @compiled
    def read(x, y, repeats):
        a = b = c = d = e = p = q = r = load(x, 0, n)
        for _ in range(repeats):
            for k in range(0, x.size, 8 * n):
                a = a + load(x, k, n)
                b = b + load(x, k + n, n)
                c = c + load(x, k + 2 * n, n)
                d = d + load(x, k + 3 * n, n)
                e = e + load(x, k + 4 * n, n)
                p = p + load(x, k + 5 * n, n)
                q = q + load(x, k + 6 * n, n)
                r = r + load(x, k + 7 * n, n)
        store(y, 0, a + b + c + d + e + p + q + r)

    out, few = np.empty(1024, dtype), size.bytes_read // 2**7
    near_half = np.linspace(0.4, 0.6, 10 * n).astype(dtype)
    # From the start of a cache line, so that no register is read across two of them.
    raw = {b: np.zeros(b // item + 64, dtype) for b in (2**14, 2**18, 5 * 2**18)}
    arrays = {b: whole[-whole.ctypes.data % 64 // item :][: b // item] for b, whole in raw.items()}
    runs = {
        "fma": (10 * few * n, lambda: cpu_seconds(lambda: multiply_add(near_half, out, few))),
        **{name: (few, run) for name, run in functions_alone(dtype, few).items()},
    }
    for b, array in arrays.items():
        repeats = size.bytes_read * 2 // b
        runs[f"read {b}"] = (
            repeats * array.size,
            lambda array=array, repeats=repeats: cpu_seconds(lambda: read(array, out, repeats)),
        )
    times = in_turn(max(size.rounds, 3), {name: run for name, (_, run) in runs.items()})
    per_number = {name: [t / runs[name][0] for t in ts] for name, ts in times.items()}
    return Limits(
        per_number["fma"],
        {b: per_number[f"read {b}"] for b in arrays},
        per_number["exp"],
        per_number["normal"],
    )


def measure_products(size: Size, dtype: str) -> dict[Workload, list[float]]:
    """Return the seconds per node-update of the kernel's long-range product alone, one per round."""
    from numba import njit

    from cortexsim.kernel import maths
    from cortexsim.kernel.lanes import Lanes, _aligned

    every = {w: Lanes(model(w.areas, w.trials), range(w.trials), (), (), np.dtype(dtype), DT) for w in WORKLOADS}
    couple = next(iter(every.values()))._advance.py_func.__globals__["couple"]

    @njit(error_model="numpy", fastmath=maths.FLAGS)
    def product(buf, weights, gathered, n_blocks, n_areas, by_trial, repeats):
        for _ in range(repeats):
            couple(buf, 0, weights, gathered, n_blocks, n_areas, by_trial)

    def seconds(work: Workload) -> float:
        lanes = every[work]
        updates = work.areas * (lanes.width if lanes.by_trial else 1)
        repeats = max(1, size.bytes_read // 2**3 // updates // work.areas)
        gathered = _aligned((lanes.blocks * lanes.width,), lanes.dtype)
        arguments = lanes._buffer.ravel(), lanes._weights, gathered, lanes.blocks, work.areas, lanes.by_trial
        return cpu_seconds(lambda: product(*arguments, repeats)) / repeats / updates

    return in_turn(max(size.rounds, 3), {work: lambda work=work: seconds(work) for work in WORKLOADS})


def machine_limit(work: Workload, dtype: str, limits: Limits) -> tuple[float, float]:
    """Return ns per node-update of the multiply-adds, and of reading the weights, at the machine's best."""
    item = np.dtype(dtype).itemsize
    size = work.areas**2 * item
    cache = next((b for b in limits.read if size <= b), max(limits.read))
    # One run reads each weight for one node-update; in a batch a weight that has been read serves 64 bytes of trials.
    sharing = 1 if work.trials == 1 else min(work.trials, 64 // item)
    return 1e9 * work.areas * min(limits.fma), 1e9 * work.areas * min(limits.read[cache]) / sharing


# --- The report ------------------------------------------------------------------------------------------------------


def millions(work: int, seconds: Sequence[float]) -> list[float]:
    """Return millions of node-updates per second."""
    return [work / s / 1e6 for s in seconds]


def measure(
    size: Size, asked: dict[tuple[str, str], Callable[..., dict[str, object]]]
) -> dict[Workload, dict[str, tuple[int, int, list[float]]]]:
    """Return for each workload and program: trials, steps, and millions of node-updates per CPU second by round."""
    measured = {}
    for k, work in enumerate(WORKLOADS):
        runs, what = {}, {}
        for dtype in PRECISIONS:
            for noise in (True, False):
                name = f"cortexsim, {dtype}" + ("" if noise else ", noise off")
                what[name] = work.trials, max(10, work.steps // size.shorter)
                how = {"dtype": dtype, "noise": noise}
                runs[name] = lambda what=what[name], how=how, work=work: cpu_seconds(
                    lambda: simulate(work.areas, *what, **how)
                )
        for (peer, dtype), ask in asked.items():
            trials, steps = PEERS[peer].runs[k]
            name = f"{peer}, {dtype}"
            what[name] = trials, max(10, steps // size.shorter)
            runs[name] = lambda what=what[name], ask=ask, work=work: ask(
                areas=work.areas, trials=what[0], steps=what[1], noise=True
            )["cpu"]
        times = in_turn(size.rounds, runs)
        measured[work] = {
            name: (*what[name], millions(work.areas * what[name][0] * what[name][1], times[name])) for name in runs
        }
    return measured


def measure_call(size: Size) -> dict[Workload, list[float]]:
    """Return the CPU seconds of a run of one step: checking, laying out, labelling."""
    runs = {w: lambda w=w: cpu_seconds(lambda: simulate(w.areas, w.trials, 1, every=DT)) for w in WORKLOADS}
    return in_turn(3 * size.rounds, runs)


def measure_threads(size: Size) -> dict[int, list[float]]:
    """Return the wall-clock seconds of 64 x 40 areas on one thread and on two, in turn."""
    work = next(w for w in WORKLOADS if (w.areas, w.trials) == (40, 64))
    steps = max(10, work.steps // size.shorter)
    runs = {t: lambda t=t: wall_seconds(lambda: simulate(work.areas, work.trials, steps, threads=t)) for t in (1, 2)}
    return in_turn(size.rounds, runs)


def report(size: Size, quick: bool, folder: Path | None) -> str:
    """Measure everything, and return it as Markdown."""
    here = machine()
    with ExitStack() as stack:
        weights = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "weights.npz"
        np.savez(weights, **{str(n): c.fln.to_numpy() for n, c in CORTEX.items()})
        present = [name for name in PEERS if folder and (folder / name / "bin" / "python").exists()]
        asked = {
            (name, dtype): stack.enter_context(started(name, folder, weights, dtype))
            for name in present
            for dtype in PEERS[name].precisions
        }
        agreed = agreement(size, asked)
        limits = {dtype: measure_limits(size, dtype) for dtype in PRECISIONS}
        products = {dtype: measure_products(size, dtype) for dtype in PRECISIONS}
        wall, cpu = time.perf_counter(), sum(os.times()[:4])
        measured = measure(size, asked)
    # The processes of the others have ended: their time counts as that of children.
    share = (sum(os.times()[:4]) - cpu) / (time.perf_counter() - wall)
    call, threads = measure_call(size), measure_threads(size)

    aims, bounds, rows = [], [], []
    for work, programs in measured.items():
        for k, dtype in enumerate(PRECISIONS):
            ours, quiet = (programs[f"cortexsim, {dtype}{noise}"] for noise in ("", ", noise off"))
            _, steps, ms = ours
            met = statistics.median(ms) >= work.aims[k]
            exp, normal = 1e9 * min(limits[dtype].exp), 1e9 * min(limits[dtype].normal)
            multiply, weights = machine_limit(work, dtype, limits[dtype])
            most = 1e3 / (max(multiply, weights) + exp + normal)
            aims.append([str(work), dtype, str(work.aims[k]), spread(ms), "yes" if met else "no"])
            aims[-1] += [f"{most:.0f}", f"{statistics.median(ms) / most:.0%}"]
            ns = [1e3 / m for m in ms]
            noise = [n - 1e3 / m for n, m in zip(ns, quiet[2], strict=True)]
            one_call = 1e9 * statistics.median(call[work]) / (work.areas * work.trials * steps)
            parts = [one_call, 1e9 * min(products[dtype][work]), exp, normal]
            parts += [statistics.median(ns) - sum(parts), multiply, weights]
            bounds.append([str(work), dtype, spread(ns), spread(noise), *(f"{part:.2f}" for part in parts)])
        for name, (trials, steps, ms) in programs.items():
            dtype = name.split(", ")[1]
            ratio = spread(ratios(programs[f"cortexsim, {dtype}"][2], ms))
            rows.append([str(work), name, f"{trials} x {steps}", spread(ms), ratio])
    speed = []
    for dtype in PRECISIONS:
        at, item = limits[dtype], np.dtype(dtype).itemsize
        speed.append(
            [
                dtype,
                spread([2e-9 / t for t in at.fma], 0),
                *(spread([item * 1e-9 / t for t in at.read[b]], 0) for b in at.read),
                spread([1e9 * t for t in at.exp], 2),
                spread([1e9 * t for t in at.normal], 2),
            ]
        )
    absent = [name for name in PEERS if name not in present]
    parts = [
        "# The reduced Wong-Wang model with additive noise",
        f"Machine: {here}.",
        *(["**A quick run: too short for its numbers to mean anything.**"] if quick else []),
        f"Millions of node-updates (areas x trials x steps) per CPU second of whole calls on one core, models made "
        f"and compiled before: medians (smallest-largest) of {size.rounds} rounds in which all take turns. Steps of "
        f"{DT:g} ms, every tenth kept; trials of a batch have their own coupling and noise. Meanwhile the benchmark "
        f"got {share:.0%} of a core: below 100% others used the machine too, which slows it beyond the waiting.",
        "## Aims",
        table(["workload", "precision", "at least", "measured", "met", "this machine's limit", "reached"], aims),
        "The aims were set for a core with AVX-512 registers of 64 bytes. The limit adds up the larger of "
        "multiply-adds and reading weights, one exp and one normal of the table below, each at its best here.",
        "## What bounds it, ns per node-update",
        table(
            [
                "workload",
                "precision",
                "measured",
                "of it noise",
                "call",
                "product",
                "exp",
                "normal",
                "the rest",
                "multiply-adds",
                "reading weights",
            ],
            bounds,
        ),
        "Each part by itself, over and over: a call of one step (checking, laying out, labelling: "
        f"{', '.join(f'{spread(s, scale=1e3)} ms for {w}' for w, s in call.items())}), the long-range product of the "
        "kernel, one exp, one normal. The rest is the other arithmetic of a step and waiting between the parts. The "
        "product takes a multiply-add per source area, at best at the rate of sums that stay in registers, and reads a "
        "weight per source area (in a batch per block of 64 bytes of trials), at best as fast as the smallest of the "
        "arrays below that holds the matrix. These two overlap.",
        "## The machine, one core",
        table(
            [
                "precision",
                "multiply-add (GFLOP/s)",
                *(f"read {b // 1024} KB (GB/s)" for b in limits["float64"].read),
                "exp (ns)",
                "normal (ns)",
            ],
            speed,
        ),
        "## Two threads against one, 64 x 40 areas, float64, wall clock",
        table(
            ["one thread (s)", "two threads (s)", "one over two, pair by pair"],
            [[spread(threads[1], 2), spread(threads[2], 2), spread(ratios(threads[1], threads[2]), 2)]],
        ),
        "## Beside others",
        table(
            [
                "workload",
                "program",
                "trials x steps",
                "million node-updates per CPU s",
                "cortexsim over this, pair by pair",
            ],
            rows,
        ),
        *(f"- {name}: {PEERS[name].differs}." for name in present),
        *([f"Not measured, as not installed: {', '.join(absent)} (`requirements-peers.txt`)."] if absent else []),
    ]
    if agreed:
        parts += [
            "## Agreement, noise off",
            table(["program", "steps", "range of S over areas", "largest difference", "may be"], agreed),
            "Gating of all areas after those steps, from a start that differs between areas. For neurolib it is that "
            "of the excitatory population, with the inhibition of it switched off.",
        ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the benchmark and print its report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help=f"virtual environments named {', '.join(PEERS)}")
    parser.add_argument("--quick", action="store_true", help="a tiny size, to see that it runs")
    parser.add_argument("--write", action="store_true", help=f"write the report to {RESULTS.name} too")
    chosen = parser.parse_args()
    if chosen.quick and chosen.write:
        parser.error("--write keeps full runs only; leave --quick out")
    if chosen.peers and not chosen.peers.is_dir():
        parser.error(f"--peers must be a folder, but {chosen.peers} is none")
    text = report(QUICK if chosen.quick else FULL, chosen.quick, chosen.peers)
    print(text, end="")
    if chosen.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
