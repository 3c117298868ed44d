"""Two parameters of the 29-area cortex, fitted to measured intrinsic timescales, and how well the data tell them.

Chaudhuri R, Knoblauch K, Gariel M-A, Kennedy H, Wang X-J (2015). A large-scale circuit mechanism for hierarchical
dynamical processing in the primate cortex. Neuron 88:419-431, doi 10.1016/j.neuron.2015.09.008 (the model).
Murray JD et al. (2014). A hierarchy of intrinsic timescales across primate cortex. Nat Neurosci 17:1661-1663,
doi 10.1038/nn.3862, Fig. 1 (the data).

White noise into all areas lets the activity of each fluctuate with a timescale of its own. As published, the model is
slower than the recorded neurons at the top of the hierarchy. A fit of the gradient of excitation (eta) and of the
long-range excitation (mu_EE) puts that right with weaker projections. The profile of eta tells which gradients the four
measured regions allow if long-range excitation may make up for them.

It prints the fit and writes fit_timescales.png to the working directory, or to --out FOLDER. The history of the fit is
kept in fit_timescales.nc beside it: run again, it evaluates nothing anew.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx
from cortexsim import fitting
from cortexsim.plot.fit import fit_history, fit_profile, fit_sensitivity

BOUNDS = {"eta": (0.2, 0.75), "mu_EE": (26.0, 36.0)}  # 1, pA/Hz
START = {"eta": 0.5, "mu_EE": 30.0}
GRADIENTS = np.array([0.56, 0.6, 0.64, 0.68, 0.72])
SPREAD = 0.13  # of the logarithm between data sets of one region
TOLERANCE = 1e-3  # of the bounds
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#777777"


def main(out: Path = Path()) -> None:
    """Fit, print parameters and timescales, and write the figure into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    cortex = cx.Model(cx.load_connectome("macaque29"), cx.circuits.Chaudhuri2015(), cx.gradients.macaque29())
    measured, regions = fitting.murray2014(cortex.areas)
    target = fitting.Timescales(cortex, measured, "r_E", regions=regions, input="E", max_lag=450, error=SPREAD)

    found = fitting.fit(
        target, BOUNDS, method="least_squares", start=START, tolerance=TOLERANCE, path=out / "fit_timescales.nc"
    )
    along = fitting.profile(target, found, "eta", GRADIENTS, restarts=0, tolerance=TOLERANCE, error=1.0)
    told = fitting.sensitivity(target, found, error=1.0)

    print(f"{found.history.sizes['evaluation']} evaluations, {found.new_evaluations} of them new\n")
    for name, value in found.best.items():
        published = getattr(cortex.circuit, name)
        error = float(told.standard_error.sel(parameter=name))
        print(f"{name:6} {value:7.3f} +- {error:.3f}   published {published:g}")
    correlation = float(told.correlation.sel(parameter="eta", other_parameter="mu_EE"))
    print(f"Correlation of the two: {correlation:.2f}\n")
    table = xr.Dataset({"measured (ms)": measured, "fitted (ms)": target.simulated(found.best)}).to_dataframe()
    print(table.drop(columns="datasets").to_string(float_format="%.0f"))

    picture = out / "fit_timescales.png"
    with matplotlib.rc_context({"font.size": 8.5, "legend.fontsize": 7.5, "legend.frameon": False}):
        draw(cortex, found, measured, regions, along, told).savefig(picture)
    print(f"\nWrote {picture}")


def draw(
    cortex: cx.Model,
    found: fitting.Fit,
    measured: xr.DataArray,
    regions: dict[str, tuple[str, ...]],
    along: xr.Dataset,
    told: xr.Dataset,
) -> Figure:
    """Return the figure: timescales before and after, the fall of the loss, the profile and the sensitivity."""
    figure = Figure(figsize=(9.5, 7.8), dpi=150, layout="constrained")
    above, middle, below = figure.subfigures(3, 1, height_ratios=(1.25, 1.0, 1.0))

    left = above.subplots()
    hierarchy = cortex.area_maps.hierarchy
    for model, colour, name in (
        (cortex, GREY, "published"),
        (fitting.vary(cortex, found.best), BLUE, "fitted"),
    ):
        times = cx.analysis.timescales(model, "r_E", input="E", max_lag=1000)
        left.plot(hierarchy, times, "o", color=colour, markersize=4, label=name)
    for k, (region, areas) in enumerate(regions.items()):
        at = hierarchy.sel(area=list(areas))
        where, value = float(at.mean()), float(measured.sel(region=region))
        label = "measured, mean of data sets" if k == 0 else None
        reach = 0.012 + float(at.max() - at.min()) / 2
        left.errorbar(where, value, xerr=reach, color=VERMILION, linewidth=2, label=label)
        left.annotate(region, (where, value), xytext=(0, 4), textcoords="offset points", ha="center", color=VERMILION)
    left.set(xlabel="Hierarchical position", ylabel="Timescale (ms)", yscale="log", yticks=[50, 100, 200, 500])
    left.yaxis.set_major_formatter("{x:g}")
    left.minorticks_off()
    left.legend(loc="upper left")
    left.spines[["top", "right"]].set_visible(False)

    with cx.plot.styled():
        panels = middle.subplots(1, 3)
        fit_history(found, ax=panels[0])
        fit_profile(along, ax=list(panels[1:]))
        fit_sensitivity(told, ax=list(below.subplots(1, 3)))
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the figure (default: working directory)")
    main(parser.parse_args().out)
