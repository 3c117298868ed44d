"""Stimuli: currents into one population of one area over time, and what adds up to a stimulus."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsim import _checks

Floats = NDArray[np.float64]

# Times within a nanosecond of each other are the same, so that rounding of n dt moves no border by a step.
SAME_TIME = 1e-6  # ms


@dataclass(frozen=True)
class Stimulus:
    """What drives a model from outside; stimuli add with `+`.

    A stimulus is a value: it holds no arrays, compares by its fields, and is written into a result's provenance.
    """

    def __add__(self, other: Stimulus) -> Sum:
        """Return both at once."""
        if not isinstance(other, Stimulus):
            return NotImplemented
        stated = [s.trial_duration for s in (self, other) if s.trial_duration is not None]
        return Sum(self.parts + other.parts, max(stated, default=None))

    def __radd__(self, other: object) -> Stimulus:
        """Let `sum([...])` add stimuli."""
        return self if other == 0 else NotImplemented

    @property
    def parts(self) -> tuple[Part, ...]:
        """The elementary stimuli and perturbations that add up to this one."""
        raise TypeError(
            f"{type(self).__name__} has no parts; a stimulus is a Pulse, Step, Ramp, Sine, a perturbation, a Schedule, "
            f"or a sum of them."
        )

    @property
    def trial_duration(self) -> float | None:
        """How long the trial lasts, in ms, where the stimulus says so, as a Schedule does; else None."""
        return None

    @property
    def drives(self) -> tuple[Drive, ...]:
        """Those parts that are currents."""
        return tuple(p for p in self.parts if isinstance(p, Drive))

    def to_json(self) -> str:
        """Return a JSON list of the parts (times in ms)."""
        return json.dumps([{"type": type(p).__name__, **dataclasses.asdict(p)} for p in self.parts])


@dataclass(frozen=True)
class Sum(Stimulus):
    """The sum of elementary stimuli, as `a + b` makes it; lasts as long as the longest that says how long it lasts."""

    terms: tuple[Part, ...] = ()
    trial_duration: float | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The elementary stimuli and perturbations."""
        return self.terms


@dataclass(frozen=True)
class Part(Stimulus):
    """An elementary stimulus or perturbation, which lasts for a window of time."""

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Itself."""
        return (self,)

    @property
    def window(self) -> tuple[float, float]:
        """Half-open interval (ms) in which it acts."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Drive(Part):
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
        return times - onset, (times >= onset - SAME_TIME) & (times < end - SAME_TIME)


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
