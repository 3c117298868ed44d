"""Signal propagation from V1 to the top of the hierarchy, after Fig. 3 of the paper.

Joglekar MR, Mejias JF, Yang GR, Wang X-J (2018). Inter-areal balanced amplification enhances signal propagation in a
large-scale circuit model of the primate cortex. Neuron 98:222-234, doi 10.1016/j.neuron.2018.02.031.

A pulse drives V1 by 100 Hz. With weak global balanced amplification it dies on its way, and next to nothing reaches
24c; with strong long-range excitation, balanced by strong local inhibition, it arrives 164 times larger. Stronger
excitation alone makes the cortex explode before much arrives.

It prints the responses and writes joglekar2018_propagation.png to the working directory, or to --out FOLDER. Seconds;
the very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx

AREAS = ("V1", "V4", "8m", "8l", "TEO", "7A", "9/46d", "TEpd", "24c")
REGIMES = {"weak": "#009E73", "strong": "#7B3294"}
ALONE, BALANCED = np.arange(20, 35.1, 0.5), np.arange(20, 52.1, 1.0)  # long-range excitation, pA/Hz
GREY = "#777777"


def main(out: Path = Path()) -> None:
    """Run both regimes and the sweeps, print the responses, and write the figure into the folder `out`."""
    rates = {regime: respond(cx.circuits.Joglekar2018(regime=regime)).isel(trial=0) for regime in REGIMES}
    peak = xr.Dataset({regime: (r - 10).max("time") for regime, r in rates.items()}).sortby("hierarchy")
    reached = {
        "growing alone": sweep(ALONE, 19.7),
        "balanced by local inhibition": sweep(BALANCED, compensation(BALANCED)),
    }

    table = peak.to_dataframe()[list(REGIMES)]
    print("Largest response (Hz above rest)\n" + table.to_string(float_format="%.4g"))
    gain = float((peak.strong / peak.strong.sel(area="V1") * peak.weak.sel(area="V1") / peak.weak).sel(area="24c"))
    print(f"\nStrong amplification carries the pulse to 24c {gain:.0f} times better.")

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "joglekar2018_propagation.png"
    with matplotlib.rc_context({"font.size": 8.5, "legend.fontsize": 7.5, "legend.frameon": False}):
        draw(rates, peak, reached).savefig(picture)
    print(f"\nWrote {picture}")


def respond(circuit: cx.circuits.Joglekar2018) -> xr.DataArray:
    """Return the excitatory rates (trial, time, area) under the regime's pulse of 250 ms to V1."""
    model = cx.Model(cx.load_connectome("macaque29"), circuit, cx.gradients.macaque29())
    pulse = cx.Pulse(area="V1", input="E", onset=100, duration=250.2, amplitude=circuit.pulse_amplitude)
    return cx.simulate(model, pulse, duration=2000, dt=0.2, every=0.4, trials=circuit.trials or 1).r_E


def compensation(mu_EE: np.ndarray) -> np.ndarray:
    """Return the local inhibition (pA/Hz) that balances long-range excitation, from weak to strong amplification."""
    return 19.7 + (25.2 - 19.7) * (mu_EE - 33.7) / (51.5 - 33.7)


def sweep(mu_EE: np.ndarray, w_EI: float | np.ndarray) -> xr.DataArray:
    """Return the largest response of 24c (Hz per 100 Hz in V1) over long-range excitation, one trial for each value."""
    peak = (respond(cx.circuits.Joglekar2018(mu_EE=mu_EE, w_EI=w_EI)) - 10).max("time")
    return (100 * peak.sel(area="24c") / peak.sel(area="V1")).swap_dims(trial="mu_EE")


def draw(rates: dict[str, xr.DataArray], peak: xr.Dataset, reached: dict[str, xr.DataArray]) -> Figure:
    """Return the figure: rates of some areas, the largest response of all, and that of 24c over excitation."""
    figure = Figure(figsize=(9.5, 5.4), dpi=150, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1.3))

    panels = left.subplots(len(AREAS), 2, sharex=True, sharey="row")
    for column, (regime, colour) in zip(panels.T, REGIMES.items(), strict=True):
        for ax, area in zip(column, AREAS, strict=True):
            trace = rates[regime].sel(area=area, time=slice(0, 1000)) - 10
            ax.axvspan(100, 350, color=GREY, alpha=0.2, linewidth=0)
            ax.plot(trace.time, trace, color=colour)
            largest = float(trace.max())
            ax.text(0.98, 1.0, f"{largest:.2g} Hz" if largest < 99.5 else "100 Hz", **in_corner(ax))
        column[0].set_title(f"{regime.capitalize()} amplification", color=colour, fontsize=8.5)
        column[-1].set_xlabel("Time (ms)")
    for row, area in zip(panels, AREAS, strict=True):
        largest = float(rates["strong"].sel(area=area).max()) - 10
        row[0].set_ylabel(area, rotation=0, ha="right", va="center", weight="bold")
        row[0].set(ylim=(-0.08 * largest, 1.5 * largest), yticks=[0, float(f"{largest:.1g}")])

    above, below = right.subplots(2, 1)
    for regime, colour in REGIMES.items():
        above.semilogy(peak.area, peak[regime], "o-", color=colour, markersize=3.5, linewidth=1, label=regime)
    above.set(ylabel="Largest response (Hz)", xlabel="Areas in hierarchical order")
    above.tick_params(axis="x", labelrotation=90, labelsize=7)
    above.legend(title="Global balanced amplification", title_fontsize=8, loc="upper right", ncols=2)
    above.set_ylim(2e-4, 5e3)

    for (label, response), style in zip(reached.items(), ("--", "-"), strict=True):
        below.semilogy(response.mu_EE, response, style, color="black", label=label)
    for regime, colour in REGIMES.items():
        circuit = cx.circuits.Joglekar2018(regime=regime)
        in_24c = 100 * peak[regime].sel(area="24c") / peak[regime].sel(area="V1")
        below.plot(circuit.mu_EE, in_24c, "o", color=colour)
    below.set(xlabel="Long-range excitation $\\mu_{EE}$ (pA/Hz)", ylabel="24c (Hz per 100 Hz in V1)")
    below.set_ylim(1e-7, 1e3)
    below.legend(loc="lower right")
    for ax in (*panels.flat, above, below):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def in_corner(ax: matplotlib.axes.Axes) -> dict:
    """Return the options of a small text in the upper right corner."""
    return {"transform": ax.transAxes, "ha": "right", "va": "top", "fontsize": 7, "color": GREY}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
