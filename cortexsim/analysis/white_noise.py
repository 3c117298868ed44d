"""The fluctuations that white noise causes in a linearised model, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cortexsim import _checks
from cortexsim.analysis.linear_system import LinearSystem
from cortexsim.analysis.vector_field import Floats

_UNREACHED = 1e-12  # of the largest standard deviation: noise that gets no further than rounding


def autocovariance(
    system: LinearSystem, variable: str, input: str | None, area: str | Sequence[str] | None, step: float, lags: int
) -> Floats:
    r"""Return C(τ) of a variable in each area at τ = 0, step, ... in response to white noise, (lag, area).

    With dy = J y dt + B dW the covariance solves :math:`J Σ + Σ J^T + B B^T = 0` (Lyapunov), and
    :math:`C(τ) = K e^{J τ} Σ K^T`, where K y is the variable.

    Parameters
    ----------
    system
        The model about a stable state.
    variable
        State variable.
    input
        Input that receives white noise, independent between areas; None: the circuit's own noise.
    area
        Area or areas that receive it; None: all.
    step, lags
        Interval of the lags in ms, and their number. NaN where the noise does not reach.

    Raises
    ------
    ValueError
        If a name is unknown, the state is not stable, there is no noise, or it sets the variable without being
        integrated.
    """
    from scipy.linalg import expm, solve_continuous_lyapunov

    field = system.field
    _checks.check_known(variable, field.variables, what="variable", where=type(field.model.circuit).__name__)
    growth = np.linalg.eigvals(system.jacobian).real.max()
    if growth >= 0:
        raise ValueError(
            f"Fluctuations about a state are bounded where it is stable, but it grows by {growth:.3g} /ms."
        )
    y = system.integrated
    b = _entries(system, input, area)
    n_areas = len(field.areas)
    row = slice(n_areas * field.variables.index(variable), n_areas * (field.variables.index(variable) + 1))
    if b[row][~y[row]].any():
        raise ValueError(
            f"White noise sets {variable} directly, which makes its variance infinite; take another variable."
        )
    driven = system.entry @ b
    if not driven.any():
        raise ValueError(
            "The noise acts on nothing; name another `input` or `area`, or give the circuit's own noise a strength."
        )
    sigma = solve_continuous_lyapunov(system.jacobian, -driven @ driven.T)
    k = system.expand[row]
    propagator = expm(system.jacobian * step)
    ahead = sigma @ k.T
    out = np.empty((lags, n_areas))
    for lag in range(lags):
        out[lag] = np.einsum("am,ma->a", k, ahead)
        ahead = propagator @ ahead
    deviation = np.sqrt(np.maximum(out[0], 0))
    out[:, deviation <= _UNREACHED * deviation.max()] = np.nan
    return out


def _entries(system: LinearSystem, input: str | None, area: str | Sequence[str] | None) -> Floats:
    """Return how each noise enters the residuals: (variable and area, noise)."""
    field, slopes = system.field, system.local.slopes
    circuit = field.model.circuit
    first = len(field.variables) + len(circuit.pathways)
    if input is None:
        if not circuit.noise:
            raise ValueError(f"{type(circuit).__name__} has no noise of its own; name the `input` that receives it.")
        chosen = range(first + len(field.inputs), slopes.shape[1])
    else:
        _checks.check_known(input, field.inputs, what="input", where=type(circuit).__name__)
        chosen = range(first + field.inputs.index(input), first + field.inputs.index(input) + 1)
    areas = field.areas if area is None else (area,) if isinstance(area, str) else tuple(area)
    for name in areas:
        _checks.check_known(name, field.areas, what="area", where="`area`")
    columns = []
    for name in areas:
        k = field.areas.index(name)
        for direction in chosen:
            column = np.zeros(system.local.residual.shape)
            column[:, k] = slopes[:, direction, k]
            columns.append(column.ravel())
    return np.array(columns).T
