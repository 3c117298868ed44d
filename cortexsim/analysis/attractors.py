"""Attractors: the stable states that a model ends in from many starts, and the share of starts that end in each."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.analysis.outcomes import proportion
from cortexsim.analysis.stability import eigenvalues
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.stimulus import Pulse, Stimulus

Floats = NDArray[np.float64]

_SAMPLES = 20  # in the window that tells whether a trial has settled


def random_states(model: Model, n: int, ranges: Mapping[str, tuple[float, float]], *, seed: int = 0) -> xr.DataArray:
    """Return random states to start from: uniform within a range for each variable, independent between areas.

    Parameters
    ----------
    model : Model
        Whose areas and state variables they have.
    n : int
        How many.
    ranges : dict
        (low, high) by state variable, in its unit: {"r_A": (0, 60), "S_A": (0, 1)}. All other variables start as the
        circuit says.
    seed : int
        Of NumPy's generator.

    Returns
    -------
    DataArray (trial, state, area)
        For `attractors`, or `simulate(state=...)`.

    Raises
    ------
    TypeError, ValueError
        If a variable is unknown, or a range is empty or not finite.
    """
    n = _checks.check_count("n", n)
    draw = np.random.default_rng(_checks.check_count("seed", seed, least=0))
    names, areas = model.circuit.state_names(), model.areas
    starts = np.empty((n, len(names), len(areas)))
    starts[:] = np.array([v.initial for v in model.circuit.state])[:, np.newaxis]
    for name, (low, high) in ranges.items():
        k = names.index(_checks.check_known(name, names, what="variable", where="`ranges`"))
        low, high = (_checks.check_finite(f"ranges[{name!r}]", end, model.circuit.state[k].unit) for end in (low, high))
        if not low < high:
            raise ValueError(f"A range must go from low to high, but that of {name!r} is ({low:g}, {high:g}).")
        starts[:, k] = draw.uniform(low, high, size=(n, len(areas)))
    labels = {"trial": np.arange(n), "state": list(names), "area": list(areas)}
    return xr.DataArray(starts, labels, ("trial", "state", "area"), attrs={"long_name": "state at the start"})


def random_cues(
    areas: Sequence[str],
    inputs: Sequence[str],
    n: int,
    *,
    amplitude: float,
    duration: float,
    onset: float = 0.0,
    seed: int = 0,
) -> list[Stimulus]:
    """Return cues to random areas, each into a random input, all on at the same time.

    A cue goes to m different areas, m drawn evenly from 1 ... len(areas).

    Parameters
    ----------
    areas, inputs : sequence of str
        To draw from: areas of the model, inputs of its circuit.
    n : int
        How many.
    amplitude : float
        Of every current, in the input's unit.
    duration, onset : float
        In ms.
    seed : int
        Of NumPy's generator.

    Returns
    -------
    list of Stimulus
        For `attractors`, or `simulate`, one per trial.

    Raises
    ------
    TypeError, ValueError
        If there is no area or input, or a number is none.

    References
    ----------
    Mejias and Wang 2022, eLife 11:e72136, doi 10.7554/eLife.72136, Appendix 2.
    """
    n = _checks.check_count("n", n)
    areas = _checks.check_unique(areas, what="area", where="`areas`")
    inputs = _checks.check_unique(inputs, what="input", where="`inputs`")
    if not areas or not inputs:
        raise ValueError("Arguments `areas` and `inputs` must name one each at least, but one of them is empty.")
    draw = np.random.default_rng(_checks.check_count("seed", seed, least=0))
    cues = []
    for _ in range(n):
        m = int(draw.integers(1, len(areas) + 1))
        driven = zip(draw.choice(areas, m, replace=False), draw.choice(inputs, m), strict=True)
        pulses: list[Stimulus] = [
            Pulse(area=str(area), input=str(into), onset=onset, duration=duration, amplitude=amplitude)
            for area, into in driven
        ]
        cues.append(functools.reduce(operator.add, pulses))
    return cues


def attractors(
    model: Model,
    starts: xr.DataArray | Sequence[Stimulus | None],
    items: Sequence[str],
    *,
    duration: float = 10_000.0,
    dt: float = 0.5,
    window: float = 500.0,
    settled: float = 0.1,
    distance: float = 1.0,
    active: float = 5.0,
    confidence: float = 0.95,
    stability: bool = False,
    progress: bool | None = None,
) -> xr.Dataset:
    """Return the different states that a model settles in, without noise, from many starts.

    All starts run side by side. A trial has settled if no rate changes faster than `settled` over the last `window`.
    Settled trials are in the same attractor if they agree within `distance` in all rates, directly or through a chain
    of others (single linkage of the largest difference). The count is a lower bound: more starts may find more.

    Parameters
    ----------
    model : Model
        With one value of each parameter for all trials.
    starts : DataArray (trial, state, area), or sequence of Stimulus
        States to start from (see `random_states`), or cues, one per trial, to the circuit's own initial state (see
        `random_cues`), which should end well before the window begins.
    items : sequence of str
        The rates that hold the items, such as ("r_E1", "r_E2"); they are what is compared.
    duration : float
        Of each trial, in ms.
    dt : float
        Euler step in ms.
    window : float
        The end of the trial in which its rates must stand still, in ms; a whole multiple of 20 dt.
    settled : float
        Largest range of a rate within the window, over its length, in the unit of the rate per s.
    distance : float
        In the unit of the rates.
    active : float
        An area holds an item if its rate is above this.
    confidence : float
        Of the intervals about basin sizes, 0 ... 1.
    stability : bool
        Whether to linearise the model about each attractor; takes seconds for large models.
    progress : bool or None
        As in `simulate`.

    Returns
    -------
    Dataset (attractor, item, area, start)
        Attractors are numbered from the one that most starts lead to. `rate` (attractor, item, area) at the end;
        `active`, whether it is above the threshold; `active_areas` (attractor, item), how many are; `mean_rate`
        (attractor, item) over all areas; `starts` (attractor), how many starts ended there; `basin`, their share of all
        starts, settled or not, and `basin_low`, `basin_high`, its Wilson interval; `final_state` (attractor, state,
        area) of the start that changed least, for `simulate(state=found.final_state.sel(attractor=0))`; with
        `stability`, `growth_rate` (attractor) [1/ms], the largest real part of the eigenvalues there. `change` (start),
        the fastest rate of change in the window [Hz/s]; `reached` (start), the attractor, -1 where the trial has not
        settled. attrs `not_settled`: how many have not.

    Raises
    ------
    ValueError, TypeError
        If an argument does not hold what it must.
    SimulationDiverged
        If a state becomes infinite or NaN.

    Notes
    -----
    A state near a fold of fixed points relaxes in tens of seconds and may pass for settled: lower `settled` and raise
    `duration` where attractors are found that differ little. A limit cycle never settles.

    Examples
    --------
    >>> cues = random_cues(model.areas, ("A", "B"), 100, amplitude=0.2, duration=1000)  # doctest: +SKIP
    >>> found = attractors(model, cues, ("r_A", "r_B"), active=10)  # doctest: +SKIP
    >>> found.active_areas.to_pandas(), found.basin  # doctest: +SKIP
    """
    if not isinstance(model, Model):
        raise TypeError(f"Argument `model` must be a Model, but is {type(model).__name__}.")
    if model.circuit.trials is not None:
        raise ValueError(
            "Attractors are those of one condition, but the circuit has parameters with one value per trial; "
            "call this once for each value."
        )
    window = _checks.check_positive("window", window, "ms")
    tolerance = _checks.check_positive("settled", settled, "Hz/s")
    distance = _checks.check_positive("distance", distance, "Hz")
    active = _checks.check_finite("active", active, "Hz")
    if not 0 < _checks.check_finite("confidence", confidence) < 1:
        raise ValueError(f"Argument `confidence` must lie between 0 and 1, but is {confidence:g}.")
    items = _checks.check_unique([items] if isinstance(items, str) else items, what="rate", where="`items`")
    end = _settle(model, starts, items, duration, dt, window, progress)
    rates = xr.concat([end[name] for name in items], xr.Variable("item", list(items)))
    rates = rates.transpose("trial", "item", "area", "time")
    if not np.isfinite(rates).all():
        raise ValueError("Rates must be finite in all areas; to take areas away, lesion the connectome of the model.")
    change = (rates.max("time") - rates.min("time")).max(("item", "area")).to_numpy() / (1e-3 * window)
    last = rates.isel(time=-1).to_numpy()
    reached = _merge(last, change <= tolerance, distance)
    found = range(reached.max() + 1)
    typical = [int(np.argmin(np.where(reached == k, change, np.inf))) for k in found]
    counts = [int((reached == k).sum()) for k in found]
    result = _describe(end.isel(trial=typical), last[typical], items, active)
    result = result.assign(_basins(counts, change.size, confidence)).assign(
        reached=("start", reached, {"long_name": "attractor that the start led to, -1 if none"}),
        change=("start", change, {"units": "Hz/s", "long_name": "fastest change of a rate at the end"}),
    )
    if stability:
        growth = [eigenvalues(model, result.final_state.sel(attractor=k)).real.max().item() for k in found]
        of_growth = {"units": "1/ms", "long_name": "largest real part of the eigenvalues"}
        result["growth_rate"] = ("attractor", np.array(growth, dtype=np.float64), of_growth)
    return result.assign_attrs(
        {key: end.attrs[key] for key in ("cortexsim_version", "circuit", "parameters", "connectome")},
        not_settled=int((reached < 0).sum()),
        active_hz=active,
        confidence=confidence,
    )


def _settle(
    model: Model,
    starts: xr.DataArray | Sequence[Stimulus | None],
    items: tuple[str, ...],
    duration: float,
    dt: float,
    window: float,
    progress: bool | None,
) -> xr.Dataset:
    """Return the last `window` of a trial from each start; what comes before is not kept."""
    stimulus, state = (None, starts) if isinstance(starts, xr.DataArray) else (starts, None)
    if stimulus is not None and (isinstance(stimulus, Stimulus | str) or not len(stimulus)):
        raise TypeError(f"Argument `starts` must be states, or one Stimulus per trial, but is {starts!r}.")
    n = starts.sizes.get("trial", 1) if isinstance(starts, xr.DataArray) else len(starts)
    duration = _checks.check_positive("duration", duration, "ms")
    if duration <= window:
        raise ValueError(f"Argument `duration` must be above `window` = {window:g} ms, but is {duration:g} ms.")
    run = functools.partial(simulate, model, stimulus, trials=n, dt=dt, noise=False, record=items, progress=progress)
    before = run(duration=duration - window, every=duration - window, state=state)
    return run(duration=window, every=window / _SAMPLES, state=before)


def _merge(rates: Floats, settled: NDArray[np.bool_], distance: float) -> NDArray[np.int64]:
    """Return the attractor of each trial, counted from the most frequent; -1 where it has not settled."""
    from scipy.cluster.hierarchy import fcluster, linkage

    reached = np.full(settled.size, -1)
    points = rates[settled].reshape(int(settled.sum()), rates[0].size)
    if len(points) < 2:
        reached[settled] = 0
        return reached
    label = fcluster(linkage(points, "single", "chebyshev"), distance, "distance")
    names, first, counts = np.unique(label, return_index=True, return_counts=True)
    rank = {name: k for k, name in enumerate(names[np.lexsort((first, -counts))])}
    reached[settled] = [rank[name] for name in label]
    return reached


def _describe(end: xr.Dataset, rates: Floats, items: tuple[str, ...], active: float) -> xr.Dataset:
    """Return rates, active areas and final state of one trial per attractor."""
    unit = end[items[0]].attrs.get("units", "Hz")
    area = {str(name): c for name, c in end.coords.items() if c.dims == ("area",)}
    attractor = xr.Variable("attractor", np.arange(len(rates)), {"long_name": "attractor"})
    result = xr.Dataset(
        {"rate": (("attractor", "item", "area"), rates, {"units": unit, "long_name": "rate in the attractor"})},
        {"attractor": attractor, "item": list(items), **area},
    )
    state = end["final_state"].rename(trial="attractor").drop_vars("attractor")
    held = (result.rate > active).assign_attrs(long_name=f"rate above {active:g} {unit}")
    number = held.sum("area").assign_attrs(units="areas", long_name="areas that hold the item")
    mean = result.rate.mean("area").assign_attrs(units=unit, long_name="mean rate of all areas")
    keep = state.drop_vars([name for name, c in state.coords.items() if c.dims == ("attractor",)])
    return result.assign(active=held, active_areas=number, mean_rate=mean, final_state=keep)


def _basins(counts: Sequence[int], total: int, confidence: float) -> dict[str, xr.Variable]:
    """Return counts, shares of all starts, and Wilson's intervals."""
    n = xr.DataArray(list(counts), dims="attractor")
    share = proportion(n, xr.full_like(n, total), confidence)
    columns = {
        "starts": (counts, "starts that led there"),
        "basin": (share.fraction.values, "share of the starts"),
        "basin_low": (share.low.values, "lower end of the share"),
        "basin_high": (share.high.values, "upper end of the share"),
    }
    return {
        name: xr.Variable("attractor", values, {"units": "1", "long_name": meaning})
        for name, (values, meaning) in columns.items()
    }
