"""Fig. 3 of Soo, Goudar and Wang (NeurIPS 2023): how far modified dynamics are from the true ones, by the skip theta.

    python benchmarks/dasc_figure3.py --write                  # two hours on two cores
    python benchmarks/dasc_figure3.py --write --steps 400      # as many steps as the paper's text has, not its program
    python benchmarks/dasc_figure3.py --small                  # a minute: brief tasks, few networks

Networks learn under CD, SCTT or DASC with a fixed theta, and beta = .5. Those that rank from 10 to 90 percent under
their modified dynamics are then run in 200 trials under the modified and under the true dynamics. Mismatch is the mean
square of the difference of their rates, a mean of the means over each epoch, divided by the mean square of the true
rates. The noise of the two runs is independent, as in the paper, whose mismatch it puts a floor under; the same; or
none. Under CD, whose time steps are others, there is no same noise, and the true rates are taken at its times.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dasc_runs
import numpy as np
import xarray as xr
from measuring import table

from cortexsim import rnn, tasks

NAME = "dasc_figure3"
METHODS = ("CD", "SCTT", "DASC")
NOISE = {"independent": "independent noise", "common": "the same noise", "none": "no noise"}
BETA = 0.5
FULL = {"networks": 10, "steps": 4000, "every": 100, "tasks": ["dgo", "danti", "msddm", "dmc"]}
FULL["theta"] = [5, 10, 20, 30, 40]
SMALL = {"networks": 3, "steps": 20, "every": 20, "tasks": ["dgo"], "theta": [5, 20]}


@dataclass(frozen=True)
class Mismatch:
    """What one network does under the modified and the true dynamics; NaN where something is not finite."""

    task: str
    method: str
    theta: int
    network: int
    modified: float
    true: float
    mismatch: dict[str, float]


def cells(chosen: argparse.Namespace) -> Iterator[dasc_runs.Cell]:
    """Yield the cells."""
    for name in chosen.tasks:
        task = tasks.by_name(name)
        task = dasc_runs.shortened(task) if chosen.small else task
        for theta in chosen.theta:
            for method in chosen.methods:
                yield dasc_runs.Cell(
                    task, f"{method}{theta}", dasc_runs.rule(f"{method}{theta}", BETA, not chosen.paper)
                )


def compare(outcome: dasc_runs.Outcome, n: int) -> list[Mismatch]:
    """Return what the middle ranks of the networks do under both dynamics."""
    cell, network = outcome.cell, outcome.network
    if outcome.history is None or outcome.parameters is None:
        return []
    seed, step = outcome.settings.seed + 1, outcome.step
    rule = cell.rule
    modified, true = (
        rnn.evaluate(network, cell.task, outcome.parameters, under, trials=n, seed=seed, step=step)
        for under in (rule, rnn.BPTT())
    )
    diverged = outcome.history.diverged.notnull().values
    modified[diverged] = math.nan
    out = len(modified) // 10
    found = []
    for k in np.sort(np.argsort(np.nan_to_num(modified, nan=-1.0), kind="stable")[out : len(modified) - out]):
        one = outcome.parameters.select([k])
        mismatch = {noise: math.nan if diverged[k] else distance(network, one, cell, n, seed, noise) for noise in NOISE}
        method = cell.arm.rstrip("0123456789")
        theta = int(cell.arm.removeprefix(method))
        found.append(Mismatch(cell.task.name, method, theta, int(k), float(modified[k]), float(true[k]), mismatch))
    return found


def distance(network: rnn.Network, one: rnn.Parameters, cell: dasc_runs.Cell, n: int, seed: int, noise: str) -> float:
    """Return the mismatch of one network."""
    scale = cell.rule.time_scale
    if noise == "common" and scale > 1:
        return math.nan

    def rates(rule: rnn.Rule, seed_of_noise: int) -> tuple[np.ndarray, np.ndarray]:
        trials = cell.task.trials(n, seed=seed, dt=network.dt * rule.time_scale, jitter=False)
        found: xr.Dataset = rnn.run(network, one, trials, rule, seed=seed_of_noise, noise=noise != "none")
        return found.rates.values[0], trials.borders

    other = seed + 1 if noise == "independent" else seed
    (modified, borders), (true, whole) = rates(cell.rule, seed), rates(rnn.BPTT(), other)
    errors, sizes = [], []
    for epoch in range(len(borders) - 1):
        a, b = modified[:, borders[epoch] : borders[epoch + 1]], true[:, whole[epoch] : whole[epoch + 1]]
        # The state after each step of CD belongs to the last of the steps it spans
        b = b[:, scale - 1 :: scale][:, : a.shape[1]]
        with np.errstate(over="ignore", invalid="ignore"):
            errors.append(float(np.mean(np.square(a[:, : b.shape[1]] - b, dtype=np.float64))))
            sizes.append(float(np.mean(np.square(b, dtype=np.float64))))
    return float(np.mean(errors) / np.mean(sizes)) if np.mean(sizes) > 0 else math.nan


def mean(values: Sequence[float]) -> str:
    """Return 'mean (median)' of the finite values, and how many are not."""
    finite = [v for v in values if math.isfinite(v)]
    lost = f", {len(values) - len(finite)} not finite" if 0 < len(finite) < len(values) else ""
    return f"{np.mean(finite):.2g} ({np.median(finite):.2g}{lost})" if finite else "-"


def report(found: Sequence[Mismatch], notes: Sequence[str], chosen: argparse.Namespace) -> str:
    """Return the tables of the cells that are done."""

    def rows(value: str) -> list[list[str]]:
        out = []
        for method in chosen.methods:
            row = [method]
            for theta in chosen.theta:
                these = [m for m in found if (m.method, m.theta) == (method, theta)]
                row.append(mean([m.modified - m.true if value == "" else m.mismatch[value] for m in these]))
            out.append(row)
        return out

    columns = ["method", *(f"theta {theta}" for theta in chosen.theta)]
    parts = [
        "# Modified against true dynamics: Fig. 3 of Soo, Goudar and Wang (NeurIPS 2023)",
        dasc_runs.described(chosen),
        f"Tasks: {', '.join(chosen.tasks)}. beta {BETA}. {chosen.trials} trials. Mean and, in brackets, median over "
        "the networks that rank from 10 to 90 percent, of all tasks.",
    ]
    for noise, words in NOISE.items():
        parts += [f"## Mismatch over the mean square of the true rates, {words}", table(columns, rows(noise))]
    parts += ["## Performance under the modified dynamics minus that under the true ones", table(columns, rows(""))]
    if notes:
        parts += ["## Trainings that diverged", "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def lines(found: Sequence[Mismatch]) -> list[dict[str, object]]:
    """Return one line per network."""
    return [
        {"task": m.task, "method": m.method, "theta": m.theta, "network": m.network}
        | {"performance_modified": round(m.modified, 4), "performance_true": round(m.true, 4)}
        | {f"mismatch_{noise}": float(f"{m.mismatch[noise]:.4g}") for noise in NOISE}
        for m in found
    ]


def draw(found: Sequence[Mismatch], chosen: argparse.Namespace, path: Path) -> None:
    """Draw panels B, with independent noise and without, and C."""
    from matplotlib.figure import Figure

    from cortexsim.plot import styled

    with styled():
        figure = Figure(figsize=(8.4, 2.8), layout="constrained", dpi=150)
        axes = figure.subplots(1, 3)
        for method, colour in zip(METHODS, ("#0072B2", "#E69F00", "#009E73"), strict=True):
            for ax, value in zip(axes, ("independent", "none", ""), strict=True):
                points = []
                for theta in chosen.theta:
                    these = [m for m in found if (m.method, m.theta) == (method, theta)]
                    values = [m.modified - m.true if value == "" else m.mismatch[value] for m in these]
                    finite = [v for v in values if math.isfinite(v)]
                    points.append(np.percentile(finite, (50, 25, 75)) if finite else (math.nan,) * 3)
                middle, low, high = np.transpose(points)
                ax.plot(chosen.theta, middle, ".-", color=colour, label=method)
                ax.fill_between(chosen.theta, low, high, color=colour, alpha=0.2, lw=0.0)
        for ax, name in zip(
            axes, ("Mismatch, independent noise", "Mismatch, no noise", "Difference in performance"), strict=True
        ):
            ax.set(xlabel="theta (steps)", ylabel=name)
        for ax in axes[:2]:
            ax.set_yscale("log")
        axes[0].legend()
        figure.savefig(path)


def main() -> None:
    """Train all cells, compare the dynamics and print the report."""
    options = dasc_runs.parser(__doc__ or "", NAME)
    options.add_argument("--tasks", nargs="+", help="dgo danti msddm dmc; the paper: all 16 of `tasks.DASC16`")
    options.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help=" ".join(METHODS))
    options.add_argument("--theta", nargs="+", type=int, help="5 10 20 30 40")
    options.add_argument("--trials", type=int, default=200, help="to compare the dynamics in (200)")
    chosen = dasc_runs.parse(options, NAME, FULL, SMALL)
    chosen.trials = min(chosen.trials, 40) if chosen.small else chosen.trials
    settings = dasc_runs.settings_of(chosen, goal=None)
    found: list[Mismatch] = []
    notes: list[str] = []
    for cell in cells(chosen):
        print(f"{cell.name} ...", flush=True)
        outcome = dasc_runs.train(cell, settings)
        if outcome.stopped != "steps":
            notes.append(f"{cell.name}: {outcome.stopped}; taken as it was after step {outcome.step}")
        elif outcome.history is not None and (lost := int(outcome.history.diverged.notnull().sum())):
            notes.append(f"{cell.name}: {lost} of {settings.networks} networks")
        these = compare(outcome, chosen.trials)
        found += these
        for noise, words in NOISE.items():
            print(f"  mismatch, {words}: {mean([m.mismatch[noise] for m in these])}", flush=True)
        print(f"  CPU {outcome.cpu:.1f} s, {1e3 * outcome.cpu / max(outcome.step, 1):.1f} ms a step", flush=True)
        if chosen.write:
            dasc_runs.write(chosen.results, NAME, report(found, notes, chosen), {"": lines(found)})
    print("\n" + report(found, notes, chosen))
    if chosen.write:
        draw(found, chosen, chosen.results / f"{NAME}.png")


if __name__ == "__main__":
    main()
