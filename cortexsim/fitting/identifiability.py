"""How well data tell the parameters: the loss along one parameter, and the sensitivity at the optimum."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.fitting.evaluations import Evaluations, Function
from cortexsim.fitting.search import Fit, NoFiniteLoss, fit

Floats = NDArray[np.float64]


def profile(
    function: Function,
    found: Fit,
    name: str,
    values: Sequence[float] | Floats,
    *,
    restarts: int = 2,
    batched: bool = False,
    budget: int = 500,
    tolerance: float = 1e-6,
    step: float = 1e-6,
    error: float | None = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return the least loss for each value of one parameter, all others fitted anew: the profile likelihood.

    Each fit descends from where the fits of the neighbouring values point to, from the optimum outwards, and from
    random points, by "least_squares" where the function returns residuals and "nelder_mead" otherwise. A profile that
    stays low as far as the bounds tells that the data do not determine the parameter: others make up for it.

    Parameters
    ----------
    function : callable
        That of the fit.
    found : Fit
        What `fit` returned.
    name : str
        The parameter.
    values : sequence of float
        Its values, within the bounds.
    restarts : int
        How many random points; a few find a minimum where the neighbours point to none.
    batched, tolerance, step
        As for `fit`.
    budget : int
        Evaluations for each value.
    error : float, optional
        Standard deviation of the residuals, where it is known.
    confidence : float
        Of `limit`, 0 ... 1.

    Returns
    -------
    Dataset (by the parameter's name)
        `loss`, infinite where there is none; `parameters` (value, parameter), the others there; `limit`, up to which
        loss a value is compatible with the data, were the residuals independent and normal: L + error^2 X, or without
        a known error L (1 + F / (n - p)), with the least loss L, n residuals, p parameters, and the quantiles X of the
        chi-squared distribution with 1 degree of freedom and F of Fisher's with 1 and n - p; NaN where n is p, or for a
        loss without residuals. attrs `profiled`, the parameter's name, `best` and `best_loss`: the optimum.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must.

    References
    ----------
    Raue et al. 2009, Bioinformatics 25:1923, doi 10.1093/bioinformatics/btp358.
    """
    _checks.check_known(name, found.bounds, what="parameter", where="the fit")
    grid = np.array([_checks.check_finite(f"values[{k}]", v) for k, v in enumerate(values)])
    low, high = found.bounds[name]
    if not grid.size or grid.min() < low or grid.max() > high:
        raise ValueError(f"Argument `values` must lie within the bounds of `{name}`, {low:g} ... {high:g}.")
    others = {other: ends for other, ends in found.bounds.items() if other != name}
    losses, columns = np.empty(grid.size), np.full((grid.size, len(others)), np.nan)
    if not others:
        alone = Evaluations(function, found.bounds, grid.size, batched, None, {})
        losses = alone.losses(((grid - low) / (high - low))[:, np.newaxis])
    method = "least_squares" if "residuals" in found.history else "nelder_mead"
    refit = functools.partial(
        fit,
        bounds=others,
        method=method,
        restarts=restarts,
        batched=batched,
        budget=budget,
        tolerance=tolerance,
        step=step,
    )
    outwards = np.argsort(np.abs(grid - found.best[name]), kind="stable")
    for side in (grid >= found.best[name], grid < found.best[name]) if others else ():
        track = [(found.best[name], np.array([found.best[other] for other in others]))]
        for k in (k for k in outwards if side[k]):
            start = dict(zip(others, _ahead(track, grid[k], np.array(list(others.values()))), strict=True))
            try:
                there = refit(_holding(function, name, grid[k]), start=start)
            except NoFiniteLoss:
                losses[k] = np.inf
                continue
            losses[k], columns[k] = there.loss, list(there.best.values())
            track.append((grid[k], columns[k]))
    return xr.Dataset(
        {
            "loss": (name, losses, {"long_name": "least loss"}),
            "limit": ((), _limit(found, error, confidence), {"long_name": f"limit at {100 * confidence:g} %"}),
            "parameters": ((name, "parameter"), columns, {"long_name": "the other parameters"}),
        },
        {name: grid, "parameter": list(others)},
        {"profiled": name, "best": found.best[name], "best_loss": found.loss},
    )


def sensitivity(
    function: Function,
    found: Fit,
    *,
    batched: bool = False,
    step: float = 1e-4,
    error: float | None = None,
) -> xr.Dataset:
    r"""Return how residuals answer to parameters at the optimum: which combinations the data determine, and how well.

    The Jacobian J = dr/du by central differences, with each parameter in units of its range, u = (x - low) / (high -
    low), has singular values s and directions v, J v = s w. A direction with a singular value far below the largest is
    one in which parameters make up for one another. The covariance of the parameters is error^2 (J^T J)^-1.

    Parameters
    ----------
    function : callable
        That of the fit; it must return residuals.
    found : Fit
        What `fit` returned.
    batched : bool
        As for `fit`; all differences are then one call.
    step : float
        Of the differences, as a share of each range.
    error : float, optional
        Standard deviation of the residuals; by default sqrt(loss / (n - p)), with n residuals and p parameters.

    Returns
    -------
    Dataset (parameter, other_parameter, residual, mode)
        `jacobian` (residual, parameter); `singular_value` (mode), largest first; `direction` (mode, parameter) of
        length 1; `correlation` (parameter, other_parameter); `standard_error` (parameter) in the parameter's unit, NaN
        where neither `error` nor n > p tells it. attrs `condition`: largest over least singular value.

    Raises
    ------
    TypeError, ValueError
        If the function returns a loss, or has no value beside the optimum.

    References
    ----------
    Gutenkunst et al. 2007, PLoS Comput Biol 3:e189, doi 10.1371/journal.pcbi.0030189.
    """
    if "residuals" not in found.history:
        raise TypeError("Sensitivity is that of residuals, but the function returns a loss; take `profile`.")
    step = _checks.check_positive("step", step)
    names = list(found.bounds)
    low, high = np.array(list(found.bounds.values())).T
    at = (np.array(list(found.best.values())) - low) / (high - low)
    above, below = (np.clip(at + np.diag(np.full(at.size, h)), 0.0, 1.0) for h in (step, -step))
    values = Evaluations(function, found.bounds, 2 * at.size, batched, None, {}).at(np.vstack([above, below]))
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        raise ValueError(
            f"The function must have a value beside the optimum, but has none; take a step below {step:g}."
        )
    change = np.array(known[: at.size]) - np.array(known[at.size :])
    jacobian = (change / np.diag(above - below)[:, np.newaxis]).T
    _, size, direction = np.linalg.svd(jacobian, full_matrices=False)
    direction *= np.sign(np.take_along_axis(direction, np.abs(direction).argmax(axis=1)[:, np.newaxis], axis=1))
    # Fewer residuals than parameters leave directions without any effect; below rounding, size is not known either.
    bounded = np.maximum(size, np.finfo(float).eps * size.max(initial=0))
    spread = direction.T / bounded
    covariance = spread @ spread.T
    deviation = np.sqrt(np.diag(covariance))
    n, p = jacobian.shape
    if error is None:
        error = np.sqrt(found.loss / (n - p)) if n > p else np.nan
    return xr.Dataset(
        {
            "jacobian": (("residual", "parameter"), jacobian, {"long_name": "change of a residual over a range"}),
            "singular_value": ("mode", size, {"long_name": "singular value"}),
            "direction": (("mode", "parameter"), direction, {"long_name": "direction, in ranges"}),
            "correlation": (
                ("parameter", "other_parameter"),
                covariance / np.outer(deviation, deviation),
                {"long_name": "correlation"},
            ),
            "standard_error": ("parameter", error * deviation * (high - low), {"long_name": "standard error"}),
        },
        {"parameter": names, "other_parameter": names},
        {"condition": float(size.max() / size.min()) if size.min() > 0 else np.inf},
    )


def _ahead(track: list[tuple[float, Floats]], value: float, bounds: Floats) -> Floats:
    """Return where the other parameters may be, on the straight line through the last two optima."""
    at, last = track[-1]
    if len(track) == 1 or track[-2][0] == at:
        return last
    before, one_before = track[-2]
    return np.clip(last + (last - one_before) * (value - at) / (at - before), bounds[:, 0], bounds[:, 1])


def _holding(function: Function, name: str, value: float) -> Function:
    """Return the function of the other parameters."""

    def held(parameters: dict[str, Any]) -> Any:
        shape = np.shape(next(iter(parameters.values())))
        return function({**parameters, name: np.full(shape, value) if shape else float(value)})

    return held


def _limit(found: Fit, error: float | None, confidence: float) -> float:
    from scipy.stats import chi2, f

    if not 0 < _checks.check_finite("confidence", confidence) < 1:
        raise ValueError(f"Argument `confidence` must lie between 0 and 1, but is {confidence:g}.")
    if error is not None:
        return float(found.loss + _checks.check_positive("error", error) ** 2 * chi2.ppf(confidence, 1))
    spare = found.history.sizes.get("residual", 0) - len(found.bounds)
    return float(found.loss * (1 + f.ppf(confidence, 1, spare) / spare)) if spare > 0 else np.nan
