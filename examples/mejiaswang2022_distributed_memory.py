"""A memory that no area holds by itself, after Figs. 2 and 4 of the paper.

Mejias JF, Wang X-J (2022). Mechanisms of distributed working memory in a large-scale network of macaque neocortex.
eLife 11:e72136, doi 10.7554/eLife.72136.

A cue of half a second excites population A of V1. It ignites a network of association areas, which goes on firing
after the cue, while sensory areas fall silent: a gap in the delay activity along the cortex. In isolation no area can
remember, not even with the strongest local excitation of the gradient. The gap comes from the counterstream
inhibitory bias, by which feedback projections act through interneurons: without it the whole cortex ignites, V1
included. All strengths of the long-range coupling run side by side in one call of `simulate`.

It prints the delay activity and writes mejiaswang2022_distributed_memory.png to the working directory, or to --out
FOLDER. Seconds; the very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx

AREAS = ("V1", "V4", "MT", "8l", "LIP", "46d", "9/46d", "F2", "24c")
COUPLINGS = np.linspace(0.2, 1.2, 26)  # nA
CUE = cx.Pulse(area="V1", input="A", onset=2000, duration=500, amplitude=0.3)
THRESHOLD = 10.0  # Hz
BLUE, GREEN, VERMILION, GREY = "#0072B2", "#009E73", "#D55E00", "#777777"


def main(out: Path = Path()) -> None:
    """Run the trial and the sweeps, print the delay activity, and write the figure into the folder `out`."""
    trial = cx.simulate(cortex(), CUE, duration=8000, seed=0)
    delay = trial.r_A.sel(time=slice(6000, None)).mean(("trial", "time")).assign_attrs(trial.r_A.attrs)
    biased, unbiased = sweep(), sweep(counterstream_bias=0.0)
    alone = cx.simulate(
        cortex(connectome=cx.single_area("9/46d")),
        cx.Pulse(area="9/46d", input="A", onset=2000, duration=500, amplitude=0.3),
        duration=8000,
        seed=0,
    )

    print(delay.sortby(delay).to_series().to_string(float_format="%.1f"))
    print(f"\n{int((delay > THRESHOLD).sum())} of {delay.size} areas fire above {THRESHOLD:g} Hz in the delay.")
    held = float(alone.r_A.sel(time=slice(6000, None)).mean())
    print(f"9/46d by itself: {held:.1f} Hz.")

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "mejiaswang2022_distributed_memory.png"
    with matplotlib.rc_context({"font.size": 8.5, "legend.fontsize": 7.5, "legend.frameon": False}):
        draw(trial, alone, delay, biased, unbiased).savefig(picture)
    print(f"\nWrote {picture}")


def cortex(connectome: cx.Connectome | None = None, **parameters) -> cx.Model:
    """Return the 30 areas, or another connectome, with the circuit of the paper."""
    connectome = cx.load_connectome("macaque30") if connectome is None else connectome
    return cx.Model(connectome, cx.circuits.MejiasWang2022(**parameters), cx.gradients.macaque30())


def sweep(**parameters) -> xr.DataArray:
    """Return how many areas hold the cue at each coupling, without noise."""
    model = cortex(G=COUPLINGS, **parameters)
    result = cx.simulate(model, CUE, duration=8000, trials=len(COUPLINGS), noise=False, every=100)
    return (result.r_A.isel(time=-1) > THRESHOLD).sum("area").swap_dims(trial="G")


def draw(
    trial: xr.Dataset, alone: xr.Dataset, delay: xr.DataArray, biased: xr.DataArray, unbiased: xr.DataArray
) -> Figure:
    """Return the figure: rates over time, delay activity on the cortex and by area, and the role of the bias."""
    figure = Figure(figsize=(9.5, 7.0), dpi=150, layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.5, 1.0))
    left, right = above.subfigures(1, 2, width_ratios=(1.5, 1.0))

    panels = left.subplots(3, 3, sharex=True, sharey=True)
    for ax, area in zip(panels.flat, AREAS, strict=True):
        for rate, colour, name in ((trial.r_A, BLUE, "A"), (trial.r_B, GREEN, "B")):
            ax.plot(trial.time / 1000, rate.sel(area=area)[0], color=colour, linewidth=0.9, label=name)
        if area == "9/46d":
            ax.plot(alone.time / 1000, alone.r_A[0, :, 0], color=GREY, linewidth=0.9, label="A by itself")
            ax.legend(loc="upper right", handlelength=1.0)
        ax.axvspan(CUE.onset / 1000, (CUE.onset + CUE.duration) / 1000, color="0.88", linewidth=0, zorder=0)
        ax.set_title(area, loc="left", weight="bold")
    left.supxlabel("Time (s)")
    left.supylabel("Rate (Hz)")
    panels[0, 0].set(xlim=(1, 8), ylim=(0, 84))

    cx.plot.cortex_map(delay, ax=right.subplots(2, 1))

    bars, curves = below.subplots(1, 2, width_ratios=(1.5, 1.0))
    ranked = delay.sortby(delay)
    colours = np.where(ranked > THRESHOLD, VERMILION, GREY)
    bars.bar(np.arange(ranked.size), ranked, color=colours)
    bars.set_xticks(np.arange(ranked.size), ranked.area.to_numpy(), rotation=90)
    bars.axhline(THRESHOLD, color="black", linewidth=0.8, linestyle="--")
    bars.set(ylabel="Delay activity of A (Hz)", xlim=(-0.7, ranked.size - 0.3))
    curves.plot(biased.G, biased, color=BLUE, label="with the counterstream inhibitory bias")
    curves.plot(unbiased.G, unbiased, color=GREY, linestyle="--", label="without")
    curves.axvline(0.48, color="0.8", linewidth=0.8, zorder=0)
    curves.text(0.49, 1, "G of the model", color="0.4", fontsize=7.5)
    curves.set(xlabel="Long-range coupling G (nA)", ylabel="Areas that hold the cue", ylim=(-1, 38))
    curves.legend(loc="upper left")
    for ax in (*panels.flat, bars, curves):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
