"""Dopamine and working memory: the inverted U, and resistance to a distractor, after Figs. 3 and 5 of the paper.

Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H, Palomero-Gallagher N, Wang X-J
(2021). A dopamine gradient controls access to distributed working memory in the large-scale monkey cortex. Neuron
109:3500-3520, doi 10.1016/j.neuron.2021.08.024.

Too little dopamine and NMDA currents are too weak to hold a memory; too much and the M current ends it. In between the
cortex holds the cue, and in the middle of that range it holds it against a distractor. All levels of dopamine run side
by side in one call of `simulate`.

It prints a table and writes froudistwalsh2021_dopamine.png to the working directory, or to --out FOLDER. Seconds; the
very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx

LEVELS = np.linspace(0.0, 3.0, 61)
SHOWN = (0.75, 1.0, 1.5, 2.0)  # no memory, then one that is lost to the distractor, held, lost
NOISY_TRIALS = 3
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"


def main(out: Path = Path()) -> None:
    """Run the three sweeps, print the table, and write the figure into the folder `out`."""
    cue, distracted = cx.working_memory(), cx.working_memory(distractor=("V1", "E2_dendrite", 100.0))
    quiet = sweep(cue, LEVELS, noise=False)
    contest = sweep(distracted, LEVELS, noise=False)
    noisy = sweep(cue, np.repeat(LEVELS[::3], NOISY_TRIALS), seed=0)

    held = by_dopamine(quiet)
    table = xr.Dataset(
        {
            "areas": held.n_persistent,
            "rate": held.delay.mean("area"),
            "cue": by_dopamine(contest).n_persistent,
            "distractor": by_dopamine(contest, "r_E2").n_persistent,
        }
    )
    print_table(table)

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "froudistwalsh2021_dopamine.png"
    with matplotlib.rc_context({"font.size": 8.5, "legend.fontsize": 7.5, "legend.frameon": False}):
        figure = draw(table, by_dopamine(noisy), contest.swap_dims(trial="dopamine"), distracted)
        figure.savefig(picture)
    print(f"\nWrote {picture}")


def sweep(task: cx.Schedule, levels: np.ndarray, **options) -> xr.Dataset:
    """Simulate one trial per level of dopamine, side by side."""
    circuit = cx.circuits.FroudistWalsh2021(dopamine=levels)
    model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    return cx.simulate(model, task, duration=task.duration, trials=len(levels), **options)


def by_dopamine(result: xr.Dataset, variable: str = "r_E1") -> xr.Dataset:
    """Judge in which areas the rate stays 5 Hz above its baseline; `dopamine` takes the place of the trials."""
    return cx.validate.persistence_by_trial(result, variable=variable).swap_dims(trial="dopamine")


def print_table(table: xr.Dataset) -> None:
    """Print the table at steps of 0.25, and the ranges in which the memory exists and resists."""
    titles = {
        "areas": "areas that hold the cue",
        "rate": "mean E1 (Hz)",
        "cue": "after a distractor: hold the cue",
        "distractor": "hold the distractor",
    }
    print(
        table.isel(dopamine=slice(None, None, 5))
        .to_dataframe()
        .drop(columns="trial")
        .rename(columns=titles)
        .to_string(float_format="%.2f")
    )
    for name, what in (("areas", "Memory exists"), ("cue", "It outlives a distractor")):
        held = table.dopamine[table[name] > 0]
        print(f"{what} at dopamine {held.item(0):.2f} to {held.item(-1):.2f}.")
    best = table.rate.idxmax("dopamine").item()
    print(f"Delay activity is highest at {best:.2f}: {table.rate.max().item():.2f} Hz, the mean of all areas.")


def draw(table: xr.Dataset, held: xr.Dataset, contest: xr.Dataset, task: cx.Schedule) -> Figure:
    """Return the figure: above what depends on dopamine (`held`: with noise), below one area at four levels."""
    figure = Figure(figsize=(8.5, 5.2), dpi=150, layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1.0))
    count, rate, winner = above.subplots(1, 3)

    for ax, quiet, noise, label in (
        (count, table.areas, held.n_persistent, "Areas that hold the cue"),
        (rate, table.rate, held.delay.mean("area"), "Mean delay activity of E1 (Hz)"),
    ):
        ax.plot(quiet.dopamine, quiet, color=BLUE, label="without noise")
        ax.plot(noise.dopamine, noise, ".", color=GREY, alpha=0.5, label=f"with noise, {NOISY_TRIALS} trials")
        ax.set(ylabel=label)
    count.legend(loc="upper left")
    winner.plot(table.dopamine, table.cue, color=BLUE, label="that hold the cue (E1)")
    winner.plot(table.dopamine, table.distractor, color=VERMILION, label="that hold the distractor (E2)")
    winner.set(ylabel="Areas after a distractor")
    winner.legend(loc="upper left")
    for ax in (count, rate, winner):
        ax.set(xlabel="Dopamine", ylim=(0, 1.35 * ax.get_ylim()[1]))

    panels = below.subplots(1, len(SHOWN), sharey=True)
    start, stop = task.window("distractor")
    for ax, level in zip(panels, SHOWN, strict=True):
        area = contest.sel(dopamine=level, method="nearest").sel(area="9/46d")
        ax.plot(area.time, area.r_E1, color=BLUE, label="E1, the cue")
        ax.plot(area.time, area.r_E2, color=VERMILION, label="E2, the distractor")
        ax.axvspan(*task.window("cue"), color=BLUE, alpha=0.15, linewidth=0)
        ax.axvspan(start, stop, color=VERMILION, alpha=0.15, linewidth=0)
        ax.set(title=f"Dopamine {level:g}", xlabel="Time (ms)")
    panels[0].set(ylabel="Rate in 9/46d (Hz)", ylim=(0, 45))
    panels[0].legend(loc="upper right")
    for ax in (count, rate, winner, *panels):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
