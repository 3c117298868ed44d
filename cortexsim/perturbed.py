"""What perturbations do to a model over a run: when, to which parameters, and which connections they cut."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.circuits.circuit import AreaValues
from cortexsim.kernel.reading import names_read
from cortexsim.model import Model
from cortexsim.stimulus import Change, Course, Lesion, Stimulus
from cortexsim.stimulus.drives import SAME_TIME
from cortexsim.stimulus.perturbations import RESOLUTION

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Alteration = Change | Course


def lesions(stimulus: Stimulus | None) -> tuple[Lesion, ...]:
    """Return the lesions of a trial."""
    return tuple(p for p in (stimulus.parts if stimulus else ()) if isinstance(p, Lesion))


def alterations(stimulus: Stimulus | None) -> tuple[Alteration, ...]:
    """Return the changed parameters of a trial, in the order in which they act."""
    return tuple(p for p in (stimulus.parts if stimulus else ()) if isinstance(p, Change | Course))


def acts(part: Lesion | Alteration, time: float) -> bool:
    """Whether a perturbation acts on the step that begins at `time` (ms)."""
    onset, end = part.window
    return onset - SAME_TIME <= time < end - SAME_TIME


def borders(stimuli: Sequence[Stimulus | None], first_step: int, steps: int, dt: float) -> list[int]:
    """Return the steps, within a run, at which anything that a perturbation does begins, ends or moves on."""
    times: set[float] = set()
    for part in itertools.chain(*((*lesions(s), *alterations(s)) for s in stimuli)):
        times.update(part.window)
        if isinstance(part, Course):
            last = math.ceil((part.times[-1] - part.onset) / RESOLUTION)
            times.update(part.onset + RESOLUTION * k for k in range(last + 1))
    found = {math.ceil((t - SAME_TIME) / dt) for t in times if math.isfinite(t)}
    return sorted(n - first_step for n in found if first_step < n < first_step + steps)


def changed(model: Model, stimuli: Sequence[Stimulus | None], trials: int, time: float) -> dict[str, Floats]:
    """Return the parameters that perturbations change anywhere in the run, as they are at `time`.

    Parameters
    ----------
    model
        The unperturbed model.
    stimuli
        One for all trials, or one per trial.
    trials
        Number of trials.
    time
        In ms.

    Returns
    -------
    dict
        By name, of shape (trial, 1), or (trial, area) where areas differ; the shapes are the same at all times.
    """
    names = {p.parameter: None for s in stimuli for p in alterations(s)}
    return {name: _course_of(model, name, stimuli, trials, time) for name in names}


def _course_of(model: Model, name: str, stimuli: Sequence[Stimulus | None], trials: int, time: float) -> Floats:
    value: Any = getattr(model.circuit, name)
    parts = [[p for p in alterations(s) if p.parameter == name] for s in stimuli]
    if isinstance(value, AreaValues):
        value = value.aligned(model.areas, name)
    elif isinstance(value, tuple):
        value = np.array(value)[:, np.newaxis]
    local = any(p.areas is not None for p in itertools.chain(*parts))
    width = len(model.areas) if local or (np.ndim(value) and np.shape(value)[-1] > 1) else 1
    out = np.array(np.broadcast_to(value, (trials, width)), dtype=np.float64)
    for k in range(trials):
        for part in parts[k if len(parts) > 1 else 0]:
            if acts(part, time):
                where = slice(None) if part.areas is None else [model.areas.index(a) for a in part.areas]
                out[k, where] = part.applied(out[k, where], time)
    return out


def kept(cuts: Sequence[Lesion], areas: Sequence[str], time: float) -> Callable[[Integers, Integers], Any] | None:
    """Return which connections (target, source) are left at `time`, as a function of positions; None: all.

    Parameters
    ----------
    cuts
        The lesions of a trial.
    areas
        The areas of the model.
    time
        In ms.
    """
    acting = [c for c in cuts if acts(c, time)]
    if not acting:
        return None
    position = {a: k for k, a in enumerate(areas)}
    n = len(areas)
    gone = np.zeros(n, dtype=bool)
    gone[[position[a] for c in acting for a in c.areas]] = True
    pairs = np.array([position[t] * n + position[s] for c in acting for t, s in c.connections], dtype=np.int64)
    return lambda target, source: ~(gone[target] | gone[source] | np.isin(target * n + source, pairs))


def blank(record: NDArray[Any], cuts: Sequence[Lesion], areas: Sequence[str], times: Floats) -> None:
    """Put NaN into a record (variable, trial, time, area) where an area is lesioned."""
    for cut in cuts:
        within = np.array([acts(cut, float(t)) for t in times], dtype=bool)
        for area in cut.areas:
            record[:, :, within, areas.index(area)] = np.nan


def check(model: Model, stimuli: Sequence[Stimulus | None]) -> None:
    """Check that the areas, connections and parameters that perturbations name are there and can be changed.

    Raises
    ------
    ValueError
        If one is unknown, or the parameter is one that the long-range weights follow from.
    """
    circuit, areas = model.circuit, model.areas
    weights = list(model.weights().values())
    for part in dict.fromkeys(itertools.chain(*((*lesions(s), *alterations(s)) for s in stimuli))):
        where = type(part).__name__
        named = (*part.areas, *itertools.chain(*part.connections)) if isinstance(part, Lesion) else part.areas or ()
        for area in named:
            _checks.check_known(area, areas, what="area", where=where, listed="`connectome.areas`")
        if isinstance(part, Lesion):
            if part.connections and (odd := [p.name for p in circuit.pathways if not p.anatomical]):
                raise ValueError(
                    f"{type(circuit).__name__} has pathways without anatomy ({', '.join(odd)}), of which no single "
                    f"connection can be cut; lesion areas, or take connectome.lesion(connections=...)."
                )
            for target, source in part.connections:
                if not any(w[areas.index(target), areas.index(source)] for w in weights):
                    raise ValueError(
                        f"There is no connection {target} <- {source} to lesion; pairs are (target, source)."
                    )
            continue
        _checks.check_known(part.parameter, circuit.parameter_names(), what="parameter", where=where)
        if not _changeable(model, part.parameter):
            raise ValueError(
                f"Parameter `{part.parameter}` can't change within a run, since the long-range weights follow from it "
                f"(or nothing does, by the options of the circuit); run one simulation for each value."
            )


def _changeable(model: Model, name: str) -> bool:
    """Whether the equation reads a parameter, or reads anything that follows from it."""
    equation: Any = model.circuit.step or model.circuit.derivative
    if name in names_read(equation):
        return True
    trials = model.circuit.trials or 1
    value = _course_of(model, name, (None,), trials, 0.0)
    moved = {name: value + 1e-3 * (1 + np.abs(value))}
    before, after = model.parameters(trials)[1], model.parameters(trials, moved)[1]
    return any(not np.array_equal(before[k], after[k]) for k in before if k != name)
