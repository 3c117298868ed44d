"""Thresholds: the smallest amplitude at which something happens, by bisection of many conditions side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsim import _checks
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.stimulus import Stimulus

Floats = NDArray[np.float64]

OUTCOMES = ("replaced", "lost")


def threshold(
    function: Callable[[Floats], ArrayLike],
    low: float,
    high: float,
    *,
    tolerance: float,
    conditions: Mapping[str, Sequence[float | str]] | None = None,
) -> xr.Dataset:
    """Return the smallest amplitude at which a yes-or-no function says yes, for each condition, by bisection.

    All conditions halve their intervals at the same time, so that each call of the function can run them as the trials
    of one simulation. That the answer changes once between `low` and `high` is taken for granted: where it changes
    three times or more, one of these changes is found.

    Parameters
    ----------
    function : callable
        From amplitudes (condition,) to answers (condition,), each True or False.
    low, high : float
        The function must say no at `low` in all conditions, and yes at `high`; `high` may be below `low`.
    tolerance : float
        Largest distance that is left between the amplitudes around the threshold.
    conditions : dict, optional
        Name of the condition and its values, {"dopamine": (1.0, 1.5)}; by default there is one condition.

    Returns
    -------
    Dataset (by the condition's name, or "condition")
        `threshold`, the smallest amplitude found at which the answer is yes; `fails`, the largest found at which it is
        no.

    Raises
    ------
    ValueError
        If the answer is yes at `low` or no at `high`, which the message says for which conditions, or an argument does
        not hold what it must.
    TypeError
        If the function does not answer True or False once for each condition.

    Examples
    --------
    >>> import numpy as np
    >>> found = threshold(lambda x: x**2 > np.array([2, 3]), 0, 2, tolerance=1e-6, conditions={"square": (2, 3)})
    >>> found.threshold.round(4).values
    array([1.4142, 1.7321])
    """
    name, values = next(iter(conditions.items())) if conditions else ("condition", (0,))
    if conditions is not None and (len(conditions) != 1 or not len(values)):
        raise ValueError(f"Argument `conditions` must have one name with values, but is {dict(conditions)!r}.")
    start = _checks.check_finite("low", low), _checks.check_finite("high", high)
    tolerance = _checks.check_positive("tolerance", tolerance)
    fails, works = (np.full(len(values), end) for end in start)
    for end, amplitude, wanted in (("low", fails, False), ("high", works, True)):
        wrong = _answers(function, amplitude) != wanted
        if wrong.any():
            where = ", ".join(f"{name} {value}" for value, w in zip(values, wrong, strict=True) if w)
            raise ValueError(
                f"The answer must be {'yes' if wanted else 'no'} at `{end}` = {amplitude[0]:g}, but is not for "
                f"{where}; widen the bracket or leave out what has no threshold."
            )
    for _ in range(max(0, math.ceil(math.log2(max(abs(start[1] - start[0]) / tolerance, 1))))):
        middle = (fails + works) / 2
        yes = _answers(function, middle)
        fails, works = np.where(yes, fails, middle), np.where(yes, middle, works)
    return xr.Dataset(
        {
            "threshold": (name, works, {"long_name": "smallest amplitude found that succeeds"}),
            "fails": (name, fails, {"long_name": "largest amplitude found that fails"}),
        },
        {name: list(values)},
        {"tolerance": tolerance},
    )


def distractor_threshold(
    model: Model,
    trial: Callable[[float], Stimulus],
    items: tuple[str, str],
    *,
    low: float = 0.0,
    high: float,
    tolerance: float,
    duration: float,
    outcome: str = "replaced",
    active: float = 5.0,
    dt: float = 0.5,
) -> xr.Dataset:
    """Return the smallest amplitude at which a trial loses the memory of its cue, or holds the distractor instead.

    Without noise, by `threshold`, which tells of its assumption. Where the circuit has a parameter with several values,
    these are the conditions, and each halving is one run of all.

    Parameters
    ----------
    model : Model
        At most one parameter of its circuit with one value per trial, such as dopamine=(1.0, 1.5).
    trial : callable
        From an amplitude to all that acts on the model in a trial: cue, distractor and what helps it. What the
        amplitude is of, a current or anything else, is up to this function.
    items : (str, str)
        The rates that hold the cue and the distractor, such as ("r_E1", "r_E2").
    low, high : float
        Amplitudes at which the memory is kept in all conditions, and at which it is not.
    tolerance : float
        Of the amplitude.
    duration : float
        Of the trial, in ms; the last sample, 10 ms before its end, is judged.
    outcome : {"replaced", "lost"}
        "replaced": more areas hold the distractor than the cue. "lost": no area holds the cue.
    active : float
        An area holds an item if its rate is above this, in the unit of the rate.
    dt : float
        Euler step in ms.

    Returns
    -------
    Dataset (by the parameter's name, or "condition")
        `threshold` and `fails`, as for `threshold`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not hold what it must, or the bracket does not hold a threshold.

    Examples
    --------
    >>> cue = cx.Pulse(area="V1", input="E1_dendrite", onset=1000, duration=400, amplitude=100)  # doctest: +SKIP
    >>> def trial(amplitude):
    ...     return cue + cx.Pulse(area="V1", input="E2_dendrite", onset=2000, duration=400, amplitude=amplitude)
    >>> items = ("r_E1", "r_E2")
    >>> distractor_threshold(model, trial, items, high=500, tolerance=1, duration=5000)  # doctest: +SKIP
    """
    if not isinstance(model, Model):
        raise TypeError(f"Argument `model` must be a Model, but is {type(model).__name__}.")
    _checks.check_known(outcome, OUTCOMES, what="outcome", where="distractor_threshold")
    active = _checks.check_finite("active", active)
    if len(items) != 2:
        raise ValueError(f"Argument `items` must name the rates of cue and distractor, but is {items!r}.")
    varied = {
        n: getattr(model.circuit, n)
        for n in model.circuit.parameter_names()
        if isinstance(getattr(model.circuit, n), tuple)
    }
    if len(varied) > 1:
        raise ValueError(
            f"The circuit may have one parameter with one value per trial, but has {', '.join(varied)}; "
            f"call this once for each value of the others."
        )

    def happens(amplitudes: Floats) -> NDArray[np.bool_]:
        result = simulate(
            model,
            [trial(float(a)) for a in amplitudes],
            duration=duration,
            dt=dt,
            trials=len(amplitudes),
            noise=False,
            record=items,
            progress=False,
        )
        kept, other = ((result[name].isel(time=-1) > active).sum("area").to_numpy() for name in items)
        return np.asarray(other > kept if outcome == "replaced" else kept == 0)

    found = threshold(happens, low, high, tolerance=tolerance, conditions=varied or None)
    return found.assign_attrs(outcome=outcome, active=active)


def _answers(function: Callable[[Floats], ArrayLike], amplitudes: Floats) -> NDArray[np.bool_]:
    answers = np.asarray(function(amplitudes))
    if answers.dtype != bool or answers.shape != amplitudes.shape:
        raise TypeError(
            f"The function must answer True or False once for each of {amplitudes.size} conditions, but returned "
            f"{answers.dtype} of shape {answers.shape}."
        )
    return answers
