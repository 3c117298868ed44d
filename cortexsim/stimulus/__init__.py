"""Stimuli and perturbations: currents into populations, lesions, changed parameters, their sums, and schedules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from cortexsim import _checks
from cortexsim.stimulus.drives import Drive, Floats, Part, Pulse, Ramp, Sine, Step, Stimulus, Sum
from cortexsim.stimulus.perturbations import Change, Course, Lesion, Perturbation, blockade, optogenetics
from cortexsim.stimulus.schedule import Epoch, Schedule

__all__ = [
    "ALL", "Change", "Course", "Drive", "Epoch", "Lesion", "Part", "Perturbation", "Pulse", "Ramp", "Schedule", "Sine",
    "Step", "Stimulus", "Sum", "blockade", "optogenetics", "read_json", "sample",
]  # fmt: skip

ALL: dict[str, type[Part]] = {c.__name__: c for c in (Pulse, Step, Ramp, Sine, Lesion, Change, Course)}


def sample(stimuli: Sequence[Stimulus | None], channels: Sequence[tuple[str, str]], times: Floats) -> Floats:
    """Return the summed current of each trial in each channel.

    Parameters
    ----------
    stimuli
        One per trial, or a single one for all trials.
    channels
        (area, input) of each column.
    times
        In ms, shape (time,).

    Returns
    -------
    current
        Shape (trial or 1, time, channel).
    """
    column = {c: k for k, c in enumerate(channels)}
    out = np.zeros((len(stimuli), len(times), len(channels)))
    for trial, stimulus in enumerate(stimuli):
        for part in stimulus.drives if stimulus is not None else ():
            out[trial, :, column[part.area, part.input]] += part.sample(times)
    return out


def read_json(text: str) -> tuple[tuple[Part, ...], ...]:
    """Return the stimuli that a result's `attrs["stimulus"]` tells of: the parts for all trials, or those of each.

    Parameters
    ----------
    text
        JSON list of elementary stimuli, as `Stimulus.to_json` writes it, or a list of such lists, one per trial.

    Raises
    ------
    ValueError
        If the text tells of a stimulus that is not in `ALL`.
    """
    told = json.loads(text)
    per_trial = told if told and all(isinstance(part, list) for part in told) else [told]
    return tuple(tuple(_from_fields(**part) for part in parts) for parts in per_trial)


def _from_fields(type: str, **fields: Any) -> Part:
    return ALL[_checks.check_known(type, ALL, what="stimulus", where="a result")](**fields)
