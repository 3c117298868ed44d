"""What a training step of a hybrid costs, over the cortex and the network by themselves.

    python benchmarks/hybrid_training.py            # minutes; prints the table
    python benchmarks/hybrid_training.py --write    # the same, and into benchmarks/results/
    python benchmarks/hybrid_training.py --quick    # one circuit, few trials; its numbers say little

A network of 50 units (time step 5 ms) stands in for area 46d and learns a delayed response; the cortex goes on in steps
of .5 ms. A step is a batch of trials through warm-up and task, and the gradient, in float32 with noise. Beside it the
same trials are simulated without a network (`simulate`, which records every 50 ms), and the network learns alone (the
passes of `train`, its input from the task). All take turns on one thread; times are CPU times. With `open_loop` and the
network read out, credit need not pass the cortex; with area 8m read out it does, and with `full` it also comes back.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from measuring import cpu_seconds, in_turn, machine, ratios, spread, table

import cortexsim as cx
from cortexsim import rnn, tasks
from cortexsim.circuits.circuit import Circuit

RESULTS = Path(__file__).parent / "results" / "hybrid_training.md"
AIM = 1.5
AREA, UNITS, INHIBITORY, STEP = "46d", 50, 10, 0.5


@dataclass(frozen=True)
class Cortex:
    """A circuit, its connectome, the inputs of V1 that cues drive, and an area to read besides."""

    circuit: Circuit
    connectome: str
    inputs: tuple[str, str]
    amplitude: float
    far: str

    def model(self) -> cx.Model:
        """Return the model."""
        maps = getattr(cx.gradients, self.connectome)()
        return cx.Model(cx.load_connectome(self.connectome), self.circuit, maps)


CORTICES = (
    Cortex(cx.circuits.Chaudhuri2015(), "macaque29", ("E", "I"), 100.0, "8m"),
    Cortex(cx.circuits.MejiasWang2022(), "macaque30", ("A", "B"), 0.3, "8m"),
    Cortex(cx.circuits.FroudistWalsh2021(), "macaque40", ("E1_dendrite", "E2_dendrite"), 100.0, "8m"),
)


def measure(cortex: Cortex, task: tasks.Task, trials: int, rounds: int) -> list[list[str]]:
    """Return a row for each kind of credit: milliseconds of the hybrid and of its parts, and the ratio."""
    model = cortex.model()
    names = zip(("cue_A", "cue_B"), cortex.inputs, strict=True)
    drives = tuple(cx.Drive(channel, "V1", name, cortex.amplitude) for channel, name in names)
    network = rnn.Network(inputs=1, outputs=0, units=UNITS, inhibitory=(UNITS - INHIBITORY, UNITS))
    alone = rnn.Network.for_task(task, units=UNITS, inhibitory=(UNITS - INHIBITORY, UNITS), input_units=None)
    weights, rule = rnn.initialise(alone), rnn.BPTT()
    batch = task.trials(trials, dt=network.dt, jitter=False)
    duration = (batch.warmup + batch.steps) * network.dt
    kinds = {"open_loop": ("open_loop", AREA), "open_loop, far": ("open_loop", cortex.far), "full": ("full", AREA)}
    with alone.passes("float32", 1) as single:
        runs = {
            "cortex": lambda: cx.simulate(
                model, duration=duration, dt=STEP, trials=trials, dtype="float32", every=50.0, threads=1, progress=False
            ),
            "network": lambda: single.gradients(weights, batch, rule),
        }
        for kind, (credit, read) in kinds.items():
            hybrid = cx.embed(model, {AREA: network}, task=task, drives=drives, readout=read, step=STEP)
            passes = hybrid.passes("float32", 1, credit)
            runs[kind] = lambda hybrid=hybrid, passes=passes: passes.gradients(hybrid.stack, batch, rule)
        times = in_turn(rounds, {name: lambda run=run: cpu_seconds(run) for name, run in runs.items()})
    both = [a + b for a, b in zip(times["cortex"], times["network"], strict=True)]
    told = f"{type(cortex.circuit).__name__}, {len(model.areas)} areas"
    return [
        [
            told, kind, f"{kinds[kind][1]}", spread(times[kind], 1, 1e3), spread(times["cortex"], 1, 1e3),
            spread(times["network"], 1, 1e3), spread(ratios(times[kind], both), 2),
        ]
        for kind in kinds
    ]  # fmt: skip


def report(quick: bool) -> str:
    """Measure everything; return the report."""
    header = f"Machine: {machine()}."
    brief = {"warmup": 50.0, "fixation": 50.0, "cue": 50.0, "delay": 100.0, "response": 100.0, "jitter": 0.0}
    task = tasks.DelayedResponse(**brief) if quick else tasks.DelayedResponse(distractor=250.0)
    trials, rounds = (8, 2) if quick else (32, 7)
    rows = [row for cortex in CORTICES[: 1 if quick else None] for row in measure(cortex, task, trials, rounds)]
    columns = ["circuit", "credit", "read-out", "hybrid, ms", "cortex, ms", "network, ms", "over the sum"]
    parts = [
        "# A training step of a hybrid" + (" (quick: the numbers say little)" if quick else ""),
        header,
        f"`python benchmarks/hybrid_training.py`: {trials} trials of {task.name}, {UNITS} units in {AREA}; "
        "CPU time on one thread, medians, smallest and largest in brackets. Over the sum of cortex and network the aim "
        f"is at most {AIM}.",
        table(columns, rows),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure, print, and write the table if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="seconds; shows that it runs")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}, too")
    chosen = parser.parse_args()
    if chosen.quick and chosen.write:
        raise SystemExit("Option --write keeps the numbers of a full run; leave out --quick.")
    text = report(chosen.quick)
    print(text)
    if chosen.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
