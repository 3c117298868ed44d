"""A model: a connectome, the circuit of each of its areas, and the maps that grade the circuit."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.circuits.circuit import AreaValues, Circuit
from cortexsim.circuits.declaration import check_equation
from cortexsim.connectome import Connectome
from cortexsim.connectome.matrices import looked_up

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """A connectome whose areas all carry one circuit, graded by maps over the areas.

    Parameters
    ----------
    connectome
        Areas and their long-range connections.
    circuit
        The local circuit with its parameters.
    gradients
        Dataset over `area` with the maps that the circuit needs (`circuit.maps`); joined to the connectome by label,
        so it may hold more areas, in any order.
    conduction_speed
        In m/s (mm/ms): long-range input is delayed by distance / speed. None: no delays.

    Raises
    ------
    ValueError
        If a map is missing, an area has no value, or a value is not finite.
    TypeError
        If an argument is of another kind.

    Examples
    --------
    >>> import cortexsim as cx
    >>> model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    >>> len(model.areas)
    40
    """

    connectome: Connectome
    circuit: Circuit
    gradients: xr.Dataset | None = None
    conduction_speed: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.connectome, Connectome):
            raise TypeError(f"Argument `connectome` must be a Connectome, but is {type(self.connectome).__name__}.")
        if not isinstance(self.circuit, Circuit):
            hint = "; call the class" if isinstance(self.circuit, type) else ""
            raise TypeError(f"Argument `circuit` must be a Circuit, but is {self.circuit!r}{hint}.")
        if self.gradients is not None and not isinstance(self.gradients, xr.Dataset):
            raise TypeError(
                f"Argument `gradients` must be an xarray.Dataset over `area`, but is {type(self.gradients).__name__}."
            )
        if self.conduction_speed is not None:
            speed = _checks.check_positive("conduction_speed", self.conduction_speed, "m/s")
            object.__setattr__(self, "conduction_speed", speed)
            if odd := [p.name for p in self.circuit.pathways if not p.anatomical]:
                raise ValueError(
                    f"{type(self.circuit).__name__} has pathways without anatomy ({', '.join(odd)}), which have no "
                    f"length and so no delay; take conduction_speed=None."
                )
        self._check_maps()
        area_parameters = frozenset(self.parameters(self.circuit.trials or 1)[1])
        check_equation(type(self.circuit), area_parameters)  # type: ignore[arg-type]  # a class is hashable

    def __eq__(self, other: object) -> bool:
        """Whether connectome, circuit and maps are the same by value."""
        if not isinstance(other, Model):
            return NotImplemented
        same_maps = (
            self.gradients.identical(other.gradients)
            if self.gradients is not None and other.gradients is not None
            else self.gradients is other.gradients
        )
        return (
            self.connectome == other.connectome
            and self.circuit == other.circuit
            and self.conduction_speed == other.conduction_speed
            and same_maps
        )

    def __hash__(self) -> int:
        """Hash of connectome and circuit; the maps count for equality alone."""
        return hash((self.connectome, self.circuit))

    def __repr__(self) -> str:
        """One line: circuit, connectome, number of areas."""
        name = self.connectome.name or "a connectome"
        return f"<Model {type(self.circuit).__name__} on {name}, {len(self.areas)} areas>"

    @property
    def areas(self) -> tuple[str, ...]:
        """The areas, in the order of the connectome."""
        return self.connectome.areas

    def parameters(
        self, trials: int, changed: Mapping[str, Floats] | None = None
    ) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Return the numbers of the equation: per trial, shape (trial,), and per area, shape (trial, area).

        Parameters
        ----------
        trials
            Number of trials; parameters given once per trial must have as many values.
        changed
            Parameters to take instead of the circuit's, of shape (trial, 1) or (trial, area).
        """
        changed = changed or {}
        asked = self.circuit.trials
        if asked is not None and asked != trials:
            raise ValueError(
                f"The circuit has parameters with {asked} values, one per trial, but `trials` asks for {trials}; "
                f"take trials={asked}."
            )
        n_areas = len(self.areas)
        by_trial: dict[str, Floats] = {}
        by_area: dict[str, Floats] = {}
        p: dict[str, Floats] = {}
        for name in self.circuit.parameter_names():
            value: Any = changed.get(name, getattr(self.circuit, name))
            if isinstance(value, np.ndarray):
                p[name] = value
                if value.shape[1] > 1:
                    by_area[name] = value
                else:
                    by_trial[name] = value[:, 0]
            elif isinstance(value, AreaValues):
                p[name] = value.aligned(self.areas, name)
                by_area[name] = np.broadcast_to(p[name], (trials, n_areas))
            else:
                values = np.asarray(value, dtype=np.float64)
                p[name] = values[:, np.newaxis] if values.ndim else values
                by_trial[name] = values if values.ndim else np.full(trials, value)
        for name, values in self.circuit.modulate(self._maps, self.areas, self.weights(), p).items():
            by_area[name] = np.broadcast_to(values, (trials, n_areas))
            by_trial.pop(name, None)
        return by_trial, by_area

    @functools.cached_property
    def _maps(self) -> xr.Dataset:
        return xr.Dataset() if self.gradients is None else self.gradients

    def weights(self) -> dict[str, Any]:
        """Return the long-range weights (target, source) of the circuit's pathways: arrays, or lists of connections."""
        return self._weights

    @functools.cached_property
    def _weights(self) -> dict[str, Any]:
        weights = self.circuit.weights(self.connectome)
        kind, n = type(self.circuit).__name__, len(self.areas)
        for pathway in self.circuit.pathways:
            if pathway.weights not in weights:
                raise ValueError(
                    f"Pathway {pathway.name!r} of {kind} takes the weights {pathway.weights!r}, but `weights` returned "
                    f"{', '.join(map(repr, weights)) or 'none'}."
                )
            if weights[pathway.weights].shape != (n, n):
                shape = weights[pathway.weights].shape
                raise ValueError(f"Weights {pathway.weights!r} of {kind} must have shape ({n}, {n}), but have {shape}.")
        return weights

    def delays(self, dt: float, target: NDArray[np.int64], source: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the delay of each connection in steps of `dt` (ms), rounded to the nearest; None without a speed.

        Parameters
        ----------
        dt
            In ms.
        target, source
            Positions of the areas that each connection runs to and from, of shape (connection,).

        Raises
        ------
        ValueError
            If a connection has no known distance.
        """
        if self.conduction_speed is None:
            return None
        matrix = self.connectome.matrix("distance")
        if matrix is None:
            raise ValueError("Delays need distances, but the connectome has none; take conduction_speed=None.")
        distance = looked_up(matrix, target, source)
        unknown = ~np.isfinite(distance)
        if unknown.any():
            first = int(np.argmax(unknown))
            pair = f"{self.areas[target[first]]} <- {self.areas[source[first]]}"
            raise ValueError(f"Delays need the distance of each connection, but {pair} has none.")
        return np.rint(distance / (self.conduction_speed * dt)).astype(np.int64)

    def lanes(self, run: Any, parameters: Any) -> Any:
        """Return the buffers of a checked run (`plan.Plan`), whose parameters are those at its start."""
        from cortexsim.kernel.lanes import Lanes

        return Lanes(
            self, run.trials, run.channels, run.record, run.dtype, run.dt, run.first_step, run.start, run.history,
            parameters,
        )  # fmt: skip

    @property
    def noisy(self) -> bool:
        """Whether a run can have noise."""
        return bool(self.circuit.noise)

    def input_names(self, area: str) -> tuple[str, ...]:
        """Return what a stimulus can drive in an area."""
        return tuple(v.name for v in self.circuit.inputs)

    def described(self, extras: Mapping[str, NDArray[Any]]) -> xr.Dataset:
        """Return what a result has besides, labelled: the model's own variables, and in `attrs` its provenance."""
        return xr.Dataset()

    @functools.cached_property
    def area_maps(self) -> xr.Dataset:
        """The gradients of the model's areas, in their order."""
        if self.gradients is None:
            return xr.Dataset(coords={"area": list(self.areas)})
        return self.gradients.sel(area=list(self.areas))

    @functools.cached_property
    def coordinates(self) -> xr.Coordinates:
        """The coordinates of its results: areas with their maps, and the names of the state variables."""
        maps = self.area_maps
        along_area = {
            str(name): m.variable
            for name, m in {**maps.data_vars, **maps.coords}.items()
            if m.dims == ("area",) and name != "area"
        }
        area = xr.Variable("area", list(self.areas), {"long_name": "area"})
        state = xr.Variable("state", list(self.circuit.state_names()), {"long_name": "state variable"})
        return xr.Dataset(coords={"area": area, "state": state, **along_area}).coords

    @functools.cached_property
    def gradients_digest(self) -> str:
        """SHA-256 of the areas and their maps."""
        maps = self.area_maps
        digest = hashlib.sha256("\n".join(map(str, maps["area"].to_numpy())).encode())
        for name in sorted(map(str, maps.data_vars)):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(maps[name].to_numpy()).astype("<f8").tobytes())
        return digest.hexdigest()

    def _check_maps(self) -> None:
        needed = self.circuit.maps
        if self.gradients is None:
            if needed:
                raise ValueError(
                    f"{type(self.circuit).__name__} needs the maps {', '.join(needed)}, but `gradients` is missing; "
                    f"pass cortexsim.gradients.macaque40(), or a Dataset over `area` of your own."
                )
            return
        if "area" not in self.gradients.indexes:
            raise ValueError("Argument `gradients` must have the areas' labels as its coordinate `area`, but has none.")
        labels = [str(a) for a in self.gradients["area"].to_numpy()]
        if len(set(labels)) != len(labels):
            twice = next(a for a in labels if labels.count(a) > 1)
            raise ValueError(f"Each area must stand once in `gradients`, but {twice!r} stands twice or more.")
        held = set(labels)
        missing = [a for a in self.areas if a not in held]
        if missing:
            raise ValueError(
                f"Argument `gradients` must have a value for each area of the connectome, but {missing[0]!r} "
                f"is not among its areas."
            )
        for name in needed:
            if name not in self.gradients:
                raise ValueError(
                    f"{type(self.circuit).__name__} needs the map {name!r}, but `gradients` has "
                    f"{', '.join(map(str, self.gradients.data_vars)) or 'no maps'}; add it with "
                    f"cortexsim.gradients.join."
                )
            bad = ~np.isfinite(self.gradients[name].to_numpy().astype(np.float64))
            if bad.any():
                area = labels[int(np.argmax(bad))]
                raise ValueError(
                    f"Map {name!r} must be finite in each area, but is "
                    f"{float(self.gradients[name].sel(area=area))} in {area!r}."
                )
