"""Table 1 of Soo, Goudar and Wang (NeurIPS 2023): training steps to learn tasks with delays, by method.

    python benchmarks/dasc_table1.py --write                      # five hours on two cores
    python benchmarks/dasc_table1.py --write --hold 2000 --steps 12000    # shorter stages than the paper's: two hours
    python benchmarks/dasc_table1.py --tasks dgo --stages 1 5 10 --beta 0.2 0.5 0.8     # all nine settings
    python benchmarks/dasc_table1.py --small                      # a minute: brief tasks, few networks

A cell of the table is a task and a method; all its networks see the same trials. It ends when the mean performance of
the networks that rank from 10 to 90 percent, under the true dynamics, reaches .99, or at the last step allowed. Ten
networks take 35 ms (dgo, danti) to 48 ms (msddm, dmc) a step: at most 23 to 32 minutes a cell. With several settings of
the schedule a cell of the table is its best, as in the paper. Killed, the script goes on from the checkpoints in
`--folder`; run again with more steps allowed, it goes on from its end.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import dasc_runs
from measuring import table

from cortexsim import rnn, tasks

NAME = "dasc_table1"
ARMS = ("control", "CD10", "SCTT10", "SCTT40", "DASC10", "DASC40")
PAPER = {  # training steps / 10,000, by arm as above; None: failed within 40,000
    "dmc": (0.196, 0.251, 1.089, 0.907, 0.244, 0.343),
    "dnmc": (0.203, 0.282, 1.089, 0.916, 0.252, 0.558),
    "dnms": (1.167, 1.311, 1.269, 1.299, 0.993, 1.065),
    "dms": (1.324, 1.079, 1.293, 1.282, 1.469, 1.041),
    "ddmd": (1.900, 1.465, 1.270, 1.018, 1.757, 1.059),
    "ddm": (2.413, 2.030, 1.283, 1.088, 2.129, 1.055),
    "msddm": (3.434, 2.096, 1.269, 1.071, 2.196, 1.121),
    "danti": (None, None, 1.268, 1.088, None, 1.005),
    "dgo": (None, None, 1.106, 1.268, None, 1.003),
}
FULL = {"networks": 10, "steps": 40_000, "every": 50}
SMALL = {"networks": 3, "steps": 60, "every": 20, "hold": 30}


def cells(chosen: argparse.Namespace) -> Iterator[dasc_runs.Cell]:
    """Yield the cells; those without an end in sight come last within a task."""
    for name in chosen.tasks:
        task = tasks.by_name(name)
        task = dasc_runs.shortened(task) if chosen.small else task
        for arm in sorted(chosen.arms, key=lambda arm: arm == "control"):
            if arm == "control":
                yield dasc_runs.Cell(task, arm, rnn.BPTT())
                continue
            for stages in chosen.stages:
                for beta in chosen.beta if not arm.startswith("CD") else chosen.beta[:1]:
                    rule = dasc_runs.rule(arm, beta, not chosen.paper)
                    coarse = isinstance(rule, rnn.CD)
                    annealed = rnn.Annealing(rule, stages, chosen.hold, anew=coarse and not chosen.paper)
                    setting = f"n {stages}" + ("" if coarse else f", beta {beta:g}") + f", hold {annealed.hold}"
                    yield dasc_runs.Cell(task, arm, annealed, setting)


def steps_table(outcomes: Sequence[dasc_runs.Outcome], chosen: argparse.Namespace) -> str:
    """Return the table as the paper has it."""
    rows = []
    for name in chosen.tasks:
        row = [name]
        for arm in chosen.arms:
            found = [o for o in outcomes if (o.cell.task.name, o.cell.arm) == (tasks.by_name(name).name, arm)]
            reached = [o.step for o in found if o.stopped == "goal"]
            best = max((float(dasc_runs.row(o).get("mean_10_90", 0)) for o in found), default=0.0)
            known = PAPER.get(tasks.by_name(name).name, ())
            paper = known[ARMS.index(arm)] if known and arm in ARMS else 0.0
            quoted = "" if paper == 0.0 else f" [{'failed' if paper is None else f'{paper:.3f}'}]"
            mine = "not yet" if not found else f"{min(reached) / 1e4:.3f}" if reached else f"failed ({best:.3f})"
            row.append(mine + quoted)
        rows.append(row)
    return table(["task", *chosen.arms], rows)


def report(outcomes: Sequence[dasc_runs.Outcome], chosen: argparse.Namespace) -> str:
    """Return the tables of the cells that are done."""
    outcomes = sorted(outcomes, key=lambda o: chosen.arms.index(o.cell.arm))
    outcomes.sort(key=lambda o: [tasks.by_name(name).name for name in chosen.tasks].index(o.cell.task.name))
    columns, shares = dasc_runs.solved_over_steps(outcomes)
    parts = [
        "# Learning tasks with delays: Table 1 of Soo, Goudar and Wang (NeurIPS 2023)",
        dasc_runs.described(chosen),
        "## Training steps / 10,000",
        "Until the mean performance of the networks that rank from 10 to 90 percent reaches .99; failed: not within "
        f"{chosen.steps} steps, with that mean at the end. In square brackets the paper: 100 networks, 40,000 steps, "
        "the best of nine settings.",
        steps_table(outcomes, chosen),
        "With annealing, most such numbers are the end of a stage and some steps: the networks had learnt the task "
        "under the modified dynamics before. So a schedule of shorter stages gives smaller ones.",
        "## Cells",
        table(dasc_runs.DETAILS, [dasc_runs.details(o) for o in outcomes]),
        dasc_runs.NOTES,
        "## Share of the networks that have solved the task, by training step",
        table(columns, shares),
        "*: training had ended.",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Train all cells and print the report."""
    options = dasc_runs.parser(__doc__ or "", NAME)
    options.add_argument("--tasks", nargs="+", default=["dgo", "danti", "msddm", "dmc"], help="dgo danti msddm dmc")
    options.add_argument("--arms", nargs="+", default=list(ARMS), help=" ".join(ARMS))
    options.add_argument("--stages", nargs="+", type=int, default=[1], help="n of the schedule: 1; the paper: 1 5 10")
    options.add_argument("--beta", nargs="+", type=float, default=[0.5], help="beta_0: .5; the paper: .2 .5 .8")
    options.add_argument("--hold", type=int, help="steps of a stage; the paper's: 10 floor(2000 / (n + 1))")
    chosen = dasc_runs.parse(options, NAME, FULL, SMALL)
    settings = dasc_runs.settings_of(chosen)
    dasc_runs.run(cells(chosen), settings, chosen, NAME, report)


if __name__ == "__main__":
    main()
