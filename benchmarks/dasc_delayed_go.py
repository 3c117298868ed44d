"""Do skip connections help to learn delayed go? Networks trained with DASC40, and with plain backpropagation.

    python benchmarks/dasc_delayed_go.py                    # an hour on two cores; prints the table
    python benchmarks/dasc_delayed_go.py --write            # the same, and into benchmarks/results/
    python benchmarks/dasc_delayed_go.py --small            # a minute: an easier task, few networks

Networks as in the program of Soo, Goudar and Wang (NeurIPS 2023): 50 units, 20 trials a step, Adam. DASC mixes every 40
steps with beta = .5 for `--hold` training steps, then the true dynamics go on. A network has solved the task at the
first evaluation under the true dynamics with a performance of .99. Training goes on from the checkpoints in `--folder`.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
from measuring import machine, table

import cortexsim.tasks as tasks
from cortexsim import rnn

RESULTS = Path(__file__).parent / "results" / "dasc_delayed_go.md"
SOLVED = 0.99
PLATEAU = 0.84  # fixates, responds, at random angles: 4/5 + 1/5 * .2


def interval(hits: int, of: int) -> str:
    """Return 'hits/of (low-high)', Wilson's 95 % interval."""
    z = 1.96
    share, denominator = hits / of, 1 + z**2 / of
    middle = (share + z**2 / (2 * of)) / denominator
    half = z * math.sqrt(share * (1 - share) / of + z**2 / (4 * of**2)) / denominator
    return f"{hits}/{of} ({max(middle - half, 0):.2f}-{min(middle + half, 1):.2f})"


def arms(chosen: argparse.Namespace) -> dict[str, rnn.Rule | rnn.Annealing]:
    """Return what is compared."""
    skip = 10 if chosen.small else 40
    return {"control": rnn.BPTT(), f"DASC{skip}": rnn.Annealing(rnn.DASC(skip, 0.5), stages=1, hold=chosen.hold)}


def report(chosen: argparse.Namespace) -> str:
    """Train all arms and return what came out."""
    task = tasks.DelayedGo()
    if chosen.small:
        durations = {"fixation": 100.0, "stimulus": 100.0, "delay": 100.0, "response": 200.0}
        task = tasks.DelayedGo(warmup=100.0, jitter=25.0, grace=50.0, **durations)
    network = rnn.Network.for_task(task, released=True)
    curves, rows = [], []
    for name, rule in arms(chosen).items():
        chosen.folder.mkdir(parents=True, exist_ok=True)
        begun = time.process_time()
        found = rnn.train(
            network,
            task,
            rnn.initialise(network, chosen.networks, seed=chosen.seed),
            rule,
            steps=chosen.steps,
            seed=chosen.seed,
            evaluate_every=chosen.every,
            goal=None,
            checkpoint=chosen.folder / f"{name}-{chosen.networks}-{chosen.seed}.npz",
            diverged="drop",
            progress=True,
        )
        cpu = time.process_time() - begun
        # A network that diverged has failed
        performance = found.history.performance.fillna(0.0).values
        ever = np.maximum.accumulate(performance, axis=0) >= SOLVED
        steps = found.history.step.values
        firsts = [str(steps[k.argmax()]) if k.any() else "never" for k in ever.T]
        final = performance[-1]
        collapsed = (ever[-1] & (final < 0.95)).sum()
        rows.append(
            [
                name,
                interval(int(ever[-1].sum()), len(final)),
                ", ".join(firsts),
                f"{rnn.trimmed_mean(final):.4f}",
                ", ".join(f"{p:.3f}" for p in final),
                str(int(((final > PLATEAU - 0.02) & (final < PLATEAU + 0.02)).sum())),
                str(int(collapsed)),
                str(int(found.history.diverged.notnull().sum())),
                f"{cpu:.0f}",
            ]
        )
        shown = np.unique(np.linspace(0, len(steps) - 1, 9).astype(int))
        curves.append((name, steps[shown], ever[shown].mean(axis=1)))
    columns = ["arm", "ever solved (95 %)", "first solved at", "mean, ranks 10-90 %", "final", "at chance", "collapsed"]
    columns += ["diverged", "CPU s in this run"]
    lines = [
        "# Delayed go: plain backpropagation against DASC",
        "",
        f"{chosen.networks} networks of {network.units} units, {chosen.steps} steps of 20 trials"
        f"{', small' if chosen.small else ''}; {chosen.hold} steps at beta = .5; evaluated every {chosen.every} steps "
        f"on 200 trials under the true dynamics with noise; solved at {SOLVED}. Seed {chosen.seed}. {machine()}",
        "",
        "## Networks",
        "",
        table(columns, rows),
        "",
        f"At chance: within .02 of {PLATEAU}, what a network gets that fixates and responds at random angles. "
        f"Collapsed: solved once, and below .95 at the end. Diverged: left out from there on, and counts as 0.",
        "",
        "## Share that has solved the task",
        "",
        table(
            ["step", *(name for name, _, _ in curves)],
            [[str(step), *(f"{share[k]:.2f}" for _, _, share in curves)] for k, step in enumerate(curves[0][1])],
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--networks", type=int, help="in each arm (12; small: 3)")
    parser.add_argument("--steps", type=int, help="at most (8000; small: 400)")
    parser.add_argument("--hold", type=int, help="training steps at beta = .5 (2000; small: 200)")
    parser.add_argument("--every", type=int, help="training steps between evaluations (100; small: 50)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("dasc_delayed_go"), help="of the checkpoints")
    parser.add_argument("--small", action="store_true", help="a minute: shows that it runs, and little more")
    parser.add_argument("--write", action="store_true", help=f"write the report to {RESULTS.name} too")
    chosen = parser.parse_args()
    if chosen.small and chosen.write:
        parser.error("--write keeps full runs only; leave --small out")
    for name, full, small in (("networks", 12, 3), ("steps", 8000, 400), ("hold", 2000, 200), ("every", 100, 50)):
        if getattr(chosen, name) is None:
            setattr(chosen, name, small if chosen.small else full)
    text = report(chosen)
    print(text)
    if chosen.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
