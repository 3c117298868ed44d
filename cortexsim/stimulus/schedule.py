"""Schedules: the epochs of a trial, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cortexsim import _checks
from cortexsim.stimulus.drives import Drive, Pulse, Stimulus


@dataclass(frozen=True)
class Epoch:
    """A stretch of a trial, with the constant currents that last as long as it does.

    Parameters
    ----------
    name
        "fixation", "cue", "delay", "distractor", "probe", ...
    duration
        In ms.
    currents
        (area, input, amplitude) of each current; none by default.
    """

    name: str
    duration: float
    currents: tuple[tuple[str, str, float], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "duration", _checks.check_positive(f"duration of epoch {self.name!r}", self.duration, "ms")
        )
        if any(len(c) != 3 for c in self.currents):
            raise ValueError(
                f"Each current of epoch {self.name!r} must be (area, input, amplitude), but got {self.currents}."
            )
        object.__setattr__(self, "currents", tuple((a, i, float(x)) for a, i, x in self.currents))


@dataclass(frozen=True)
class Schedule(Stimulus):
    """The epochs of a trial, one after the other; a stimulus, and the duration of the trial.

    Examples
    --------
    >>> cue = Epoch("cue", 400, (("V1", "E1_dendrite", 100),))
    >>> trial = Schedule([Epoch("fixation", 1000), cue, Epoch("delay", 3600)])
    >>> trial.duration
    5000.0
    >>> trial.window("delay")
    (1400.0, 5000.0)
    """

    epochs: tuple[Epoch, ...]

    def __init__(self, epochs: Sequence[Epoch]) -> None:
        epochs = tuple(epochs)
        if not epochs:
            raise ValueError("A Schedule must have at least one epoch, but got none.")
        _checks.check_unique([e.name for e in epochs], what="epoch", where="a Schedule")
        object.__setattr__(self, "epochs", epochs)

    @property
    def duration(self) -> float:
        """Sum of all epochs, in ms."""
        return math.fsum(e.duration for e in self.epochs)

    @property
    def trial_duration(self) -> float:
        """The same: a schedule says how long a trial lasts."""
        return self.duration

    def onset(self, name: str) -> float:
        """Return the time at which the epoch `name` begins, in ms."""
        names = [e.name for e in self.epochs]
        _checks.check_known(name, names, what="epoch", where="this Schedule")
        return math.fsum(e.duration for e in self.epochs[: names.index(name)])

    def window(self, name: str) -> tuple[float, float]:
        """Return the half-open interval (ms) of the epoch `name`."""
        start = self.onset(name)
        return start, start + next(e.duration for e in self.epochs if e.name == name)

    @property
    def parts(self) -> tuple[Drive, ...]:
        """One Pulse for each current of each epoch, named after the epoch."""
        return tuple(
            Pulse(
                area=area, input=input_, onset=self.onset(e.name), duration=e.duration, amplitude=amplitude, name=e.name
            )
            for e in self.epochs
            for area, input_, amplitude in e.currents
        )
