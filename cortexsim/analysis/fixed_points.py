"""Fixed points: states at which a model stands still, and whether it stays there."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.analysis.linear_system import growth_rate
from cortexsim.analysis.vector_field import Drive, Floats, VectorField
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.stimulus import Pulse, Stimulus

_HALVINGS = 30
_AT_REST = 1e-6


class NoFixedPoint(ArithmeticError):
    """Newton's method found no fixed point."""


def fixed_point(
    model: Model,
    start: xr.DataArray | xr.Dataset | None = None,
    *,
    drive: Drive | None = None,
    settle: float = 5000.0,
    tolerance: float = 1e-9,
    iterations: int = 50,
) -> xr.DataArray:
    """Return a state at which f(x) = 0, by Newton's method x - t J(x)^-1 f(x) with the exact Jacobian.

    A step is halved (t = 1, 1/2, ...) until the next correction, J^-1 f, is smaller. Without `start` the resting state
    is found: the circuit's initial state if that is stationary, else what a noise-free simulation reaches from there.

    Parameters
    ----------
    model : Model
        Without delays.
    start : DataArray (state, area) or result of `simulate`, optional
        Where Newton's method starts.
    drive : dict, optional
        Constant input by (area, input), in the input's unit: {("V1", "E1"): 50.0}.
    settle : float
        Length of that simulation in ms, at the default time step.
    tolerance : float
        Largest last correction, relative to 1 + |x| of each variable in its own unit.
    iterations : int
        Newton steps at most.

    Returns
    -------
    DataArray (state, area)
        With the variables' units as coordinate `unit`; attrs `residual`, the largest |f| that is left (units per ms),
        and `iterations`.

    Raises
    ------
    NoFixedPoint
        If the method does not converge, or meets a singular Jacobian.
    TypeError, ValueError
        If an argument does not hold what it must.
    """
    field = VectorField(model, drive)
    tolerance = _checks.check_positive("tolerance", tolerance)
    iterations = _checks.check_count("iterations", iterations)
    x = _resting(field, drive, settle) if start is None else field.state(start)
    x, taken, residual = newton(field, x, tolerance, iterations)
    return field.labelled(x, "fixed point").assign_attrs(residual=residual, iterations=taken)


def fixed_points(
    model: Model,
    starts: xr.DataArray | Sequence[xr.DataArray],
    *,
    drive: Drive | None = None,
    distance: float = 1e-6,
    tolerance: float = 1e-9,
    iterations: int = 50,
) -> xr.Dataset:
    """Return the different fixed points that Newton's method reaches from many starts.

    Parameters
    ----------
    model, drive, tolerance, iterations
        As for `fixed_point`.
    starts : DataArray (trial, state, area), or sequence of DataArray (state, area)
        For instance `final_state` of a result.
    distance : float
        Fixed points that differ by less, relative to 1 + |x| of each variable, are one.

    Returns
    -------
    Dataset (point)
        `fixed_point` (point, state, area); `growth_rate`, the largest real part of the eigenvalues [1/ms]; `stable`,
        whether it is negative; `starts`, how many starts led there. In the order found. attrs `not_converged`: how
        many starts led nowhere.

    Raises
    ------
    NoFixedPoint
        If no start leads to a fixed point.
    TypeError, ValueError
        If an argument does not hold what it must.
    """
    field = VectorField(model, drive)
    distance = _checks.check_positive("distance", distance)
    tolerance = _checks.check_positive("tolerance", tolerance)
    iterations = _checks.check_count("iterations", iterations)
    each = list(starts.transpose("trial", ...)) if isinstance(starts, xr.DataArray) else list(starts)
    found: list[Floats] = []
    counts: list[int] = []
    for start in map(field.state, each):
        try:
            x, _, _ = newton(field, start, tolerance, iterations)
        except NoFixedPoint:
            continue
        k = next((k for k, known in enumerate(found) if _size(x - known, x) < distance), len(found))
        if k == len(found):
            found.append(x)
            counts.append(0)
        counts[k] += 1
    if not found:
        raise NoFixedPoint(f"None of the {len(each)} starts led to a fixed point; start nearer to one.")
    growth = np.array([growth_rate(field, x) for x in found])
    return xr.Dataset(
        {
            "fixed_point": xr.concat([field.labelled(x, "fixed point") for x in found], "point"),
            "growth_rate": ("point", growth, {"units": "1/ms", "long_name": "largest real part of the eigenvalues"}),
            "stable": ("point", growth < 0, {"long_name": "no eigenvalue has a positive real part"}),
            "starts": ("point", counts, {"units": "1", "long_name": "starts that led here"}),
        },
        attrs={"not_converged": len(each) - sum(counts)},
    )


def newton(field: VectorField, x: Floats, tolerance: float, iterations: int) -> tuple[Floats, int, float]:
    """Return a zero of the residual, the steps taken and the largest residual left, or raise NoFixedPoint."""
    for iteration in range(1, iterations + 1):
        inverse, correction = _correction(field, x)
        size = _size(correction, x)
        if size < tolerance:
            x = x - correction
            return x, iteration, float(np.abs(field.local(x).residual).max())
        # The correction, not the residual, has to shrink: it is in the variables' units.
        for t in 0.5 ** np.arange(_HALVINGS):
            trial = x - t * correction
            after = (inverse @ field.local(trial).residual.ravel()).reshape(x.shape)
            if _size(after, x) <= (1 - t / 4) * size:
                break
        else:
            raise NoFixedPoint(f"No step from a correction of {size:.3g} lowers it; start nearer to a fixed point.")
        x = trial
    raise NoFixedPoint(
        f"Newton's method must converge in {iterations} steps, but its last correction was {size:.3g}; "
        f"start nearer to a fixed point."
    )


def _correction(field: VectorField, x: Floats) -> tuple[Floats, Floats]:
    """Return the inverse of the Jacobian, and J^-1 f (variable, area)."""
    local = field.local(x)
    jacobian = field.assemble(local).reshape(x.size, x.size)
    if not (np.isfinite(local.residual).all() and np.isfinite(jacobian).all()):
        raise NoFixedPoint("The vector field became infinite or NaN; start nearer to a fixed point.")
    try:
        inverse = np.asarray(np.linalg.inv(jacobian), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise NoFixedPoint(
            "The Jacobian is singular; start elsewhere, or follow the branch by continuation."
        ) from error
    correction: Floats = inverse @ local.residual.ravel()
    return inverse, correction.reshape(x.shape)


def _size(correction: Floats, x: Floats) -> float:
    return float(np.max(np.abs(correction) / (1 + np.abs(x))))


def _resting(field: VectorField, drive: Drive | None, settle: float) -> Floats:
    """Return the initial state if it is stationary, else the state that a simulation reaches from there."""
    x = field.initial()
    try:
        if _size(_correction(field, x)[1], x) < _AT_REST:
            return x
    except NoFixedPoint:
        pass  # only the simulation can tell
    pulses: list[Stimulus] = [
        Pulse(area=area, input=name, onset=0.0, duration=settle, amplitude=a)
        for (area, name), a in (drive or {}).items()
    ]
    stimulus = functools.reduce(operator.add, pulses) if pulses else None
    settled = simulate(field.model, stimulus, duration=settle, every=settle, noise=False, progress=False)
    return field.state(settled)
