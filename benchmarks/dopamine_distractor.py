"""Who wins, target or distractor, by dopamine and strength of the distractor: a sweep of the 40-area cortex.

    python benchmarks/dopamine_distractor.py            # five minutes on two cores; prints the tables
    python benchmarks/dopamine_distractor.py --write    # the same, and into benchmarks/results/ with the grid as CSV
    python benchmarks/dopamine_distractor.py --quick    # seconds; shows that it runs, its numbers say little

The working-memory trial of Froudist-Walsh et al. 2021 (5 s, noise on) with a distractor to E2 of V1, on a grid of
dopamine and the distractor's current. Points times trials are lanes of the kernel. First one process and two worker
processes run a part of the grid in turn, one kernel thread each, and must return the same bits; each ratio is of two
neighbours in time, wall clock. Then two workers run the whole grid.
"""

from __future__ import annotations

import os

# Before NumPy is imported, which reads them then.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from measuring import in_turn, machine, spread, table, wall_seconds

import cortexsim as cx
from cortexsim.sweeps import Simulation, sweep

RESULTS = Path(__file__).parent / "results" / "dopamine_distractor.md"
DOPAMINE = (0.6, 2.4)  # range of the axis
DISTRACTOR = (0.0, 190.0)  # pA
EVERY = 50.0  # ms
OUTCOMES = ("target", "distractor", "none")
POPULATIONS = {"target": 1, "distractor": 2, "none": 0}  # as cx.analysis.held_item numbers them


@dataclass(frozen=True)
class Size:
    """Values of each axis, and of dopamine in the part that is timed in turn; trials per point; shortening."""

    values: int
    part: int
    trials: int
    shorter: float
    rounds: int


FULL = Size(values=20, part=3, trials=8, shorter=1, rounds=3)
QUICK = Size(values=2, part=1, trials=2, shorter=2, rounds=1)


def who_wins(result: xr.Dataset) -> xr.Dataset:
    """Return the fraction of trials in which target, distractor or neither is held in the last half second."""
    last = float(result.attrs["duration_ms"])
    held = cx.analysis.held_item(result, (0.9 * last, last)).held
    shares = {name: (held == item).mean("trial") for name, item in POPULATIONS.items()}
    return xr.Dataset(shares).drop_vars([name for name in held.coords if name != "trial"], errors="ignore")


def experiment(size: Size) -> Simulation:
    """Return the trial; "distractor.amplitude" and "dopamine" are its axes."""
    trial = cx.working_memory(
        distractor=("V1", "E2_dendrite", 0.0),
        fixation=1000 / size.shorter,
        cue_duration=400 / size.shorter,
        delay=600 / size.shorter,
        distractor_duration=400 / size.shorter,
        second_delay=2600 / size.shorter,
    )
    model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    return Simulation(model, who_wins, trial, trials=size.trials, every=EVERY, record=("r_E1", "r_E2"), threads=1)


def report(size: Size, quick: bool) -> tuple[str, xr.Dataset]:
    """Measure everything; return the report and the grid."""
    header = f"Machine: {machine()}."
    simulation = experiment(size)
    axes = {
        "dopamine": np.linspace(*DOPAMINE, size.values).round(6),
        "distractor.amplitude": np.linspace(*DISTRACTOR, size.values).round(6),
    }
    part = axes | {"dopamine": axes["dopamine"][:: max(1, size.values // size.part)][: size.part]}
    trials = {"part": size.part * size.values * size.trials, "whole": size.values**2 * size.trials}
    found: dict[int, xr.Dataset] = {}

    def run(workers: int, grid: dict[str, np.ndarray]) -> Callable[[], None]:
        def once() -> None:
            found[workers] = sweep(simulation, grid, workers=workers, progress=False)

        return once

    times = in_turn(size.rounds, {n: lambda n=n: wall_seconds(run(n, part)) for n in (1, 2)})
    if not found[1].identical(found[2]):
        raise SystemExit("One process and two workers must return the same, but do not.")
    efficiency = [one / two / 2 for one, two in zip(times[1], times[2], strict=True)]
    whole = wall_seconds(run(2, axes))
    grid = found[2]
    rows = [
        [
            f"{'one process' if n == 1 else 'two workers'}, part of the grid",
            f"{trials['part']}",
            spread(times[n]),
            spread([trials["part"] / t for t in times[n]]),
        ]
        for n in (1, 2)
    ]
    rows.append(["two workers, whole grid", f"{trials['whole']}", f"{whole:.1f}", f"{trials['whole'] / whole:.1f}"])
    shown = grid.isel({"distractor.amplitude": slice(None, None, max(1, size.values // 5))})
    amplitudes = shown["distractor.amplitude"].values
    winners = [
        [f"{dopamine:.2f}", *(_told(shown.sel({"dopamine": dopamine, "distractor.amplitude": a})) for a in amplitudes)]
        for dopamine in shown.dopamine.values
    ]
    duration = simulation.stimulus.duration / 1000
    parts = [
        f"# Dopamine x distractor: a sweep of {size.values} x {size.values} points, {size.trials} trials each"
        + (" (quick: the numbers say little)" if quick else ""),
        header,
        f"`python benchmarks/dopamine_distractor.py`: {duration:g} s trials of `FroudistWalsh2021` on 40 areas, "
        "dt 0.5 ms, noise on, float64, one kernel thread in each process. Medians, smallest and largest in brackets.",
        "## Speed, wall clock",
        table(["run", "trials", "s", "trials per second"], rows),
        f"Two workers against one, part of the grid: {spread([2 * e for e in efficiency], 2)} times as fast, an "
        f"efficiency of {spread(efficiency, 2)}. Both return the same bits.",
        "## Who is held at the end",
        "Share of trials: target / distractor / none, by dopamine (rows) and the distractor's current in pA. An item "
        "is held by the areas whose rate exceeds its baseline by over 5 Hz and the other item, and wins if it is held "
        "by more areas than the other. The target's current is 100 pA; all points see the same noise. "
        "dopamine_distractor.csv has the whole grid.",
        table(["dopamine", *(f"{a:g} pA" for a in amplitudes)], winners),
    ]
    return "\n\n".join(parts) + "\n", grid


def _told(point: xr.Dataset) -> str:
    return " / ".join(f"{float(point[name]):.2f}".rstrip("0").rstrip(".") for name in OUTCOMES)


def main() -> None:
    """Run the benchmark and print its report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", "--small", action="store_true", help="a tiny size, to see that it runs")
    parser.add_argument("--write", action="store_true", help=f"write the report to {RESULTS.name} too, and the grid")
    chosen = parser.parse_args()
    if chosen.quick and chosen.write:
        parser.error("--write keeps full runs only; leave --quick out")
    text, grid = report(QUICK if chosen.quick else FULL, chosen.quick)
    print(text, end="")
    if chosen.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")
        grid[list(OUTCOMES)].to_dataframe()[list(OUTCOMES)].to_csv(RESULTS.with_suffix(".csv"), lineterminator="\n")


if __name__ == "__main__":
    main()
