"""Resistance to a distractor, by dopamine and by the strength of the distractor, after Figs. 3 and 5 of the paper.

Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H, Palomero-Gallagher N, Wang X-J
(2021). A dopamine gradient controls access to distributed working memory in the large-scale monkey cortex. Neuron
109:3500-3520, doi 10.1016/j.neuron.2021.08.024.

A cue excites E1 of V1, a distractor of the same length E2, 0.6 s after it. Without noise, a sweep over dopamine and the
strength of the distractor shows which of the two the cortex holds at the end. With noise, the outcome is a matter of
chance near the borders of memory, and certain in the middle: 12 trials at each level, under the same noise at all of
them, with 95 % confidence intervals.

It prints a table and writes froudistwalsh2021_distractor.png to the working directory, or to --out FOLDER. Seconds; the
very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx
from cortexsim.sweeps import Simulation, sweep

TASK = cx.working_memory(distractor=("V1", "E2_dendrite", 100.0))
DOPAMINE = np.linspace(0.8, 2.3, 16)
AMPLITUDES = np.linspace(20.0, 200.0, 10)  # pA
LEVELS = (0.75, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.1, 2.25)
TRIALS = 12
ITEMS = {0: "none", 1: "the cue", 2: "the distractor"}
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"


def main(out: Path = Path()) -> None:
    """Run the sweep and the trials with noise, print the table, and write the figure into the folder `out`."""
    model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    experiment = Simulation(model, item_at_the_end, TASK, noise=False, record=("r_E1", "r_E2"))
    grid = sweep(experiment, {"dopamine": DOPAMINE, "distractor.amplitude": AMPLITUDES}, progress=False)

    levels = np.repeat(LEVELS, TRIALS)
    noisy = cx.simulate(
        cx.Model(model.connectome, cx.circuits.FroudistWalsh2021(dopamine=levels), model.gradients),
        TASK,
        trials=[*range(TRIALS)] * len(LEVELS),
        record=("r_E1", "r_E2"),
        progress=False,
    )
    held = cx.analysis.held_item(noisy)
    table = shares(held.held)
    print(table.to_dataframe().fraction.unstack("item").to_string(float_format="%.2f"))

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "froudistwalsh2021_distractor.png"
    draw(grid, held, table).savefig(picture)
    print(f"\nWrote {picture}")


def item_at_the_end(result: xr.Dataset) -> int:
    """Return the item that more areas hold above 5 Hz at the last sample: 1, 2, or 0 for none."""
    end = result.isel(trial=0, time=-1)
    cue, distractor = (int((end[name] > 5).sum()) for name in ("r_E1", "r_E2"))
    return 0 if cue == distractor else 1 if cue > distractor else 2


def shares(held: xr.DataArray) -> xr.Dataset:
    """Return how often each item is held at the end, by dopamine, with Wilson's intervals."""
    by_item = [(held == item).groupby("dopamine").sum() for item in ITEMS]
    counts = xr.concat(by_item, xr.DataArray(list(ITEMS.values()), dims="item", name="item"))
    return cx.analysis.outcomes.proportion(counts, xr.full_like(counts, TRIALS))


def draw(grid: xr.Dataset, held: xr.Dataset, table: xr.Dataset) -> Figure:
    """Return the figure: what is held by dopamine and distractor, then how many areas hold it and how often."""
    with cx.plot.styled():
        figure = Figure(figsize=(10.0, 3.2), dpi=150, layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        cx.plot.phase_diagram(grid.value.T, names=ITEMS, ax=left)
        left.axhline(100, color="white", linewidth=0.8, linestyle=":")
        left.set(ylabel="Distractor (pA), cue 100 pA", xlabel="Dopamine")
        for item, color in ((1, BLUE), (2, VERMILION)):
            areas = held.n_areas.sel(item=item).where(held.held == item, 0)
            areas.attrs["long_name"] = f"areas that hold it, {TRIALS} trials with noise"
            cx.plot.dose_response(areas, name=ITEMS[item], color=color, ax=middle)
        for name, color in zip(ITEMS.values(), (GREY, BLUE, VERMILION), strict=True):
            cx.plot.fractions(table.sel(item=name), name=name, color=color, ax=right)
        right.set(ylabel="Share of trials, 95 % interval")
        for ax in (middle, right):
            ax.set_xlabel("Dopamine")
            ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
