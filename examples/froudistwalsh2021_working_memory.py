"""A working-memory trial of the whole cortex, after Fig. 2 of the paper.

Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H, Palomero-Gallagher N, Wang X-J
(2021). A dopamine gradient controls access to distributed working memory in the large-scale monkey cortex. Neuron
109:3500-3520, doi 10.1016/j.neuron.2021.08.024.

A cue of 400 ms excites the dendrites of E1 in V1. Activity spreads through 40 areas; after the cue, sensory areas
fall silent and association areas go on firing. The areas that do are compared with those of which experiments report
delay activity (Leavitt et al. 2017, Trends Neurosci 40:328, doi 10.1016/j.tins.2017.04.004).

It prints the comparison and writes froudistwalsh2021_working_memory.png to the working directory, or to --out FOLDER.
Seconds; the very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import matplotlib
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx

AREAS = ("V1", "V4", "MT", "LIP", "8l", "9/46d", "24c")


def main(out: Path = Path()) -> None:
    """Simulate one trial, print the comparison with experiments, and write the figure into the folder `out`."""
    model = cx.Model(
        cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(dopamine=1.5), cx.gradients.macaque40()
    )
    trial = cx.working_memory()  # fixation 1 s, cue 0.4 s, delay 3.6 s
    result = cx.simulate(model, trial, duration=trial.duration, seed=0)

    judged = cx.validate.persistence(result)
    print(judged)

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "froudistwalsh2021_working_memory.png"
    with matplotlib.rc_context({"font.size": 8.5}):
        draw(result, judged).savefig(picture)
    print(f"\nWrote {picture}")


def draw(result: xr.Dataset, judged: cx.validate.Persistence) -> Figure:
    """Return the figure: rates of some areas over time, and on the cortex those at the end of the delay."""
    figure = Figure(figsize=(9.0, 6.0), dpi=150, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.0, 1.25))
    cx.plot.traces(
        result.sel(time=slice(500, None)), areas=AREAS, ax=left.subplots(len(AREAS), 1, sharex=True, sharey=True)
    )
    cx.plot.cortex_map(judged.areas.delay, ax=right.subplots(2, 1))
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
