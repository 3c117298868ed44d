"""A hierarchy of timescales, after Fig. 3 of the paper.

Chaudhuri R, Knoblauch K, Gariel M-A, Kennedy H, Wang X-J (2015). A large-scale circuit mechanism for hierarchical
dynamical processing in the primate cortex. Neuron 88:419-431, doi 10.1016/j.neuron.2015.09.008.

A pulse to V1 passes through 29 areas: sensory areas answer and forget within 100 ms, association areas hold the trace
for most of a second. Under white noise into V1 the autocorrelation of each area decays with a time constant of its own,
which grows along the hierarchy, and stays near that of V1 where the gradient of excitation is taken away.

It prints the timescales and writes chaudhuri2015_timescales.png to the working directory, or to --out FOLDER. Seconds;
the very first run compiles the model and takes some more.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx

AREAS = ("V1", "V4", "MT", "TEO", "8l", "7A", "46d", "9/46d", "24c")
GRADIENT, NO_GRADIENT = 0.68, 0.0  # growth of excitation along the hierarchy
NOISE = 50.0  # pA ms^0.5, a standard deviation of about 1 Hz in V1
TRIALS, SECONDS, SETTLING = 8, 200, 5
COLOURS = matplotlib.colormaps["viridis"]
BLUE, GREY = "#0072B2", "#777777"


def main(out: Path = Path()) -> None:
    """Run pulse and noise, print the timescales, and write the figure into the folder `out`."""
    response = respond()
    rates = fluctuate()
    correlation, flat = (autocorrelation(rates.isel(trial=rates.eta == eta)) for eta in (GRADIENT, NO_GRADIENT))
    timescales = xr.Dataset({"with": tau(correlation), "without": tau(flat)})

    table = timescales.sortby("hierarchy").to_dataframe()[["hierarchy", "with", "without"]]
    titles = {"with": "timescale (ms)", "without": "without the gradient (ms)"}
    print(table.rename(columns=titles).to_string(float_format="%.2f"))
    rank = table["with"].corr(table.hierarchy, method="spearman")
    print(f"\nRank correlation of timescale and hierarchy: {rank:.2f}.")

    out.mkdir(parents=True, exist_ok=True)
    picture = out / "chaudhuri2015_timescales.png"
    with matplotlib.rc_context({"font.size": 8.5, "legend.fontsize": 7.5, "legend.frameon": False}):
        draw(response, correlation, timescales).savefig(picture)
    print(f"\nWrote {picture}")


def cortex(**parameters) -> cx.Model:
    """Return the 29 areas with the threshold-linear circuit."""
    circuit = cx.circuits.Chaudhuri2015(**parameters)
    return cx.Model(cx.load_connectome("macaque29"), circuit, cx.gradients.macaque29())


def respond() -> xr.DataArray:
    """Return the excitatory rates (time, area) under a pulse of 250 ms to V1."""
    model = cortex()
    pulse = cx.Pulse(area="V1", input="E", onset=100, duration=250, amplitude=model.circuit.pulse_amplitude)
    return cx.simulate(model, pulse, duration=1500, dt=0.2, every=1).r_E.isel(trial=0)


def fluctuate() -> xr.DataArray:
    """Return the rates (trial, time, area) under white noise into V1: trials with the gradient, and without."""
    hierarchy = cx.gradients.macaque29().hierarchy
    into_v1 = xr.where(hierarchy.area == "V1", NOISE, 0.0)
    model = cortex(eta=[GRADIENT] * TRIALS + [NO_GRADIENT] * TRIALS, sigma_E=into_v1)
    rates = cx.simulate(model, duration=1e3 * SECONDS, dt=1, every=10, trials=2 * TRIALS, seed=0).r_E
    return rates.sel(time=slice(1e3 * SETTLING, None))


def autocorrelation(rates: xr.DataArray, longest: float = 2000.0) -> xr.DataArray:
    """Return the autocorrelation (lag, area), from the mean power spectrum of the trials."""
    step, n = float(rates.time[1] - rates.time[0]), rates.sizes["time"]
    deviation = (rates - rates.mean("time")).transpose("trial", "time", "area").to_numpy()
    power = np.abs(np.fft.rfft(deviation, 2 * n, axis=1)) ** 2
    covariance = np.fft.irfft(power.mean(axis=0), axis=0)[: round(longest / step)]
    covariance /= np.arange(n, n - len(covariance), -1)[:, np.newaxis]
    lag = ("lag", step * np.arange(len(covariance)))
    along = {"lag": lag, "area": rates.area.to_numpy(), "hierarchy": ("area", rates.hierarchy.to_numpy())}
    return xr.DataArray(covariance / covariance[0], along, ("lag", "area"))


def tau(correlation: xr.DataArray) -> xr.DataArray:
    """Return the lag (ms) at which the autocorrelation falls to 1/e, on the straight line between two samples."""
    below = (correlation < np.exp(-1)).argmax("lag")
    last, first = (correlation.isel(lag=k).drop_vars("lag") for k in (below - 1, below))
    return (below - 1 + (last - np.exp(-1)) / (last - first)) * float(correlation.lag[1])


def draw(response: xr.DataArray, correlation: xr.DataArray, timescales: xr.Dataset) -> Figure:
    """Return the figure: response to the pulse, autocorrelations, and the timescale of each area."""
    figure = Figure(figsize=(9.5, 5.0), dpi=150, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.0, 1.7))
    colour = {area: COLOURS(0.9 * float(h)) for area, h in zip(response.area.values, response.hierarchy, strict=True)}

    panels = left.subplots(len(AREAS), 1, sharex=True)
    for ax, area in zip(panels, AREAS, strict=True):
        trace = response.sel(area=area) - 10
        ax.axvspan(100, 350, color=GREY, alpha=0.2, linewidth=0)
        ax.plot(trace.time, trace, color=colour[area])
        ax.set(yticks=[0, float(f"{float(trace.max()):.1g}")], ylim=(-0.05 * trace.max(), 1.15 * trace.max()))
        ax.text(0.98, 0.75, area, transform=ax.transAxes, ha="right", va="center", color=colour[area], weight="bold")
    panels[0].set_title("Pulse to V1: excitatory rate above rest (Hz)", loc="left", fontsize=8.5)
    panels[-1].set_xlabel("Time (ms)")

    above, below = right.subplots(2, 1, height_ratios=(1.0, 1.1))
    for area in AREAS:
        above.plot(correlation.lag, correlation.sel(area=area), color=colour[area], label=area)
    above.axhline(np.exp(-1), color=GREY, linestyle=":", linewidth=0.8)
    above.annotate("1/e", (1500, np.exp(-1)), xytext=(0, 2), textcoords="offset points", ha="right", color=GREY)
    above.set(xlim=(0, 1500), ylim=(-0.05, 1.02), xlabel="Lag (ms)", ylabel="Autocorrelation")
    above.legend(ncols=3, loc="upper right", title="White noise into V1", title_fontsize=8)

    ordered = timescales.sortby("hierarchy")
    below.plot(ordered.area, ordered["without"], "o", color=GREY, markersize=4, label="gradient taken away (eta 0)")
    below.vlines(ordered.area, 0, ordered["with"], color=[colour[a] for a in ordered.area.values], linewidth=1.5)
    below.scatter(ordered.area, ordered["with"], c=[colour[a] for a in ordered.area.values], s=30, zorder=3)
    below.scatter([], [], color=COLOURS(0.5), s=30, label="excitation grows along the hierarchy (eta 0.68)")
    below.set(ylabel="Timescale (ms)", xlabel="Areas in hierarchical order", ylim=(0, None))
    below.tick_params(axis="x", labelrotation=90, labelsize=7)
    below.legend(loc="upper left")
    for ax in (*panels, above, below):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
