"""Lesions, and distractors against a local and a distributed memory, after Figs. 6 to 8 of the paper.

Mejias JF, Wang X-J (2022). Mechanisms of distributed working memory in a large-scale network of macaque neocortex.
eLife 11:e72136, doi 10.7554/eLife.72136.

A memory that many areas hold together survives the loss of any one of them, once it is there: what it loses grows with
the number of areas lesioned. To load it from V1 in half a second some areas are needed; a longer cue finds its way
around most of them. With weak local excitation the network hangs on few areas, such as 9/46d but not 24c. A memory that
each area holds by itself, in a control without feedback, gives way to a distractor that is weaker than the cue; the
distributed one does not.

It prints the effects of lesions and writes mejiaswang2022_lesions.png to the working directory, or to --out FOLDER.
Seconds; the very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx

CORTEX = cx.load_connectome("macaque30")
THRESHOLD = 10.0  # Hz
WEAK = 0.26  # nA, local excitation J_max of Figs. 7 and 8
AMPLITUDES = np.round(np.arange(0.0, 0.41, 0.02), 2)  # nA
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"


def main(out: Path = Path()) -> None:
    """Run lesions and distractors, print what they do, and write the figure into the folder `out`."""
    single = xr.concat([lesion_each(cue(duration)) for duration in (500, 2000)], xr.Variable("cue", [500, 2000]))
    everywhere = sum(cue(500, area=area) for area in CORTEX.areas)
    loaded = lesion_each(everywhere)
    order = CORTEX.areas[::-1]
    many = held(simulate([everywhere] + [everywhere + cx.Lesion(areas=order[:k]) for k in range(1, len(order))]))
    weak = simulate([cue(1000), *(cue(1000) + cx.Lesion(areas=(area,)) for area in ("24c", "9/46d"))], J_max=WEAK)
    for duration in (500, 2000):
        blocking = single.area[single.sel(cue=duration) == 0].to_numpy()
        print(f"A cue of {duration} ms is blocked by a lesion of {', '.join(map(str, blocking))}.")
    print(f"Loaded everywhere, {int(loaded.min())} to {int(loaded.max())} areas remember whichever is lesioned.")
    print(f"Weak local excitation: {', '.join(map(str, held(weak).to_numpy()))} areas intact, without 24c, 9/46d.")
    local = resistance(connectome=without_feedback(CORTEX), J_max=0.468, G=0.21)
    distributed = resistance(J_max=WEAK)

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "mejiaswang2022_lesions.png"
    with cx.plot.styled():
        draw(single, many, weak, local, distributed).savefig(picture)
    print(f"\nWrote {picture}")


def cue(duration: float, amplitude: float = 0.3, *, area: str = "V1") -> cx.Pulse:
    """Return a current into A, 1 s after the start."""
    return cx.Pulse(area=area, input="A", onset=1000, duration=duration, amplitude=amplitude)


def simulate(
    trials: list[cx.Stimulus], duration: float = 8000, connectome: cx.Connectome = CORTEX, **parameters
) -> xr.Dataset:
    """Simulate trials side by side without noise, sampled every 50 ms."""
    model = cx.Model(connectome, cx.circuits.MejiasWang2022(**parameters), cx.gradients.macaque30())
    record = ("r_A", "r_B")
    return cx.simulate(model, trials, duration=duration, trials=len(trials), noise=False, every=50, record=record)


def held(result: xr.Dataset, rate: str = "r_A") -> xr.DataArray:
    """Return how many areas fire above the threshold at the end; lesioned ones do not."""
    return (result[rate].isel(time=-1) > THRESHOLD).sum("area")


def lesion_each(stimulus: cx.Stimulus) -> xr.DataArray:
    """Return how many areas hold the cue with each area lesioned in turn."""
    counts = held(simulate([stimulus + cx.Lesion(areas=(area,)) for area in CORTEX.areas]))
    return xr.DataArray(counts.to_numpy(), {"area": list(CORTEX.areas)})


def without_feedback(connectome: cx.Connectome) -> cx.Connectome:
    """Take away the projections from an area to one before it in the order of the hierarchy."""
    areas = connectome.areas
    target, source = np.nonzero(np.triu(connectome.matrix("fln"), 1))
    return connectome.lesion(connections=[(areas[t], areas[s]) for t, s in zip(target, source, strict=True)])


def resistance(**parameters) -> tuple[xr.DataArray, xr.DataArray]:
    """Return how many areas hold the cue (A), and the distractor (B), by the strength of the distractor."""
    trials = [
        cue(800) + cx.Pulse(area="V1", input="B", onset=5000, duration=800, amplitude=amplitude)
        for amplitude in AMPLITUDES
    ]
    result = simulate(trials, 12_000, **parameters)
    return held(result), held(result, "r_B")


def draw(
    single: xr.DataArray,
    many: xr.DataArray,
    weak: xr.Dataset,
    local: tuple[xr.DataArray, xr.DataArray],
    distributed: tuple[xr.DataArray, xr.DataArray],
) -> Figure:
    """Return the figure: above single lesions, below many at once, weak local excitation, and distractors."""
    figure = Figure(figsize=(9.5, 5.2), dpi=150, layout="constrained")
    above, below = figure.subfigures(2, 1)
    bars = above.subplots()
    x = np.arange(single.sizes["area"])
    for k, (duration, color) in enumerate(((500, BLUE), (2000, GREEN))):
        bars.bar(x + 0.4 * k - 0.2, single.sel(cue=duration), 0.4, color=color, label=f"cue to V1 of {duration} ms")
    bars.set_xticks(x, single.area.to_numpy(), rotation=90)
    bars.set(ylabel="Areas that hold the cue", xlabel="Area lesioned", xlim=(-0.7, x[-1] + 0.7), ylim=(0, 29))
    bars.legend(loc="upper left", ncols=2)

    count, traces, *distractors = below.subplots(1, 4)
    count.plot(np.arange(many.size), many, "o-", markersize=3, color=BLUE)
    count.set(xlabel="Lesioned, from the top of the hierarchy", ylabel="Areas that hold it, loaded everywhere")
    STPi = weak.r_A.sel(area="STPi")
    for trial, label, color in ((0, "intact", GREY), (1, "without 24c", BLUE), (2, "without 9/46d", VERMILION)):
        traces.plot(weak.time / 1000, STPi[trial], color=color, label=label)
    traces.axvspan(1, 2, color="0.88", linewidth=0, zorder=0)
    traces.set(xlabel="Time (s)", ylabel="Rate of STPi (Hz)", title="Weak local excitation", ylim=(-1, 40))
    traces.legend(loc="upper right")
    for ax, (A, B), title in zip(distractors, (local, distributed), ("Local memory", "Distributed"), strict=True):
        ax.plot(AMPLITUDES, A, color=BLUE, label="the cue (A)")
        ax.plot(AMPLITUDES, B, color=VERMILION, label="the distractor (B)")
        ax.axvline(0.3, color="0.8", linewidth=0.8, linestyle="--", zorder=0)
        ax.set(xlabel="Distractor (nA), cue 0.3 nA", ylabel="Areas that hold it", title=title)
        ax.set_ylim(-0.5, 1.4 * float(max(A.max(), B.max())))
    distractors[0].legend(loc="upper left")
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
