"""Which cells keep a distractor out: light on one type of interneuron after the other, after Fig. 5 of the paper.

Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H, Palomero-Gallagher N, Wang X-J
(2021). A dopamine gradient controls access to distributed working memory in the large-scale monkey cortex. Neuron
109:3500-3520, doi 10.1016/j.neuron.2021.08.024.

At dopamine 1.5 the cortex holds a cue against a distractor. Silencing the SST (dendrite-targeting) cells that share the
selectivity of the distractor, in twelve frontoparietal areas and only while the distractor lasts, lets it take over.
Silencing SST cells of the cue's selectivity, PV cells or VIP cells of the distractor's does not. VIP cells of the
cue's selectivity inhibit the SST cells of their own: silencing them works at some strengths above 55 pA. How much
silencing of SST it takes measures how well the cortex resists, and is greatest in the middle of the range of dopamine
that holds a memory.

It prints a table and writes froudistwalsh2021_optogenetics.png to the working directory, or to --out FOLDER. Seconds;
the very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx
from cortexsim.analysis.memory import FRONTOPARIETAL

TASK = cx.working_memory(distractor=("V1", "E2_dendrite", 100.0))
START, STOP = TASK.window("distractor")
POPULATIONS = ("SST2", "SST1", "VIP2", "VIP1", "PV")
AMPLITUDES = np.arange(0.0, 101.0, 5.0)  # pA
DOPAMINE = (1.04, 1.1, 1.25, 1.4, 1.5, 1.6, 1.75, 1.9)
BLUE, VERMILION = "#0072B2", "#D55E00"


def main(out: Path = Path()) -> None:
    """Run the trials, print what each type of cell does, and write the figure into the folder `out`."""
    traces = cx.simulate(cortex(), [TASK, TASK + light("SST2", 100)], duration=TASK.duration, trials=2, noise=False)
    silenced = [TASK + light(population, a) for population in POPULATIONS for a in AMPLITUDES]
    result = cx.simulate(
        cortex(), silenced, duration=TASK.duration, trials=len(silenced), noise=False, record=("r_E1", "r_E2")
    )
    held = cx.analysis.held_item(result, during_stimulus=True).held.to_numpy().reshape(len(POPULATIONS), -1)
    print("Silenced by (pA) where the distractor wins:")
    for population, item in zip(POPULATIONS, held, strict=True):
        print(f"  {population}: {', '.join(f'{a:g}' for a in AMPLITUDES[item == 2]) or 'never'}")

    threshold = cx.analysis.distractor_threshold(
        cortex(DOPAMINE),
        lambda amplitude: TASK + light("SST2", amplitude),
        ("r_E1", "r_E2"),
        high=25,
        tolerance=0.1,
        duration=TASK.duration,
    )
    print("\nLeast silencing of SST2 that lets the distractor win (pA):")
    print(threshold.threshold.to_series().to_string(float_format="%.1f"))

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "froudistwalsh2021_optogenetics.png"
    draw(traces, held, threshold).savefig(picture)
    print(f"\nWrote {picture}")


def cortex(dopamine: float | tuple[float, ...] = 1.5) -> cx.Model:
    """Return the 40 areas with the circuit of the paper."""
    circuit = cx.circuits.FroudistWalsh2021(dopamine=dopamine)
    return cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())


def light(population: str, amplitude: float) -> cx.Stimulus:
    """Return what silences a population of the frontoparietal areas by `amplitude` pA while the distractor lasts."""
    return cx.optogenetics(FRONTOPARIETAL, population, -amplitude, onset=START, duration=STOP - START)


def draw(traces: xr.Dataset, held: np.ndarray, threshold: xr.Dataset) -> Figure:
    """Return the figure: above LIP with and without light; below what each population does, and the threshold."""
    with cx.plot.styled():
        figure = Figure(figsize=(9.0, 5.0), dpi=150, layout="constrained")
        above, below = figure.subfigures(2, 1)
        panels = above.subplots(1, 4, sharey="col")
        for k, title in enumerate(("No light", "SST2 silenced")):
            LIP = traces.isel(trial=k).sel(area="LIP")
            selective, inhibitory = panels[k], panels[2 + k]
            selective.plot(LIP.time / 1000, LIP.r_E1, color=BLUE, label="E1, the cue")
            selective.plot(LIP.time / 1000, LIP.r_E2, color=VERMILION, label="E2, the distractor")
            for name, color in (("SST1", BLUE), ("SST2", VERMILION)):
                inhibitory.plot(LIP.time / 1000, LIP[f"r_{name}"], color=color, label=name)
            for ax in (selective, inhibitory):
                ax.set(title=title, xlabel="Time (s)", xlim=(0.8, 4))
                ax.axvspan(1.0, 1.4, color=BLUE, alpha=0.15, linewidth=0)
                ax.axvspan(START / 1000, STOP / 1000, color=VERMILION, alpha=0.15, linewidth=0)
        panels[0].set(ylabel="Rate in LIP (Hz)", ylim=(0, 46))
        panels[1].set(ylim=(0, 46))
        panels[0].legend(loc="upper right")
        panels[2].set(ylim=(0, 38))
        panels[3].set(ylim=(0, 38))
        panels[2].legend(loc="upper right")

        winner, least = below.subplots(1, 2, width_ratios=(1.6, 1.0))
        rows = {"population": np.arange(len(POPULATIONS)), "silenced": AMPLITUDES}
        names = {0: "none is held", 1: "the cue", 2: "the distractor"}
        cx.plot.phase_diagram(xr.DataArray(held, rows, ("population", "silenced")), names=names, ax=winner)
        winner.set(xlabel="Silenced by (pA) while the distractor lasts", ylabel="Population")
        winner.set_yticks(range(len(POPULATIONS)), POPULATIONS)
        winner.invert_yaxis()
        cx.plot.thresholds(threshold, unit="pA", ax=least)
        least.set(ylabel="Least silencing of SST2\nthat lets the distractor win (pA)", xlabel="Dopamine", ylim=(0, 14))
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
