"""A result made of the published baseline and delay rates, so that tests of what reads results need no simulation."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from cortexsim import gradients

TABLE = Path(__file__).parent / "reference" / "froudistwalsh2021_delay_rates.csv"
CUE = {"type": "Pulse", "area": "V1", "input": "E1_dendrite", "onset": 1000.0, "duration": 400.0, "amplitude": 100.0}


def delay_rates(dopamine):
    """Return the published mean rates of E1 (Hz) by area in the baseline and in the delay."""
    table = pd.read_csv(TABLE, comment="#", dtype={"area": str}).set_index("area")
    return table[f"baseline_dopamine_{dopamine:g}"], table[f"delay_dopamine_{dopamine:g}"]


def published_result(dopamine=1.5, *, trials=1, stimuli=(CUE,), duration=5000.0, every=10.0):
    """Return a result with the published baseline until the first stimulus, and the published delay rate after it."""
    before, after = delay_rates(dopamine)
    maps = gradients.macaque40().sel(area=before.index.values)
    time = np.arange(0.0, duration, every)
    onset = min((stimulus["onset"] for stimulus in stimuli), default=1000.0)
    rate = np.where(time[:, None] < onset, before.values, after.values)
    shape = (trials, time.size, len(before))
    r_E1 = np.broadcast_to(rate, shape).copy()
    r_E2 = np.broadcast_to(before.values, shape).copy()
    for stimulus in stimuli:
        on = (time >= stimulus["onset"]) & (time < stimulus["onset"] + stimulus["duration"])
        (r_E1 if stimulus["input"].startswith("E1") else r_E2)[:, on, maps.area.values == stimulus["area"]] += 20.0
    dims = ("trial", "time", "area")
    return xr.Dataset(
        {
            "r_E1": (dims, r_E1, {"units": "Hz", "long_name": "rate of E1"}),
            "r_E2": (dims, r_E2, {"units": "Hz", "long_name": "rate of E2"}),
        },
        coords={
            "trial": np.arange(trials),
            "time": ("time", time, {"units": "ms"}),
            **{name: maps[name] for name in ("area", *maps.data_vars)},
        },
        attrs={"circuit": "FroudistWalsh2021", "stimulus": json.dumps(stimuli), "duration_ms": duration},
    )
