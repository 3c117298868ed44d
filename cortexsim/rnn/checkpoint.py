"""Training written to a file, from which it goes on as if it had never stopped."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortexsim.rnn import files
from cortexsim.rnn.learner import Stack
from cortexsim.rnn.network import Array
from cortexsim.rnn.optimizer import Moments

_FORMAT = "cortexsim-training-1"


@dataclass(frozen=True, eq=False)
class State:
    """All that the next training step depends on. Random numbers are keyed by seed and step, so `step` is their state.

    Parameters
    ----------
    step
        Training steps done.
    parameters, moments
        After the last step.
    records
        What was recorded so far, (record, ...) by name.
    losses
        Sum of the losses since the last record, (network,).
    parts
        Into how many the batch is cut, which the last bits depend on.
    diverged
        The step at which a network diverged and was left out, NaN for those that go on, (network,).
    """

    step: int
    parameters: Stack
    moments: Moments
    records: dict[str, Array]
    losses: Array
    parts: int
    diverged: Array


def save(path: str | os.PathLike[str], state: State, settings: dict[str, Any]) -> None:
    """Write a checkpoint; the file of this name is the old or the new one, and never half of one."""
    arrays: dict[str, Array] = {"losses": state.losses, "diverged": state.diverged}
    for group, values in (
        ("parameters", state.parameters._asdict()),
        ("first", state.moments.first._asdict()),
        ("second", state.moments.second._asdict()),
        ("records", state.records),
    ):
        arrays |= {f"{group}/{name}": value for name, value in values.items()}
    description = {
        "format": _FORMAT,
        "step": state.step,
        "count": state.moments.steps,
        "parts": state.parts,
        "settings": settings,
    }
    files.write(path, {**arrays, "description": np.array(json.dumps(description))})


def load(path: str | os.PathLike[str], settings: dict[str, Any], like: Stack) -> State | None:
    """Return the state of a checkpoint with parameters named as those of `like`, or None if there is no such file.

    Raises
    ------
    ValueError
        If the file is something else, or of a training with other settings: the message names those that differ.
    """
    if not Path(path).exists():
        return None
    found = files.read(path)
    description = json.loads(str(found.pop("description", "{}")))
    if description.get("format") != _FORMAT:
        raise ValueError(f"File {os.fspath(path)!r} must be a checkpoint of a training, but it is not.")
    before = description["settings"]
    differ = [name for name in settings if settings[name] != before.get(name)]
    if differ:
        was = "; ".join(f"{name} was {before.get(name)} and is {settings[name]}" for name in differ)
        raise ValueError(
            f"Checkpoint {os.fspath(path)!r} must be of the same training, but {was}. Give another file name, or the "
            f"settings it was written with."
        )

    def group(name: str) -> Stack:
        return like._make(found[f"{name}/{field}"] for field in like._fields)

    return State(
        description["step"],
        group("parameters"),
        Moments(description["count"], group("first"), group("second")),
        {key.split("/", 1)[1]: value for key, value in found.items() if key.startswith("records/")},
        found["losses"],
        description["parts"],
        # Files of former versions have none
        found.get("diverged", np.full(len(found["losses"]), np.nan)),
    )
