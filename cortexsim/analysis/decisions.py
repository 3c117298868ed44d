"""Decisions between two alternatives: choice, reaction time, and how both depend on the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim._checks import check_finite, check_known, check_not_negative
from cortexsim.analysis.memory import described, item_of, item_variables
from cortexsim.analysis.outcomes import groups, proportion
from cortexsim.analysis.windows import drives_by_trial, recorded_rates
from cortexsim.stimulus import Drive
from cortexsim.stimulus.drives import SAME_TIME

Floats = NDArray[np.float64]


def decision(
    result: xr.Dataset,
    *,
    threshold: float = 15.0,
    smoothing: float = 20.0,
    onset: float | None = None,
    items: tuple[str, str] | None = None,
) -> xr.Dataset:
    """Return what is chosen in each trial and area, and when.

    The alternative whose smoothed rate first exceeds the threshold after the onset of the evidence is chosen; the
    reaction time runs from the onset to this crossing, interpolated between samples. The rates are smoothed by
    tau ds/dt = r - s, exactly for rates constant between samples.

    Parameters
    ----------
    result : Dataset (trial, time, area)
        What `simulate` returned. Samples every few ms (`simulate(every=2)`) suit reaction times.
    threshold
        In the unit of the rates, Hz.
    smoothing
        tau in ms; 0 for none.
    onset
        Of the evidence, in ms; by default that of the currents named "evidence" (or, where none is, without a name);
        negative currents are none.
    items : (str, str)
        Variables that are alternatives 1 and 2, as in `held_item`.

    Returns
    -------
    Dataset (trial, area)
        `choice`: 1, 2, or 0 for none (so in an area that has been lesioned before it could choose); `reaction_time` in
        ms, NaN for none; `onset` of the evidence (trial) in ms. Where the result tells of evidence, the coordinate
        `coherence` (trial), 100 (I_1 - I_2) / (I_1 + I_2) in percent, positive for alternative 1.

    Raises
    ------
    TypeError, ValueError
        If the result has no two alternatives, its samples are not even, or an argument does not hold what it must.

    References
    ----------
    Wong and Wang 2006, J Neurosci 26:1314, doi 10.1523/JNEUROSCI.3733-05.2006 (15 Hz).
    """
    names = item_variables(result, items)
    evidence = [_evidence(drives, names) for drives in drives_by_trial(result)]
    first, second = (recorded_rates(result, name).astype(np.float64) for name in names)
    time = first.time.to_numpy().astype(np.float64)
    every = float(time[1] - time[0])
    if np.ptp(np.diff(time)) > SAME_TIME:
        raise ValueError("Rates must be sampled evenly in time, but are not; select trials or areas, not times.")
    if onset is None:
        onsets = np.array([_onset(drives) for drives in evidence])
    else:
        onsets = np.full(first.sizes["trial"], check_finite("onset", onset, "ms"))
    since = time - onsets[:, np.newaxis]
    level = check_finite("threshold", threshold)
    tau = check_not_negative("smoothing", smoothing, "ms")
    crossed = np.stack([_crossing(smoothed(rates.to_numpy(), every, tau), since, level) for rates in (first, second)])
    reaction = crossed.min(axis=0)
    choice = np.where(np.isfinite(reaction), 1 + crossed.argmin(axis=0), 0).astype(np.int8)
    over = ("trial", "area")
    decided = xr.Dataset(
        {
            "choice": (over, choice, described("alternative chosen: 1, 2, or 0 for none")),
            "reaction_time": (
                over,
                np.where(choice > 0, reaction, np.nan),
                described("time from the onset of the evidence to the choice", "ms"),
            ),
            "onset": ("trial", onsets, described("onset of the evidence", "ms")),
        },
        first.isel(time=0, drop=True).coords,
        result.attrs | {"decision_threshold": level, "decision_smoothing_ms": tau},
    )
    coherence = [_coherence(drives, names) for drives in evidence]
    if not np.isnan(coherence).all():
        decided = decided.assign_coords(coherence=("trial", coherence, described("coherence", "%")))
    return decided


def psychometric(decisions: xr.Dataset, by: str = "coherence", *, confidence: float = 0.95) -> xr.Dataset:
    """Return how choices and reaction times depend on the evidence.

    Parameters
    ----------
    decisions : Dataset (trial, area)
        What `decision` returned.
    by
        The coordinate along trial that tells the evidence, positive for alternative 1.
    confidence
        Of the interval, 0 ... 1.

    Returns
    -------
    Dataset (by, area)
        `n` (by, area, choice) of choices 0 (none), 1 and 2; `fraction` of alternative 1 among the trials with a
        choice, with Wilson's interval `low` ... `high`; `reaction_time` (by, area, choice), the mean in ms, and
        `reaction_time_sd`, over trials; NaN where there is none.

    Raises
    ------
    TypeError, ValueError
        If `decisions` is not what `decision` returns, there is no such coordinate, or trials of one value of it differ
        in another parameter.
    """
    if not isinstance(decisions, xr.Dataset) or not {"choice", "reaction_time"} <= set(decisions):
        raise TypeError("Argument `decisions` must be the Dataset that `decision(result)` returns.")
    along = [str(name) for name, c in decisions.coords.items() if c.dims == ("trial",)]
    check_known(by, along, what="coordinate along trial", where="`by`")
    kinds = xr.DataArray([0, 1, 2], dims="choice", name="choice", attrs={"long_name": "alternative chosen"})
    kinds = kinds.assign_coords(choice=kinds)
    tables = []
    for value, group in groups(decisions[["choice", "reaction_time"]], by):
        chosen = group.choice == kinds
        times = group.reaction_time.where(chosen)
        count = chosen.sum("trial")
        mean = times.sum("trial") / count.where((count > 0) & (kinds > 0))
        spread = np.sqrt(((times - mean) ** 2).sum("trial") / (count - 1).where((count > 1) & (kinds > 0)))
        table = xr.Dataset({"n": count, "reaction_time": mean, "reaction_time_sd": spread})
        tables.append(table.assign_coords({by: value}))
    found = xr.concat(tables, by)
    found["n"].attrs = described("number of trials")
    found["reaction_time"].attrs = described("mean reaction time", "ms")
    found["reaction_time_sd"].attrs = described("standard deviation of the reaction time", "ms")
    one, two = (found.n.sel(choice=k, drop=True) for k in (1, 2))
    share = proportion(one, one + two, confidence)
    share["fraction"].attrs["long_name"] = "fraction of choices of alternative 1"
    return found.merge(share)


def _evidence(drives: Sequence[Drive], names: tuple[str, str]) -> list[Drive]:
    """Return the currents that are evidence: the first ones into an item named so, else those without a name."""
    into_items = [d for d in drives if item_of(d, names)]
    told = [d for d in into_items if d.name == "evidence"] or [d for d in into_items if d.name == ""]
    return [d for d in told if d.onset == min(t.onset for t in told)]


def _onset(evidence: Sequence[Drive]) -> float:
    if not evidence:
        raise ValueError(
            "Each trial must have a current named 'evidence', but one has none; simulate "
            "`protocols.decision_making(...)`, or pass `onset=` in ms."
        )
    return evidence[0].onset


def _coherence(evidence: Sequence[Drive], names: tuple[str, str]) -> float:
    """Return 100 (I_1 - I_2)/(I_1 + I_2), NaN where there is no current."""
    first, second = (sum(d.amplitude for d in evidence if item_of(d, names) == k) for k in (1, 2))
    return round(100 * (first - second) / (first + second), 9) if first + second > 0 else np.nan


def smoothed(rates: Floats, every: float, tau: float) -> Floats:
    """Return rates (trial, time, area), sampled at an interval `every`, after a filter tau ds/dt = r - s (ms)."""
    if tau == 0:
        return rates
    from scipy.signal import lfilter

    keep = np.exp(-every / tau)
    start: Any = keep * rates[:, :1]
    smooth, _ = lfilter([1 - keep], [1, -keep], rates, axis=1, zi=start)
    return np.asarray(smooth)


def _crossing(rates: Floats, since: Floats, level: float) -> Floats:
    """Return the first time (trial, area) from 0 on at which the rates exceed the level; infinite where they do not."""
    above = (rates > level) & (since >= -SAME_TIME)[..., np.newaxis]
    k = above.argmax(axis=1)
    index = k[:, np.newaxis]
    before = np.maximum(index - 1, 0)
    after_rate, before_rate = (np.take_along_axis(rates, i, axis=1)[:, 0] for i in (index, before))
    after_time, before_time = (np.take_along_axis(since[..., np.newaxis], i, axis=1)[:, 0] for i in (index, before))
    rise = np.where(after_rate > before_rate, after_rate - before_rate, np.inf)
    share = np.clip((after_rate - level) / rise, 0.0, 1.0)
    return np.where(above.any(axis=1), np.maximum(after_time - share * (after_time - before_time), 0.0), np.inf)
