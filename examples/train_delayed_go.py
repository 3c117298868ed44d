"""Two small networks learn to look where a stimulus was, after a delay: backpropagation with skip connections.

The task is delayed go of Yang GR et al. (2019). Task representations in neural networks trained to perform many
cognitive tasks. Nat Neurosci 22:297-306, doi 10.1038/s41593-018-0310-2. The method is DASC of Soo WWM, Goudar V, Wang
X-J (2023). Training biologically plausible recurrent neural networks on cognitive tasks with long-term dependencies.
NeurIPS 36.

A stimulus shows a direction, a delay follows, and when the fixation input goes off the network must answer with the
direction. Here everything is short, so that it takes seconds: the delay is 150 ms and rings have 8 units. Until step
800 the state is mixed every 10 steps with the one before, taken ahead to now, which gives the gradient a short way back
through the delay; then the true dynamics go on. benchmarks/dasc_delayed_go.py learns the task at its full length.

It prints how learning went and writes train_delayed_go.png to the working directory, or to --out FOLDER. Seconds; the
very first run compiles and takes a minute.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cortexsim import rnn, tasks

SWITCH = 800  # training steps under the modified dynamics
BLUE, VERMILION = "#0072B2", "#D55E00"


def main(out: Path = Path()) -> None:
    """Train, print how it went, and write the figure into the folder `out`."""
    short = {"warmup": 50, "fixation": 50, "stimulus": 100, "delay": 150, "response": 150, "jitter": 25, "grace": 50}
    task = tasks.DelayedGo(ring=8, **short)
    network = rnn.Network.for_task(task, tau=50)
    training = rnn.train(
        network,
        task,
        rnn.initialise(network, networks=2, seed=0, scheme="normal"),
        rnn.Annealing(rnn.DASC(skip=10, beta=0.5), stages=1, hold=SWITCH),
        steps=1200,
        optimizer=rnn.Adam(learning_rate=0.01, clip_norm=1),
        goal=0.97,
    )
    for step, performance in zip(training.history.step.values, training.history.performance.values, strict=True):
        print(f"step {step:5d}   performance {'  '.join(f'{p:.3f}' for p in performance)}")

    trials = task.trials(200, seed=1, jitter=False)
    done = rnn.run(network, training.parameters, trials)
    answers = task.answers(done.outputs.transpose("network", "time", "trial", "output").values, trials)
    errors = np.degrees(np.abs(np.angle(np.exp(1j * (answers - trials.labels["answer"])))))
    print(f"Median error of the answers: {', '.join(f'{e:.0f}' for e in np.nanmedian(errors, axis=1))} degrees")

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "train_delayed_go.png"
    with matplotlib.rc_context({"font.size": 8.5, "legend.fontsize": 7.5, "legend.frameon": False}):
        draw(training.history, done.outputs.isel(network=0, trial=0), trials).savefig(picture)
    print(f"Wrote {picture}")


def draw(history, outputs, trials) -> Figure:
    """Return a figure: performance over training, and the outputs of one network in one trial."""
    figure = Figure(figsize=(7, 2.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, colour in enumerate((BLUE, VERMILION)):
        left.plot(history.step, history.performance.isel(network=k), ".-", color=colour, label=f"network {k}")
    left.axvline(SWITCH, color="#777777", lw=0.8, ls="--")
    left.set(xlabel="training step", ylabel="performance", ylim=(None, 1.02), title="under the true dynamics")
    left.legend(loc="lower right")
    image = right.imshow(
        outputs.values.T[::-1],
        aspect="auto",
        cmap="viridis",
        vmin=0,
        extent=(0, float(outputs.time[-1]), -0.5, len(outputs.output) - 0.5),
    )
    for border in trials.borders[1:-1]:
        right.axvline(border * trials.dt, color="white", lw=0.8, ls="--")
    right.set(xlabel="time (ms)", ylabel="output (0: fixation)", title="one trial of network 0")
    figure.colorbar(image, ax=right, label="output")
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the picture")
    main(parser.parse_args().out)
