"""What each action of dopamine is for: one at a time held back, after the model of Figs. 3 and 5 of the paper.

Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H, Palomero-Gallagher N, Wang X-J
(2021). A dopamine gradient controls access to distributed working memory in the large-scale monkey cortex. Neuron
109:3500-3520, doi 10.1016/j.neuron.2021.08.024.

In this model dopamine raises NMDA currents, moves inhibition from the soma (PV) to the dendrite (SST), and opens the M
current. Each action is held at zero occupancy of D1 in turn. Without that on NMDA or on PV no memory is held; without
that on the M current memory has no upper limit of dopamine. Without that on SST memory begins at half the dopamine and
resists a distractor from there to 2.25: dopamine on SST is not what the resistance comes from, although SST cells are
what carries it (see froudistwalsh2021_optogenetics.py).

It prints a table and writes froudistwalsh2021_actions.png to the working directory, or to --out FOLDER. Seconds; the
very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx

CUE = cx.working_memory()
DISTRACTED = cx.working_memory(distractor=("V1", "E2_dendrite", 100.0))
ACTIONS = ("nothing", "NMDA", "PV", "SST", "M")
DOPAMINE = np.linspace(0.0, 3.0, 13)


def main(out: Path = Path()) -> None:
    """Run all combinations, print how many areas hold the cue and what a distractor does, and write the figure."""
    areas, winner = (
        xr.concat(part, xr.Variable("without", list(ACTIONS))) for part in zip(*map(run, ACTIONS), strict=True)
    )
    print("Areas that hold the cue:")
    print(areas.sel(dopamine=[0.5, 1, 1.5, 2, 3]).to_pandas().to_string())
    print("\nHeld after the distractor (0 none, 1 the cue, 2 the distractor):")
    print(winner.sel(dopamine=[0.5, 1, 1.5, 2, 3]).to_pandas().to_string())

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "froudistwalsh2021_actions.png"
    with cx.plot.styled():
        draw(areas, winner).savefig(picture)
    print(f"\nWrote {picture}")


def run(action: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the areas that hold the cue, and the item held after a distractor, by dopamine."""
    without = () if action == "nothing" else (action,)
    circuit = cx.circuits.FroudistWalsh2021(dopamine=DOPAMINE, without_dopamine=without)
    model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    held = []
    for task in (CUE, DISTRACTED):
        result = cx.simulate(model, task, trials=len(DOPAMINE), noise=False, record=("r_E1", "r_E2"))
        held.append(cx.analysis.held_item(result).swap_dims(trial="dopamine").drop_vars("trial"))
    areas = held[0].n_areas.sel(item=1, drop=True).assign_attrs(long_name="areas that hold the cue")
    return areas, held[1].held


def draw(areas: xr.DataArray, winner: xr.DataArray) -> Figure:
    """Return the figure: areas that hold the cue, and what a distractor makes of it."""
    figure = Figure(figsize=(8.0, 3.2), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    cx.plot.ablations(areas, ax=left)
    left.set(xlabel="Dopamine", ylim=(-1, 30))
    left.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    rows = winner.assign_coords(without=np.arange(len(ACTIONS)))
    cx.plot.phase_diagram(rows, names={0: "none is held", 1: "the cue", 2: "the distractor"}, ax=right)
    right.set(xlabel="Dopamine", ylabel="")
    right.set_yticks(range(len(ACTIONS)), ["intact", *(f"without {action}" for action in ACTIONS[1:])])
    right.invert_yaxis()
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
