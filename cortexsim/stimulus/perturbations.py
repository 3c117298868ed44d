"""Perturbations: lesions, changed parameters and light, as values that add to a stimulus and last for a window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortexsim import _checks
from cortexsim.stimulus.drives import SAME_TIME, Part, Pulse, Sum

# How often a time course sets its parameter anew.
RESOLUTION = 10.0  # ms


@dataclass(frozen=True, kw_only=True)
class Perturbation(Part):
    """What is done to the cortex itself, from `onset` for `duration`.

    Parameters
    ----------
    onset
        In ms.
    duration
        In ms; None: to the end of the run.
    name
        What it is in the experiment; for figures and tables only.
    """

    onset: float = 0.0
    duration: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        self._set("onset", _checks.check_finite("onset", self.onset, "ms"))
        if self.duration is not None:
            self._set("duration", _checks.check_positive("duration", self.duration, "ms"))
        if not isinstance(self.name, str):
            raise TypeError(f"Argument `name` of {type(self).__name__} must be a string, but is {self.name!r}.")

    @property
    def window(self) -> tuple[float, float]:
        """Half-open interval (ms) in which it acts."""
        return self.onset, math.inf if self.duration is None else self.onset + self.duration


@dataclass(frozen=True, kw_only=True)
class Lesion(Perturbation):
    """Areas or connections cut out: nothing reaches a lesioned area from others, and nothing leaves it.

    What is left keeps its weight (`Connectome.lesion` makes a network whose circuit shares the weights out anew). The
    recorded variables of a lesioned area are NaN while the lesion lasts, so that no read-out takes it for silent
    tissue; after a lesion that ends (cooling, say) the area goes on from where its own circuit has come alone.

    Parameters
    ----------
    areas
        Labels of the areas.
    connections
        Pairs (target, source).
    onset, duration, name
        See `Perturbation`; by default for the whole run.

    Examples
    --------
    >>> Lesion(areas=["LIP"], onset=2000).window
    (2000.0, inf)
    """

    areas: tuple[str, ...] = ()
    connections: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("areas", _labels("areas", self.areas))
        self._set("connections", tuple(_labels("connections", pair) for pair in self.connections))
        if odd := [pair for pair in self.connections if len(pair) != 2]:
            raise ValueError(f"Each of `connections` must be a pair (target, source), but one is {odd[0]!r}.")
        if not self.areas and not self.connections:
            raise ValueError("A Lesion must name `areas` or `connections`, but names neither.")


@dataclass(frozen=True, kw_only=True)
class Change(Perturbation):
    """A parameter of the circuit set to another value, or scaled, in a window: a drug, altered release, a knock-out.

    All that the circuit derives from the parameter area by area follows it.

    Parameters
    ----------
    parameter
        Name of a parameter of the circuit; `circuit.parameter_table()` lists them.
    value
        The new value, in the unit of the parameter; or
    factor
        what the value is multiplied by. One of the two.
    areas
        Labels of the areas it acts in; None: in all.
    onset, duration, name
        See `Perturbation`; by default for the whole run.

    Examples
    --------
    >>> more = Change(parameter="dopamine", value=2.5, onset=2000, duration=1000)
    >>> blocked = Change(parameter="NMDA_availability", factor=0.5, areas=["9/46d", "46d"])
    """

    parameter: str
    value: float | None = None
    factor: float | None = None
    areas: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.value is None) == (self.factor is None):
            raise ValueError(f"A Change of {self.parameter!r} must give `value` or `factor`, one of the two.")
        for name in ("value", "factor"):
            if (given := getattr(self, name)) is not None:
                self._set(name, _checks.check_finite(name, given))
        if self.areas is not None:
            self._set("areas", _labels("areas", self.areas))

    def applied(self, before: np.ndarray, time: float) -> Any:
        """Return the parameter at `time` (ms), where it would be `before` without this."""
        return self.value if self.value is not None else before * self.factor


@dataclass(frozen=True, kw_only=True)
class Course(Perturbation):
    """A parameter that follows a course over time, linear between the times given: dopamine that rises and decays.

    The parameter is set anew every 10 ms, which costs about a millisecond each. Before the first time the circuit's own
    value holds; after the last, the last one.

    Parameters
    ----------
    parameter
        Name of a parameter of the circuit.
    times
        In ms, rising.
    values
        The parameter at these times, in its unit.
    areas
        Labels of the areas it acts in; None: in all.
    name
        What it is in the experiment; for figures and tables only.

    Examples
    --------
    >>> burst = Course(parameter="dopamine", times=(1000, 1200, 3000), values=(1.0, 2.0, 1.0))
    """

    parameter: str
    times: tuple[float, ...]
    values: tuple[float, ...]
    areas: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("times", "values"):
            given = tuple(_checks.check_finite(f"{name}[{k}]", v) for k, v in enumerate(getattr(self, name)))
            self._set(name, given)
        if len(self.times) != len(self.values) or not self.times:
            raise ValueError(
                f"A Course must have as many `values` as `times`, and at least one, but has {len(self.values)} and "
                f"{len(self.times)}."
            )
        if any(b <= a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise ValueError(f"The `times` of a Course must rise, but are {self.times}.")
        if self.duration is not None or self.onset not in (0.0, self.times[0]):
            raise ValueError("A Course begins at its first time and lasts; give `times` and `values` alone.")
        self._set("onset", self.times[0])
        super().__post_init__()
        if self.areas is not None:
            self._set("areas", _labels("areas", self.areas))

    def applied(self, before: np.ndarray, time: float) -> Any:
        """Return the parameter at `time` (ms), where it would be `before` without this."""
        steps = np.floor((time - self.onset + SAME_TIME) / RESOLUTION)
        return np.interp(self.onset + steps * RESOLUTION, self.times, self.values)


def optogenetics(
    areas: Iterable[str], population: str, amplitude: float, *, onset: float, duration: float, name: str = "light"
) -> Sum:
    """Return a current into one population of several areas: light that excites or silences a type of cell.

    Parameters
    ----------
    areas
        Labels of the areas.
    population
        An input of the circuit ("SST2", "PV", "E1", ...).
    amplitude
        In the unit of that input, pA for most; negative silences.
    onset, duration
        In ms.
    name
        For figures and tables.

    Returns
    -------
    Sum
        One Pulse per area.

    Raises
    ------
    ValueError
        If no area is named.
    """
    labels = _labels("areas", areas)
    if not labels:
        raise ValueError("Argument `areas` must name at least one area, but is empty.")
    return Sum(
        tuple(
            Pulse(area=area, input=population, onset=onset, duration=duration, amplitude=amplitude, name=name)
            for area in labels
        )
    )


def blockade(
    receptor: str,
    fraction: float,
    *,
    onset: float = 0.0,
    duration: float | None = None,
    areas: Sequence[str] | None = None,
) -> Change:
    """Return a blockade of receptors: the circuit's `<receptor>_availability` times (1 - fraction).

    Parameters
    ----------
    receptor
        "D1" or "NMDA" for FroudistWalsh2021.
    fraction
        Share that is blocked, 1 all of them; a negative one enhances.
    onset, duration, areas
        See `Change`.

    Raises
    ------
    ValueError
        If more than all receptors would be blocked.
    """
    fraction = _checks.check_finite("fraction", fraction)
    if fraction > 1:
        raise ValueError(f"Argument `fraction` must be at most 1, all receptors, but is {fraction:g}.")
    return Change(
        parameter=f"{receptor}_availability",
        factor=1 - fraction,
        onset=onset,
        duration=duration,
        areas=None if areas is None else tuple(areas),
        name=f"{receptor} {'blockade' if fraction > 0 else 'enhancement'}",
    )


def _labels(argument: str, labels: Any) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise TypeError(f"Argument `{argument}` must be a sequence of labels, but is {labels!r}; write [{labels!r}].")
    found = tuple(labels)
    for label in found:
        if not isinstance(label, str):
            raise TypeError(f"Argument `{argument}` must hold labels of areas, but has {label!r}.")
    return found
