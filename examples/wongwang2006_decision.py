"""A decision between two directions of motion, after Figs. 2 and 10 of the paper.

Wong K-F, Wang X-J (2006). A recurrent network mechanism of time integration in perceptual decisions. J Neurosci
26:1314-1328, doi 10.1523/JNEUROSCI.3733-05.2006.

Two populations of one area get the input of a random-dots stimulus, slightly more to the one that prefers the
direction of motion. Slow self-excitation integrates the evidence, mutual inhibition makes one of them win; it goes on
firing after the stimulus and so remembers the choice. Accuracy rises with coherence and the reaction time falls, errors
are slower. All trials of a coherence run side by side in one call of `simulate`.

It prints a table and writes wongwang2006_decision.png to the working directory, or to --out FOLDER. Seconds; the very
first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy.optimize import curve_fit

import cortexsim as cx

COHERENCES = (1.6, 3.2, 6.4, 12.8, 25.6, 51.2)  # per cent
TRIALS = 1000
ONSET, STIMULUS, DURATION = 100, 2000, 2500  # ms
THRESHOLD, FILTER = 15.0, 20.0  # Hz, ms
SHOWN = (6.4, 51.2)
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#777777"


def main(out: Path = Path()) -> None:
    """Simulate all coherences, print accuracy and reaction times, and write the figure into the folder `out`."""
    runs = {c: simulate(c) for c in COHERENCES}
    table = pd.DataFrame({c: judge(run) for c, run in runs.items()}).T.rename_axis("coherence (%)")
    (alpha, beta), _ = curve_fit(weibull, table.index.to_numpy(), table["accuracy"], p0=(6, 1.3))
    print(table.round(3).to_string(float_format="%.4g"))
    print(f"\nWeibull fit: threshold {alpha:.1f} %, slope {beta:.2f}.")

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "wongwang2006_decision.png"
    with matplotlib.rc_context({"font.size": 8.5, "legend.fontsize": 7.5, "legend.frameon": False}):
        draw(runs, table, alpha, beta).savefig(picture)
    print(f"\nWrote {picture}")


def simulate(coherence: float) -> xr.Dataset:
    """Return the trials of one coherence, rates filtered with 20 ms."""
    circuit = cx.circuits.WongWang2006()
    motion = circuit.motion(coherence, onset=ONSET, duration=STIMULUS, mu0=30)
    model = cx.Model(cx.single_area(), circuit)
    result = cx.simulate(model, motion, duration=DURATION, trials=TRIALS, every=5).squeeze("area")
    smooth = xr.zeros_like(result[["r_1", "r_2"]])
    for name in smooth:
        for k in range(1, result.sizes["time"]):
            before = smooth[name].values[:, k - 1]
            smooth[name].values[:, k] = before + 5.0 / FILTER * (result[name].values[:, k] - before)
    return result.assign(smooth)


def judge(run: xr.Dataset) -> dict[str, float]:
    """Return accuracy, the times at which the winner crosses the threshold, and how often it is remembered."""
    crossed = [first_time(run[name] > THRESHOLD) for name in ("r_1", "r_2")]
    correct, wrong = crossed[0] < crossed[1], crossed[1] < crossed[0]
    last = run.isel(time=slice(-20, None)).mean("time")
    kept = np.where(correct, last.r_1 > last.r_2, last.r_2 > last.r_1) & (np.maximum(last.r_1, last.r_2) > 10)
    return {
        "accuracy": correct.sum() / (correct | wrong).sum(),
        "reaction time (ms)": crossed[0][correct].mean(),
        "of errors (ms)": crossed[1][wrong].mean() if wrong.any() else np.nan,
        "remembered": float(kept.mean()),
    }


def first_time(above: xr.DataArray) -> np.ndarray:
    """Return when each trial is first above, from the onset of the stimulus (ms); infinity where it never is."""
    above = above.sel(time=slice(ONSET, ONSET + STIMULUS))
    times = above.time.to_numpy()[above.to_numpy().argmax(axis=1)] - ONSET
    return np.where(above.any("time"), times, np.inf)


def weibull(coherence: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Return 1 - exp(-(c / alpha)^beta) / 2."""
    return 1 - 0.5 * np.exp(-((coherence / alpha) ** beta))


def draw(runs: dict[float, xr.Dataset], table: pd.DataFrame, alpha: float, beta: float) -> Figure:
    """Return the figure: rates over time, psychometric curve, reaction times, and trajectories in the plane of S."""
    figure = Figure(figsize=(9.0, 5.8), dpi=150, layout="constrained")
    axes = figure.subplots(2, 3)
    (over_time, plane) = axes[:, :2], axes[:, 2]

    for ax, coherence in zip(over_time[0], SHOWN, strict=True):
        run = runs[coherence].isel(trial=slice(0, 10))
        for name, colour, text in (("r_1", BLUE, "preferred direction"), ("r_2", VERMILION, "opposite direction")):
            lines = ax.plot(run.time - ONSET, run[name].T, color=colour, linewidth=0.6)
            lines[0].set_label(text)
        ax.axvspan(0, STIMULUS, color="0.93", linewidth=0, zorder=0)
        ax.axhline(THRESHOLD, color="black", linewidth=0.6, linestyle=":")
        ax.set(title=f"Coherence {coherence:g} %", xlabel="Time from stimulus onset (ms)", ylabel="Rate (Hz)")
        ax.set(xlim=(-ONSET, DURATION - ONSET), ylim=(0, 45))
    over_time[0, 0].legend(loc="upper left")

    accuracy, reaction = over_time[1]
    c = np.geomspace(1, 100, 100)
    accuracy.plot(c, 100 * weibull(c, alpha, beta), color=GREY, label=f"Weibull, threshold {alpha:.1f} %")
    accuracy.plot(table.index, 100 * table["accuracy"], "o", color=BLUE)
    accuracy.set(ylabel="Correct (%)", ylim=(48, 102))
    accuracy.legend(loc="lower right")
    reaction.plot(table.index, table["reaction time (ms)"], "o-", color=BLUE, label="correct")
    reaction.plot(table.index, table["of errors (ms)"], "o-", color=VERMILION, label="errors")
    reaction.set(ylabel="Reaction time (ms)", ylim=(200, 800))
    reaction.legend(loc="lower left")
    for ax in (accuracy, reaction):
        ax.set(xscale="log", xlabel="Coherence (%)", xlim=(1.2, 70))
        ax.set_xticks(COHERENCES, [f"{x:g}" for x in COHERENCES])
        ax.minorticks_off()

    for ax, coherence in zip(plane, SHOWN, strict=True):
        run = runs[coherence].isel(trial=slice(0, 10)).sel(time=slice(0, ONSET + STIMULUS))
        won = (run.S_1.isel(time=-1) > run.S_2.isel(time=-1)).to_numpy()
        for k, first in enumerate(won):
            ax.plot(run.S_2[k], run.S_1[k], color=BLUE if first else VERMILION, linewidth=0.6)
        ax.plot([0, 0.8], [0, 0.8], color="0.7", linewidth=0.6, linestyle="--", zorder=0)
        ax.set(title=f"Coherence {coherence:g} %", xlabel="Gating $S_2$", ylabel="Gating $S_1$", aspect="equal")
        ax.set(xlim=(0, 0.8), ylim=(0, 0.8))
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
