"""Activity-silent memory and what a neutral ping reads out of it, by dopamine, after Fig. 4 of the paper.

Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H, Palomero-Gallagher N, Wang X-J
(2021). A dopamine gradient controls access to distributed working memory in the large-scale monkey cortex. Neuron
109:3500-3520, doi 10.1016/j.neuron.2021.08.024.

With short-term plasticity, the synapses of cells that have fired stay facilitated for a second or two. At low dopamine
no activity outlasts the cue, but a ping, the same current to both populations of V1, brings the cue back throughout the
frontoparietal network. A distractor before the ping overwrites this silent trace. At middle dopamine the memory is
active, and the ping reads out the cue although the distractor came last. At high dopamine memory is silent again.

It prints a table and writes froudistwalsh2021_ping.png to the working directory, or to --out FOLDER. Seconds; the very
first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx
from cortexsim.analysis.memory import FRONTOPARIETAL
from cortexsim.protocols import TO_V1, delayed_ping

TASKS = {"Cue, ping": delayed_ping(), "Cue, distractor, ping": delayed_ping(distractors=TO_V1[1:])}
DOPAMINE = np.round(np.linspace(0.0, 3.0, 13), 2)
SHOWN = (0.5, 1.5)
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#999999"


def main(out: Path = Path()) -> None:
    """Run both tasks at all levels of dopamine, print what is read out, and write the figure into the folder `out`."""
    results = {name: simulate(task) for name, task in TASKS.items()}
    readouts = {name: cx.analysis.ping_readout(result).swap_dims(trial="dopamine") for name, result in results.items()}
    for name, readout in readouts.items():
        print(f"{name}: rates at the ping (Hz, 12 areas), and the item read out (1 cue, 2 distractor)")
        table = readout.mean_rate.to_pandas().assign(item=readout.held.to_pandas())
        print(table.to_string(float_format="%.2f"), end="\n\n")

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "froudistwalsh2021_ping.png"
    with cx.plot.styled():
        draw(results, readouts).savefig(picture)
    print(f"Wrote {picture}")


def simulate(task: cx.Schedule) -> xr.Dataset:
    """Simulate one trial per level of dopamine without noise."""
    circuit = cx.circuits.FroudistWalsh2021Plasticity(dopamine=DOPAMINE)
    model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    record = ("r_E1", "r_E2", "facilitation1", "depression1", "facilitation2", "depression2")
    return cx.simulate(model, task, trials=len(DOPAMINE), noise=False, record=record)


def draw(results: dict[str, xr.Dataset], readouts: dict[str, xr.Dataset]) -> Figure:
    """Return the figure, one row per task: activity and efficacy over time at two levels, and the read-out at all."""
    figure = Figure(figsize=(10.5, 5.0), dpi=150, layout="constrained")
    axes = figure.subplots(2, 4, width_ratios=(1, 1, 1, 1.1))
    for row, (name, task) in zip(axes, TASKS.items(), strict=True):
        trials = results[name].swap_dims(trial="dopamine").sel(time=slice(10_600, 14_200))
        cortex = trials.sel(area=list(FRONTOPARIETAL)).mean("area")
        for ax, level in zip(row, SHOWN, strict=False):
            for k, color, label in ((1, BLUE, "E1"), (2, VERMILION, "E2")):
                ax.plot(cortex.time / 1000, cortex[f"r_E{k}"].sel(dopamine=level), color=color, label=label)
            ax.set(title=f"Dopamine {level:g}", ylabel="Rate, 12 areas (Hz)", ylim=(-0.5, 26))
        efficacy = row[2]
        for k, color in ((1, BLUE), (2, VERMILION)):
            ux = (trials[f"facilitation{k}"] * trials[f"depression{k}"]).sel(area="LIP", dopamine=SHOWN[0])
            efficacy.plot(trials.time / 1000, ux / ux[0], color=color, label=f"E{k}")
        efficacy.set(title=f"Dopamine {SHOWN[0]:g}", ylabel="Efficacy of synapses of LIP", ylim=(0.5, 2.3))
        for ax in row[:3]:
            shade(ax, task)
            ax.set(xlabel="Time (s)", xlim=(10.6, 14.2))
        rates = readouts[name].mean_rate
        for k, color, label in ((1, BLUE, "E1, the cue"), (2, VERMILION, "E2, the distractor")):
            row[3].plot(rates.dopamine, rates.sel(item=k), "o-", markersize=3, color=color, label=label)
        row[3].set(title=name, xlabel="Dopamine", ylabel="Rate at the ping, 12 areas (Hz)", ylim=(-0.5, 19))
    axes[0, 0].legend(loc="upper right")
    axes[0, 3].legend(loc="upper left")
    return figure


def shade(ax, task: cx.Schedule) -> None:
    """Mark when the stimuli are on: the cue, the distractor, and the ping in grey."""
    for epoch in task.epochs:
        if epoch.currents:
            color = GREY if len(epoch.currents) > 1 else BLUE if epoch.name == "cue" else VERMILION
            start, stop = task.window(epoch.name)
            ax.axvspan(start / 1000, stop / 1000, color=color, alpha=0.2, linewidth=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
