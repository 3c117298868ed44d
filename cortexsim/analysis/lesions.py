"""Lesion atlas: what becomes of a memory when one area after the other is taken away."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.analysis.windows import (
    Window,
    above_baseline,
    baseline_window,
    delay_window,
    mean_in,
    rate_threshold,
    recorded_rates,
)
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.stimulus import Lesion, Stimulus

Floats = NDArray[np.float64]

EFFECTS = ("abolishes", "weakens", "spares")
"""What a lesion does to the memory of the other areas; see `lesion_atlas`."""


def lesion_atlas(
    model: Model,
    stimulus: Stimulus,
    *,
    areas: Sequence[str] | None = None,
    onset: float = 0.0,
    renormalise: bool = False,
    variable: str | None = None,
    duration: float | None = None,
    baseline: Window | None = None,
    delay: Window | None = None,
    threshold: float | None = None,
    during_stimulus: bool = False,
    dt: float = 0.5,
) -> xr.Dataset:
    """Lesion one area at a time, without noise, and judge which of the others still hold the memory.

    An area holds it if mean(rate in delay) - mean(rate in baseline) > threshold. A lesion abolishes the memory if no
    other area holds it, weakens it if fewer of the others hold it than without the lesion, and spares it otherwise.

    Parameters
    ----------
    model : Model
        With one value of each parameter.
    stimulus : Stimulus
        What is to be remembered, in every trial.
    areas : sequence of str
        To lesion, by default each.
    onset : float
        Of the lesions, in ms. 0: the lesion is there from the start, so that it may keep the memory from being loaded;
        a time in the delay: it can only keep it from being held.
    renormalise : bool
        False: what is left keeps its weight, as after an acute lesion; all trials run side by side. True: the lesioned
        areas are cut from the connectome, so that circuits that normalise their inputs, as FroudistWalsh2021 does,
        share out what is left anew: an area that lost inputs gains in the others, as after a recovery.
    variable : str
        Rate that holds the memory; by default the first that the circuit records (r_E1 in FroudistWalsh2021).
    duration : float
        Of the trials, in ms; may be left out where a Schedule is in the stimulus.
    baseline, delay : (start, stop)
        Half-open windows in ms; by default the 500 ms before the first stimulus, and the last 500 ms.
    threshold : float
        In the unit of the rate; by default 5 Hz.
    during_stimulus : bool
        Whether the windows may overlap a current, as with a lasting inactivation.
    dt : float
        Euler step in ms.

    Returns
    -------
    Dataset (area, other)
        By the area lesioned: `effect` ("abolishes", "weakens" or "spares"); of the other areas `n_persistent`, how many
        hold the memory, `n_intact`, how many of them do without the lesion, `lost` and `gained`, how many hold it only
        without or only with the lesion; `activity`, mean delay activity above baseline, and `relative_activity`, its
        ratio to that without the lesion. By area and `other`: `difference`, delay activity above baseline (NaN in the
        lesioned area), and `persistent`. By `other`: `intact`, delay activity above baseline without a lesion. The
        model's maps are coordinates along `area`; what was run stands in attrs.

    Raises
    ------
    ValueError, TypeError
        If an argument does not hold what it must, no area holds the memory without a lesion, the run is over at
        `onset`, or `renormalise` comes with an `onset`.

    Examples
    --------
    >>> import cortexsim as cx
    >>> model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    >>> lesion_atlas(model, cx.working_memory(), areas=["8B", "LIP", "V4"]).effect.values.tolist()
    ['abolishes', 'weakens', 'spares']
    """
    if model.circuit.trials is not None:
        raise ValueError(
            "A lesion atlas is of one condition, but the circuit has parameters with one value per trial; call this "
            "once for each value."
        )
    if isinstance(areas, str):
        raise TypeError(f"Argument `areas` must be a sequence of areas, but is {areas!r}; write [{areas!r}].")
    chosen = _checks.check_unique(model.areas if areas is None else areas, what="area", where="`areas`")
    for area in chosen:
        _checks.check_known(area, model.areas, what="area", where="lesion_atlas", listed="`connectome.areas`")
    if not chosen:
        raise ValueError("Argument `areas` must name one area at least, but is empty.")
    if renormalise and onset != 0:
        raise ValueError(
            f"A renormalised lesion is there from the start, but `onset` is {onset:g} ms; leave out one of the two."
        )
    variable = model.circuit.recorded[0] if variable is None else variable
    duration = stimulus.trial_duration if duration is None else duration
    onset = _checks.check_finite("onset", onset, "ms")
    if duration is not None and onset >= _checks.check_positive("duration", duration, "ms"):
        raise ValueError(
            f"Argument `onset` must lie before the end of the run, {duration:g} ms, but is {onset:g} ms; lesion "
            "earlier, or pass a longer `duration`."
        )

    def judge(one: Model, stimuli: list[Stimulus]) -> tuple[xr.Dataset, Floats, float]:
        result = simulate(
            one,
            stimuli if len(stimuli) > 1 else stimuli[0],
            duration=duration,
            dt=dt,
            trials=len(stimuli),
            noise=False,
            record=(variable,),
            progress=False,
        )
        rates = recorded_rates(result, variable)
        windows = baseline_window(result, baseline, during_stimulus), delay_window(result, delay, during_stimulus)
        before, after = (mean_in(rates, *w) for w in zip(("baseline", "delay"), windows, strict=True))
        difference = above_baseline(after.to_numpy(), before.to_numpy(), one.areas, windows[0])
        return result, difference, rate_threshold(rates, threshold)

    if renormalise:
        result, intact, limit = judge(model, [stimulus])
        cut = (dataclasses.replace(model, connectome=model.connectome.lesion([area])) for area in chosen)
        difference = np.concatenate([intact, *(judge(one, [stimulus])[1] for one in cut)])
    else:
        lesioned = [stimulus + Lesion(areas=(area,), onset=onset) for area in chosen]
        result, difference, limit = judge(model, [stimulus, *lesioned])
    if not (difference[0] > limit).any():
        raise ValueError(f"Some area must hold the memory without a lesion, but none exceeds {limit:g} Hz.")
    atlas = _compare(difference[1:], difference[0], [model.areas.index(area) for area in chosen], limit)
    maps = {str(name): m.variable for name, m in model.area_maps.sel(area=list(chosen)).data_vars.items()}
    labels = {"area": list(chosen), "other": list(model.areas), **maps}
    kept = ("cortexsim_version", "circuit", "parameters", "connectome", "gradients_digest", "dt_ms", "duration_ms")
    return atlas.assign_coords(labels).assign_attrs(
        {key: result.attrs[key] for key in kept},
        stimulus=stimulus.to_json(),
        onset_ms=onset,
        renormalised=int(renormalise),
        variable=variable,
        threshold=limit,
    )


def _compare(difference: Floats, intact: Floats, lesioned: list[int], threshold: float) -> xr.Dataset:
    """Return the atlas of delay activity above baseline (lesion, area), of which `lesioned` are the areas cut."""
    gone = np.zeros(difference.shape, dtype=bool)
    gone[np.arange(len(lesioned)), lesioned] = True
    difference = np.where(gone, np.nan, difference)
    without = np.where(gone, np.nan, intact)
    persistent, before = difference > threshold, without > threshold
    n_persistent, n_intact = persistent.sum(axis=1), before.sum(axis=1)
    activity = np.nanmean(difference, axis=1)
    effect = np.where(n_persistent == 0, "abolishes", np.where(n_persistent < n_intact, "weakens", "spares"))
    by_area = {
        "effect": (effect, "effect of the lesion on the memory"),
        "n_persistent": (n_persistent, "other areas that hold the memory"),
        "n_intact": (n_intact, "other areas that hold the memory without the lesion"),
        "lost": ((before & ~persistent).sum(axis=1), "areas that hold the memory only without the lesion"),
        "gained": ((persistent & ~before).sum(axis=1), "areas that hold the memory only with the lesion"),
        "activity": (activity, "delay activity above baseline, mean of the other areas"),
        "relative_activity": (activity / np.nanmean(without, axis=1), "delay activity relative to the intact cortex"),
    }
    both = ("area", "other")
    return xr.Dataset(
        {
            **{
                name: ("area", values, {"units": "Hz" if name == "activity" else "1", "long_name": meaning})
                for name, (values, meaning) in by_area.items()
            },
            "difference": (both, difference, {"units": "Hz", "long_name": "delay activity above baseline"}),
            "persistent": (both, persistent, {"long_name": "activity persists through the delay"}),
            "intact": ("other", intact, {"units": "Hz", "long_name": "delay activity above baseline, no lesion"}),
        }
    )
