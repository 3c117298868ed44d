"""The arguments of `simulate`: checked, joined by label, and brought into the form that the kernel wants."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks, perturbed
from cortexsim.model import Model
from cortexsim.stimulus import Stimulus

NO_NOISE, KEYED, GIVEN = 0, 1, 2


@dataclass(frozen=True)
class Plan:
    """A checked run: everything as the kernel wants it, short of its buffers."""

    model: Model
    stimuli: tuple[Stimulus | None, ...]
    channels: tuple[tuple[str, str], ...]
    trials: Sequence[int]
    duration: float
    dt: float
    seed: int
    noise_kind: int
    given: NDArray[Any]
    every: float
    record: tuple[str, ...]
    dtype: np.dtype[Any]
    first_step: int
    start: NDArray[Any] | None
    history: NDArray[Any] | None
    origin: xr.Dataset | None
    threads: int

    def only(self, which: Sequence[int]) -> Plan:
        """Return the run of some of the trials, by their positions."""
        circuit = self.model.circuit
        values = {name: getattr(circuit, name) for name in circuit.parameter_names()}
        chosen = {name: tuple(v[k] for k in which) for name, v in values.items() if isinstance(v, tuple)}
        return dataclasses.replace(
            self,
            model=dataclasses.replace(self.model, circuit=dataclasses.replace(circuit, **chosen)),
            stimuli=self.stimuli if len(self.stimuli) == 1 else tuple(self.stimuli[k] for k in which),
            trials=[self.trials[k] for k in which],
            given=self.given if len(self.given) == 1 else self.given[list(which)],
            start=None if self.start is None else self.start[list(which)],
            history=None if self.history is None else self.history[list(which)],
            origin=None if self.origin is None else self.origin.isel(trial=_of(self.origin, which)),
        )

    @property
    def steps(self) -> int:
        """Euler steps of the run."""
        return round(self.duration / self.dt)

    @property
    def times(self) -> NDArray[np.float64]:
        """The times of the samples, in ms."""
        return np.asarray((self.first_step + np.arange(self.samples) * self.every_steps) * self.dt, dtype=np.float64)

    @property
    def every_steps(self) -> int:
        """Euler steps between samples."""
        return round(self.every / self.dt)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return -(-self.steps // self.every_steps)


def _of(origin: xr.Dataset, which: Sequence[int]) -> list[int]:
    """Return the positions of trials in a result, which has them all or one for all."""
    return list(which) if origin.sizes["trial"] > 1 else [0] * len(which)


def check(
    model: Model,
    stimulus: Any,
    duration: float | None,
    dt: float,
    trials: Any,
    seed: int,
    noise: Any,
    every: float,
    record: Any,
    dtype: Any,
    state: Any,
    threads: int | None,
) -> Plan:
    """Check every argument of `simulate`."""
    if not isinstance(model, Model):
        raise TypeError(
            f"Argument `model` must be a Model, but is {type(model).__name__}; make one by "
            f"cortexsim.Model(connectome, circuit)."
        )
    circuit = model.circuit
    dt = _checks.check_positive("dt", dt, "ms")
    duration = _checks.check_positive("duration", _duration(duration, stimulus), "ms")
    every = _checks.check_positive("every", every, "ms")
    steps = _checks.whole_steps("duration", duration, dt)
    _checks.whole_steps("every", every, dt)
    kind = _checks.check_known(_precision(dtype), ("float64", "float32"), what="precision", where="`dtype`")
    which = _trials(trials)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise ValueError(f"Argument `seed` must be a whole number from 0 to 2^64 - 1, but is {seed!r}.")
    recorded = tuple(circuit.recorded) if record is None else (record,) if isinstance(record, str) else tuple(record)
    for name in recorded:
        _checks.check_known(name, circuit.state_names(), what="variable", where="`record`")
    _checks.check_unique(recorded, what="variable", where="`record`")
    stimuli = _stimuli(stimulus, len(which))
    perturbed.check(model, stimuli)
    first_step, start, history = _start(state, model, len(which), dt)
    noise_kind, given = _noise(noise, model, len(which), steps)
    return Plan(
        model=model,
        stimuli=stimuli,
        channels=_channels(stimuli, model),
        trials=which,
        duration=duration,
        dt=dt,
        seed=int(seed),
        noise_kind=noise_kind,
        given=given,
        every=every,
        record=recorded,
        dtype=np.dtype(kind),
        first_step=first_step,
        start=start,
        history=history,
        origin=state if isinstance(state, xr.Dataset) else None,
        threads=_processors() if threads is None else _checks.check_count("threads", threads),
    )


def _precision(dtype: Any) -> str:
    try:
        return str(np.dtype(dtype))
    except TypeError:
        return str(dtype)


def _duration(duration: float | None, stimulus: Any) -> float:
    if duration is not None:
        return duration
    stimuli = stimulus if isinstance(stimulus, Sequence) else [stimulus]
    stated = {s.trial_duration for s in stimuli if isinstance(s, Stimulus) and s.trial_duration is not None}
    if len(stated) > 1:
        told = ", ".join(f"{d:g}" for d in sorted(stated))
        raise ValueError(f"All trials of a call last equally long, but the schedules last {told} ms; pass `duration`.")
    if not stated:
        raise TypeError("Argument `duration` must be given in ms, unless a Schedule is in the stimulus, which has one.")
    return stated.pop()


def _trials(trials: Any) -> Sequence[int]:
    if isinstance(trials, Sequence | np.ndarray) and not isinstance(trials, str):
        which = tuple(_checks.check_count(f"trials[{k}]", t, least=0) for k, t in enumerate(trials))
        if not which:
            raise ValueError("Argument `trials` must name at least one trial, but is empty.")
        if max(which) >= 2**32:
            raise ValueError(f"Argument `trials` must hold numbers below 2^32, but has {max(which)}.")
        return which
    return range(_checks.check_count("trials", trials))


def _stimuli(stimulus: Any, n_trials: int) -> tuple[Stimulus | None, ...]:
    """Return one stimulus for all trials, or one for each."""
    if stimulus is None or isinstance(stimulus, Stimulus):
        return (stimulus,)
    if not isinstance(stimulus, Sequence) or isinstance(stimulus, str):
        raise TypeError(
            f"Argument `stimulus` must be a Stimulus (Pulse, a sum, a Schedule), or one per trial, but is {stimulus!r}."
        )
    for k, s in enumerate(stimulus):
        if s is not None and not isinstance(s, Stimulus):
            raise TypeError(
                f"Argument `stimulus` must hold a Stimulus or None for each trial, but has {s!r} for trial {k}."
            )
    if len(stimulus) != n_trials:
        raise ValueError(
            f"Argument `stimulus` must have one entry per trial, but has {len(stimulus)} for {n_trials} "
            f"trials; add stimuli of one trial with +."
        )
    return tuple(stimulus)


def _channels(stimuli: Sequence[Stimulus | None], model: Model) -> tuple[tuple[str, str], ...]:
    """Return the (area, input) pairs that any stimulus drives, each once, in the order of the model."""
    found = set()
    for stimulus in stimuli:
        for part in stimulus.drives if stimulus is not None else ():
            where = type(part).__name__
            _checks.check_known(part.area, model.areas, what="area", where=where, listed="`connectome.areas`")
            inputs = model.input_names(part.area)
            _checks.check_known(part.input, inputs, what="input", where=where)
            found.add((model.areas.index(part.area), inputs.index(part.input)))
    return tuple((model.areas[a], model.input_names(model.areas[a])[i]) for a, i in sorted(found))


def _noise(noise: Any, model: Model, n_trials: int, steps: int) -> tuple[int, NDArray[Any]]:
    nothing = np.zeros((1, 0, 0, 0))
    if isinstance(noise, bool | np.bool_):
        return (KEYED if noise and model.noisy else NO_NOISE), nothing
    variables = model.circuit.noise
    if isinstance(noise, xr.DataArray):
        noise = _joined_noise(noise, model)
    try:
        values = np.asarray(noise, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"Argument `noise` must be True, False, or an array of normals, but is {noise!r}.") from None
    if values.ndim == 3:
        values = values[np.newaxis]
    wanted = (steps, len(model.areas), len(variables))
    if (
        values.ndim != 4
        or values.shape[1] < steps
        or values.shape[2:] != wanted[1:]
        or values.shape[0] not in (1, n_trials)
    ):
        raise ValueError(
            f"Argument `noise` must be True, False, or normals of shape (step={steps} or more, "
            f"area={wanted[1]}, variable={wanted[2]}: "
            f"{', '.join(variables)}), with a leading trial={n_trials} if they differ between trials; but has "
            f"{np.shape(noise)}."
        )
    if not np.isfinite(values).all():
        k = np.unravel_index(int(np.argmin(np.isfinite(values))), values.shape)
        raise ValueError(
            f"Argument `noise` must be finite, but is {values[k]} at step {k[1]}, area {model.areas[k[2]]!r}, "
            f"variable {variables[k[3]]!r}."
        )
    return GIVEN, values


def _joined_noise(noise: xr.DataArray, model: Model) -> xr.DataArray:
    """Order labelled normals as the model has its areas and noise variables."""
    dims = ("trial", "step", "area", "variable") if "trial" in noise.dims else ("step", "area", "variable")
    if set(noise.dims) != set(dims):
        raise ValueError(f"Argument `noise` must have the dimensions {dims}, but has {noise.dims}.")
    for dim, labels in (("area", model.areas), ("variable", model.circuit.noise)):
        if dim in noise.indexes:
            missing = [x for x in labels if x not in noise.indexes[dim]]
            if missing:
                raise ValueError(f"Argument `noise` must have a value for each {dim}, but {missing[0]!r} is missing.")
            noise = noise.sel({dim: list(labels)})
    return noise.transpose(*dims)


def _start(state: Any, model: Model, n_trials: int, dt: float) -> tuple[int, NDArray[Any] | None, NDArray[Any] | None]:
    """Return the step to start at, the state (trial, state, area) there, and the past that delays need."""
    if state is None:
        return 0, None, None
    step, history = 0, None
    if isinstance(state, xr.Dataset):
        missing = {"final_state", "last_step", "dt_ms"} - {*state, *state.attrs}
        if missing:
            raise ValueError(
                f"Argument `state` must be a result of `simulate`, but has no {', '.join(sorted(missing))}."
            )
        if abs(state.attrs["dt_ms"] - dt) > 1e-12:
            raise ValueError(
                f"A result continues with its own dt = {state.attrs['dt_ms']:g} ms, but `dt` is {dt:g} ms; "
                f"pass state=result.final_state to start afresh from it."
            )
        step = int(state.attrs["last_step"])
        if model.conduction_speed is not None:
            if state.attrs.get("conduction_speed_m_per_s") != model.conduction_speed:
                raise ValueError(
                    "A delayed run continues one of the same conduction speed, which holds its past; "
                    "pass state=result.final_state to start afresh from it."
                )
            history = state["final_history"].sel(area=list(model.areas)).to_numpy()
        state = state["final_state"]
    if not isinstance(state, xr.DataArray) or not {"state", "area"} <= set(state.indexes):
        raise TypeError(
            "Argument `state` must be a result, or a DataArray labelled along `state` and `area` such as "
            "result.final_state."
        )
    if set(state.dims) - {"trial"} != {"state", "area"}:
        raise ValueError(f"Argument `state` must have the dimensions (trial, state, area), but has {state.dims}.")
    for dim, labels in (("area", model.areas), ("state", model.circuit.state_names())):
        given = [str(x) for x in state.indexes[dim]]
        if set(given) != set(labels) or len(given) != len(labels):
            odd = sorted(set(given) ^ set(labels)) or [next(x for x in given if given.count(x) > 1)]
            raise ValueError(
                f"Argument `state` must have each {dim} of the model once and no other, but {odd[0]!r} does not match."
            )
    if "trial" not in state.dims:
        state = state.expand_dims("trial")
    if state.sizes["trial"] not in (1, n_trials):
        raise ValueError(
            f"Argument `state` must have 1 or {n_trials} trials, as `trials` asks, but has {state.sizes['trial']}."
        )
    values = (
        state.transpose("trial", "state", "area")
        .sel(state=list(model.circuit.state_names()), area=list(model.areas))
        .to_numpy()
    )
    if not np.isfinite(values).all():
        raise ValueError("Argument `state` must be finite, but holds NaN or infinite values.")
    if history is not None:
        history = np.broadcast_to(history, (n_trials, *history.shape[1:]))
    return step, np.broadcast_to(values, (n_trials, *values.shape[1:])), history


def _processors() -> int:
    """Return the processors that this process may use; workers of joblib and Dask are told their share so."""
    share = os.environ.get("OMP_NUM_THREADS", "")
    if share.isdigit() and int(share) > 0:
        return int(share)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
