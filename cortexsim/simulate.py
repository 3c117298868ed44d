"""Simulate a model: check, sample the stimulus, run the kernel in chunks, label the result."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.model import Model
from cortexsim.stimulus import Stimulus, sample

Floats = NDArray[np.floating[Any]]

_NO_NOISE, _KEYED, _GIVEN = 0, 1, 2
_CHUNK_STEPS = 2000
_CHUNK_WORK = 4e6  # lanes times steps, about .1 s: how often the bar moves and Ctrl-C is heard


class SimulationDiverged(FloatingPointError):
    """A state variable became infinite or NaN.

    Attributes
    ----------
    variable, area, trial, time
        Where and when (ms) it was first seen.
    """

    def __init__(self, variable: str, area: str, trial: int, time: float, dt: float) -> None:
        self.variable, self.area, self.trial, self.time = variable, area, trial, time
        super().__init__(
            f"{variable} of area {area!r} became non-finite at t = {time:g} ms (trial {trial}); "
            f"halve dt = {dt:g} ms, or check the parameters, the stimulus and the initial state."
        )


def simulate(
    model: Model,
    stimulus: Stimulus | Sequence[Stimulus | None] | None = None,
    *,
    duration: float,
    dt: float = 0.5,
    trials: int | Sequence[int] = 1,
    seed: int = 0,
    noise: bool | NDArray[np.floating[Any]] | xr.DataArray = True,
    every: float = 10.0,
    record: Sequence[str] | None = None,
    dtype: str = "float64",
    progress: bool | None = None,
    state: xr.Dataset | xr.DataArray | None = None,
    threads: int | None = None,
) -> xr.Dataset:
    """Advance all areas of a model by Euler's method and return what they did.

    x[n+1] = x[n] + dt f(x[n], W x[n], stimulus(n dt), noise[n]), in the order of update that the circuit's paper has.

    Parameters
    ----------
    model : Model
        Connectome, circuit and maps. Circuit parameters with one value per trial are run side by side.
    stimulus : Stimulus, sequence of Stimulus, or None
        One for all trials, or one (or None) per trial.
    duration : float
        In ms; a whole multiple of `dt`.
    dt : float
        Euler step in ms.
    trials : int or sequence of int
        How many, or which: trial k sees the same noise whatever runs beside it, so `trials=[7]` repeats trial 7, and
        `trials=[0, 0]` runs two trials (of different parameters, say) under the same noise.
    seed : int
        Key of the noise, 0 ... 2^64 - 1.
    noise : bool or array
        True: keyed by (seed, trial, area, variable, step). False: none. Or standard normals (step, area, variable), in
        the order of `model.areas` and `model.circuit.noise`, or with a leading trial axis; a DataArray is joined by
        the labels it has.
    every : float
        Sampling interval in ms, a whole multiple of `dt`. Samples are at t = 0, every, 2 every, ... < duration; the
        one at t is the state after t/dt steps.
    record : sequence of str
        State variables to record; by default the circuit's rates.
    dtype : {"float64", "float32"}
        Precision of the state. Both see the same noise.
    progress : bool or None
        Whether to show a progress bar; None: on a terminal, for runs of over a second.
    state : Dataset or DataArray
        Where to start: an earlier result, which is continued at its last step (time, noise and stimulus go on, and the
        two runs together equal one long run bit by bit); or an array (state, area) or (trial, state, area) such as a
        result's `final_state`, labelled.
    threads : int
        Threads over trials; by default one per processor. The numbers do not depend on it.

    Returns
    -------
    xarray.Dataset
        Recorded variables over (trial, time, area), `final_state` (trial, state, area), the model's maps as
        coordinates along `area`, and the provenance in `attrs`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not hold what it must; the message says which.
    MemoryError
        Before the run starts, if the record would not fit into the free memory.
    SimulationDiverged
        If a state variable becomes infinite or NaN; with variable, area, trial and time.

    Examples
    --------
    >>> import cortexsim as cx
    >>> model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    >>> cue = cx.Pulse(area="V1", input="E1_dendrite", onset=100, duration=50, amplitude=100)
    >>> result = cx.simulate(model, cue, duration=200, trials=2)
    >>> dict(result.r_E1.sizes)
    {'trial': 2, 'time': 20, 'area': 40}
    """
    run = _plan(model, stimulus, duration, dt, trials, seed, noise, every, record, dtype, state, threads)
    need, free = (
        memory_estimate(model, duration=duration, trials=len(run.trials), every=every, record=record, dtype=dtype),
        _free_memory(),
    )
    if need > free:
        raise MemoryError(
            f"The run must fit into memory, but needs about {need / 2**30:.1f} GiB of the {free / 2**30:.1f} "
            f"GiB that are free; "
            f"record fewer variables, raise `every` = {every:g} ms, or run fewer trials at a time."
        )
    records, final = _run(run, progress)
    return _label(run, records, final)


def memory_estimate(
    model: Model,
    *,
    duration: float,
    trials: int = 1,
    every: float = 10.0,
    record: Sequence[str] | None = None,
    dtype: str = "float64",
) -> int:
    """Return the bytes that `simulate` would take: the record, and the state of all lanes twice.

    Parameters
    ----------
    model, duration, trials, every, record, dtype
        As for `simulate`.
    """
    circuit = model.circuit
    n_areas, item = len(model.areas), np.dtype(dtype).itemsize
    recorded = len(circuit.recorded if record is None else record)
    lanes = trials * (n_areas + 64 // item)
    fields = len(circuit.state) + len(circuit.pathways) + len(circuit.inputs) + len(circuit.noise) + 8
    samples = int(np.ceil(duration / every))
    matrices = len({p.weights for p in circuit.pathways})
    return item * (
        recorded * trials * samples * n_areas + 2 * lanes * fields + matrices * n_areas * (n_areas + 64 // item)
    )


@dataclass(frozen=True)
class _Plan:
    """A checked run: everything as the kernel wants it, short of its buffers."""

    model: Model
    stimuli: tuple[Stimulus | None, ...]
    channels: tuple[tuple[str, str], ...]
    trials: tuple[int, ...]
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
    threads: int

    @property
    def steps(self) -> int:
        return round(self.duration / self.dt)

    @property
    def every_steps(self) -> int:
        return round(self.every / self.dt)

    @property
    def samples(self) -> int:
        return -(-self.steps // self.every_steps)


def _plan(
    model: Model,
    stimulus: Any,
    duration: float,
    dt: float,
    trials: Any,
    seed: int,
    noise: Any,
    every: float,
    record: Any,
    dtype: Any,
    state: Any,
    threads: int | None,
) -> _Plan:
    """Check every argument of `simulate`."""
    if not isinstance(model, Model):
        raise TypeError(
            f"Argument `model` must be a Model, but is {type(model).__name__}; make one by "
            f"cortexsim.Model(connectome, circuit)."
        )
    circuit = model.circuit
    dt = _checks.check_positive("dt", dt, "ms")
    duration = _checks.check_positive("duration", duration, "ms")
    every = _checks.check_positive("every", every, "ms")
    steps = _checks.whole_steps("duration", duration, dt)
    _checks.whole_steps("every", every, dt)
    kind = _checks.check_known(str(np.dtype(dtype)), ("float64", "float32"), what="precision", where="`dtype`")
    which = _trials(trials)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise ValueError(f"Argument `seed` must be a whole number from 0 to 2^64 - 1, but is {seed!r}.")
    recorded = tuple(circuit.recorded) if record is None else (record,) if isinstance(record, str) else tuple(record)
    for name in recorded:
        _checks.check_known(name, circuit.state_names(), what="variable", where="`record`")
    _checks.check_unique(recorded, what="variable", where="`record`")
    stimuli = _stimuli(stimulus, len(which))
    first_step, start = _start(state, model, len(which), dt)
    noise_kind, given = _noise(noise, model, len(which), steps)
    return _Plan(
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
        threads=_processors() if threads is None else _checks.check_count("threads", threads),
    )


def _trials(trials: Any) -> tuple[int, ...]:
    if isinstance(trials, Sequence | np.ndarray) and not isinstance(trials, str):
        which = tuple(_checks.check_count(f"trials[{k}]", t, least=0) for k, t in enumerate(trials))
        if not which:
            raise ValueError("Argument `trials` must name at least one trial, but is empty.")
        if max(which) >= 2**32:
            raise ValueError(f"Argument `trials` must hold numbers below 2^32, but has {max(which)}.")
        return which
    return tuple(range(_checks.check_count("trials", trials)))


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
    inputs = [v.name for v in model.circuit.inputs]
    found = set()
    for stimulus in stimuli:
        for part in stimulus.parts if stimulus is not None else ():
            where = type(part).__name__
            _checks.check_known(part.area, model.areas, what="area", where=where, listed="`connectome.areas`")
            _checks.check_known(part.input, inputs, what="input", where=where)
            found.add((model.areas.index(part.area), inputs.index(part.input)))
    return tuple((model.areas[a], inputs[i]) for a, i in sorted(found))


def _noise(noise: Any, model: Model, n_trials: int, steps: int) -> tuple[int, NDArray[Any]]:
    nothing = np.zeros((1, 0, 0, 0))
    if isinstance(noise, bool | np.bool_):
        return (_KEYED if noise and model.circuit.noise else _NO_NOISE), nothing
    variables = model.circuit.noise
    if isinstance(noise, xr.DataArray):
        noise = _joined_noise(noise, model)
    values = np.asarray(noise, dtype=np.float64)
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
    return _GIVEN, values


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


def _start(state: Any, model: Model, n_trials: int, dt: float) -> tuple[int, NDArray[Any] | None]:
    """Return the step to start at, and the state (trial, state, area) there."""
    if state is None:
        return 0, None
    step = 0
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
    return step, np.broadcast_to(values, (n_trials, *values.shape[1:]))


def _run(run: _Plan, progress: bool | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Run in chunks; return the record (variable, trial, time, area) and the last state (trial, state, area)."""
    from tqdm import tqdm

    from cortexsim.kernel.lanes import Lanes

    lanes = Lanes(run.model, run.trials, run.channels, run.record, run.dtype, run.start)
    record = np.empty((len(run.record), len(run.trials), run.samples, len(run.model.areas)), dtype=run.dtype)
    chunk = int(np.clip(_CHUNK_WORK // lanes.count, 1, _CHUNK_STEPS))
    workers = min(run.threads, lanes.tiles)
    bar = tqdm(
        total=run.duration,
        unit="ms",
        desc=None if lanes.compiled else "compiling, once",
        delay=0 if progress or not lanes.compiled else 1,
        disable=None if progress is None else not progress,
    )
    with bar, ThreadPoolExecutor(workers) as pool:
        for done in range(0, run.steps, chunk):
            n = min(chunk, run.steps - done)
            before = lanes.copy()
            _advance(run, lanes, pool, workers, done, n, record)
            if not lanes.finite():
                lanes.restore(before)
                _report_divergence(run, lanes, done, n, record)
            bar.set_description(None, refresh=False)
            bar.update(n * run.dt)
    return record, lanes.state()


def _advance(
    run: _Plan, lanes: Any, pool: ThreadPoolExecutor, workers: int, done: int, n: int, record: NDArray[Any]
) -> None:
    times = (run.first_step + done + np.arange(n, dtype=np.float64)) * run.dt
    drive = sample(run.stimuli, run.channels, times) * lanes.scale
    given = run.given[:, done : done + n]
    borders = [lanes.tiles * k // workers for k in range(workers + 1)]
    list(
        pool.map(
            lambda first, last: lanes.advance(
                first,
                last,
                run.dt,
                run.seed,
                run.first_step,
                done,
                n,
                run.noise_kind,
                given,
                drive,
                run.every_steps,
                record,
            ),
            borders[:-1],
            borders[1:],
        )
    )


def _report_divergence(run: _Plan, lanes: Any, done: int, n: int, record: NDArray[Any]) -> None:
    """Repeat a chunk step by step, to name where and when it diverged."""
    with ThreadPoolExecutor(1) as pool:
        for step in range(done, done + n):
            _advance(run, lanes, pool, 1, step, 1, record)
            if not lanes.finite():
                trial, variable, area = lanes.first_bad()
                time = (run.first_step + step + 1) * run.dt
                raise SimulationDiverged(
                    run.model.circuit.state_names()[variable], run.model.areas[area], run.trials[trial], time, run.dt
                )


def _label(run: _Plan, records: NDArray[Any], final: NDArray[Any]) -> xr.Dataset:
    """Return the Dataset: names, units, coordinates and provenance."""
    model, circuit = run.model, run.model.circuit
    by_name = {v.name: v for v in circuit.state}
    time = xr.Variable(
        "time",
        (run.first_step + np.arange(run.samples) * run.every_steps) * run.dt,
        {"units": "ms", "long_name": "time"},
    )
    maps = model.area_maps()
    area = xr.Variable("area", list(model.areas), {"long_name": "area"})
    coordinates = {
        "trial": xr.Variable("trial", list(run.trials), {"long_name": "trial"}),
        "time": time,
        "state": xr.Variable("state", list(circuit.state_names()), {"long_name": "state variable"}),
        "area": area,
        **{
            str(name): m.variable
            for name, m in {**maps.data_vars, **maps.coords}.items()
            if m.dims == ("area",) and name != "area"
        },
    }
    for name in circuit.parameter_names():
        value = getattr(circuit, name)
        if isinstance(value, tuple):
            unit = next(t[2:4] for t in circuit.parameter_table() if t[0] == name)
            coordinates[name] = xr.Variable("trial", list(value), {"units": unit[0], "long_name": unit[1]})
    data = {
        name: xr.Variable(
            ("trial", "time", "area"), records[k], {"units": by_name[name].unit, "long_name": by_name[name].meaning}
        )
        for k, name in enumerate(run.record)
    }
    data["final_state"] = xr.Variable(("trial", "state", "area"), final, {"long_name": "state after the last step"})
    shared = len(run.stimuli) == 1
    described = [json.loads(s.to_json()) if s is not None else [] for s in run.stimuli]
    return xr.Dataset(
        data,
        coordinates,
        {
            "cortexsim_version": version("cortexsim"),
            "circuit": type(circuit).__name__,
            "citation": circuit.citation,
            "parameters": circuit.parameters_json(),
            "stimulus": json.dumps(described[0] if shared else described),
            "connectome": json.dumps({"name": model.connectome.name, "digest": model.connectome.digest}),
            "gradients_digest": _maps_digest(maps),
            "dt_ms": run.dt,
            "duration_ms": run.duration,
            "every_ms": run.every,
            "seed": str(run.seed),
            "noise": ("none", "keyed", "given")[run.noise_kind],
            "dtype": str(run.dtype),
            "first_step": run.first_step,
            "last_step": run.first_step + run.steps,
        },
    )


def _maps_digest(maps: xr.Dataset) -> str:
    """Return the SHA-256 of the areas and the maps that the run used."""
    digest = hashlib.sha256("\n".join(map(str, maps["area"].to_numpy())).encode())
    for name in sorted(map(str, maps.data_vars)):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(maps[name].to_numpy()).astype("<f8").tobytes())
    return digest.hexdigest()


def _processors() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)
