"""The vector field of a model and its exact Jacobian, from the circuit's own equation."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.analysis.dual import Dual, tangent_of, value_of
from cortexsim.model import Model

Floats = NDArray[np.float64]
Drive = Mapping[tuple[str, str], float]

# A step this short leaves x + dt f at x to the last bit, yet sqrt(dt) and 1/dt are still finite.
_DT = 1e-300
_NEGLIGIBLE = 1e-100


@dataclass(frozen=True, eq=False)
class Local:
    """The equation of all areas at one state, and its derivatives within each area.

    Parameters
    ----------
    residual
        (variable, area): dx/dt [1/ms] of a variable that the equation integrates; of one that it sets anew from the
        others (the rate of a gating model), the new value less the old.
    slopes
        (variable, direction, area): derivatives of the residual along the state, the long-range inputs, the stimulus
        inputs and the noise (per sqrt(ms)), in this order.
    integrated
        (variable, area): whether the equation integrates the variable.
    """

    residual: Floats
    slopes: Floats
    integrated: NDArray[np.bool_]


class VectorField:
    """A model's equation as a function of its state.

    Parameters
    ----------
    model
        Without delays, and with one value of each parameter for all trials.
    drive
        Constant input by (area, input), in the input's own unit.

    Raises
    ------
    TypeError, ValueError
        If the model is none, has delays or parameters by trial, or `drive` names an unknown area or input.
    """

    def __init__(self, model: Model, drive: Drive | None = None) -> None:
        if not isinstance(model, Model):
            raise TypeError(f"Argument `model` must be a Model, but is {type(model).__name__}.")
        if type(model) is not Model:
            raise ValueError(
                f"The analysis is of models whose areas all follow the circuit, but this is {model!r}; take "
                f"hybrid.without(), and rnn.analysis for the networks."
            )
        if model.conduction_speed is not None:
            raise ValueError(
                "The analysis is of models without delays; take dataclasses.replace(model, conduction_speed=None)."
            )
        if model.circuit.trials is not None:
            raise ValueError(
                "The analysis is of one condition, but the circuit has parameters with one value per trial."
            )
        self.model, circuit = model, model.circuit
        self.areas, self.variables = model.areas, circuit.state_names()
        self.inputs = tuple(v.name for v in circuit.inputs)
        by_trial, by_area = model.parameters(1)
        numbers = {name: values[0] for name, values in {**by_trial, **by_area}.items()}
        self._p = _record("P", tuple(numbers))(**numbers)
        if model.connectome.listed:
            raise ValueError(
                f"Linear analysis works on tables, but the connectome of {len(self.areas)} areas is a list of "
                f"connections; build it from matrices."
            )
        self._weights = model.weights()
        self._sources = [self.variables.index(w.source) for w in circuit.pathways]
        self._stimulus = np.zeros((len(self.inputs), len(self.areas)))
        for (area, name), amplitude in (drive or {}).items():
            _checks.check_known(area, self.areas, what="area", where="`drive`")
            k = self.inputs.index(_checks.check_known(name, self.inputs, what="input", where="`drive`"))
            value = _checks.check_finite(f"drive[{area!r}, {name!r}]", amplitude, circuit.inputs[k].unit)
            self._stimulus[k, self.areas.index(area)] = value * circuit.inputs[k].scale

    def local(self, x: Floats) -> Local:
        """Return residual and local slopes at the state `x` (variable, area)."""
        circuit, n_areas = self.model.circuit, len(self.areas)
        longrange = [
            self._weights[w.weights] @ x[source] for w, source in zip(circuit.pathways, self._sources, strict=True)
        ]
        noise = np.zeros((len(circuit.noise), n_areas))
        values = np.array([*x, *longrange, *self._stimulus, *noise])
        n = len(values)
        seeds = np.broadcast_to(np.eye(n)[:, :, np.newaxis], (n, n, n_areas))
        dual = [Dual(v, seed) for v, seed in zip(values, seeds, strict=True)]
        unit = seeds[: len(x)]
        if circuit.step is None:
            out = circuit.derivative(*self._arguments(dual)[:3], self._p)  # type: ignore[misc]
            residual, slopes = _filled(out, n, n_areas)
            return Local(residual, slopes, np.ones(residual.shape, dtype=bool))
        # A second dual number, in dt: the vector field is d step/d dt.
        out = circuit.step(*self._arguments([Dual(v, 0.0) for v in dual]), self._p, Dual(_DT, 1.0))
        new, new_slopes = _filled([value_of(v) for v in out], n, n_areas)
        rate, rate_slopes = _filled([tangent_of(v) for v in out], n, n_areas)
        of_noise = new_slopes[:, n - len(noise) :] / np.sqrt(_DT)
        integrated = np.abs(new_slopes - unit)[:, : n - len(noise)].max(axis=1) < _NEGLIGIBLE
        slopes = np.where(integrated[:, np.newaxis], rate_slopes, new_slopes - unit)
        slopes[:, n - len(noise) :] = of_noise
        return Local(np.where(integrated, rate, new - x), slopes, integrated)

    def assemble(self, local: Local) -> Floats:
        """Return the derivative of the residual by the state, (variable, area, variable, area)."""
        n_variables, n_areas = local.residual.shape
        matrix = np.zeros((n_variables, n_areas, n_variables, n_areas))
        each = np.arange(n_areas)
        matrix[:, each, :, each] = np.moveaxis(local.slopes[:, :n_variables], 2, 0)
        for k, (pathway, source) in enumerate(zip(self.model.circuit.pathways, self._sources, strict=True)):
            slope = local.slopes[:, n_variables + k]
            reached = slope.any(axis=1)
            matrix[reached, :, source] += slope[reached, :, np.newaxis] * self._weights[pathway.weights]
        return matrix

    def state(self, values: xr.DataArray | xr.Dataset) -> Floats:
        """Return a labelled state as an array (variable, area), joined by label."""
        if isinstance(values, xr.Dataset):
            if "final_state" not in values:
                raise ValueError("A Dataset that gives a state must have `final_state`, as results of `simulate` do.")
            values = values["final_state"]
        if not isinstance(values, xr.DataArray) or not {"state", "area"} <= set(values.indexes):
            raise TypeError("A state must be a result of `simulate`, or a DataArray labelled along `state` and `area`.")
        if values.sizes.get("trial") == 1:
            values = values.squeeze("trial", drop=True)
        if set(values.dims) != {"state", "area"}:
            raise ValueError(f"A state must have the dimensions (state, area), but has {values.dims}; pick one trial.")
        for dim, labels in (("state", self.variables), ("area", self.areas)):
            missing = [label for label in labels if label not in values.indexes[dim]]
            if missing:
                raise ValueError(f"A state must have each {dim} of the model, but {missing[0]!r} is missing.")
        ordered = values.sel(state=list(self.variables), area=list(self.areas)).transpose("state", "area")
        x = ordered.to_numpy().astype(np.float64)
        if not np.isfinite(x).all():
            raise ValueError("A state must be finite, but holds NaN or infinite values.")
        return x

    def initial(self) -> Floats:
        """Return the circuit's initial state (variable, area)."""
        return np.repeat([[float(v.initial)] for v in self.model.circuit.state], len(self.areas), axis=1)

    def labelled(self, x: Floats, long_name: str) -> xr.DataArray:
        """Return an array (variable, area) with its labels, and the variables' units along `state`."""
        units = [v.unit for v in self.model.circuit.state]
        return xr.DataArray(
            x,
            {"state": list(self.variables), "area": list(self.areas), "unit": ("state", units)},
            ("state", "area"),
            attrs={"long_name": long_name},
        )

    def _arguments(self, dual: list[Dual]) -> list[Any]:
        circuit, at, out = self.model.circuit, 0, []
        groups = {
            "X": self.variables,
            "Longrange": tuple(w.name for w in circuit.pathways),
            "Stimulus": self.inputs,
            "Noise": tuple(circuit.noise),
        }
        for name, fields in groups.items():
            out.append(_record(name, fields)(*dual[at : at + len(fields)]))
            at += len(fields)
        return out


@functools.cache
def _record(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)


def _filled(values: Any, n_directions: int, n_areas: int) -> tuple[Floats, Floats]:
    """Return values (variable, area) and tangents (variable, direction, area); a constant has tangent 0."""
    value, tangent = np.empty((len(values), n_areas)), np.empty((len(values), n_directions, n_areas))
    for k, v in enumerate(values):
        value[k], tangent[k] = value_of(v), tangent_of(v)
    return value, tangent
