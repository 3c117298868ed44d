"""What the scripts for Soo, Goudar and Wang (NeurIPS 2023) share: to train a cell of a table, and to tell how it went.

A cell is a stack of networks that learn one task in one way. It is trained with a checkpoint in a folder of its own, so
a script that was killed goes on where it was, and one that has ended prints its tables again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from measuring import machine

from cortexsim import rnn, tasks
from cortexsim.analysis.outcomes import proportion
from cortexsim.rnn.solved import fraction_solved

RESULTS = Path(__file__).parent / "results"
SOLVED = 0.99


@dataclass(frozen=True)
class Cell:
    """One cell of a table: the arm, such as "DASC40", what is learnt and how, and the setting of the schedule."""

    task: tasks.Task
    arm: str
    rule: rnn.Rule | rnn.Annealing
    setting: str = ""

    @property
    def name(self) -> str:
        """For files and lines of progress."""
        words = (self.task.name, self.arm, *self.setting.replace(",", "").split())
        return "-".join(words).replace("+", "and")


@dataclass(frozen=True)
class Settings:
    """What all cells of a script share."""

    networks: int
    steps: int
    every: int
    trials: int
    evaluation_trials: int
    seed: int
    goal: float | None
    folder: Path
    released: bool
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a cell: the history and weights are None if it diverged before its first record."""

    cell: Cell
    network: rnn.Network
    settings: Settings
    history: xr.Dataset | None
    parameters: rnn.Parameters | None
    stopped: str
    cpu: float

    @property
    def step(self) -> int:
        """Training steps up to the last record."""
        return 0 if self.history is None else int(self.history.step[-1])


def rule(name: str, beta: float = 0.5, released: bool = True) -> rnn.Rule:
    """Return the rule that "control", "CD10", "SCTT40" or "DASC40" names."""
    if name == "control":
        return rnn.BPTT()
    found = re.fullmatch(r"(CD|SCTT|DASC)(\d+)", name)
    if found is None:
        raise SystemExit(f"An arm must be control, or CD, SCTT or DASC and a skip, as DASC40, but is {name!r}.")
    kind, skip = found[1], int(found[2])
    if kind == "CD":
        return rnn.CD(skip)
    return rnn.SCTT(skip, beta) if kind == "SCTT" else rnn.DASC(skip, beta, "released" if released else "exact")


def train(cell: Cell, settings: Settings) -> Outcome:
    """Train a cell, or go on with it, and tell how it goes."""
    network = rnn.Network.for_task(cell.task, released=settings.released)
    settings.folder.mkdir(parents=True, exist_ok=True)
    path = settings.folder / f"{cell.name}-{settings.networks}-{settings.seed}.npz"
    watch = Watch(cell.name, settings.steps, path.with_suffix(".json"))
    start = rnn.initialise(network, settings.networks, seed=settings.seed)

    def go(steps: int, callbacks: Sequence[Watch]) -> rnn.Training:
        return rnn.train(
            network,
            cell.task,
            start,
            cell.rule,
            steps=steps,
            trials=settings.trials,
            seed=settings.seed,
            evaluate_every=settings.every,
            evaluation_trials=settings.evaluation_trials,
            goal=settings.goal,
            checkpoint=path,
            checkpoint_every=settings.every,
            callbacks=callbacks,
            diverged="drop",
            threads=settings.threads,
        )

    try:
        found = go(settings.steps, [watch])
    except rnn.TrainingDiverged as error:
        stopped = f"all networks diverged, the last at step {error.step}"
        if not path.exists():
            return Outcome(cell, network, settings, None, None, stopped, watch.cpu)
        # The checkpoint is past step 1, so this returns it
        found = go(1, [])
        return Outcome(cell, network, settings, found.history, found.parameters, stopped, watch.cpu)
    return Outcome(cell, network, settings, found.history, found.parameters, found.stopped, watch.cpu)


class Watch:
    """Sums up the CPU time of a training, over interruptions too, and prints a line about it now and then."""

    def __init__(self, name: str, steps: int, file: Path) -> None:
        self.name, self.steps, self.file = name, steps, file
        self.spent: list[tuple[int, float]] = json.loads(file.read_text()) if file.exists() else []
        self.before: float | None = None
        self.began, self.told = (time.process_time(), time.monotonic()), time.monotonic()
        self.first = 0

    @property
    def cpu(self) -> float:
        """Seconds, without work that was lost."""
        return self.spent[-1][1] if self.spent else 0.0

    def __call__(self, now: rnn.Progress) -> None:
        """Take note of a record."""
        if self.before is None:
            self.spent = [(step, cpu) for step, cpu in self.spent if step < now.step]
            self.before, self.first = self.cpu, self.spent[-1][0] if self.spent else 0
        self.spent.append((now.step, round(self.before + time.process_time() - self.began[0], 3)))
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(self.spent))
        os.replace(part, self.file)
        if time.monotonic() - self.told > 30 or now.step >= self.steps:
            self.told = time.monotonic()
            per_step = (self.told - self.began[1]) / max(now.step - self.first, 1)
            reached = int((now.performance >= SOLVED).sum())
            print(
                f"  {self.name}: step {now.step} of at most {self.steps}, {reached} of {len(now.performance)} networks "
                f"at {SOLVED}, mean {rnn.trimmed_mean(now.performance):.3f}, loss {np.nanmean(now.loss):.4f}, "
                f"{1e3 * per_step:.1f} ms a step, at most {per_step * (self.steps - now.step) / 60:.0f} min left",
                flush=True,
            )


def flops_per_step(
    network: rnn.Network, task: tasks.Task, trials: int, time_scale: float = 1, every: int = 10
) -> float:
    """Return the FLOPs of a training step of one network, counted as the paper does.

    Products of weights with activity, 2 FLOPs for a multiply-add: recurrent, of the inputs and of the readout at each
    step, once forwards and twice backwards, forwards only in the warm-up; and an evaluation on 200 trials of the true
    dynamics every 10 steps. For dmc that makes 5.4e8; the paper's table implies 5.8e8.
    """
    into, out = (s.stop - s.start for s in (network.receiving, network.read))
    forward = 2 * (network.units**2 + into * network.inputs + network.outputs * out)

    def steps(dt: float) -> tuple[int, int]:
        batch = task.trials(1, dt=dt, jitter=False)
        return batch.steps, batch.warmup

    (long, warmup), (whole, whole_warmup) = steps(network.dt * time_scale), steps(network.dt)
    return float(forward * (trials * (3 * long + warmup) + 200 / every * (whole + whole_warmup)))


def flops(outcome: Outcome) -> float:
    """Return the FLOPs of a cell for each network."""
    if outcome.history is None:
        return 0.0
    history, total = outcome.history, 0.0
    lengths = np.diff(history.step.values, prepend=0)
    for scale in np.unique(history.time_scale):
        each = flops_per_step(outcome.network, outcome.cell.task, outcome.settings.trials, float(scale))
        total += each * float(lengths[history.time_scale.values == scale].sum())
    return total


def chance(task: tasks.Task) -> float | None:
    """Return what a network gets that fixates, responds in time, and at random angles; None where some trials hold."""
    if not isinstance(task, tasks.RingTask) or "match" in task.trials(1, jitter=False).labels:
        return None
    durations = [epoch.duration for epoch in task.epochs]
    return 1 - 0.8 * durations[-1] / sum(durations)


def row(outcome: Outcome) -> dict[str, Any]:
    """Return what is told of a cell."""
    cell, settings = outcome.cell, outcome.settings
    told: dict[str, Any] = {
        "task": cell.task.name,
        "arm": cell.arm,
        "setting": cell.setting,
        "networks": settings.networks,
        "steps": outcome.step,
        "stopped": outcome.stopped,
    }
    if outcome.history is None:
        return told
    found = fraction_solved(outcome.history, threshold=SOLVED)
    last, final = found.isel(step=-1), outcome.history.performance.isel(step=-1).values
    plateau = chance(cell.task)
    firsts = found.first.values[~np.isnan(found.first.values)]
    return told | {
        "mean_10_90": round(float(last["mean"]), 4),
        "solved": int(last.n),
        "low": round(float(last.low), 3),
        "high": round(float(last.high), 3),
        "solved_at_the_end": int((final >= SOLVED).sum()),
        "median_first_solved": "" if not firsts.size else float(np.median(firsts)),
        "at_chance": "" if plateau is None else int((abs(final - plateau) < 0.02).sum()),
        "collapsed": int(found.collapsed.sum()),
        "diverged": int(outcome.history.diverged.notnull().sum()),
        "cpu_s": round(outcome.cpu, 1),
        "cpu_ms_per_step": round(1e3 * outcome.cpu / outcome.step, 2),
        "flops_per_network": float(f"{flops(outcome):.4g}"),
    }


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of hits / of."""
    found = proportion(xr.DataArray(hits), xr.DataArray(of))
    return float(found.low), float(found.high)


def share(hits: int, of: int, low: float, high: float) -> str:
    """Return 'hits/of (low-high)'."""
    return f"{hits}/{of} ({low:.2f}-{high:.2f})"


DETAILS = (
    *("task", "arm", "setting", "steps", "stopped", "mean, ranks 10-90 %", "ever solved (95 %)", "solved at the end"),
    *("median first", "at chance", "collapsed", "diverged", "CPU s", "CPU ms a step", "FLOPs per network"),
)


def details(outcome: Outcome) -> list[str]:
    """Return a line of the table of all cells, with the columns `DETAILS`."""
    told = row(outcome)
    if outcome.history is None:
        return [str(told[k]) for k in ("task", "arm", "setting", "steps", "stopped")] + ["-"] * (len(DETAILS) - 5)
    return [
        *(str(told[k]) for k in ("task", "arm", "setting", "steps", "stopped")),
        f"{told['mean_10_90']:.3f}",
        share(told["solved"], told["networks"], told["low"], told["high"]),
        str(told["solved_at_the_end"]),
        *(str(told[k]) if told[k] != "" else "-" for k in ("median_first_solved", "at_chance")),
        str(told["collapsed"]),
        str(told["diverged"]),
        f"{told['cpu_s']:.0f}",
        f"{told['cpu_ms_per_step']:.1f}",
        f"{told['flops_per_network']:.2e}",
    ]


NOTES = (
    f"Evaluated on fresh trials under the true dynamics, with noise. A network has solved the task at the first "
    f"evaluation with a performance of {SOLVED}; Wilson's 95 % intervals. At chance: within .02 of what one gets that "
    f"fixates, responds in time, and at random angles. Collapsed: solved once, and below .94 at the end. Diverged: a "
    f"gradient was not finite; the network is left out from there on, and counts with a performance of 0. CPU time is "
    f"that of all threads and networks, evaluations and compiling included. FLOPs as the paper counts them: products "
    f"of weights with activity, forwards once and backwards twice, and an evaluation on 200 trials every 10 steps."
)


def solved_over_steps(outcomes: Sequence[Outcome], lines: int = 11) -> tuple[list[str], list[list[str]]]:
    """Return a table of the share of networks that have solved their task by training steps."""
    known = [o for o in outcomes if o.history is not None]
    longest, every = max((o.step for o in known), default=0), max((o.settings.every for o in known), default=1)
    grid = np.unique(np.linspace(0, longest / every, lines).round().astype(int))[1:] * every
    rows = []
    for outcome in known:
        found = fraction_solved(outcome.history, threshold=SOLVED)
        cells = []
        for step in grid:
            before = found.sel(step=found.step <= step)
            ended = step > outcome.step
            cells.append(
                "0" if not before.sizes["step"] else f"{float(before.fraction[-1]):.2f}" + ("*" if ended else "")
            )
        cell = outcome.cell
        rows.append([cell.task.name, cell.arm, cell.setting, *cells])
    return ["task", "arm", "setting", *map(str, grid)], rows


def curves(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return all records of all cells, one line each."""
    lines = []
    for outcome in outcomes:
        if outcome.history is None:
            continue
        history, cell = outcome.history, outcome.cell
        found = fraction_solved(history, threshold=SOLVED)
        for k, step in enumerate(history.step.values):
            lines.append(
                {
                    "task": cell.task.name,
                    "arm": cell.arm,
                    "setting": cell.setting,
                    "step": int(step),
                    "networks": history.sizes["network"],
                    "solved": int(found.n[k]),
                    "low": round(float(found.low[k]), 3),
                    "high": round(float(found.high[k]), 3),
                    "mean_10_90": round(float(found["mean"][k]), 4),
                    "diverged": int((history.diverged < step).sum()),
                    "loss": round(float(history.loss[k].mean()), 5),
                    "beta": round(float(history.beta[k]), 3),
                    "time_scale": int(history.time_scale[k]),
                }
            )
    return lines


def run(
    cells: Iterable[Cell],
    settings: Settings,
    chosen: argparse.Namespace,
    name: str,
    report: Callable[[Sequence[Outcome], argparse.Namespace], str],
) -> None:
    """Train all cells; tell of each, write the tables after each if that is chosen, and print the report."""
    outcomes: list[Outcome] = []
    for cell in cells:
        print(f"{cell.name} ...", flush=True)
        outcomes.append(train(cell, settings))
        told = row(outcomes[-1])
        print("  " + ", ".join(f"{key} {value}" for key, value in told.items() if value != ""), flush=True)
        if chosen.write:
            lines = {"": [row(o) for o in outcomes], "_curves": curves(outcomes)}
            write(chosen.results, name, report(outcomes, chosen), lines)
    print("\n" + report(outcomes, chosen))


def parser(documentation: str, name: str) -> argparse.ArgumentParser:
    """Return the options that the scripts share."""
    options = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--networks", type=int, help="in each cell")
    options.add_argument("--steps", type=int, help="training steps of a cell, at most")
    options.add_argument("--every", type=int, help="training steps between evaluations")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, help="by default one for each processor")
    options.add_argument(
        "--paper",
        action="store_true",
        help="the paper's equations where its authors' program differs: one time constant, exact DASC, Adam goes on",
    )
    options.add_argument("--folder", type=Path, help=f"of the checkpoints ({name}, or {name}_small)")
    options.add_argument("--small", action="store_true", help="a minute: shows that it runs, and little more")
    options.add_argument("--write", action="store_true", help="write the tables after each cell, too")
    options.add_argument("--results", type=Path, default=RESULTS, help="where to (benchmarks/results)")
    return options


def parse(
    options: argparse.ArgumentParser, name: str, full: dict[str, Any], small: dict[str, Any]
) -> argparse.Namespace:
    """Return the choices, with the defaults of the full or the small size where none was made."""
    chosen = options.parse_args()
    if chosen.small and chosen.write and chosen.results == RESULTS:
        options.error(
            "benchmarks/results/ keeps full runs only; leave --small out, or name another folder by --results"
        )
    for key, value in (full | small if chosen.small else full).items():
        if getattr(chosen, key) is None:
            setattr(chosen, key, value)
    if chosen.folder is None:
        chosen.folder = Path(f"{name}_small" if chosen.small else name)
    return chosen


def shortened(task: tasks.Task) -> tasks.Task:
    """Return a task of a fraction of a second, for the small size."""
    brief = {"warmup": 100.0, "jitter": 25.0, "grace": 50.0, "response": 250.0, "stimulus": 250.0}
    more = (
        {"fixation": 200.0, "delay": 300.0} if isinstance(task, tasks.RingTask) else {"feedback": 150.0, "wait": 150.0}
    )
    return replace(task, **brief, **more)


def settings_of(chosen: argparse.Namespace, **others: Any) -> Settings:
    """Return the settings that the options give."""
    given: dict[str, Any] = {
        "networks": chosen.networks,
        "steps": chosen.steps,
        "every": chosen.every,
        "trials": 20,
        "evaluation_trials": 40 if chosen.small else 200,
        "seed": chosen.seed,
        "goal": SOLVED,
        "folder": chosen.folder,
        "released": not chosen.paper,
        "threads": chosen.threads,
    }
    return Settings(**(given | others))


def described(chosen: argparse.Namespace) -> str:
    """Return what the networks are, in a sentence or two, and the machine."""
    form = (
        "as in the paper: one time constant, DASC with the derivative at the mixed state"
        if chosen.paper
        else "as in the authors' program: a fifth of the units has half the time constant, DASC takes the derivative "
        "of the step before, CD starts Adam anew at each stage"
    )
    small = ", small: the numbers say little" if chosen.small else ""
    return (
        f"{chosen.networks} networks of 50 units in each cell, {form}. At most {chosen.steps} training steps, "
        f"evaluated every {chosen.every}. Seed {chosen.seed}{small}. {machine()}."
    )


def write(folder: Path, name: str, text: str, lines: dict[str, list[dict[str, Any]]]) -> None:
    """Write a report and its CSV files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / f"{name}.md", text)
    for suffix, rows in lines.items():
        columns = list(dict.fromkeys(key for line in rows for key in line))
        part = folder / f".{name}{suffix}.part"
        with part.open("w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, columns, lineterminator="\n")
            out.writeheader()
            out.writerows(rows)
        os.replace(part, folder / f"{name}{suffix}.csv")


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
