"""Networks of 50 units learn to respond to a stimulus a second after it is gone, after Table 1 of the paper.

Soo WWM, Goudar V, Wang X-J (2023). Training biologically plausible recurrent neural networks on cognitive tasks with
long-term dependencies. NeurIPS 2023. The task, delayed go, is of Yang GR, Joglekar MR, Song HF, Newsome WT, Wang X-J
(2019), Nat Neurosci 22:297-306, doi 10.1038/s41593-018-0310-2.

Each unit has a time constant of 0.1 s or less, so the memory must be learnt, and its gradient fades over the delay.
Dynamics-adapted skip connections (DASC) tie the state to that of 40 steps before, half and half, for the first 2000
training steps; then they are taken away. What the networks have learnt by then they soon do without.

It prints who has solved the task when, and writes soo2023_delayed_go.png to the working directory, or to --out FOLDER.
A minute of CPU time: half of that on two cores, where the two networks are trained side by side. `--control` trains by
plain backpropagation instead: most networks then fixate, respond, and forget where.
"""

import argparse
from pathlib import Path

from cortexsim import rnn, tasks
from cortexsim.plot.training import training_report
from cortexsim.rnn.solved import fraction_solved


def main(out: Path = Path(), steps: int = 3000, control: bool = False) -> None:
    """Train two networks, print when each solves the task, and write the report into the folder `out`."""
    task = tasks.DelayedGo()
    network = rnn.Network.for_task(task, released=True)
    rule = rnn.BPTT() if control else rnn.Annealing(rnn.DASC(skip=40, beta=0.5), stages=1, hold=2000)
    start = rnn.initialise(network, 2, seed=0)
    found = rnn.train(network, task, start, rule, steps=steps, evaluate_every=100, goal=0.99, callbacks=[tell])

    solved = fraction_solved(found.history)
    for k, first in enumerate(solved["first"].values):
        print(f"Network {k}: {'not solved' if first != first else f'solved at step {first:.0f}'}")

    best = int(found.history.performance[-1].values.argmax())
    trials = task.trials(200, seed=1, jitter=False)
    shown = rnn.run(network, found.parameters.select([best]), trials)
    outputs = shown.outputs.isel(network=0).transpose("time", "trial", "output").values
    out.mkdir(parents=True, exist_ok=True)
    path = out / "soo2023_delayed_go.png"
    training_report(found.history, trials, outputs, title=f"Delayed go, {rule}; below, network {best}").savefig(path)
    print(f"\nWrote {path}")


def tell(now: rnn.Progress) -> None:
    """Say how training goes."""
    if now.step % 500 == 0:
        print(f"Step {now.step}: performance {' '.join(f'{p:.3f}' for p in now.performance)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the picture")
    parser.add_argument("--steps", type=int, default=3000, help="training steps, at most")
    parser.add_argument("--control", action="store_true", help="plain backpropagation through time")
    chosen = parser.parse_args()
    main(chosen.out, chosen.steps, chosen.control)
