"""A hybrid: a model of the cortex some of whose areas are trainable networks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.hybrid.embedding import Channel, Embedding, channels, pattern
from cortexsim.model import Model
from cortexsim.rnn import Network, files
from cortexsim.rnn.network import Array, Readout, check_readout
from cortexsim.tasks.task import Task

if TYPE_CHECKING:
    from cortexsim.hybrid.passes import HybridPasses

Credit = Literal["area", "open_loop", "full"]
READ_RATE = 10.0
"""Rate (Hz) of an area without a network that counts as 1 for the read-out."""
_FORMAT = "cortexsim-hybrid-1"
CREDITS: tuple[Credit, ...] = ("area", "open_loop", "full")


class HybridParameters(tuple[Any, ...]):
    """Weights of a stack of hybrids: arrays with the networks first, by name, such as "W_rec 46d" and "W_out".

    Parameters
    ----------
    names
        One for each array.
    arrays
        In that order.
    """

    _fields: tuple[str, ...]

    def __new__(cls, names: Iterable[str], arrays: Iterable[Array]) -> HybridParameters:
        """Join names and arrays."""
        made = super().__new__(cls, tuple(arrays))
        made._fields = tuple(names)
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return what pickle makes it from."""
        return self._fields, tuple(self)

    def _make(self, arrays: Iterable[Array]) -> HybridParameters:
        return HybridParameters(self._fields, arrays)

    def _asdict(self) -> dict[str, Array]:
        return dict(zip(self._fields, self, strict=True))

    @property
    def networks(self) -> int:
        """Number of networks."""
        return len(self[0])

    def of(self, name: str) -> Array:
        """Return one of the arrays.

        Parameters
        ----------
        name
            Such as "W_rec 46d".
        """
        _checks.check_known(name, self._fields, what="array", where="the parameters of a hybrid")
        return np.asarray(self[self._fields.index(name)])

    def select(self, which: Sequence[int] | slice | NDArray[Any]) -> HybridParameters:
        """Return some of the networks."""
        return self._make(values[which] for values in self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights to an NPZ file, which appears under its name only when it is whole.

        Parameters
        ----------
        path
            Of the file; `.npz` is not added.
        """
        files.write(path, {**self._asdict(), "description": np.array(_FORMAT)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HybridParameters:
        """Return the weights that `save` wrote; `hybrid.with_stack` takes them.

        Parameters
        ----------
        path
            Of the file.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        found = files.read(path)
        if str(found.pop("description", "")) != _FORMAT:
            raise ValueError(f"File {os.fspath(path)!r} must be one that HybridParameters.save wrote, but it is not.")
        return cls(found, found.values())


@dataclass(frozen=True)
class Drive:
    """A channel of a task that is a current to an area: `amplitude` times the channel, into `input`.

    Parameters
    ----------
    channel
        Of the task.
    area, input
        Where to; the area follows the circuit, or is embedded.
    amplitude
        In the input's unit (pA, nA), for a channel of 1.
    """

    channel: str
    area: str
    input: str
    amplitude: float

    def __post_init__(self) -> None:
        _checks.check_finite("amplitude", self.amplitude)


@dataclass(frozen=True, eq=False)
class Hybrid(Model):
    """A model some of whose areas are networks; make one by `embed`.

    Parameters
    ----------
    connectome, circuit, gradients, conduction_speed
        See `Model`; hybrids take no delays.
    embedded
        The embedded networks, by area.
    drives
        Channels of the task that are currents to areas; all other channels reach the networks directly.
    readout
        Areas that the outputs are read from: the excitatory units of embedded ones, the rates of excitatory populations
        of others, in units of `READ_RATE`.
    outputs
        Their names.
    kind
        "sigmoid", "linear" or "softmax".
    step
        Euler step of the cortex in training, in ms; the networks have their own, a whole multiple of it.
    stack
        All weights.
    """

    embedded: Mapping[str, Embedding] = field(default_factory=dict)
    drives: tuple[Drive, ...] = ()
    readout: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    kind: Readout = "sigmoid"
    step: float = 0.5
    stack: HybridParameters = field(default_factory=lambda: HybridParameters((), ()))

    def __post_init__(self) -> None:
        super().__post_init__()
        circuit = self.circuit
        if circuit.from_rates is None:
            raise ValueError(
                f"{type(circuit).__name__} does not say what other areas see of an area whose rates are given "
                f"(`from_rates`), so no network can stand in for it; CONTRIBUTING tells how to add that."
            )
        if self.conduction_speed is not None:
            raise ValueError("A hybrid has no conduction delays; take a model with conduction_speed=None.")
        if any(not isinstance(w, np.ndarray) for w in self.weights().values()):
            raise ValueError("A hybrid takes a connectome of tables, but this one is a list of connections.")
        for area in (*self.embedded, *self.readout):
            _checks.check_known(area, self.areas, what="area", where="a hybrid", listed="`connectome.areas`")
        for area in self.embedded if self.stack else ():
            held, received = self.stack.of(f"into {area}").shape[2], len(self.channels(area))
            if held != received:
                raise ValueError(
                    f"Weights `into` of {area!r} must have a column for each of its {received} channels, but have "
                    f"{held}; cut connections by a Lesion in the stimulus, or embed the network anew."
                )

    def __eq__(self, other: object) -> bool:
        """Whether all that makes it up is the same by value."""
        return isinstance(other, Hybrid) and super().__eq__(other) and self._digest == other._digest

    def __hash__(self) -> int:
        """Hash of connectome, circuit and areas."""
        return hash((super().__hash__(), tuple(self.embedded)))

    def __repr__(self) -> str:
        """One line: circuit, embedded areas, and a digest, by which a checkpoint tells one hybrid from another."""
        told = ", ".join(f"{area} ({e.network.units} units)" for area, e in self.embedded.items())
        parts = (self._digest, self.circuit.parameters_json(), self.connectome.digest, self.gradients_digest)
        digest = hashlib.sha256("".join(parts).encode()).hexdigest()[:12]
        return f"<Hybrid {type(self.circuit).__name__}, {len(self.areas)} areas; networks in {told}; {digest}>"

    # ---- What `train` asks of a learner

    @property
    def dt(self) -> float:
        """Time step of the networks, in ms."""
        return next(iter(self.embedded.values())).network.dt

    @property
    def units(self) -> int:
        """Units of all networks together."""
        return sum(e.network.units for e in self.embedded.values())

    @property
    def constrained(self) -> bool:
        """Always: what P sums up to is kept."""
        return True

    def check(self, parameters: HybridParameters) -> None:
        """Raise ValueError unless parameters fit."""
        if not isinstance(parameters, HybridParameters) or parameters._fields != self.stack._fields:
            raise ValueError("Parameters must be those of this hybrid; take hybrid.stack.")
        for name, value, own in zip(parameters._fields, parameters, self.stack, strict=True):
            if value.shape[1:] != own.shape[1:]:
                raise ValueError(f"Parameter {name!r} must have the shape {own.shape[1:]}, but has {value.shape[1:]}.")

    def check_task(self, task: Task) -> None:
        """Raise ValueError unless the hybrid hears all channels of a task, and has its outputs."""
        if not self.readout:
            raise ValueError("A hybrid without a read-out can't do a task; make it by embed(..., task=task).")
        if self.circuit.trials is not None:
            raise ValueError(
                f"A hybrid that does a task must have parameters that are the same in all trials, but the circuit has "
                f"{self.circuit.trials} values of some."
            )
        direct = self.direct(task)
        for area, embedding in self.embedded.items():
            if embedding.network.inputs not in (0, len(direct)):
                raise ValueError(
                    f"Network in {area!r} must have an input for each channel of {task.name!r} that is no drive "
                    f"({', '.join(direct)}), or none, but has {embedding.network.inputs}."
                )
        if self.outputs != tuple(task.outputs):
            raise ValueError(
                f"A hybrid for {task.name!r} must have the outputs {', '.join(task.outputs)}, but has "
                f"{', '.join(self.outputs)}; make it by embed(..., task=task)."
            )
        check_readout(self.kind, task)

    def direct(self, task: Task) -> tuple[str, ...]:
        """Return the channels of a task that reach the networks directly: those that are no drive."""
        for drive in self.drives:
            _checks.check_known(drive.channel, task.inputs, what="channel", where=f"the drives for {task.name!r}")
        driven = {d.channel for d in self.drives}
        return tuple(c for c in task.inputs if c not in driven)

    def settled(self, parameters: HybridParameters) -> HybridParameters:
        """Return the parameters nearest to these that anatomy, Dale's law and masks allow."""
        values = parameters._asdict()
        for area, embedding in self.embedded.items():
            values[f"W_rec {area}"] = embedding.network.project(values[f"W_rec {area}"])
            values[f"into {area}"] = self._kept_totals(area, values[f"into {area}"])
            if "omega" in embedding.trained:
                omega = np.maximum(values[f"omega {area}"], 0) * (self.stack.of(f"omega {area}") > 0)
                values[f"omega {area}"] = omega / np.maximum(omega.sum(axis=2, keepdims=True), 1e-12)
        return parameters._make(values.values())

    def _kept_totals(self, area: str, into: Array) -> Array:
        """Return P without negative numbers in its long-range columns, and scaled to their totals over E and over I."""
        embedding, start = self.embedded[area], self.stack.of(f"into {area}")
        far = np.array([c.weights is not None for c in self.channels(area)])
        out = np.where(far, np.maximum(into, 0), into)
        for group in (embedding.excitatory, embedding.inhibitory):
            if group.size:
                wanted = start[:, group].sum(axis=1, keepdims=True)
                found = out[:, group].sum(axis=1, keepdims=True)
                # A stream that has lost all its targets starts anew from those it had
                lost = far & (found <= 0)
                scaled = out[:, group] * (wanted / np.where(found > 0, found, 1))
                out[:, group] = np.where(far, np.where(lost, start[:, group], scaled), out[:, group])
        return out.astype(into.dtype, copy=False)

    def passes(self, dtype: Any = "float32", threads: int | None = None, credit: str | None = None) -> HybridPasses:
        """Return compiled passes of trials through cortex and networks; `credit` None is "open_loop"."""
        from cortexsim.hybrid.passes import HybridPasses

        return HybridPasses(self, dtype, threads, "open_loop" if credit is None else credit)

    # ---- What it is made of

    def channels(self, area: str) -> list[Channel]:
        """Return what the network in an area receives from it."""
        _checks.check_known(area, self.embedded, what="area", where="the networks of this hybrid")
        return channels(self, area, self.embedded[area].projections)

    def with_stack(self, stack: HybridParameters, network: int | None = None) -> Hybrid:
        """Return the hybrid with other weights, such as trained ones, of all networks of a stack or one.

        Parameters
        ----------
        stack
            Say, `training.parameters`.
        network
            Which network; None: all.
        """
        self.check(stack)
        if network is not None and not 0 <= network < stack.networks:
            raise ValueError(f"Argument `network` must be from 0 to {stack.networks - 1}, but is {network}.")
        return replace(self, stack=stack if network is None else stack.select([network]))

    def without(self) -> Model:
        """Return the model with no network in it."""
        return Model(self.connectome, self.circuit, self.gradients, self.conduction_speed)

    def substeps(self, dt: float, scale: int = 1) -> int:
        """Return how many steps `dt` (ms) of the cortex go into one of the networks."""
        return _checks.whole_steps("network.dt", self.dt * scale, dt)

    @property
    def unit_coordinates(self) -> dict[str, Any]:
        """Coordinates along `unit` of results: the area of each unit, its number there, and whether it excites."""
        areas, numbers, kinds = [], [], []
        for area, embedding in self.embedded.items():
            n = embedding.network.units
            areas += [area] * n
            numbers += list(range(n))
            kinds += ["E" if k in set(embedding.excitatory.tolist()) else "I" for k in range(n)]
        return {
            "unit": ("unit", np.arange(len(areas)), {"long_name": "unit"}),
            "unit_area": ("unit", areas, {"long_name": "area of the unit"}),
            "unit_number": ("unit", numbers, {"long_name": "number within its network"}),
            "unit_kind": ("unit", kinds, {"long_name": "E or I"}),
        }

    @property
    def _digest(self) -> str:
        digest = hashlib.sha256(repr((self.drives, self.readout, self.outputs, self.kind, self.step)).encode())
        for area, embedding in self.embedded.items():
            own = (area, embedding.network, embedding.rate, embedding.projections, embedding.trained)
            digest.update(repr(own).encode())
            digest.update(np.ascontiguousarray(self.initial(area)).tobytes())
        for name, values in self.stack._asdict().items():
            digest.update(name.encode() + np.ascontiguousarray(values).astype("<f8").tobytes())
        return digest.hexdigest()

    def initial(self, area: str) -> NDArray[np.float64]:
        """Return the rates of the units of an area at the start."""
        embedding = self.embedded[area]
        if embedding.initial is None:
            return np.zeros(embedding.network.units)
        return np.asarray(embedding.initial, dtype=np.float64)

    def described(self, extras: Mapping[str, NDArray[Any]]) -> xr.Dataset:
        """Return rates and last states of the units, labelled, and the networks in `attrs`."""
        told = {
            area: {"network": dataclasses.asdict(e.network), "rate_Hz": e.rate, "projections": e.projections}
            for area, e in self.embedded.items()
        }
        last = {"long_name": "state, noise and rate of the units after the last step"}
        return xr.Dataset(
            {
                "r_unit": (("trial", "time", "unit"), extras["r_unit"], {"units": "1", "long_name": "rate of a unit"}),
                "final_units": (("trial", "unit_state", "unit"), extras["final_units"], last),
            },
            {**self.unit_coordinates, "unit_state": ["state", "noise", "rate"]},
            {"embedded": json.dumps(told), "weights_digest": self._digest},
        )

    @property
    def noisy(self) -> bool:
        """Whether a run can have noise, in the circuit's areas or in units."""
        return super().noisy or any(e.network.noise > 0 for e in self.embedded.values())

    def input_names(self, area: str) -> tuple[str, ...]:
        """Return what a stimulus can drive in an area: the circuit's inputs, and an embedded network's own."""
        own = self.embedded[area].network.inputs if area in self.embedded else 0
        return (*super().input_names(area), *(f"u{k}" for k in range(own)))

    def lanes(self, run: Any, parameters: Any) -> Any:
        """Return the buffers of a run, with those of the networks."""
        from cortexsim.hybrid.lanes import HybridLanes

        return HybridLanes(self, run, parameters)  # type: ignore[no-untyped-call]


def embed(
    model: Model,
    networks: Mapping[str, Network | Embedding],
    *,
    task: Task | None = None,
    drives: Sequence[Drive] = (),
    readout: str | Sequence[str] | None = None,
    step: float = 0.5,
    seed: int = 0,
) -> Hybrid:
    """Let trainable networks stand in for the circuits of some areas of a model.

    The rest of the cortex keeps its biology, and sees of such an area the mean rate of its excitatory units, through
    the area's own long-range connections; see docs/hybrids.md for the mathematics.

    Parameters
    ----------
    model
        The cortex, without conduction delays; its circuit has `from_rates`.
    networks
        By area: a `cortexsim.rnn.Network`, or an `Embedding` of one with weights, gains and constraints. All have the
        same time step.
    task
        Whose outputs the hybrid is to give; None: it is only simulated.
    drives
        Channels of the task that are currents to areas, such as a cue to V1. All others reach the networks directly.
    readout
        Area or areas that the outputs are read from; None: the embedded ones.
    step
        Euler step of the cortex in training, in ms.
    seed
        Of the read-out's weights.

    Returns
    -------
    Hybrid
        For `simulate`, as any model, and for `rnn.train(hybrid, task, hybrid.stack, credit=...)`.

    Raises
    ------
    ValueError, TypeError
        If areas are unknown, time steps differ, or network, task and circuit don't fit each other.

    Examples
    --------
    >>> import cortexsim as cx
    >>> model = cx.Model(cx.load_connectome("macaque29"), cx.circuits.Chaudhuri2015(), cx.gradients.macaque29())
    >>> hybrid = cx.embed(model, {"46d": cx.transplant(model, "46d", units=50, inhibitory=10)})
    >>> pulse = cx.Pulse(area="V1", input="E", onset=100, duration=100, amplitude=100)
    >>> a, b = cx.simulate(hybrid, pulse, duration=400), cx.simulate(model, pulse, duration=400)
    >>> bool(abs(a.r_E - b.r_E).max() < 1e-12)
    True
    """
    if not isinstance(model, Model) or isinstance(model, Hybrid):
        raise TypeError(f"Argument `model` must be a Model without networks, but is {model!r}.")
    if not isinstance(networks, Mapping):
        raise TypeError(f"Argument `networks` must be networks by area, {{'46d': network}}, but is {networks!r}.")
    if task is not None and not isinstance(task, Task):
        raise TypeError(f"Argument `task` must be a Task, such as tasks.DelayedResponse(), but is {task!r}.")
    if isinstance(drives, Drive) or not all(isinstance(drive, Drive) for drive in drives):
        raise TypeError(f"Argument `drives` must be a sequence of Drives, but is {drives!r}.")
    if not networks:
        raise ValueError("Argument `networks` must name at least one area, but is empty.")
    embedded = {area: e if isinstance(e, Embedding) else Embedding(network=e) for area, e in networks.items()}
    for area in embedded:
        _checks.check_known(area, model.areas, what="area", where="`networks`", listed="`connectome.areas`")
    steps = {e.network.dt for e in embedded.values()}
    if len(steps) > 1:
        raise ValueError(f"All networks must have the same time step, but have {sorted(steps)} ms.")
    if len({e.weights.networks for e in embedded.values()}) > 1:
        raise ValueError("All areas must have the same number of networks in their stacks, but they differ.")
    _checks.whole_steps("network.dt", steps.pop(), _checks.check_positive("step", step, "ms"))
    bare = Hybrid(model.connectome, model.circuit, model.gradients, model.conduction_speed, embedded)
    for drive in drives:
        _checks.check_known(drive.area, model.areas, what="area", where="Drive", listed="`connectome.areas`")
        inputs = tuple(v.name for v in model.circuit.inputs)
        _checks.check_known(drive.input, inputs, what="input", where="Drive")
    read = tuple(embedded) if readout is None else (readout,) if isinstance(readout, str) else tuple(readout)
    _checks.check_unique(read, what="area", where="`readout`")
    hybrid = replace(
        bare,
        drives=tuple(drives),
        readout=() if task is None else read,
        outputs=() if task is None else tuple(task.outputs),
        kind="softmax" if task is not None and task.loss == "cross_entropy" else "sigmoid",
        step=float(step),
    )
    hybrid = replace(hybrid, stack=_start(hybrid, seed))
    if task is not None:
        hybrid.check_task(task)
    return hybrid


def _start(hybrid: Hybrid, seed: int) -> HybridParameters:
    """Return the weights of all networks, and of the read-out."""
    values: dict[str, Array] = {}
    for area, embedding in hybrid.embedded.items():
        own = embedding.weights
        values[f"W_rec {area}"] = embedding.network.project(own.W_rec)
        values[f"bias {area}"] = own.bias
        values[f"W_in {area}"] = own.W_in
        values[f"into {area}"] = pattern(embedding, hybrid, hybrid.channels(area))
        n = len(hybrid.circuit.excitatory)
        omega = np.zeros((own.networks, n, embedding.network.units), own.W_rec.dtype)
        for c, units in enumerate(embedding.populations(n)):
            omega[:, c, units] = 1 / len(units)
        values[f"omega {area}"] = omega
    networks, dtype = next(iter(values.values())).shape[0], next(iter(values.values())).dtype
    features = sum(len(feature_names(hybrid, area)) for area in hybrid.readout)
    shape = (networks, len(hybrid.outputs), features)
    random = np.random.Generator(np.random.Philox(key=_checks.check_count("seed", seed, least=0)))
    values["W_out"] = (random.standard_normal(shape) / np.sqrt(max(features, 1))).astype(dtype)
    values["bias_out"] = np.zeros(shape[:2], dtype)
    return HybridParameters(values, values.values())


def feature_names(hybrid: Hybrid, area: str) -> list[str]:
    """Return what an area gives to the read-out: its excitatory units, or its excitatory populations."""
    if area in hybrid.embedded:
        return [f"unit {k}" for k in hybrid.embedded[area].excitatory]
    return list(hybrid.circuit.excitatory)
