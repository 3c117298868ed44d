"""Stimuli: currents into one population of one or several areas, their sums, and schedules of a trial."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsim import _checks

Floats = NDArray[np.float64]

# Times within a nanosecond of each other are the same, so that rounding of n dt moves no border by a step.
_SAME_TIME = 1e-6  # ms


@dataclass(frozen=True)
class Stimulus:
    """What drives a model from outside; stimuli add with `+`.

    A stimulus is a value: it holds no arrays, compares by its fields, and is written into a result's provenance.
    """

    def __add__(self, other: Stimulus) -> Sum:
        """Return both at once."""
        if not isinstance(other, Stimulus):
            return NotImplemented
        return Sum(self.parts + other.parts)

    def __radd__(self, other: object) -> Stimulus:
        """Let `sum([...])` add stimuli."""
        return self if other == 0 else NotImplemented

    @property
    def parts(self) -> tuple[Drive, ...]:
        """The elementary stimuli that add up to this one."""
        raise TypeError(
            f"{type(self).__name__} has no parts; a stimulus is a Pulse, Step, Ramp, Sine, Schedule or a sum of them."
        )

    def to_json(self) -> str:
        """Return a JSON list of the elementary stimuli (times in ms)."""
        return json.dumps([{"type": type(p).__name__, **dataclasses.asdict(p)} for p in self.parts])


@dataclass(frozen=True)
class Sum(Stimulus):
    """The sum of elementary stimuli, as `a + b` makes it."""

    drives: tuple[Drive, ...] = ()

    @property
    def parts(self) -> tuple[Drive, ...]:
        """The elementary stimuli."""
        return self.drives


@dataclass(frozen=True, kw_only=True)
class Drive(Stimulus):
    """An elementary stimulus: one time course into one input of an area.

    Parameters
    ----------
    area
        Label of the area, as `connectome.areas` lists it.
    input
        Which of the circuit's inputs, "E1_dendrite" for example.
    onset
        Start, in ms.
    amplitude
        In the unit that the circuit's input declares (pA for most).
    name
        What it is in the task ("cue", "distractor"); for figures and tables only.
    """

    area: str
    input: str
    onset: float
    amplitude: float
    name: str = ""

    def __post_init__(self) -> None:
        for label in ("area", "input", "name"):
            if not isinstance(getattr(self, label), str):
                raise TypeError(
                    f"Argument `{label}` of {type(self).__name__} must be a string, but is {getattr(self, label)!r}; "
                    f"add one {type(self).__name__} per area with +."
                )
        for number in ("onset", "amplitude"):
            self._set(number, _checks.check_finite(number, getattr(self, number)))

    def _set(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)

    @property
    def parts(self) -> tuple[Drive, ...]:
        """Itself."""
        return (self,)

    def sample(self, times: Floats) -> Floats:
        """Return the current at `times` (ms), in the unit of `amplitude`."""
        raise TypeError(f"{type(self).__name__} has no time course; use Pulse, Step, Ramp or Sine.")

    @property
    def window(self) -> tuple[float, float]:
        """Half-open interval in which the current may flow, in ms."""
        return self.onset, math.inf

    def _since(self, times: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the time since onset, and whether it lies in the window."""
        onset, end = self.window
        return times - onset, (times >= onset - _SAME_TIME) & (times < end - _SAME_TIME)


@dataclass(frozen=True, kw_only=True)
class _Lasting(Drive):
    """A drive that ends: `duration` in ms."""

    duration: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("duration", _checks.check_positive("duration", self.duration, "ms"))

    @property
    def window(self) -> tuple[float, float]:
        """Half-open interval in which the current may flow, in ms."""
        return self.onset, self.onset + self.duration


@dataclass(frozen=True, kw_only=True)
class Pulse(_Lasting):
    """A constant current for a while: `amplitude` on the steps n with onset <= n dt < onset + duration.

    Parameters
    ----------
    area, input, onset, amplitude, name
        See `Drive`.
    duration
        In ms.

    Examples
    --------
    >>> cue = Pulse(area="V1", input="E1_dendrite", onset=1000, duration=400, amplitude=100)
    >>> distractor = Pulse(area="V1", input="E2_dendrite", onset=2000, duration=400, amplitude=100)
    >>> len((cue + distractor).parts)
    2
    """

    def sample(self, times: Floats) -> Floats:
        """Return the current at `times` (ms)."""
        _, on = self._since(times)
        return np.where(on, self.amplitude, 0.0)


@dataclass(frozen=True, kw_only=True)
class Step(Drive):
    """A constant current from onset to the end of the run."""

    def sample(self, times: Floats) -> Floats:
        """Return the current at `times` (ms)."""
        _, on = self._since(times)
        return np.where(on, self.amplitude, 0.0)


@dataclass(frozen=True, kw_only=True)
class Ramp(_Lasting):
    """A current that rises linearly from 0 at onset to `amplitude` at onset + duration, and then ends.

    Parameters
    ----------
    area, input, onset, amplitude, name
        See `Drive`.
    duration
        In ms.
    """

    def sample(self, times: Floats) -> Floats:
        """Return the current at `times` (ms)."""
        t, on = self._since(times)
        return np.where(on, self.amplitude * t / self.duration, 0.0)


@dataclass(frozen=True, kw_only=True)
class Sine(_Lasting):
    """A sinusoidal current, amplitude sin(2 pi frequency (t - onset) + phase), from onset for `duration`.

    Parameters
    ----------
    area, input, onset, amplitude, name
        See `Drive`.
    duration
        In ms.
    frequency
        In Hz.
    phase
        In radians.
    """

    frequency: float
    phase: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("frequency", _checks.check_positive("frequency", self.frequency, "Hz"))
        self._set("phase", _checks.check_finite("phase", self.phase))

    def sample(self, times: Floats) -> Floats:
        """Return the current at `times` (ms)."""
        t, on = self._since(times)
        return np.where(on, self.amplitude * np.sin(2e-3 * np.pi * self.frequency * t + self.phase), 0.0)


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
    >>> trial = working_memory(distractor=("V1", "E2_dendrite", 100))
    >>> trial.duration
    5000.0
    >>> trial.onset("distractor")
    2000.0
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


Current = tuple[str, str, float]


def working_memory(
    *,
    cue: Current = ("V1", "E1_dendrite", 100.0),
    distractor: Current | None = None,
    probe: Current | None = None,
    fixation: float = 1000.0,
    cue_duration: float = 400.0,
    delay: float = 600.0,
    distractor_duration: float = 400.0,
    second_delay: float = 2600.0,
    probe_duration: float = 400.0,
) -> Schedule:
    """Return the delayed-response trial: fixation, cue, delay, (distractor,) delay, (probe).

    Parameters
    ----------
    cue, distractor, probe
        (area, input, amplitude in pA); None leaves the current out. Without a distractor its time belongs to the
        delay; without a probe the trial ends with the delay.
    fixation, cue_duration, delay, distractor_duration, second_delay, probe_duration
        In ms. The defaults are those of Froudist-Walsh et al. 2021, Fig. 5: a 5 s trial with the cue at 1 s and the
        distractor at 2 s.

    Returns
    -------
    Schedule
        Its `duration` is what `simulate` needs.
    """
    epochs = [Epoch("fixation", fixation), Epoch("cue", cue_duration, (cue,))]
    if distractor is None:
        epochs.append(Epoch("delay", math.fsum((delay, distractor_duration, second_delay))))
    else:
        epochs += [
            Epoch("delay", delay),
            Epoch("distractor", distractor_duration, (distractor,)),
            Epoch("second delay", second_delay),
        ]
    if probe is not None:
        epochs.append(Epoch("probe", probe_duration, (probe,)))
    return Schedule(epochs)


ALL: dict[str, type[Drive]] = {c.__name__: c for c in (Pulse, Step, Ramp, Sine)}


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
        for part in stimulus.parts if stimulus is not None else ():
            out[trial, :, column[part.area, part.input]] += part.sample(times)
    return out


def read_json(text: str) -> tuple[tuple[Drive, ...], ...]:
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


def _from_fields(type: str, **fields: Any) -> Drive:
    return ALL[_checks.check_known(type, ALL, what="stimulus", where="a result")](**fields)
