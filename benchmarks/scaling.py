"""Time and memory of a step against the number of areas and the density of their connections.

    python benchmarks/scaling.py            # minutes; prints the tables
    python benchmarks/scaling.py --write    # the same, and into benchmarks/results/
    python benchmarks/scaling.py --quick    # seconds; shows that it runs, its numbers say little

The reduced Wong-Wang model with noise on synthetic connectomes, float64, one thread. The kernel keeps the weights of
dense networks as a table and those of sparse ones as a list; here both are made to run everywhere, in turn, so that one
sees where they cross. CPU time of a step is that of a run less that of a run of one step, per step.
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
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from measuring import cpu_seconds, in_turn, machine, ratios, spread, table

import cortexsim as cx

RESULTS = Path(__file__).parent / "results" / "scaling.md"
DT = 0.5  # ms
UPDATES = 150e6  # node-updates and connections read in one run, about
TRIALS = 8
WAYS = {"table": 0.0, "list": 2.0}  # share of connections below which the kernel makes a list


@dataclass(frozen=True)
class Size:
    """Which networks are run, how often, and how much shorter than usual."""

    areas: tuple[int, ...]
    densities: tuple[float, ...]
    areas_by_density: int
    large: tuple[tuple[int, float], ...]
    rounds: int
    shorter: float


FULL = Size(
    areas=(50, 100, 200, 400, 800, 1600),
    densities=(0.01, 0.03, 0.1, 0.2, 0.4, 0.64, 1.0),
    areas_by_density=400,
    large=((1000, 0.05), (2000, 0.05), (5000, 0.02), (10000, 0.01), (20000, 0.0025), (20000, 0.005)),
    rounds=3,
    shorter=1,
)
QUICK = Size(areas=(10, 20), densities=(0.1, 1.0), areas_by_density=20, large=((50, 0.1),), rounds=1, shorter=1000)


def network(n_areas: int, density: float) -> cx.Model:
    """Return the model on a synthetic connectome."""
    return cx.Model(cx.synthetic_connectome(n_areas, seed=1, density=density), cx.circuits.ReducedWongWang())


def measure(size: Size, model: cx.Model, trials: int) -> dict[str, list[float]]:
    """Return the CPU microseconds of a step and trial, as a table and as a list, one per round."""
    from cortexsim.kernel import lanes

    n = len(model.areas)
    steps = max(10, int(UPDATES / size.shorter / trials / (20 * n + n * n)))

    def seconds(way: str, steps: int) -> float:
        share = WAYS[way]
        with mock.patch.multiple(lanes, _SPARSE_BY_AREA=share, _SPARSE_BY_TRIAL=share):
            return cpu_seconds(
                lambda: cx.simulate(
                    model, duration=steps * DT, every=steps * DT, trials=trials, threads=1, progress=False
                )
            )

    runs = {way: lambda way=way: (seconds(way, steps + 1) - seconds(way, 1)) * 1e6 / steps / trials for way in WAYS}
    return in_turn(size.rounds, runs)


def chosen_way(model: cx.Model, trials: int) -> str:
    """Return which of the two the kernel takes when it is left to choose."""
    from cortexsim import plan
    from cortexsim.kernel.lanes import Lanes

    run = plan.check(model, None, DT, DT, trials, 0, True, DT, None, "float64", None, 1)
    return "list" if Lanes(model, run.trials, (), run.record, run.dtype, DT)._listed else "table"


_FRESH_PROCESS = """
import json, resource, sys, time
import cortexsim as cx
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
n, density, steps = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
small = cx.Model(cx.synthetic_connectome(10, seed=1), cx.circuits.ReducedWongWang())
cx.simulate(small, duration=.5, every=.5, progress=False, threads=1)
first, start = peak(), time.process_time()
model = cx.Model(cx.synthetic_connectome(n, seed=1, density=density), cx.circuits.ReducedWongWang())
made, connectome = time.process_time(), peak()
cx.simulate(model, duration=.5, every=.5, progress=False, threads=1)
called, begun = peak(), time.process_time()
result = cx.simulate(model, duration=.5, every=.5, progress=False, threads=1)
one = time.process_time()
cx.simulate(model, duration=.5 * (steps + 1), every=.5 * (steps + 1), progress=False, threads=1)
many = time.process_time()
step = ((many - one) - (one - begun)) / steps
matrix = 8 * n**2
print(json.dumps([model.connectome.n_connections, made - start, one - begun, step, first, matrix, connectome, called]))
"""


def measure_large(size: Size) -> list[list[str]]:
    """Return rows for large sparse networks, each in a fresh process: its peak memory is its own."""
    rows = []
    for n, density in size.large:
        steps = max(10, int(UPDATES / size.shorter / (20 * n + density * n * n)))
        done = subprocess.run(
            [sys.executable, "-c", _FRESH_PROCESS, str(n), str(density), str(steps)],
            check=True,
            capture_output=True,
            text=True,
        )
        connections, made, call, step, first, matrix, connectome, called = json.loads(done.stdout)
        gigabytes = [f"{b / 1e9:.2f}" for b in (matrix, connectome - first, called - first)]
        rows.append(
            [
                f"{n}",
                f"{density:g}",
                f"{connections}",
                f"{step * 1e6:.0f}",
                f"{step * 1e9 / connections:.2f}",
                f"{made:.1f}",
                f"{call:.2f}",
                *gigabytes,
            ]
        )
    return rows


def compared(size: Size, networks: list[tuple[int, float]], trials: int) -> list[list[str]]:
    """Return a row for each network: both ways, which is the faster, which the kernel takes."""
    rows = []
    for n, density in networks:
        model = network(n, density)
        times = measure(size, model, trials)
        faster = ratios(times["table"], times["list"])
        connections = model.connectome.n_connections
        rows.append(
            [
                f"{n}",
                f"{density:g}",
                f"{connections}",
                spread(times["table"], 2),
                f"{1e3 * statistics.median(times['table']) / n**2:.3f}",
                spread(times["list"], 2),
                f"{1e3 * statistics.median(times['list']) / connections:.3f}",
                spread(faster, 2),
                chosen_way(model, trials),
            ]
        )
    return rows


def report(size: Size, quick: bool) -> str:
    """Measure everything, and return it as Markdown."""
    here = machine()
    # First: a process is born with the peak of the one that starts it, which is still small.
    large = measure_large(size)
    columns = [
        "areas",
        "density",
        "connections",
        "table (us)",
        "of it ns per pair of areas",
        "list (us)",
        "of it ns per connection",
        "table over list, pair by pair",
        "the kernel takes",
    ]
    by_areas = [(n, 0.64) for n in size.areas]
    by_density = [(size.areas_by_density, d) for d in size.densities]
    parts = [
        "# A step against the number of areas and of connections",
        f"Machine: {here}.",
        *(["**A quick run: too short for its numbers to mean anything.**"] if quick else []),
        f"The reduced Wong-Wang model with noise, float64, one thread, synthetic connectomes. CPU time of a step and "
        f"trial: medians (smallest-largest) of {size.rounds} rounds in which table and list take turns.",
        "## Number of areas, one trial",
        table(columns, compared(size, by_areas, 1)),
        "## Density, one trial",
        table(columns, compared(size, by_density, 1)),
        f"## Density, {TRIALS} trials side by side",
        table(columns, compared(size, by_density, TRIALS)),
        "## Large sparse networks, one trial, a process each",
        table(
            [
                "areas",
                "density",
                "connections",
                "step (us)",
                "ns per connection",
                "connectome made (s)",
                "a call beside its steps (s)",
                "one matrix of all pairs (GB)",
                "peak with the connectome (GB)",
                "peak with the run (GB)",
            ],
            large,
        ),
        "Memory is beyond that of a process which has run ten areas. Up to 2000 areas a synthetic connectome holds "
        "tables of all pairs (FLN, SLN, distance), above it lists its connections.",
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
