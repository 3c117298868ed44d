"""Delay activity by area, and whether experiments report it there."""

from __future__ import annotations

import itertools
import json
import math
import os
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
import xarray as xr

from cortexsim._checks import check_same_condition
from cortexsim.analysis.windows import (
    Window,
    above_baseline,
    baseline_window,
    delay_window,
    interval,
    mean_in,
    rate_threshold,
    recorded_names,
    recorded_rates,
    samples_in,
)
from cortexsim.results import check_writable, replacing
from cortexsim.stimulus import Lesion, read_json

EXPERIMENTAL_LABELS = ("delay_activity_reported", "delay_activity_well_studied")
_NO_YES = ["no", "yes"]
_ACCURACY = ("1", "share of the well-studied areas that agree")  # units and long name
_CHI_SQUARED = ("1", "Pearson's chi-squared, not corrected")


@dataclass(frozen=True, eq=False, repr=False)
class Persistence:
    """Delay activity by area and its agreement with experiments, as `persistence` returns it.

    It prints as a table with a line per area; `summary` has the five lines above it alone. `to_dataset` and `to_csv`
    save it.

    Attributes
    ----------
    areas : xarray.Dataset
        Over `area`: `baseline`, `delay`, `difference` (mean over trials, unit of the rate), `persistent` (bool),
        `persistent_fraction` (of the trials, 0 to 1), `reported` and `well_studied` (bool, experiments), `agreement`
        (1: simulation and experiment agree, 0: they do not, NaN: not well studied). Coordinates and attrs of the result
        are kept.
    confusion : xarray.DataArray
        Number of well-studied areas, (experiment, simulation), each "no" or "yes".
    accuracy : float
        Share of the well-studied areas on which simulation and experiment agree; NaN where no area is well studied.
    chi_squared, p_value : float
        Pearson's chi-squared of the confusion table (1 degree of freedom, no continuity correction) and its p-value;
        NaN where undefined.
    undefined : str
        Why chi-squared is undefined; empty where it is defined.
    variable : str
        Name of the rate that was judged.
    threshold : float
        An area persists if its delay activity exceeds its baseline by more than this (unit of the rate).
    baseline_window, delay_window : tuple of float
        Half-open windows (start, stop) in ms.
    trials : int
        Number of trials that were averaged.
    """

    areas: xr.Dataset
    confusion: xr.DataArray
    accuracy: float
    chi_squared: float
    p_value: float
    undefined: str
    variable: str
    threshold: float
    baseline_window: Window
    delay_window: Window
    trials: int

    @property
    def persistent_areas(self) -> tuple[str, ...]:
        """Names of the areas that hold activity through the delay, in the order of the result."""
        return _names(self.areas.persistent)

    @property
    def misses(self) -> tuple[str, ...]:
        """Names of the well-studied areas on which simulation and experiment disagree."""
        return _names(self.areas.agreement == 0)

    def summary(self) -> str:
        """Return five lines: how many areas persist, the windows, and the agreement with experiments."""
        unit = self.areas.delay.attrs["units"]
        table = {(e, s): int(self.confusion.sel(experiment=e, simulation=s)) for e in _NO_YES for s in _NO_YES}
        studied = sum(table.values())
        agreeing = table["no", "no"] + table["yes", "yes"]
        share = f" ({self.accuracy:.1%})" if studied else ""
        chi_squared = f"{self.chi_squared:.4f}, p = {self.p_value:.3e}"
        lines = [
            f"Delay activity of {self.variable}, mean over {self.trials} trial{'' if self.trials == 1 else 's'}: "
            f"{len(self.persistent_areas)} of {self.areas.sizes['area']} areas exceed their baseline by more than "
            f"{self.threshold:g} {unit}",
            f"Windows: baseline {interval(self.baseline_window)}, delay {interval(self.delay_window)}",
            f"Experiments: {agreeing} of {studied} well-studied areas agree{share}"
            + (f"; not: {', '.join(self.misses)}" if self.misses else ""),
            f"Reported: {table['yes', 'yes']} persist, {table['yes', 'no']} do not. "
            f"Not reported: {table['no', 'yes']} persist, {table['no', 'no']} do not",
            f"Chi-squared (1 degree of freedom, no continuity correction): {self.undefined or chi_squared}",
        ]
        return "\n".join(lines)

    def to_dataset(self) -> xr.Dataset:
        """Return everything as one Dataset that can be written to netCDF.

        Returns
        -------
        xarray.Dataset
            `areas` with `confusion` (experiment, simulation), `accuracy`, `chi_squared` and `p_value` added; the
            variable, threshold, windows (ms, JSON), number of trials and why chi-squared is undefined stand in attrs.
        """
        dataset = self.areas.assign(
            confusion=self.confusion,
            accuracy=_described(xr.DataArray(self.accuracy), *_ACCURACY),
            chi_squared=_described(xr.DataArray(self.chi_squared), *_CHI_SQUARED),
            p_value=((), self.p_value, {"units": "1", "long_name": "p-value of chi-squared, 1 degree of freedom"}),
        )
        return dataset.assign_attrs(
            _criterion(self.variable, self.threshold, self.baseline_window, self.delay_window),
            persistence_trials=self.trials,
            persistence_undefined=self.undefined,
        )

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the summary as comment lines that begin with "# ", then one row per area.

        Read it back with ``pandas.read_csv(path, comment="#", dtype={"area": str})``. The file appears whole or not at
        all. Rates are written with full precision; yes/no columns as True/False, `agreement` as in `areas`.

        Parameters
        ----------
        path
            Where to, ending in ".csv"; the folder must exist. A file that is there is replaced.

        Raises
        ------
        ValueError
            If the path ends otherwise.
        FileNotFoundError, IsADirectoryError
            If the folder is missing, or `path` is one itself.
        """
        target = check_writable(path, (".csv",))
        summary = "".join(f"# {line}\n" for line in self.summary().splitlines())
        with replacing(target) as part:
            part.write_text(summary + self._frame().to_csv(lineterminator="\n"), encoding="utf-8", newline="")

    def __str__(self) -> str:
        """Return the summary and one line per area."""
        return f"{self.summary()}\n\n{self._readable().to_string()}"

    def __repr__(self) -> str:
        """Return the same table, so that it shows at a prompt."""
        return str(self)

    def _repr_html_(self) -> str:
        summary = "<br>".join(escape(line) for line in self.summary().splitlines())
        return f"<p>{summary}</p>{self._readable().to_html()}"

    def _frame(self) -> pd.DataFrame:
        return pd.DataFrame({str(name): values.values for name, values in self.areas.data_vars.items()}).set_index(
            pd.Index(self.areas.area.values, name="area")
        )

    def _readable(self) -> pd.DataFrame:
        unit = self.areas.delay.attrs["units"]
        frame = self._frame()
        yes_no = {True: "yes", False: "no"}
        agreement = frame.agreement.map({1.0: "yes", 0.0: "NO"})
        return pd.DataFrame(
            {
                f"baseline ({unit})": frame.baseline.map("{:.2f}".format),
                f"delay ({unit})": frame.delay.map("{:.2f}".format),
                f"difference ({unit})": frame.difference.map("{:.2f}".format),
                "persistent": frame.persistent.map(yes_no),
                "of trials": frame.persistent_fraction.map("{:.0%}".format),
                "reported": frame.reported.map(yes_no).where(frame.well_studied, "-"),
                "agreement": agreement.where(frame.well_studied, "-"),
            }
        ).rename_axis(None)


def persistence(
    result: xr.Dataset,
    *,
    variable: str | None = None,
    baseline: Window | None = None,
    delay: Window | None = None,
    threshold: float | None = None,
    during_stimulus: bool = False,
) -> Persistence:
    """Judge per area whether activity outlasts the stimulus, and compare with experiments.

    An area persists if ``mean(rate in delay) - mean(rate in baseline) > threshold``, both means over time and trials.
    Over the well-studied areas (more than two studies) this is compared with reported delay activity (more than two
    more studies report it than do not). Means leave out the times at which an area is lesioned; one that is so
    throughout the delay window does not persist, and is left out of the comparison.

    Parameters
    ----------
    result
        What `simulate` returns: rates (trial, time, area) or (time, area), with the coordinates
        `delay_activity_reported` and `delay_activity_well_studied` along `area`.
    variable
        Rate to judge: "r_E1" after a stimulus to E1, "r_E2" after one to E2. By default r_E1; where the result does not
        hold it, its first variable in Hz, or the first of all where none is.
    baseline, delay
        Half-open windows (start, stop) in ms. By default the 500 ms before the first stimulus and the last 500 ms of
        the run: 500 to 1000 and 4500 to 5000 ms in the paper's trial. The windows of the authors' program are the same
        but for one sample of 0.5 ms, 499.5 to 999.5 and 4499.5 to 5000 ms.
    threshold
        In the unit of the variable. By default 5 Hz; a variable in another unit has no default.
    during_stimulus
        Whether the windows may overlap a stimulus, as with a lasting inactivation.

    Returns
    -------
    Persistence
        Per area and in sum; it prints as a table.

    Raises
    ------
    TypeError
        If `result` is not a Dataset.
    ValueError
        If the variable, its threshold, the experimental labels or the stimulus are missing, trials differ in a
        parameter, a rate in a window is not finite though its area is not lesioned, an area with a rate in the delay
        window has none in that of the baseline, or a window is empty, leaves the run, or overlaps a stimulus of any
        trial.

    References
    ----------
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024 (criterion, Fig. 3);
    Leavitt et al. 2017, Trends Neurosci 40:328, doi 10.1016/j.tins.2017.04.004 (reports).
    """
    rates = _rates(result, variable)
    variable = str(rates.name)
    check_same_condition(rates, otherwise="persistence_by_trial(result), which judges each trial by itself")
    threshold = rate_threshold(rates, threshold)
    baseline = baseline_window(result, baseline, during_stimulus)
    delay = delay_window(result, delay, during_stimulus)
    trials = _judge(result, rates, baseline, delay, threshold)
    reported, well_studied = (_label(result, name) for name in EXPERIMENTAL_LABELS)

    means = trials[["baseline", "delay", "difference"]].mean("trial", keep_attrs=True)
    persistent = means.difference > threshold
    judged = well_studied & means.difference.notnull()
    agreement = (persistent == reported).astype(np.float64).where(judged)
    areas = means.assign(
        persistent=_described(persistent, "", "activity persists through the delay"),
        persistent_fraction=_described(trials.persistent.mean("trial"), "1", "trials with persistence"),
        reported=_described(reported, "", "delay activity is reported in experiments"),
        well_studied=_described(well_studied, "", "more than two studies"),
        agreement=_described(agreement, "1", "simulation and experiment agree"),
    )
    confusion = _confusion(persistent, reported, judged)
    chi_squared = float(_chi_squared(confusion))
    return Persistence(
        areas=areas,
        confusion=confusion,
        accuracy=float(_accuracy(confusion)),
        chi_squared=chi_squared,
        p_value=math.erfc(math.sqrt(chi_squared / 2.0)),
        undefined=_why_undefined(confusion),
        variable=variable,
        threshold=threshold,
        baseline_window=baseline,
        delay_window=delay,
        trials=rates.sizes["trial"],
    )


def persistence_by_trial(
    result: xr.Dataset,
    *,
    variable: str | None = None,
    baseline: Window | None = None,
    delay: Window | None = None,
    threshold: float | None = None,
    during_stimulus: bool = False,
) -> xr.Dataset:
    """Judge each trial by itself, as `persistence` judges their mean: for sweeps of a parameter or a stimulus.

    Parameters
    ----------
    result, variable, baseline, delay, threshold, during_stimulus
        As in `persistence`; trials may differ in parameters and stimuli. The default windows are the same for all
        trials: before the first stimulus of any trial, and the end of the run.

    Returns
    -------
    xarray.Dataset
        Over (trial, area): `baseline`, `delay` and `difference` (unit of the rate), `persistent` (bool). Over trial:
        `n_persistent` (number of areas), `accuracy` (share of the well-studied areas on which simulation and experiment
        agree), `chi_squared` (Pearson's, 1 degree of freedom, not corrected); the latter two are NaN where undefined.
        Coordinates and attrs of the result are kept, so that a parameter with one value per trial, such as `dopamine`,
        becomes an axis by ``.swap_dims(trial="dopamine")``; variable, threshold and windows (ms, JSON) join the attrs.

    Raises
    ------
    TypeError
        If `result` is not a Dataset.
    ValueError
        As `persistence`, but trials may be of any conditions.

    References
    ----------
    As for `persistence`.

    Examples
    --------
    How many areas hold a memory, by dopamine:

    >>> import cortexsim as cx
    >>> circuit = cx.circuits.FroudistWalsh2021(dopamine=[0.5, 1.5])
    >>> model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    >>> task = cx.working_memory()
    >>> result = cx.simulate(model, task, duration=task.duration, trials=2, noise=False)
    >>> judged = cx.validate.persistence_by_trial(result)
    >>> judged.n_persistent.swap_dims(trial="dopamine").sel(dopamine=1.5).item()
    23
    """
    rates = _rates(result, variable)
    variable = str(rates.name)
    threshold = rate_threshold(rates, threshold)
    baseline = baseline_window(result, baseline, during_stimulus)
    delay = delay_window(result, delay, during_stimulus)
    trials = _judge(result, rates, baseline, delay, threshold)
    reported, well_studied = (_label(result, name) for name in EXPERIMENTAL_LABELS)
    confusion = _confusion(trials.persistent, reported, well_studied & trials.difference.notnull())
    return trials.assign(
        n_persistent=_described(trials.persistent.sum("area"), "1", "number of areas that persist"),
        accuracy=_described(_accuracy(confusion), *_ACCURACY),
        chi_squared=_described(_chi_squared(confusion), *_CHI_SQUARED),
    ).assign_attrs(_criterion(variable, threshold, baseline, delay))


def _judge(result: xr.Dataset, rates: xr.DataArray, baseline: Window, delay: Window, threshold: float) -> xr.Dataset:
    """Return what each trial shows in each area, with the attrs of the result."""
    lesioned = _lesioned(result)
    before, after = (_finite_means(rates, *w, lesioned) for w in (("baseline", baseline), ("delay", delay)))
    areas = rates.area.to_numpy()
    difference = after.copy(data=above_baseline(after.to_numpy(), before.to_numpy(), areas, baseline))
    units = rates.attrs.get("units", "Hz")
    return xr.Dataset(
        {
            "baseline": _described(before, units, "activity before the stimulus"),
            "delay": _described(after, units, "activity in the delay"),
            "difference": _described(difference, units, "delay activity above baseline"),
            "persistent": _described(difference > threshold, "", "activity persists through the delay"),
        },
        attrs=result.attrs,
    )


def _criterion(variable: str, threshold: float, baseline: Window, delay: Window) -> dict[str, str | float]:
    return {
        "persistence_variable": variable,
        "persistence_threshold": threshold,
        "persistence_baseline_window_ms": json.dumps(baseline),
        "persistence_delay_window_ms": json.dumps(delay),
    }


def default_rates(result: xr.Dataset) -> tuple[str, ...]:
    """Return the variables of a result that are meant where none is named.

    Parameters
    ----------
    result
        What `simulate` returns.

    Returns
    -------
    tuple of str
        `r_E1` and `r_E2`, as far as the result holds them; else its first two variables in Hz; else its first one.

    Raises
    ------
    ValueError
        If no variable has the dims `time` and `area`.
    """
    recorded = recorded_names(result)
    if not recorded:
        raise ValueError(
            f"The result must hold a variable over time and area, but holds {', '.join(map(str, result)) or 'none'}."
        )
    selective = tuple(name for name in ("r_E1", "r_E2") if name in recorded)
    return selective or tuple(name for name in recorded if result[name].attrs.get("units") == "Hz")[:2] or recorded[:1]


def _rates(result: xr.Dataset, variable: str | None) -> xr.DataArray:
    if variable is None and isinstance(result, xr.Dataset):
        variable = default_rates(result)[0]
    return recorded_rates(result, str(variable))


def _label(result: xr.Dataset, name: str) -> xr.DataArray:
    if name not in result.variables or result[name].dims != ("area",):
        raise ValueError(
            f"The result must carry the experimental label {name!r} along `area`, but does not; simulate a Model with "
            "`gradients.macaque40()`, or add the label: result.assign_coords({...: ('area', [...])})."
        )
    label = result[name]
    if not np.isin(label.values, [False, True]).all():
        raise ValueError(f"The label {name!r} must be True or False in each area, but is {label.values.tolist()}.")
    return label.astype(bool)


def _finite_means(rates: xr.DataArray, name: str, window: Window, lesioned: set[str]) -> xr.DataArray:
    finite = np.isfinite(rates.values[:, samples_in(rates.time, name, window)]).all(axis=(0, 1))
    bad = set(rates.area.values[~finite]) - lesioned
    if bad:
        raise ValueError(f"Rates in the {name} window must be finite, but are not in {', '.join(sorted(bad))}.")
    return mean_in(rates, name, window)


def _lesioned(result: xr.Dataset) -> set[str]:
    """Return the areas that a lesion of any trial names; their rates are NaN, and they do not persist."""
    parts = itertools.chain(*read_json(result.attrs["stimulus"]))
    return {area for part in parts if isinstance(part, Lesion) for area in part.areas}


def _confusion(persistent: xr.DataArray, reported: xr.DataArray, well_studied: xr.DataArray) -> xr.DataArray:
    """Return the number of well-studied areas (..., experiment, simulation), each "no" or "yes"."""
    experiment, simulation = (xr.DataArray([False, True], {name: _NO_YES}) for name in ("experiment", "simulation"))
    cells = well_studied & (reported == experiment) & (persistent == simulation)
    counts = cells.sum("area").transpose(..., "experiment", "simulation")
    return _described(counts.reset_coords(drop=True), "1", "number of well-studied areas")


def _accuracy(confusion: xr.DataArray) -> xr.DataArray:
    agreeing = sum(confusion.sel(experiment=answer, simulation=answer, drop=True) for answer in _NO_YES)
    studied = confusion.sum(("experiment", "simulation"))
    return agreeing / studied.where(studied > 0)


def _chi_squared(confusion: xr.DataArray) -> xr.DataArray:
    """Return Pearson's statistic n (ad - bc)^2 / (product of the margins), NaN where a margin is empty."""
    a, b, c, d = (confusion.sel(experiment=e, simulation=s, drop=True) for e in _NO_YES for s in _NO_YES)
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    return (a + b + c + d) * (a * d - b * c) ** 2 / margins.where(margins > 0)


def _why_undefined(confusion: xr.DataArray) -> str:
    """Return why chi-squared is undefined, or an empty string where it is defined."""
    margins = (
        ("every well-studied area is reported", confusion.sel(experiment="no")),
        ("no well-studied area is reported", confusion.sel(experiment="yes")),
        ("every well-studied area persists", confusion.sel(simulation="no")),
        ("no well-studied area persists", confusion.sel(simulation="yes")),
    )
    if not confusion.any():
        return "undefined, no area is well studied"
    return next((f"undefined, {reason}" for reason, margin in margins if not margin.any()), "")


def _described(values: xr.DataArray, units: str, long_name: str) -> xr.DataArray:
    described = values.drop_attrs(deep=False)
    described.attrs = {"units": units, "long_name": long_name} if units else {"long_name": long_name}
    return described


def _names(chosen: xr.DataArray) -> tuple[str, ...]:
    return tuple(str(area) for area in chosen.area.values[chosen.values.astype(bool)])
