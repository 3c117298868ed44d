"""Claims of Wong and Wang 2006, J Neurosci 26:1314: decisions and memory by one recurrent circuit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import analysis, circuits
from cortexsim.connectome import single_area
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.validate.claim import Claim, Claims

_EQUATIONS = "the published equations, solved exactly"
_PROGRAM = "program after the paper (xjwanglab/wong-wang-2006), 4000 trials"
_BOOK = "program of the book (xjwanglab/book), 4000 trials"
_TRIALS, _PUBLISHED_TRIALS = 1000, 4000
_ONSET, _EVERY = 100.0, 2.5  # ms
_THRESHOLD, _FILTER = 15.0, 20.0  # Hz, ms
# By coherence (%), at mu0 = 30 Hz: accuracy, reaction times (ms) of all choices and of errors.
_DECISIONS: dict[float, tuple[float, float, float | None]] = {
    3.2: (0.70, 626, 677),
    6.4: (0.856, 586, 700),
    12.8: (0.980, 478, 723),
    25.6: (1.0, 357, None),
}
# The same at mu0 = 20 Hz: share of trials in which the right population fires more in the end.
_FORCED = {3.2: 0.658, 6.4: 0.791, 12.8: 0.942, 25.6: 0.999}
_WINNERS = {20: 27.5, 30: 30.1, 40: 32.4}  # Hz, by mu0 (Hz)

Floats = NDArray[np.float64]


def check() -> Claims:
    """Run the circuit and return its claims: its states, accuracy, reaction times, and the memory of the choice.

    Returns
    -------
    Claims
        The tolerance of a state is half a unit of its last printed digit; that of accuracies and times three standard
        errors of the difference between 1000 trials here and 4000 there. Times get the 2.5 ms between samples, too.
    """
    model = Model(single_area(), circuits.WongWang2006())
    return Claims("WongWang2006", (*_states(model), *_decisions(model), *_forced_choice(model)))


def _states(model: Model) -> Iterator[Claim]:
    """Find the fixed points near both low, and 1 or 2 high."""
    starts = [_state(*S) for S in ((0.1, 0.1), (0.6, 0.03), (0.03, 0.6))]
    rest = analysis.fixed_points(model, starts)
    yield Claim("stable states without stimulus", 3, int(rest.stable.sum()), 0.0, _EQUATIONS)
    # Solved exactly, the symmetric rate is 1.7846 Hz: hence a whole unit of its last digit.
    low, memory = (rest.fixed_point.isel(point=k, area=0) for k in (0, 1))
    for name, state, variable, expected, tolerance, unit in (
        ("symmetric state: S", low, "S_1", 0.1027, 5e-5, "1"),
        ("symmetric state: rate", low, "r_1", 1.79, 0.01, "Hz"),
        ("memory state: S of the winner", memory, "S_1", 0.567, 5e-4, "1"),
        ("memory state: S of the loser", memory, "S_2", 0.0319, 5e-5, "1"),
        ("memory state: rate of the winner", memory, "r_1", 20.43, 0.005, "Hz"),
        ("memory state: rate of the loser", memory, "r_2", 0.51, 0.005, "Hz"),
    ):
        yield Claim(name, expected, float(state.sel(state=variable)), tolerance, _EQUATIONS, unit)
    for mu0, winner in _WINNERS.items():
        parts = circuits.WongWang2006.motion(0, onset=0, duration=1, mu0=mu0).drives
        drive = {(p.area, p.input): p.amplitude for p in parts}
        driven = analysis.fixed_points(model, starts, drive=drive)
        symmetric, decided = driven.isel(point=0), driven.isel(point=1, area=0)
        yield Claim(f"mu0 {mu0} Hz: symmetric state is stable", 0, int(symmetric.stable), 0.0, _EQUATIONS)
        rate = float(decided.fixed_point.sel(state="r_1"))
        yield Claim(f"mu0 {mu0} Hz: rate of the winner", winner, rate, 0.05, _EQUATIONS, "Hz")


def _state(S_1: float, S_2: float) -> xr.DataArray:
    names = [v.name for v in circuits.WongWang2006.state]
    start = xr.DataArray(np.zeros((len(names), 1)), {"state": names, "area": ["area"]}, ("state", "area"))
    start.loc[{"state": ["S_1", "S_2"]}] = [[S_1], [S_2]]
    return start


def _run(model: Model, mu0: float, stimulus: float, delay: float) -> tuple[Floats, Floats]:
    """Return the times (ms) and the rates (coherence, trial, population, time); population 1 is the right choice."""
    motions = [
        circuits.WongWang2006.motion(c, onset=_ONSET, duration=stimulus, mu0=mu0)
        for c in _DECISIONS
        for _ in range(_TRIALS)
    ]
    result = simulate(
        model,
        motions,
        duration=_ONSET + stimulus + delay,
        trials=len(motions),
        every=_EVERY,
        record=("r_1", "r_2"),
        progress=False,
    ).isel(area=0)
    rates = np.stack([result.r_1, result.r_2], axis=1)
    return result.time.to_numpy(), rates.reshape(len(_DECISIONS), _TRIALS, 2, -1)


def _decisions(model: Model) -> Iterator[Claim]:
    from scipy.optimize import curve_fit
    from scipy.signal import lfilter

    time, rates = _run(model, 30.0, 2000.0, 500.0)
    k = _EVERY / _FILTER
    filtered: Floats = lfilter([k], [1, k - 1], rates, axis=-1)
    above = np.asarray((filtered > _THRESHOLD) & (time >= _ONSET))
    crossed = np.where(above.any(-1), time[above.argmax(-1)] - _ONSET, np.inf)
    decided = np.asarray(np.isfinite(crossed).any(-1))
    correct, reaction = decided & (crossed[..., 0] < crossed[..., 1]), crossed.min(-1)
    for n, (coherence, (accuracy, every, error)) in enumerate(_DECISIONS.items()):
        what = f"mu0 30 Hz, {coherence} %:"
        yield Claim(f"{what} accuracy", accuracy, float(correct[n].mean()), _binomial(accuracy), _PROGRAM)
        for name, expected, chosen in (("all choices", every, decided[n]), ("errors", error, decided[n] & ~correct[n])):
            if expected is not None:
                times = reaction[n][chosen]
                tolerance = _errors(float(times.std()), len(times)) + _EVERY
                yield Claim(f"{what} time of {name}", expected, float(times.mean()), tolerance, _PROGRAM, "ms")

    coherences, observed = np.array(list(_DECISIONS)), correct.mean(-1)
    errors = np.sqrt(np.maximum(observed * (1 - observed), 1 / _TRIALS) / _TRIALS)
    (alpha, beta), covariance = curve_fit(_weibull, coherences, observed, (6, 1.3), errors, absolute_sigma=True)
    for name, fitted, value, variance, unit in (
        ("threshold of the Weibull function", 5.4, alpha, covariance[0, 0], "%"),
        ("exponent of the Weibull function", 1.31, beta, covariance[1, 1], "1"),
    ):
        tolerance = _errors(float(np.sqrt(variance * _TRIALS)), _TRIALS)
        yield Claim(f"mu0 30 Hz: {name}", fitted, float(value), tolerance, _PROGRAM, unit)

    offset = _ONSET + 2000.0
    at_offset = rates[..., (time >= offset - 100) & (time < offset)].mean(-1)
    late = rates[..., -round(100 / _EVERY) :].mean(-1)
    kept = (at_offset.argmax(-1) == late.argmax(-1)) & (late.max(-1) > 10)
    # "At least .997": from there to 1.
    yield Claim("mu0 30 Hz: share of choices held 0.5 s after", 0.9985, float(kept.mean()), 0.0015, _PROGRAM)


def _forced_choice(model: Model) -> Iterator[Claim]:
    """Who fires more when a stimulus of .9 s ends."""
    _, rates = _run(model, 20.0, 900.0, 0.0)
    correct = (rates[..., 0, -1] > rates[..., 1, -1]).mean(-1)
    for (coherence, accuracy), observed in zip(_FORCED.items(), correct, strict=True):
        claim = f"mu0 20 Hz, {coherence} %: accuracy of the forced choice"
        yield Claim(claim, accuracy, float(observed), _binomial(accuracy), _BOOK)


def _weibull(coherence: Floats, alpha: float, beta: float) -> Floats:
    """Return 1 - exp(-(c / alpha)^beta) / 2."""
    return np.asarray(1 - 0.5 * np.exp(-((coherence / alpha) ** beta)))


def _errors(deviation: float, trials: int) -> float:
    """Return three standard errors of a difference, of which the published side had four times the trials."""
    return float(3 * deviation * np.sqrt((1 + _TRIALS / _PUBLISHED_TRIALS) / trials))


def _binomial(p: float) -> float:
    """Return three standard errors of an accuracy; one printed as 1 may be half a digit less, .9995."""
    p = min(p, 0.9995)
    return _errors(float(np.sqrt(p * (1 - p))), _TRIALS)
