"""Single trials with dopamine from a ventral tegmental area, as published and with its units corrected, after Fig. 6.

Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H, Palomero-Gallagher N, Wang X-J
(2021). A dopamine gradient controls access to distributed working memory in the large-scale monkey cortex. Neuron
109:3500-3520, doi 10.1016/j.neuron.2021.08.024.

The cortex drives dopamine cells of a VTA by weights c1 (of E1) and c2 (of E2). A stimulus whose weight is high raises
dopamine to a level at which it is held; one whose weight is low is gone when the next comes. Reward would change these
weights between trials. In the authors' program the background and the inhibition of the VTA are multiplied by 1e-9, by
a slip of a unit: dopamine then grows to 16. With the numbers of the paper's table the VTA fires at rest, but a memory
drives its inhibition, dopamine falls, and after the distractor nothing is held.

It prints a table and writes froudistwalsh2021_learning.png to the working directory, or to --out FOLDER. Seconds; the
very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx
from cortexsim.analysis.memory import FRONTOPARIETAL
from cortexsim.protocols import TO_V1, delayed_ping

TASK = delayed_ping(fixation=6000, distractors=TO_V1[1:], duration=13_000)
C1, C2 = (0.7, 1.0, 0.3), (1.0, 0.5, 1.0)  # weights on the VTA, one trial each
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"


def main(out: Path = Path()) -> None:
    """Run the trials, print what the ping reads out and what the VTA does, and write the figure."""
    results = {
        "Published": simulate("published", C1, C2),
        "Units corrected": simulate("corrected", C1[:1], C2[:1]),
    }
    for name, result in results.items():
        print(f"{name}:")
        print(table(result).to_string(float_format="%.2f"), end="\n\n")

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "froudistwalsh2021_learning.png"
    with cx.plot.styled():
        draw(results).savefig(picture)
    print(f"Wrote {picture}")


def simulate(units: str, c1: tuple[float, ...], c2: tuple[float, ...]) -> xr.Dataset:
    """Simulate one trial for each pair of weights, without noise."""
    circuit = cx.circuits.FroudistWalsh2021Learning(c_VTA1=c1, c_VTA2=c2, VTA_units=units)
    model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    record = ("r_E1", "r_E2", "r_VTA_DA", "r_VTA_GABA", "DA")
    return cx.simulate(model, TASK, trials=len(c1), noise=False, record=record)


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return rates at the ping, and the VTA at the onset of the distractor and at the end, per trial."""
    start, stop = TASK.window("ping")
    ping = result.sel(time=slice(start, stop - 1), area=list(FRONTOPARIETAL)).mean(("time", "area"))
    VTA = result.isel(area=0)
    return pd.DataFrame(
        {
            "c1": result.c_VTA1,
            "c2": result.c_VTA2,
            "E1 at the ping (Hz)": ping.r_E1,
            "E2 at the ping (Hz)": ping.r_E2,
            "dopamine at the distractor": VTA.DA.sel(time=TASK.onset("distractor")),
            "at the end": VTA.DA.isel(time=-1),
            "dopamine cells (Hz)": VTA.r_VTA_DA.isel(time=-1),
            "GABA cells (Hz)": VTA.r_VTA_GABA.isel(time=-1),
        }
    )


def draw(results: dict[str, xr.Dataset]) -> Figure:
    """Return the figure, one column per trial: cortex, VTA and dopamine over time."""
    trials = [(name, result.isel(trial=k)) for name, result in results.items() for k in range(result.sizes["trial"])]
    figure = Figure(figsize=(2.6 * len(trials), 5.0), dpi=150, layout="constrained")
    axes = figure.subplots(3, len(trials), sharex=True, sharey="row")
    for (cortex, VTA, dopamine), (name, trial) in zip(axes.T, trials, strict=True):
        shown = trial.sel(time=slice(5000, 11_000))
        seconds, mean = shown.time / 1000, shown.sel(area=list(FRONTOPARIETAL)).mean("area")
        cortex.plot(seconds, mean.r_E1, color=BLUE, label="E1, the cue")
        cortex.plot(seconds, mean.r_E2, color=VERMILION, label="E2, the distractor")
        cortex.set_title(f"{name}\nc1 {float(trial.c_VTA1):g}, c2 {float(trial.c_VTA2):g}")
        VTA.plot(seconds, shown.r_VTA_DA.isel(area=0), color=GREEN, label="dopamine cells")
        VTA.plot(seconds, shown.r_VTA_GABA.isel(area=0), color=GREY, label="GABA cells")
        dopamine.plot(seconds, shown.DA.isel(area=0), color="black")
        dopamine.axhspan(0.96, 2.10, color=GREEN, alpha=0.2, linewidth=0)
        dopamine.set(xlabel="Time (s)", yscale="symlog")
        for ax in (cortex, VTA, dopamine):
            for epoch in TASK.epochs:
                if epoch.currents:
                    start, stop = TASK.window(epoch.name)
                    color = {"cue": BLUE, "distractor": VERMILION}.get(epoch.name, GREY)
                    ax.axvspan(start / 1000, stop / 1000, color=color, alpha=0.2, linewidth=0)
    for ax, label in zip(axes[:, 0], ("Rate, 12 areas (Hz)", "Rate in the VTA (Hz)", "Dopamine"), strict=True):
        ax.set_ylabel(label)
    axes[0, 0].set_ylim(-1, 34)
    axes[0, 0].legend(loc="upper left")
    axes[1, 0].legend(loc="upper left")
    axes[2, 0].text(5.1, 1.05, "range of memory without a VTA", color=GREEN, fontsize=7)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
