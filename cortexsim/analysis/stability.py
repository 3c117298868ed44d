"""Linear stability: derivative, Jacobian, eigenvalues and eigenmodes of a model about a state."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cortexsim.analysis.fixed_points import fixed_point
from cortexsim.analysis.linear_system import LinearSystem, linearise
from cortexsim.analysis.vector_field import Drive, VectorField
from cortexsim.model import Model

State = xr.DataArray | xr.Dataset


def derivative(model: Model, state: State, *, drive: Drive | None = None) -> xr.DataArray:
    """Return dx/dt at a state, without noise.

    Where the circuit gives one Euler step, dx/dt is the derivative of that step by dt at dt = 0. What such a step sets
    anew from the other variables (the rate of a gating model) changes as these make it change.

    Parameters
    ----------
    model : Model
        Without delays.
    state : DataArray (state, area) or result of `simulate`
        The state; of a result its last one.
    drive : dict, optional
        Constant input by (area, input), in the input's unit: {("V1", "E1"): 50.0}.

    Returns
    -------
    DataArray (state, area)
        In the unit of each variable (coordinate `unit`) per ms.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must.
    """
    field = VectorField(model, drive)
    system = linearise(field, field.state(state))
    slope = system.expand @ system.local.residual.ravel()[system.integrated]
    return field.labelled(slope.reshape(system.local.residual.shape), "time derivative, per ms")


def jacobian(model: Model, state: State | None = None, *, drive: Drive | None = None) -> xr.DataArray:
    """Return J = df/dx of dx/dt = f(x), exact to rounding, by dual numbers through the circuit's own equation.

    Parameters
    ----------
    model, state, drive
        As for `derivative`; without `state`, at the resting state (see `fixed_point`).

    Returns
    -------
    DataArray (state, area, source_state, source_area)
        Change of the row's derivative per change of the column's variable: their units, per ms. A variable that the
        equation does not integrate has been eliminated, J = f_y - f_z g_z^-1 g_y, and is left out; one that it
        integrates in some areas only has zeros in the others.

    Raises
    ------
    TypeError, ValueError, NoFixedPoint
        If an argument does not hold what it must, or no resting state is found.
    """
    system = _linearised(model, state, drive)
    field, y = system.field, system.integrated
    n = len(y)
    full = np.zeros((n, n))
    full[np.ix_(y, y)] = system.jacobian
    n_variables, n_areas = system.local.integrated.shape
    kept = [v for k, v in enumerate(field.variables) if system.local.integrated[k].any()]
    labels = {"state": field.variables, "area": field.areas}
    labels |= {f"source_{dim}": values for dim, values in labels.items()}
    return xr.DataArray(
        full.reshape(n_variables, n_areas, n_variables, n_areas),
        {dim: list(values) for dim, values in labels.items()},
        tuple(labels),
        attrs={"long_name": "Jacobian, per ms"},
    ).sel(state=kept, source_state=kept)


def eigenvalues(model: Model, state: State | None = None, *, drive: Drive | None = None) -> xr.DataArray:
    """Return the eigenvalues λ of the Jacobian, slowest first.

    Parameters
    ----------
    model, state, drive
        As for `derivative`; without `state`, at the resting state (see `fixed_point`).

    Returns
    -------
    DataArray (mode,), complex
        In 1/ms, by falling real part; of a complex pair the one with positive imaginary part first. Coordinate
        `timescale`, -1/Re λ [ms]. All real parts are negative where the state is stable.

    Raises
    ------
    TypeError, ValueError, NoFixedPoint
        If an argument does not hold what it must, or no resting state is found.
    """
    values = np.linalg.eigvals(_linearised(model, state, drive).jacobian).astype(np.complex128)
    return _modes(values[_slowest_first(values)])


def eigenmodes(model: Model, state: State | None = None, *, drive: Drive | None = None) -> xr.Dataset:
    """Return eigenvalues and eigenvectors of the Jacobian, J v = λ v, slowest first.

    Parameters
    ----------
    model, state, drive
        As for `derivative`; without `state`, at the resting state (see `fixed_point`).

    Returns
    -------
    Dataset (mode)
        `eigenvalue` as `eigenvalues` gives it, and `vector` (mode, state, area), complex: how far each variable takes
        part, those not integrated too. Over the integrated ones its length is 1, and the largest entry is real and
        positive.

    Raises
    ------
    TypeError, ValueError, NoFixedPoint
        If an argument does not hold what it must, or no resting state is found.
    """
    system = _linearised(model, state, drive)
    values, vectors = (a.astype(np.complex128) for a in np.linalg.eig(system.jacobian))
    order = _slowest_first(values)
    vectors = vectors[:, order]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[np.newaxis], axis=0)
    vectors = system.expand @ (vectors * np.abs(largest) / largest)
    field = system.field
    return xr.Dataset(
        {
            "eigenvalue": _modes(values[order]),
            "vector": (
                ("mode", "state", "area"),
                vectors.T.reshape(-1, len(field.variables), len(field.areas)),
                {"long_name": "eigenvector of the Jacobian"},
            ),
        },
        {"state": list(field.variables), "area": list(field.areas)},
    )


def _linearised(model: Model, state: State | None, drive: Drive | None) -> LinearSystem:
    field = VectorField(model, drive)
    return linearise(field, field.state(fixed_point(model, drive=drive) if state is None else state))


def _slowest_first(
    values: np.ndarray[tuple[int], np.dtype[np.complex128]],
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.lexsort((-values.imag, -values.real))


def _modes(values: np.ndarray[tuple[int], np.dtype[np.complex128]]) -> xr.DataArray:
    with np.errstate(divide="ignore"):
        timescale = -1 / values.real
    coordinates = {
        "mode": np.arange(values.size),
        "timescale": ("mode", timescale, {"units": "ms", "long_name": "timescale -1/Re λ"}),
    }
    attributes = {"units": "1/ms", "long_name": "eigenvalue of the Jacobian"}
    return xr.DataArray(values, coordinates, ("mode",), name="eigenvalue", attrs=attributes)
