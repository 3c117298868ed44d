"""The same trials with and without a perturbation, under the same noise."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.stimulus import Stimulus

CONTROL = "control"


def paired(
    model: Model,
    stimulus: Stimulus | Sequence[Stimulus | None] | None,
    perturbations: Stimulus | Mapping[str, Stimulus],
    *,
    trials: int | Sequence[int] = 1,
    duration: float | None = None,
    **options: Any,
) -> xr.Dataset:
    """Simulate each trial as it is and with each perturbation, all under the noise of that trial.

    What differs between a trial and its control then comes from the perturbation alone.

    Parameters
    ----------
    model : Model
        As for `simulate`.
    stimulus : Stimulus, sequence of Stimulus, or None
        Of the control: one for all trials, or one per trial.
    perturbations : Stimulus or mapping of str to Stimulus
        What is added to the stimulus, by the name of its condition: a Lesion, a Change, light (`optogenetics`), a
        distractor, or sums of them. A single one is called "perturbed".
    trials : int or sequence of int
        How many in each condition, or which.
    duration : float
        In ms; may be left out where a Schedule is in the stimulus.
    **options
        All else that `simulate` takes, but `state`.

    Returns
    -------
    xarray.Dataset
        A result of `simulate` with the trials of all conditions along `trial`, the control first, and the coordinate
        `condition` along `trial`. `compare` sets a read-out of it against the control.

    Raises
    ------
    ValueError, TypeError
        If a condition is called "control", there is none, or an argument does not hold what it must.

    Examples
    --------
    >>> import cortexsim as cx
    >>> model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    >>> result = cx.paired(model, cx.working_memory(), cx.Lesion(areas=["LIP"]), trials=2, record=["r_E1", "r_E2"])
    >>> result.condition.to_numpy().tolist()
    ['control', 'control', 'perturbed', 'perturbed']
    """
    if not isinstance(perturbations, Stimulus | Mapping):
        raise TypeError(f"Argument `perturbations` must be a Stimulus, or several by name, but is {perturbations!r}.")
    named = {"perturbed": perturbations} if isinstance(perturbations, Stimulus) else dict(perturbations)
    if not named or CONTROL in named:
        raise ValueError(
            f"Argument `perturbations` must name one condition or more, none of them {CONTROL!r}, but names "
            f"{', '.join(map(repr, named)) or 'none'}."
        )
    for name, added in named.items():
        if not isinstance(added, Stimulus):
            raise TypeError(f"Perturbation {name!r} must be a Lesion, Change, Pulse, ... or a sum, but is {added!r}.")
    if "state" in options:
        raise TypeError("Argument `state` is not taken: all conditions start from the circuit's initial state.")
    numbers = list(range(_checks.check_count("trials", trials))) if isinstance(trials, int) else list(trials)
    n, conditions = len(numbers), [CONTROL, *named]
    own = [stimulus] * n if stimulus is None or isinstance(stimulus, Stimulus) else list(stimulus)
    if len(own) != n:
        raise ValueError(f"Argument `stimulus` must have one entry per trial, but has {len(own)} for {n} trials.")
    given = [
        added if control is None else control if added is None else control + added
        for added, control in itertools.product((None, *named.values()), own)
    ]
    circuit = model.circuit
    values = {name: getattr(circuit, name) for name in circuit.parameter_names()}
    repeated = {name: v * len(conditions) for name, v in values.items() if isinstance(v, tuple)}
    if repeated:
        model = dataclasses.replace(model, circuit=dataclasses.replace(circuit, **repeated))
    result = simulate(model, given, trials=numbers * len(conditions), duration=duration, **options)
    attrs = {"long_name": "condition"}
    return result.assign_coords(condition=xr.Variable("trial", np.repeat(conditions, n), attrs))


def compare(values: xr.DataArray, *, confidence: float = 0.95) -> xr.Dataset:
    """Set what each condition does to a read-out against the control, trial by trial.

    Parameters
    ----------
    values : DataArray (trial, ...)
        A quantity of each trial of a result of `paired`, with its coordinate `condition`.
    confidence : float
        Of the interval, between 0 and 1.

    Returns
    -------
    xarray.Dataset
        Over (condition, ...), the control left out: `control` and `perturbed` (means over trials), `difference` (mean
        of the differences between each trial and the control of the same number), and its confidence interval `low`,
        `high` by Student's t (NaN for a single pair, no width where all differences are the same). Differences with
        NaN (of lesioned areas, say) are NaN.

    Raises
    ------
    TypeError, ValueError
        If `values` is no DataArray of numbers, `condition` is missing, there is no control, or a trial has none.

    Examples
    --------
    >>> import xarray as xr
    >>> values = xr.DataArray(
    ...     [1.0, 2.0, 4.0, 5.5],
    ...     dims="trial",
    ...     coords={"trial": [0, 1, 0, 1], "condition": ("trial", ["control", "control", "light", "light"])},
    ... )
    >>> round(compare(values).difference.sel(condition="light").item(), 3)
    3.25
    """
    from scipy import stats

    if not isinstance(values, xr.DataArray) or values.dtype.kind not in "fiub":
        raise TypeError(
            f"Argument `values` must be a DataArray of numbers, but is a {type(values).__name__}; pick one."
        )
    if "condition" not in values.coords or values["condition"].dims != ("trial",):
        raise ValueError(
            "Argument `values` must have the coordinate `condition` along `trial`; take a result of `paired`."
        )
    if not 0 < confidence < 1:
        raise ValueError(f"Argument `confidence` must lie between 0 and 1, but is {confidence!r}.")
    conditions = list(dict.fromkeys(values["condition"].to_numpy().tolist()))
    if CONTROL not in conditions or len(conditions) < 2:
        raise ValueError(f"Argument `values` must hold {CONTROL!r} and one condition more, but holds {conditions}.")
    by_condition = {c: values.isel(trial=np.flatnonzero(values["condition"] == c)) for c in conditions}
    control = by_condition.pop(CONTROL)
    parts = []
    for name, perturbed in by_condition.items():
        if perturbed["trial"].to_numpy().tolist() != control["trial"].to_numpy().tolist():
            raise ValueError(f"Each trial must have its control, but those of {name!r} and the control differ.")
        difference = perturbed.drop_vars(["trial", "condition"]) - control.drop_vars(["trial", "condition"])
        n = difference.sizes["trial"]
        mean = difference.mean("trial", skipna=False)
        error = difference.std("trial", ddof=1, skipna=False) / np.sqrt(n) if n > 1 else mean * np.nan
        half = error * float(stats.t.ppf((1 + confidence) / 2, n - 1)) if n > 1 else error
        parts.append(
            xr.Dataset(
                {
                    "control": control.mean("trial", skipna=False),
                    "perturbed": perturbed.mean("trial", skipna=False),
                    "difference": mean,
                    "low": mean - half,
                    "high": mean + half,
                }
            )
        )
    out = xr.concat(parts, xr.Variable("condition", list(by_condition), {"long_name": "condition"}))
    units = values.attrs.get("units", "1")
    says = (
        "mean of the control",
        "mean with it",
        "mean difference to the control",
        "lower end of its interval",
        "upper end",
    )
    for name, long_name in zip(out.data_vars, says, strict=True):
        out[name].attrs = {"units": units, "long_name": long_name}
    return out.assign_attrs(pairs=control.sizes["trial"], confidence=confidence)
