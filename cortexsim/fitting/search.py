"""The search for the parameters of least loss, by the optimisers of SciPy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.fitting.evaluations import BudgetSpent, Evaluations, Function

Floats = NDArray[np.float64]

_POPULATION = 10  # points per parameter and generation of differential evolution
_SIMPLEX = 0.1  # edge of the first simplex, of the range of each parameter


class NoFiniteLoss(ArithmeticError):
    """The function has a finite value at none of the points that the search tried."""


class _NoDerivative(Exception):
    """The function has no value beside a point where it has one."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What `fit` found.

    Parameters
    ----------
    best : dict
        The parameters of least loss, by name.
    loss : float
        There: what the function returned, or the sum of squares of its residuals.
    converged : bool
        Whether the descent that found the best met its tolerance; False where the budget ended it.
    bounds : dict
        (low, high) by name.
    method, seed, about
        As they were asked for.
    new_evaluations : int
        How many points were evaluated now; the others came from the file.
    history : Dataset
        All evaluations of the search in their order: `parameters` (evaluation, parameter), `loss` (evaluation),
        infinite where the function had no value, and `residuals` (evaluation, residual) where it returns them.
    """

    best: Mapping[str, float]
    loss: float
    converged: bool
    bounds: Mapping[str, tuple[float, float]]
    method: str
    seed: int
    about: str
    new_evaluations: int
    history: xr.Dataset

    def to_dataset(self) -> xr.Dataset:
        """Return the history with `best`, `low` and `high` (parameter), and all else in its attributes."""
        low, high = zip(*self.bounds.values(), strict=True)
        return self.history.assign(
            best=("parameter", list(self.best.values()), {"long_name": "parameters of least loss"}),
            low=("parameter", list(low), {"long_name": "lower bound"}),
            high=("parameter", list(high), {"long_name": "upper bound"}),
        ).assign_attrs(loss=self.loss, converged=int(self.converged))


def fit(
    function: Function,
    bounds: Mapping[str, tuple[float, float]],
    *,
    method: str = "differential_evolution",
    start: Mapping[str, float] | None = None,
    restarts: int = 0,
    batched: bool = False,
    seed: int = 0,
    budget: int = 1000,
    tolerance: float = 1e-6,
    step: float = 1e-6,
    path: str | os.PathLike[str] | None = None,
    about: str = "",
) -> Fit:
    """Return the parameters within bounds at which a function is least.

    Parameters
    ----------
    function : callable
        From the parameters, a dict of floats by name, to a loss, or to residuals (residual,), whose sum of squares is
        the loss. A value that is not finite, or an ArithmeticError such as `SimulationDiverged` or `NoFixedPoint`,
        means that these parameters can't be: the loss is infinite. The same parameters must give the same value. See
        `DelayActivity` and `Timescales` for ready ones.
    bounds : dict
        (low, high) by name.
    method : str
        "differential_evolution" (10 points per parameter in a generation) and "dual_annealing" search all of the
        bounds; the latter spends the whole budget. "least_squares" (trust region, for residuals) and "nelder_mead"
        descend from a start to a minimum nearby.
    start : dict, optional
        Where the search starts, the middle of the bounds by default. Differential evolution has it in its first
        generation.
    restarts : int
        How many times "least_squares" and "nelder_mead" descend again, from random points within the bounds.
    batched : bool
        Whether the function takes many points at once, a dict of arrays (point,), and returns losses (point,) or
        residuals (point, residual), as `DelayActivity` does in one run of the simulator. A generation, and all
        differences for the derivatives of "least_squares", are then one call each.
    seed : int
        Of all random choices.
    budget : int
        How many different points may be evaluated.
    tolerance : float
        The search ends when it moves by less than this, as a share of the range of each parameter: the step of
        "least_squares", the simplex of "nelder_mead", the population of "differential_evolution".
    step : float
        Of the forward differences of "least_squares", as a share of each range.
    path : path, optional
        File, ending in ".nc", that keeps the evaluations: it is replaced as a whole, once a second at most and at the
        end, an error or Ctrl-C. If it is there, points that it holds are not evaluated again: the same call goes on
        where it was interrupted, and ends with the same result; with a larger budget it goes further.
    about : str
        What the function is: its data, its model. A file of another `about`, method, seed, or other bounds or start is
        refused. By default `function.about`, where there is one.

    Returns
    -------
    Fit
        The best point of all, with the whole history.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must, the function returns something else, or the file is of another fit.
    NoFiniteLoss
        If no point has a finite loss.

    Examples
    --------
    >>> found = fit(lambda p: (p["x"] - 1) ** 2 + 3, {"x": (0, 4)}, method="nelder_mead")
    >>> round(found.best["x"], 4), round(found.loss, 4), found.converged
    (1.0, 3.0, True)
    """
    bounds = _checked_bounds(bounds)
    _checks.check_known(method, METHODS, what="method", where="fit")
    restarts = _checks.check_count("restarts", restarts, least=0)
    seed = _checks.check_count("seed", seed, least=0)
    budget = _checks.check_count("budget", budget)
    tolerance = _checks.check_positive("tolerance", tolerance)
    step = _checks.check_positive("step", step)
    local = METHODS[method] in (_least_squares, _nelder_mead)
    if restarts and not local:
        raise ValueError(f"Argument `restarts` goes with least_squares and nelder_mead, but the method is {method}.")
    about = about or str(getattr(function, "about", ""))
    low, high = np.array(list(bounds.values())).T
    first = (_checked_start(start, bounds) - low) / (high - low)
    settings: dict[str, str | int] = {
        "method": method,
        "seed": seed,
        "about": about,
        "start": repr(first.tolist()),
        "restarts": restarts,
    }
    evaluations = Evaluations(function, bounds, budget, batched, path, settings)
    draw = np.random.default_rng(seed)
    starts = [first, *draw.uniform(size=(restarts, len(bounds)))]
    converged, least = False, np.inf
    try:
        for x in starts:
            ended = METHODS[method](evaluations, x, seed=seed, tolerance=tolerance, step=step)
            if evaluations.best()[1] < least:
                converged, least = ended, evaluations.best()[1]
    except BudgetSpent:
        converged = converged and evaluations.best()[1] == least
    finally:
        evaluations.save()
    best, loss = evaluations.best()
    if not np.isfinite(loss):
        raise NoFiniteLoss(
            f"The function must have a finite value somewhere, but had none at {len(evaluations.asked)} points; "
            f"check it at {dict(zip(bounds, best.tolist(), strict=True))}."
        )
    return Fit(
        best=dict(zip(bounds, best.tolist(), strict=True)),
        loss=loss,
        converged=converged,
        bounds=bounds,
        method=method,
        seed=seed,
        about=about,
        new_evaluations=evaluations.new,
        history=evaluations.history(),
    )


def _checked_bounds(bounds: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    if not isinstance(bounds, Mapping) or not bounds:
        raise TypeError(f"Argument `bounds` must hold (low, high) by name, but is {bounds!r}.")
    checked = {}
    for name, ends in bounds.items():
        low, high = (_checks.check_finite(f"bounds[{name!r}]", end) for end in ends)
        if not low < high:
            raise ValueError(f"Bounds must go from low to high, but those of {name!r} are ({low:g}, {high:g}).")
        checked[str(name)] = (low, high)
    return checked


def _checked_start(start: Mapping[str, float] | None, bounds: Mapping[str, tuple[float, float]]) -> Floats:
    middle = {name: (low + high) / 2 for name, (low, high) in bounds.items()}
    for name, value in (start or {}).items():
        low, high = bounds[_checks.check_known(name, bounds, what="parameter", where="`start`")]
        middle[name] = _checks.check_finite(f"start[{name!r}]", value)
        if not low <= middle[name] <= high:
            raise ValueError(
                f"A start must lie within its bounds, but {name} = {value:g} is not in {low:g} ... {high:g}."
            )
    return np.array(list(middle.values()))


def _differential_evolution(
    evaluations: Evaluations, start: Floats, *, seed: int, tolerance: float, step: float
) -> bool:
    from scipy.optimize import differential_evolution

    def close(intermediate_result: Any) -> bool:
        return bool(np.ptp(intermediate_result.population, axis=0).max() < tolerance)

    try:
        result = differential_evolution(
            lambda x: evaluations.losses(x.T),
            [(0.0, 1.0)] * start.size,
            popsize=_POPULATION,
            maxiter=evaluations.budget,
            tol=0.0,
            atol=0.0,
            seed=seed,
            callback=close,
            polish=False,
            vectorized=True,
            updating="deferred",
            x0=start,
        )
    except RuntimeError as error:
        # SciPy takes an error of the function for one of its own.
        raise error.__cause__ or error from None
    return bool(np.ptp(result.population, axis=0).max() < tolerance)


def _dual_annealing(evaluations: Evaluations, start: Floats, *, seed: int, tolerance: float, step: float) -> bool:
    from scipy.optimize import dual_annealing

    dual_annealing(
        lambda x: float(evaluations.losses(x[np.newaxis])[0]),
        [(0.0, 1.0)] * start.size,
        maxiter=evaluations.budget,
        maxfun=100 * evaluations.budget,
        seed=seed,
        no_local_search=True,
        x0=start,
    )
    return False


def _nelder_mead(evaluations: Evaluations, start: Floats, *, seed: int, tolerance: float, step: float) -> bool:
    from scipy.optimize import minimize

    towards_middle = np.where(start < 0.5, _SIMPLEX, -_SIMPLEX)
    with np.errstate(invalid="ignore"):  # differences of infinite losses
        result = minimize(
            lambda x: float(evaluations.losses(x[np.newaxis])[0]),
            start,
            method="Nelder-Mead",
            bounds=[(0.0, 1.0)] * start.size,
            options={
                "initial_simplex": start + np.vstack([np.zeros(start.size), np.diag(towards_middle)]),
                "xatol": tolerance,
                "fatol": np.inf,
                "maxfev": np.inf,
                "maxiter": np.inf,
            },
        )
    return bool(result.success)


def _least_squares(evaluations: Evaluations, start: Floats, *, seed: int, tolerance: float, step: float) -> bool:
    from scipy.optimize import least_squares

    def residuals(x: Floats) -> Floats:
        value = evaluations.at(x[np.newaxis])[0]
        if value is None:  # the trust region shrinks where a value is not finite
            return np.full(size, np.inf)
        return value

    def jacobian(x: Floats) -> Floats:
        steps = np.where(x + step <= 1.0, step, -step)
        values = evaluations.at(np.vstack([x, x + np.diag(steps)]))
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            raise _NoDerivative
        return np.array([(there - known[0]) / h for there, h in zip(known[1:], steps, strict=True)]).T

    value = evaluations.at(start[np.newaxis])[0]
    if value is None:
        return False
    if not value.ndim:
        raise TypeError("Method least_squares needs residuals, but the function returns a loss; use nelder_mead.")
    size = value.size
    try:
        result = least_squares(residuals, start, jac=jacobian, bounds=(0.0, 1.0), xtol=tolerance, ftol=None, gtol=1e-15)
    except _NoDerivative:
        return False
    return bool(result.success)


METHODS: Mapping[str, Callable[..., bool]] = {
    "differential_evolution": _differential_evolution,
    "dual_annealing": _dual_annealing,
    "least_squares": _least_squares,
    "nelder_mead": _nelder_mead,
}
"""The ways to search, by name."""
