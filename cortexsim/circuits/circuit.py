"""What a local circuit is: parameters, state, inputs, pathways, and its one equation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome

Floats = NDArray[np.float64]


def parameter(default: Any, unit: str, meaning: str, *, source: str = "") -> Any:
    """Declare a numeric parameter of a circuit: a dataclass field that carries its unit, meaning and source.

    Parameters
    ----------
    default
        The published number, in the paper's own unit.
    unit
        "ms", "Hz", "nA", ...; "1" where there is none.
    meaning
        What the parameter is, in a few words.
    source
        Table, figure or equation that the number is from.
    """
    return field(default=default, metadata={"unit": unit, "meaning": meaning, "source": source, "kind": "parameter"})


def option(default: Any, meaning: str, *, source: str = "") -> Any:
    """Declare a choice of a circuit that is not a number: a dataclass field with its meaning and source."""
    return field(default=default, metadata={"unit": "", "meaning": meaning, "source": source, "kind": "option"})


@dataclass(frozen=True)
class Variable:
    """A state variable or an input of a circuit.

    Parameters
    ----------
    name
        As the equation names it: `x.<name>` or `stimulus.<name>`.
    unit
        The unit that users see.
    meaning
        What it is, in a few words; becomes `long_name` in results.
    initial
        Value at t = 0 (state variables).
    scale
        Factor from the users' unit to the equation's (inputs; 1e-3 for pA into an equation in nA).
    """

    name: str
    unit: str
    meaning: str
    initial: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Pathway:
    """Long-range input `longrange.<name>`, the sum over source areas j of weights[i, j] x.<source>[j].

    Parameters
    ----------
    name
        As the equation names it.
    source
        The state variable of the source area.
    weights
        Key into the circuit's `weights(connectome)`.
    anatomical
        Whether it runs along the connections of the connectome: these have lengths, and can be cut one by one.
    """

    name: str
    source: str
    weights: str
    anatomical: bool = True


@dataclass(frozen=True)
class AreaValues:
    """One value of a parameter for each area, by label (a hashable stand-in for a DataArray over `area`)."""

    areas: tuple[str, ...]
    values: tuple[float, ...]

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)

    def aligned(self, areas: Sequence[str], name: str) -> Floats:
        """Return the values in the order of `areas`; an area without a value raises ValueError."""
        by_area = dict(zip(self.areas, self.values, strict=True))
        missing = [a for a in areas if a not in by_area]
        if missing:
            raise ValueError(f"Parameter `{name}` must have a value for each area, but {missing[0]!r} has none.")
        return np.array([by_area[a] for a in areas])


@dataclass(frozen=True)
class Circuit:
    """A local circuit: a frozen choice of parameters, and one equation that all areas share.

    A subclass is a frozen dataclass whose fields are declared by `parameter` or `option`; it names its `state`,
    `inputs`, `noise` and `pathways`, and gives either `step` (one Euler step, in the paper's order) or `derivative`
    (then the step is x + dt derivative). Both are plain functions of named tuples, written with NumPy's element-wise
    functions alone (exp, expm1, log, tanh, sqrt, where, maximum, minimum, abs) and no `if`: the same source runs on
    NumPy arrays and, compiled, on SIMD registers.

    `laminar` says that the pathways already tell apart feedforward from feedback (by layers of origin, or SLN).

    For an area whose rates a trained network gives, it also names its `excitatory` rates, in the order of the channels
    that other areas can tell apart, and the rate of its interneurons, if one variable is that (`inhibitory`).
    `from_rates` then is a function of the same kind: from_rates(x, rates, p, dt) returns all state variables one step
    later, where `rates` has the fields `excitatory + inhibitory`, the rates at the end of the step. Gating that other
    areas read follows by the circuit's own equations; what only the area itself reads may stay as it is.

    A numeric parameter takes a number, a sequence with one value per trial, or a DataArray over `area`.
    """

    state: ClassVar[tuple[Variable, ...]] = ()
    inputs: ClassVar[tuple[Variable, ...]] = ()
    noise: ClassVar[tuple[str, ...]] = ()
    pathways: ClassVar[tuple[Pathway, ...]] = ()
    recorded: ClassVar[tuple[str, ...]] = ()
    maps: ClassVar[tuple[str, ...]] = ()
    citation: ClassVar[str] = ""
    step: ClassVar[Callable[..., tuple[Any, ...]] | None] = None
    derivative: ClassVar[Callable[..., tuple[Any, ...]] | None] = None
    laminar: ClassVar[bool] = False
    excitatory: ClassVar[tuple[str, ...]] = ()
    inhibitory: ClassVar[tuple[str, ...]] = ()
    from_rates: ClassVar[Callable[..., tuple[Any, ...]] | None] = None

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            if f.metadata["kind"] == "parameter":
                value = _normal(f.name, getattr(self, f.name), f.metadata["unit"])
                object.__setattr__(self, f.name, value)

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """Return the names of the numeric parameters, in the order of their declaration."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.metadata["kind"] == "parameter")

    @classmethod
    def state_names(cls) -> tuple[str, ...]:
        """Return the names of the state variables, in the order of `state`."""
        return tuple(v.name for v in cls.state)

    def modulate(
        self, maps: xr.Dataset, areas: Sequence[str], weights: Mapping[str, Any], p: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return the parameters of the equation that differ between areas, each of shape (area,) or (trial, area).

        Parameters
        ----------
        maps
            The gradients over `area`: all areas that they have, in their own order.
        areas
            The areas of the connectome, the order of the result.
        weights
            What `weights(connectome)` gave.
        p
            This circuit's numeric parameters, each of shape (), (trial, 1), (area,) or (trial, area), ready to
            broadcast.
        """
        return {}

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return the long-range weight matrices (target, source) that the pathways name.

        They are arrays, or for a listed connectome scipy.sparse.csr_array. Take them from `connectome.matrix`, and
        work on them by `each`, `normalised` and `endpoints` of cortexsim.connectome.matrices, which treat both.
        """
        return {}

    @property
    def trials(self) -> int | None:
        """Number of trials that the parameters with one value per trial ask for; None where all are single numbers."""
        lengths = {name: len(v) for name in self.parameter_names() if isinstance(v := getattr(self, name), tuple)}
        if not lengths:
            return None
        first, n = next(iter(lengths.items()))
        for name, length in lengths.items():
            if length != n:
                raise ValueError(
                    f"Parameters with one value per trial must agree in length, but `{first}` has {n} "
                    f"and `{name}` {length}."
                )
        return n

    def scalar(self, name: str) -> float:
        """Return a parameter that the weight matrices follow from: one number for all trials and areas."""
        value = getattr(self, name)
        if not isinstance(value, float):
            raise ValueError(
                f"Parameter `{name}` must be a single number, since all trials share the long-range weights; "
                f"run one simulation for each value."
            )
        return value

    def parameters_json(self) -> str:
        """Return all parameters and options as a JSON object, for a result's provenance."""
        return json.dumps({f.name: _jsonable(getattr(self, f.name)) for f in dataclasses.fields(self)})

    def parameter_table(self) -> list[tuple[str, Any, str, str, str]]:
        """Return (name, value, unit, meaning, source) of each parameter and option."""
        return [
            (f.name, getattr(self, f.name), f.metadata["unit"], f.metadata["meaning"], f.metadata["source"])
            for f in dataclasses.fields(self)
        ]


def on_areas(maps: xr.Dataset, name: str, areas: Sequence[str]) -> Floats:
    """Return the map `name` in the order of `areas`, joined by label."""
    at = {str(area): k for k, area in enumerate(maps["area"].to_numpy())}
    return np.asarray(maps[name].to_numpy()[[at[a] for a in areas]], dtype=np.float64)


def rescaled(maps: xr.Dataset, name: str, areas: Sequence[str]) -> Floats:
    """Return (m - min)/(max - min) in the order of `areas`; the extremes are those of all areas that the map has.

    Raises
    ------
    ValueError
        If the map is the same in all areas.
    """
    values = maps[name].to_numpy()
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise ValueError(f"Map {name!r} must vary between areas to be rescaled, but is {low:g} throughout.")
    return (on_areas(maps, name, areas) - low) / (high - low)


def _normal(name: str, value: Any, unit: str) -> float | tuple[float, ...] | AreaValues:
    """Bring a parameter into its hashable form and check that its numbers are finite."""
    if isinstance(value, AreaValues):
        return value
    if isinstance(value, xr.DataArray):
        if value.dims != ("area",):
            raise ValueError(f"Parameter `{name}` must have the single dimension `area`, but has {value.dims}.")
        areas = _checks.check_unique(value["area"].to_numpy().tolist(), what="area", where=f"`{name}`")
        return AreaValues(
            areas,
            tuple(_checks.check_finite(f"{name}[{a}]", v, unit) for a, v in zip(areas, value.to_numpy(), strict=True)),
        )
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1):
        if len(value) == 0:
            raise ValueError(f"Parameter `{name}` must have at least one value, but the sequence is empty.")
        return tuple(_checks.check_finite(f"{name}[{k}]", v, unit) for k, v in enumerate(value))
    return _checks.check_finite(name, value, unit)


def _jsonable(value: Any) -> Any:
    if isinstance(value, AreaValues):
        return dict(zip(value.areas, value.values, strict=True))
    return list(value) if isinstance(value, tuple) else value
