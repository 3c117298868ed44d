"""Simulate a model: check, sample the stimulus, run the kernel in chunks, label the result."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import perturbed, plan
from cortexsim.model import Model
from cortexsim.plan import Plan
from cortexsim.stimulus import Stimulus, sample

Floats = NDArray[np.floating[Any]]

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
    duration: float | None = None,
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
        One for all trials, or one (or None) per trial. Lesions, changed parameters and light are parts of it:
        `cue + Lesion(areas=["LIP"], onset=2000)`. Run a trial with and without one and its noise is the same.
    duration : float
        In ms; a whole multiple of `dt`. May be left out where a Schedule is in the stimulus, which
        has one.
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
        Threads over trials; by default one per processor, or as many as OMP_NUM_THREADS says, which joblib and Dask
        set in their workers. The numbers do not depend on it.

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
    run = plan.check(model, stimulus, duration, dt, trials, seed, noise, every, record, dtype, state, threads)
    need, free = (
        memory_estimate(model, duration=run.duration, trials=len(run.trials), every=every, record=record, dtype=dtype),
        _free_memory(),
    )
    if need > free:
        raise MemoryError(
            f"The run must fit into memory, but needs about {need / 2**30:.1f} GiB of the {free / 2**30:.1f} "
            f"GiB that are free; "
            f"record fewer variables, raise `every` = {every:g} ms, or run fewer trials at a time."
        )
    return _label(run, _run_all(run, progress))


def memory_estimate(
    model: Model,
    *,
    duration: float,
    trials: int = 1,
    every: float = 10.0,
    record: Sequence[str] | None = None,
    dtype: str = "float64",
) -> int:
    """Return the bytes that `simulate` would take: the record, the weights, and the state of all lanes twice.

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
    weights = model.weights()
    matrices = [weights[name] for name in {p.weights for p in circuit.pathways}]
    listed = max((m.nnz for m in matrices if not isinstance(m, np.ndarray)), default=0)
    # A list comes with senders and delays, and takes some more to be laid out.
    listing, table = listed * (64 // max(len(matrices), 1) + 32), n_areas * (n_areas + 64 // item) * item
    held = len(matrices) * (listing if listed else table)
    return item * (recorded * trials * samples * n_areas + 2 * lanes * fields) + held


class _Ran(NamedTuple):
    """What came out: record (variable, trial, time, area), last state, past that delays need, the model's extras."""

    record: NDArray[Any]
    final: NDArray[Any]
    past: NDArray[Any]
    extras: dict[str, NDArray[Any]]


def _run_all(run: Plan, progress: bool | None) -> _Ran:
    """Run the trials that share their lesions side by side, since they share the long-range weights; see `_run`."""
    groups: dict[Any, list[int]] = {}
    for k in range(len(run.trials)):
        groups.setdefault(perturbed.lesions(run.stimuli[k if len(run.stimuli) > 1 else 0]), []).append(k)
    if len(groups) == 1:
        return _run(run, progress)
    back = np.argsort(list(itertools.chain(*groups.values())))
    parts = [_run(run.only(which), progress) for which in groups.values()]
    return _Ran(
        np.concatenate([p.record for p in parts], axis=1)[:, back],
        np.concatenate([p.final for p in parts])[back],
        np.concatenate([p.past for p in parts])[back],
        {name: np.concatenate([p.extras[name] for p in parts])[back] for name in parts[0].extras},
    )


def _run(run: Plan, progress: bool | None) -> _Ran:
    """Run in chunks."""
    from tqdm import tqdm

    model, cuts, n_trials = run.model, perturbed.lesions(run.stimuli[0]), len(run.trials)

    def parameters(time: float) -> tuple[dict[str, Any], dict[str, Any]]:
        return model.parameters(n_trials, perturbed.changed(model, run.stimuli, n_trials, time))

    lanes = model.lanes(run, parameters(run.first_step * run.dt))
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
        over = pool.map if workers > 1 else map
        borders = perturbed.borders(run.stimuli, run.first_step, run.steps, run.dt)
        starts = sorted({*range(0, run.steps, chunk), *borders})
        for done, end in zip(starts, [*starts[1:], run.steps], strict=True):
            n = end - done
            time = (run.first_step + done) * run.dt
            if done in borders:
                lanes.change(*parameters(time))
            if cuts and (done == 0 or done in borders):
                lanes.cut(perturbed.kept(cuts, model.areas, time))
            before = lanes.copy()
            _advance(run, lanes, over, workers, done, n, record)
            if not lanes.finite():
                lanes.restore(before)
                _report_divergence(run, lanes, done, n, record)
            bar.set_description(None, refresh=False)
            bar.update(n * run.dt)
    perturbed.blank(record, cuts, model.areas, run.times)
    return _Ran(record, lanes.state(), lanes.history(run.first_step + run.steps), lanes.extras())


def _advance(
    run: Plan, lanes: Any, over: Callable[..., Any], parts: int, done: int, n: int, record: NDArray[Any]
) -> None:
    """Make `n` steps of all trials, in `parts` that `over` (map, or that of a pool of threads) runs."""
    times = (run.first_step + done + np.arange(n, dtype=np.float64)) * run.dt
    drive = sample(run.stimuli, run.channels, times) * lanes.scale
    given = run.given[:, done : done + n]

    def advance(first: int, last: int) -> None:
        span = (run.dt, run.seed, run.first_step, done, n)
        lanes.advance(first, last, *span, run.noise_kind, given, drive, run.every_steps, record)

    borders = [lanes.tiles * k // parts for k in range(parts + 1)]
    list(over(advance, borders[:-1], borders[1:]))


def _report_divergence(run: Plan, lanes: Any, done: int, n: int, record: NDArray[Any]) -> None:
    """Repeat a chunk step by step, to name where and when it diverged."""
    for step in range(done, done + n):
        _advance(run, lanes, map, 1, step, 1, record)
        if not lanes.finite():
            trial, variable, area = lanes.first_bad()
            time = (run.first_step + step + 1) * run.dt
            raise SimulationDiverged(
                run.model.circuit.state_names()[variable], run.model.areas[area], run.trials[trial], time, run.dt
            )


def _label(run: Plan, ran: _Ran) -> xr.Dataset:
    """Return the Dataset: names, units, coordinates and provenance."""
    model, circuit = run.model, run.model.circuit
    by_name = {v.name: v for v in circuit.state}
    time = xr.Variable("time", run.times, {"units": "ms", "long_name": "time"})
    own = {"trial": xr.Variable("trial", list(run.trials), {"long_name": "trial"}), "time": time}
    for name in circuit.parameter_names():
        value = getattr(circuit, name)
        if isinstance(value, tuple):
            unit = next(t[2:4] for t in circuit.parameter_table() if t[0] == name)
            own[name] = xr.Variable("trial", list(value), {"units": unit[0], "long_name": unit[1]})
    data = {
        name: xr.Variable(
            ("trial", "time", "area"), ran.record[k], {"units": by_name[name].unit, "long_name": by_name[name].meaning}
        )
        for k, name in enumerate(run.record)
    }
    data["final_state"] = xr.Variable(("trial", "state", "area"), ran.final, {"long_name": "state after the last step"})
    speed = {} if model.conduction_speed is None else {"conduction_speed_m_per_s": model.conduction_speed}
    if speed:
        past = {"long_name": "sources before the last step, newest first"}
        data["final_history"] = xr.Variable(("trial", "lag", "source", "area"), ran.past, past)
    shared = len(run.stimuli) == 1
    described = [json.loads(s.to_json()) if s is not None else [] for s in run.stimuli]
    besides = model.described(ran.extras)
    return xr.Dataset(
        {**data, **besides.data_vars},
        model.coordinates | xr.Coordinates(own) | besides.coords,
        {
            "cortexsim_version": _version(),
            "circuit": type(circuit).__name__,
            "citation": circuit.citation,
            "parameters": circuit.parameters_json(),
            "stimulus": json.dumps(described[0] if shared else described),
            "connectome": json.dumps({"name": model.connectome.name, "digest": model.connectome.digest}),
            "gradients_digest": model.gradients_digest,
            **speed,
            "dt_ms": run.dt,
            "duration_ms": run.duration,
            "every_ms": run.every,
            "seed": str(run.seed),
            "noise": ("none", "keyed", "given")[run.noise_kind],
            "dtype": str(run.dtype),
            "first_step": run.first_step,
            "last_step": run.first_step + run.steps,
            **besides.attrs,
        },
    )


def _free_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


@functools.cache
def _version() -> str:
    return version("cortexsim")
