"""Table 2 of Soo, Goudar and Wang (NeurIPS 2023): rule reversal, with and without strategic skip connections.

    python benchmarks/dasc_table2.py --write           # three and a half hours on two cores: 30 minutes a cell
    python benchmarks/dasc_table2.py --small           # a minute: a brief task, few networks

Networks learn five trials in a row whose rule changes without notice, for a given number of training steps; annealing
takes the first half. A strategic skip goes over each trial. Under SCTT and DASC its beta is that of their schedule. The
authors' program leaves it at 1 for control and CD, where it then does nothing; here they have one of their own,
`--strategic-beta`, which goes to 1 in two stages as that of CD10 and DASC40 does.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import dasc_runs
from measuring import table

from cortexsim import rnn, tasks

NAME = "dasc_table2"
ARMS = {"control": (1, 0.5), "CD10": (1, 0.5), "SCTT40": (10, 0.8), "DASC40": (1, 0.5)}
"""n and beta_0 of the schedule, those of the paper's runs; the control has a schedule with a strategic skip only."""
PAPER = {"control": (0.67, 0.76), "CD10": (0.19, 0.25), "SCTT40": (0.71, 0.81), "DASC40": (0.71, 0.78)}
FULL = {"networks": 10, "steps": 10_000, "every": 100}
SMALL = {"networks": 2, "steps": 20, "every": 10}


def cells(chosen: argparse.Namespace) -> Iterator[dasc_runs.Cell]:
    """Yield the cells."""
    task: tasks.Task = tasks.RuleReversal()
    task = dasc_runs.shortened(task) if chosen.small else task
    for strategic in (False, True):
        for arm in chosen.arms:
            stages, beta = ARMS[arm]
            rule = dasc_runs.rule(arm, beta, not chosen.paper)
            setting = []
            if strategic:
                own = beta if isinstance(rule, rnn.SCTT | rnn.DASC) else chosen.strategic_beta
                rule = rnn.Strategic(rule, own)
                setting.append(f"beta_s {own:g}")
            if isinstance(rule, rnn.BPTT):
                yield dasc_runs.Cell(task, arm, rule)
                continue
            hold = chosen.steps // 2 // (stages + 1)
            hold = max(1, hold // 10 * 10 or hold)
            coarse = arm.startswith("CD")
            schedule = rnn.Annealing(rule, stages, hold, anew=coarse and not chosen.paper)
            skips = isinstance(dasc_runs.rule(arm), rnn.SCTT | rnn.DASC)
            setting[:0] = [f"n {stages}", *([f"beta {beta:g}"] if skips else []), f"hold {hold}"]
            yield dasc_runs.Cell(task, arm + ("+strategic" if strategic else ""), schedule, ", ".join(setting))


def solved_table(outcomes: Sequence[dasc_runs.Outcome], chosen: argparse.Namespace) -> str:
    """Return the table as the paper has it."""
    rows = []
    for arm in chosen.arms:
        for k, name in enumerate((arm, f"{arm}+strategic")):
            found = next((dasc_runs.row(o) for o in outcomes if o.cell.arm == name), None)
            if found is None or "solved" not in found:
                rows.append([name, "not yet" if found is None else found["stopped"], "", "", f"{PAPER[arm][k]:.2f}"])
                continue
            end, of = found["solved_at_the_end"], found["networks"]
            low, high = dasc_runs.wilson(end, of)
            ever = dasc_runs.share(found["solved"], of, found["low"], found["high"])
            rows.append(
                [name, dasc_runs.share(end, of, low, high), ever, f"{found['mean_10_90']:.3f}", f"{PAPER[arm][k]:.2f}"]
            )
    return table(["arm", "solved at the end (95 %)", "ever solved (95 %)", "mean, ranks 10-90 %", "paper"], rows)


def report(outcomes: Sequence[dasc_runs.Outcome], chosen: argparse.Namespace) -> str:
    """Return the tables of the cells that are done."""
    columns, shares = dasc_runs.solved_over_steps(outcomes)
    parts = [
        "# Rule reversal: Table 2 of Soo, Goudar and Wang (NeurIPS 2023)",
        dasc_runs.described(chosen),
        "## Networks that solve it",
        "The paper's column: the share of 100 networks; its control and CD10 had no strategic skip in effect.",
        solved_table(outcomes, chosen),
        "## Cells",
        table(dasc_runs.DETAILS, [dasc_runs.details(o) for o in outcomes]),
        dasc_runs.NOTES,
        "## Share of the networks that have solved the task, by training step",
        table(columns, shares),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Train all cells and print the report."""
    options = dasc_runs.parser(__doc__ or "", NAME)
    options.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help=" ".join(ARMS))
    options.add_argument("--strategic-beta", type=float, default=0.5, help="of control and CD (.5)")
    chosen = dasc_runs.parse(options, NAME, FULL, SMALL)
    settings = dasc_runs.settings_of(chosen, trials=8 if chosen.small else 40, goal=None)
    dasc_runs.run(cells(chosen), settings, chosen, NAME, report)


if __name__ == "__main__":
    main()
