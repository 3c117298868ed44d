"""Many simulations of one model in one call: the points of a sweep, times their trials, are lanes of the kernel."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import xarray as xr

from cortexsim import _checks, plan
from cortexsim.model import Model
from cortexsim.simulate import memory_estimate, simulate
from cortexsim.stimulus import Part, Stimulus, Sum
from cortexsim.sweeps.axes import Axes
from cortexsim.sweeps.block import Block, attempt, failed

_LANES = 64  # trials in one call, from which on more of them gain little
_MEMORY = 2**30  # bytes that a call may take: a worker of a cluster has a few GiB


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulation whose parameters are the axes of a sweep; all points of a chunk run side by side in one call.

    An axis is a parameter or option of the circuit ("dopamine"), an argument of `stimulus` where that is a function,
    or a field of the parts of the stimulus that bear a name ("distractor.amplitude").

    Parameters
    ----------
    model : Model
        The model; axes change the parameters of its circuit.
    measure : function
        Takes the result of one point, a Dataset (trial, time, area) equal bit by bit to what `simulate` returns for
        that point alone, and returns what the sweep keeps: a number, a dict of numbers, a DataArray or a Dataset. The
        provenance that all points share stays with the sweep.
    stimulus : Stimulus, sequence of Stimulus, function or None
        The same for all points, or a function of axes by name that returns the stimulus of a point. As in `simulate`,
        a sequence has one for each trial, and perturbations are parts of a stimulus.
    duration : float
        In ms. May be left out where the stimulus, or what the function returns, is a Schedule.
    dt, trials, seed, noise, every, record, dtype
        As for `simulate`. Each point runs the same trials under the same noise, so that points are compared in pairs.
    threads : int
        Threads of the kernel; by default all processors where the sweep runs in this process, and 1 in a worker.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must.

    Examples
    --------
    >>> import cortexsim as cx
    >>> from cortexsim.sweeps import Simulation, sweep
    >>> model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    >>> cue = cx.Pulse(area="V1", input="E1_dendrite", onset=50, duration=50, amplitude=100, name="cue")
    >>> peak = Simulation(model, lambda result: result.r_E1.max(("time", "area")), cue, duration=100, trials=2)
    >>> grid = sweep(peak, {"dopamine": [0.5, 1.5], "cue.amplitude": [0, 50, 100]})
    >>> dict(grid.r_E1.sizes)
    {'dopamine': 2, 'cue.amplitude': 3, 'trial': 2}
    """

    model: Model
    measure: Callable[[xr.Dataset], Any]
    stimulus: Stimulus | Sequence[Stimulus | None] | Callable[..., Any] | None = None
    _: KW_ONLY
    duration: float | None = None
    dt: float = 0.5
    trials: int | Sequence[int] = 1
    seed: int = 0
    noise: bool = True
    every: float = 10.0
    record: Sequence[str] | None = None
    dtype: str = "float64"
    threads: int | None = None

    def __post_init__(self) -> None:
        if not callable(self.measure):
            raise TypeError(f"Argument `measure` must be a function of a result, but is {self.measure!r}.")
        if not isinstance(self.noise, bool):
            raise TypeError(f"Argument `noise` of a Simulation must be True or False, but is {self.noise!r}.")
        stimulus = None if callable(self.stimulus) else self.stimulus
        duration = self.every if callable(self.stimulus) and self.duration is None else self.duration
        plan.check(
            model=self.model, stimulus=stimulus, duration=duration, dt=self.dt, trials=self.trials, seed=self.seed,
            noise=self.noise, every=self.every, record=self.record, dtype=self.dtype, state=None, threads=self.threads,
        )  # fmt: skip

    def __call__(self, **point: Any) -> Any:
        """Return what `measure` gives for one point, named by the values of the axes.

        Parameters
        ----------
        **point
            A value for each axis.
        """
        self.check(tuple(point))
        (result,) = _call(self, [_prepared(self, point)], None)
        return self.measure(result)

    def check(self, names: Sequence[str]) -> None:
        """Refuse axes that nothing takes, or that the stimulus lacks.

        Parameters
        ----------
        names
            The names of the axes.

        Raises
        ------
        ValueError
            If an axis is unknown or means two things, or an argument of the stimulus is no axis.
        """
        fields = {f.name for f in dataclasses.fields(self.model.circuit)}
        taken = self._arguments()
        for name in names:
            if name in fields and name in taken:
                raise ValueError(
                    f"Axis {name!r} is a parameter of the circuit and an argument of `stimulus`; rename the argument."
                )
            if name not in fields and name not in taken:
                part, dot, field = name.rpartition(".")
                if not dot:
                    kind = type(self.model.circuit).__name__
                    raise ValueError(
                        f"Unknown axis {name!r} in the Simulation{_checks.suggest(name, [*taken, *fields])} An axis is "
                        f"a parameter of {kind}, an argument of a function `stimulus`, or 'name.field' of the parts of "
                        "the stimulus that bear a name."
                    )
                if not callable(self.stimulus):
                    for one in self.stimulus if isinstance(self.stimulus, Sequence) else [self.stimulus]:
                        _named(one, part, field)
        for name, parameter in taken.items():
            if name not in names and parameter.default is parameter.empty:
                raise ValueError(f"The stimulus needs `{name}`, which is no axis; add it to `axes`, or give a default.")

    def axis_attrs(self, name: str) -> dict[str, str]:
        """Return the unit and long name of an axis, as far as they are known.

        Parameters
        ----------
        name
            The name of the axis.
        """
        for parameter, _, unit, meaning, _ in self.model.circuit.parameter_table():
            if parameter == name:
                return {"units": unit, "long_name": meaning}
        units = {"onset": "ms", "duration": "ms"}
        part, _, field = name.rpartition(".")
        return {"units": units[field], "long_name": f"{field} of {part}"} if part and field in units else {}

    @property
    def points_per_chunk(self) -> int:
        """Points that fill the lanes of one call."""
        return max(1, _LANES // self.trial_count)

    @property
    def trial_count(self) -> int:
        """Trials of each point."""
        return len(self.trial_numbers)

    @property
    def trial_numbers(self) -> Sequence[int]:
        """The trials of each point."""
        return range(int(self.trials)) if np.ndim(self.trials) == 0 else [*self.trials]  # type: ignore[misc, arg-type]

    def _arguments(self) -> Mapping[str, inspect.Parameter]:
        if not callable(self.stimulus):
            return {}
        found = inspect.signature(self.stimulus).parameters
        return {n: p for n, p in found.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


@dataclass(frozen=True, eq=False)
class _Point:
    """What one point asks of `simulate`."""

    stimulus: Any
    duration: float | None
    lanes: dict[str, Any]  # parameters that may differ between trials of one call
    shared: dict[str, Any]  # those that may not: options, and parameters that the long-range weights follow from

    @property
    def call(self) -> tuple[Any, ...]:
        """Points with the same can share a call."""
        return self.duration, tuple(self.shared.items())


def simulate_blocks(simulation: Simulation, axes: Axes, points: Sequence[int], threads: int | None) -> list[Block]:
    """Run points side by side and return the block of each; those that raise are told from the others.

    Parameters
    ----------
    simulation
        What to run.
    axes
        The axes.
    points
        Numbers of the points.
    threads
        Threads of the kernel, where `simulation` does not say.
    """
    blocks, groups = [], dict[Any, list[tuple[int, _Point]]]()
    for number in points:
        try:
            point = _prepared(simulation, axes.point(number))
        except Exception as error:  # noqa: BLE001  (one point must not end the sweep)
            blocks.append(failed(number, error))
        else:
            groups.setdefault(point.call, []).append((number, point))
    for group in groups.values():
        fit = _that_fit(simulation, group[0][1])
        for first in range(0, len(group), fit):
            blocks += _blocks(simulation, axes, group[first : first + fit], threads)
    return blocks


def _blocks(
    simulation: Simulation, axes: Axes, numbered: list[tuple[int, _Point]], threads: int | None
) -> Iterator[Block]:
    """Run points in one call; where that raises, in halves, until the point that raised stands alone."""
    try:
        results = _call(simulation, [point for _, point in numbered], threads)
    except Exception as error:  # noqa: BLE001  (as above)
        if len(numbered) == 1:
            yield failed(numbered[0][0], error)
            return
        half = len(numbered) // 2
        yield from _blocks(simulation, axes, numbered[:half], threads)
        yield from _blocks(simulation, axes, numbered[half:], threads)
    else:
        for (number, _), result in zip(numbered, results, strict=True):
            yield attempt(axes, number, functools.partial(simulation.measure, result), result.attrs)


def _call(simulation: Simulation, points: Sequence[_Point], threads: int | None) -> Iterator[xr.Dataset]:
    """Run points, which share a call, and return the result of each as it would be alone."""
    s, n, trials = simulation, len(points), simulation.trial_count
    base = dataclasses.replace(s.model.circuit, **points[0].shared)
    circuit = _for_all(base, points, trials)
    result = simulate(
        dataclasses.replace(s.model, circuit=circuit),
        points[0].stimulus if n == 1 else [one for p in points for one in _per_trial(p.stimulus, trials)],
        duration=points[0].duration, dt=s.dt, trials=[*s.trial_numbers] * n, seed=s.seed, noise=s.noise, every=s.every,
        record=s.record, dtype=s.dtype, progress=False, threads=threads if s.threads is None else s.threads,
    )  # fmt: skip
    return (_alone(result, base, point, k, trials, n) for k, point in enumerate(points))


def _for_all(circuit: Any, points: Sequence[_Point], trials: int) -> Any:
    """Return the circuit with one value per trial of all points for what differs between points or trials."""
    if len(points) == 1:
        return dataclasses.replace(circuit, **points[0].lanes)
    values = {name: [v for p in points for v in [p.lanes[name]] * trials] for name in points[0].lanes}
    for name in circuit.parameter_names():
        held = getattr(circuit, name)
        if isinstance(held, tuple) and name not in values:
            values[name] = list(held) * len(points)
    return dataclasses.replace(circuit, **values)


def _alone(result: xr.Dataset, base: Any, point: _Point, k: int, trials: int, n: int) -> xr.Dataset:
    """Cut the k-th point out of the result of n, with the coordinates and attributes that it has alone."""
    if n == 1:
        return result
    circuit = dataclasses.replace(base, **point.lanes)
    part = result.isel(trial=slice(k * trials, (k + 1) * trials))
    part = part.drop_vars([name for name in point.lanes if name in part.coords])
    told = json.loads(result.attrs["stimulus"])[k * trials : (k + 1) * trials]
    stimulus = told if isinstance(point.stimulus, Sequence) and trials > 1 else told[0]
    return part.assign_attrs(parameters=circuit.parameters_json(), stimulus=json.dumps(stimulus))


def _per_trial(stimulus: Any, trials: int) -> Sequence[Stimulus | None]:
    if not isinstance(stimulus, Sequence):
        return [stimulus] * trials
    if len(stimulus) != trials:
        raise ValueError(f"The stimulus must have one entry for each of {trials} trials, but has {len(stimulus)}.")
    return stimulus


def _prepared(simulation: Simulation, point: Mapping[str, Any]) -> _Point:
    """Return what a point asks for; raises what the stimulus's function raises, or for a part of no such name."""
    s = simulation
    taken = s._arguments()
    fields = {f.name for f in dataclasses.fields(s.model.circuit)}
    stimulus: Any = s.stimulus
    if callable(stimulus):
        stimulus = stimulus(**{name: value for name, value in point.items() if name in taken})
    stated = stimulus.trial_duration if isinstance(stimulus, Stimulus) else None
    duration = stated if s.duration is None else s.duration
    for name, value in point.items():
        if name not in fields and name not in taken:
            part, _, field = name.rpartition(".")
            if isinstance(stimulus, Sequence):
                stimulus = [_replaced(one, part, field, value) for one in stimulus]
            else:
                stimulus = _replaced(stimulus, part, field, value)
    parameters = {name: value for name, value in point.items() if name in fields}
    shared = {name: value for name, value in parameters.items() if not _may_differ(s.model, name)}
    return _Point(stimulus, duration, {n: v for n, v in parameters.items() if n not in shared}, shared)


def _replaced(stimulus: Stimulus | None, name: str, field: str, value: Any) -> Stimulus:
    """Return the stimulus with a field of all parts of that name set."""
    named = _named(stimulus, name, field)
    parts, lasts = ((), None) if stimulus is None else (stimulus.parts, stimulus.trial_duration)
    return Sum(tuple(dataclasses.replace(p, **{field: value}) if p in named else p for p in parts), lasts)


def _named(stimulus: Stimulus | None, name: str, field: str) -> list[Part]:
    """Return the parts of a name, if there are any and they have the field."""
    parts = () if stimulus is None else stimulus.parts
    named = [part for part in parts if getattr(part, "name", "") == name]
    if not named:
        known = sorted({str(getattr(part, "name", "")) for part in parts} - {""})
        raise ValueError(
            f"No part of the stimulus has the name {name!r}; known: {', '.join(known) or 'none'}. Name parts as "
            f"Pulse(..., name={name!r})."
        )
    for part in named:
        known = [f.name for f in dataclasses.fields(part)]
        _checks.check_known(field, known, what="field", where=f"{type(part).__name__} {name!r}")
    return named


@functools.lru_cache(maxsize=64)
def _may_differ(model: Model, name: str) -> bool:
    """Return whether trials of one call may have different values of a parameter of the circuit."""
    circuit = model.circuit
    if name not in circuit.parameter_names():
        return False
    held = getattr(circuit, name)
    one = held if isinstance(held, float) else next(iter(held))
    try:
        dataclasses.replace(model, circuit=dataclasses.replace(circuit, **{name: (one,) * (circuit.trials or 2)}))
    except ValueError:  # the long-range weights, which all trials share, follow from it
        return False
    return True


def _that_fit(simulation: Simulation, point: _Point) -> int:
    """Return how many points one call may run within the memory that it may take."""
    s = simulation
    if point.duration is None:
        return 1
    one, two = (
        memory_estimate(s.model, duration=point.duration, trials=n * s.trial_count, every=s.every, record=s.record,
                        dtype=s.dtype)
        for n in (1, 2)
    )  # fmt: skip
    return max(1, math.floor((_MEMORY - one) / (two - one)) + 1)
