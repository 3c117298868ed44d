"""What a model shall meet: the delay activity or the timescales that were measured, as functions for `fit`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks, datasets
from cortexsim.analysis.fixed_points import fixed_point
from cortexsim.analysis.stability import eigenvalues
from cortexsim.analysis.timescales import timescales
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.stimulus import Stimulus

Floats = NDArray[np.float64]

_EVERY = 10.0  # ms between the samples that are averaged

# Areas of the M132 atlas in the regions that were recorded from. S1 spans areas 3, 1 and 2.
_MURRAY = {
    "MT": ("MT",),
    "LIP": ("LIP",),
    "LPFC": ("46d", "9/46d", "9/46v", "8l"),
    "OFC": ("OPRO",),
    "ACC": ("24c",),
    "S1": ("3", "1", "2"),
}


def vary(model: Model, parameters: Mapping[str, Any]) -> Model:
    """Return the model with other parameters of its circuit.

    Parameters
    ----------
    model : Model
        As it is.
    parameters : dict
        Values by name: a number, or one per trial.

    Raises
    ------
    ValueError
        If the circuit has no such parameter, or a value is not finite.
    """
    names, where = model.circuit.parameter_names(), type(model.circuit).__name__
    given: dict[str, Any] = {
        _checks.check_known(name, names, what="parameter", where=where): value for name, value in parameters.items()
    }
    return dataclasses.replace(model, circuit=dataclasses.replace(model.circuit, **given))


@dataclass(frozen=True, eq=False)
class DelayActivity:
    """The rates of some areas in a stretch of a trial, less what was measured, over the measurement's error.

    A function for `fit`: called with parameters of the circuit, it returns one residual per area; with arrays of
    parameters (point,), residuals (point, area) from one run of the simulator, so that `fit(..., batched=True)` may be
    used. Parameters that set the long-range weights take one value per run: fit these without `batched`.

    Parameters
    ----------
    model : Model
        Whose circuit is varied.
    stimulus : Stimulus
        Of the trial.
    measured : DataArray (area)
        Rates in the unit of `variable`; NaN where not known. Only areas with a value count.
    variable : str
        The rate, such as "r_E1".
    window : (float, float)
        From and until when the rate is averaged, in ms; the trial ends with it.
    error : float
        Standard deviation of a measurement, in the same unit; residuals are in units of it.
    dt : float
        Euler step in ms.

    Raises
    ------
    TypeError, ValueError
        If an area is unknown, none has a value, the window is empty, or an argument is of another kind.
    """

    model: Model
    stimulus: Stimulus
    measured: xr.DataArray
    variable: str
    window: tuple[float, float]
    error: float = 1.0
    dt: float = 0.5

    def __post_init__(self) -> None:
        _check_areas(self.measured, self.model.areas)
        start, stop = self.window
        if not 0 <= start <= stop - _EVERY:
            raise ValueError(f"Argument `window` must span {_EVERY:g} ms at least, but is ({start:g}, {stop:g}).")
        _checks.check_positive("error", self.error)
        if not isinstance(self.stimulus, Stimulus):
            raise TypeError(f"Argument `stimulus` must be a Stimulus, but is {self.stimulus!r}.")

    @property
    def about(self) -> str:
        """All that the residuals depend on, for the history of a fit."""
        rest = {k: getattr(self, k) for k in ("variable", "window", "error", "dt")}
        return _described(self.model, self.measured, {**rest, "stimulus": self.stimulus.to_json()})

    def __call__(self, parameters: Mapping[str, Any]) -> Floats:
        """Return the residuals (area) or, of parameters (point,), (point, area)."""
        points = {name: tuple(value) if np.ndim(value) else value for name, value in parameters.items()}
        varied = vary(self.model, points)
        start, stop = self.window
        rates = simulate(
            varied,
            self.stimulus,
            duration=stop,
            dt=self.dt,
            trials=varied.circuit.trials or 1,
            every=_EVERY,
            noise=False,
            record=(self.variable,),
            progress=False,
        )[self.variable]
        known = self.measured.dropna("area")
        simulated = rates.sel(time=slice(start, None), area=known["area"].to_numpy()).mean("time")
        residuals = np.asarray((simulated.to_numpy() - known.to_numpy()) / self.error)
        return residuals if any(np.ndim(value) for value in parameters.values()) else residuals[0]


@dataclass(frozen=True, eq=False)
class Timescales:
    """The logarithms of intrinsic timescales, less those of what was measured, over the measurement's error.

    A function for `fit`: called with parameters of the circuit, it returns one residual per region. Timescales are
    exact, of the model linearised about rest (`analysis.timescales`). Where rest is unstable, or a timescale is not
    known, the residual is NaN, which `fit` takes for an impossible point.

    Parameters
    ----------
    model : Model
        Whose circuit is varied.
    measured : DataArray (area), or (region)
        In ms; NaN where not known. Only areas and regions with a value count.
    variable : str
        State variable, such as "r_E".
    regions : dict, optional
        The areas of each region, whose timescales are averaged; by default each area stands for itself.
    input, area, max_lag
        Where white noise enters, and the longest lag (ms), as for `analysis.timescales`; a shorter one takes less time.
    error : float
        Standard deviation of a measurement's logarithm (about its relative error); residuals are in units of it.

    Raises
    ------
    TypeError, ValueError
        If an area or region is unknown, none has a value, or a timescale is not positive.
    """

    model: Model
    measured: xr.DataArray
    variable: str
    regions: Mapping[str, Sequence[str]] | None = None
    input: str | None = None
    area: str | Sequence[str] | None = None
    max_lag: float | None = None
    error: float = 1.0

    def __post_init__(self) -> None:
        if self.regions is None:
            _check_areas(self.measured, self.model.areas)
        else:
            _check_areas(self.measured, list(self.regions), "region")
            for areas in self.regions.values():
                for area in areas:
                    _checks.check_known(area, self.model.areas, what="area", where="`regions`")
        if (self.measured <= 0).any():
            raise ValueError(f"Timescales must be positive, but the least is {float(self.measured.min()):g} ms.")
        _checks.check_positive("error", self.error)

    @property
    def about(self) -> str:
        """All that the residuals depend on, for the history of a fit."""
        rest = {k: getattr(self, k) for k in ("variable", "input", "area", "max_lag", "error")}
        regions = None if self.regions is None else {k: list(v) for k, v in self.regions.items()}
        return _described(self.model, self.measured, {**rest, "regions": regions})

    def __call__(self, parameters: Mapping[str, float]) -> Floats:
        """Return the residuals (area or region)."""
        known = self.measured.dropna(self.measured.dims[0])
        simulated = self.simulated(parameters).sel({known.dims[0]: known[known.dims[0]].to_numpy()})
        with np.errstate(invalid="ignore"):
            return np.asarray(np.log(simulated.to_numpy() / known.to_numpy()) / self.error)

    def simulated(self, parameters: Mapping[str, float]) -> xr.DataArray:
        """Return the timescales (area or region) in ms; NaN where rest is not stable."""
        model = vary(self.model, parameters)
        rest = fixed_point(model)
        if eigenvalues(model, rest).real.max() >= 0:
            found = xr.full_like(model.area_maps["area"], np.nan, dtype=np.float64)
        else:
            found = timescales(model, self.variable, input=self.input, area=self.area, max_lag=self.max_lag, state=rest)
        if self.regions is None:
            return found
        means = [float(found.sel(area=list(areas)).mean(skipna=False)) for areas in self.regions.values()]
        return xr.DataArray(means, {"region": list(self.regions)}, ("region",), attrs=found.attrs)


def murray2014(areas: Sequence[str]) -> tuple[xr.DataArray, dict[str, tuple[str, ...]]]:
    """Return the timescales that Murray et al. measured, and the areas of each region, for `Timescales`.

    Parameters
    ----------
    areas : sequence of str
        Those of the model; regions that have none of them are left out.

    Returns
    -------
    measured : DataArray (region)
        In ms, the mean over data sets; coordinate `datasets`, how many there are.
    regions : dict
        The model's areas in each region.

    References
    ----------
    Murray et al. 2014, Nat Neurosci 17:1661, Fig. 1, doi 10.1038/nn.3862.
    """
    regions = {region: tuple(a for a in held if a in areas) for region, held in _MURRAY.items()}
    regions = {region: held for region, held in regions.items() if held}
    by_region = datasets.table("murray2014/intrinsic_timescales").groupby("region")["timescale"]
    number = ("region", [int(by_region.count()[region]) for region in regions])
    measured = xr.DataArray(
        [float(by_region.mean()[region]) for region in regions],
        {"region": list(regions), "datasets": number},
        ("region",),
        attrs={"units": "ms", "long_name": "measured timescale"},
    )
    return measured, regions


def _check_areas(measured: xr.DataArray, known: Sequence[str], dim: str = "area") -> None:
    if not isinstance(measured, xr.DataArray) or measured.dims != (dim,) or dim not in measured.indexes:
        raise TypeError(f"Argument `measured` must be a DataArray labelled over `{dim}`, but is {measured!r}.")
    for label in measured[dim].to_numpy():
        _checks.check_known(str(label), known, what=dim, where="`measured`")
    if not np.isfinite(measured).any():
        raise ValueError(f"Argument `measured` must have a value for one {dim} at least, but all are NaN.")


def _described(model: Model, measured: xr.DataArray, rest: Mapping[str, Any]) -> str:
    """Return a digest of the model, the data and the rest, with the circuit in clear."""
    (dim,) = measured.dims
    values = dict(zip(map(str, measured[dim].to_numpy()), measured.to_numpy().tolist(), strict=True))
    told = {
        "parameters": model.circuit.parameters_json(),
        "connectome": model.connectome.digest,
        "maps": {str(k): v.to_numpy().tolist() for k, v in model.area_maps.data_vars.items()},
        "measured": values,
        **rest,
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return f"{type(model.circuit).__name__} {digest}"
