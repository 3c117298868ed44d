"""Leaky recurrent networks: what one is, and the parameters of a stack of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsim import _checks

if TYPE_CHECKING:
    from cortexsim.rnn.passes import Passes
    from cortexsim.tasks.task import Task

Form = Literal["rate", "current"]
Activation = Literal["relu", "tanh", "softplus", "sigmoid"]
Readout = Literal["sigmoid", "linear", "softmax"]
Array = NDArray[np.floating[Any]]

FORMS: tuple[Form, ...] = ("rate", "current")
ACTIVATIONS: tuple[Activation, ...] = ("relu", "tanh", "softplus", "sigmoid")
READOUTS: tuple[Readout, ...] = ("sigmoid", "linear", "softmax")


def activate(x: ArrayLike, activation: Activation) -> Array:
    """Return f(x), element by element."""
    x = np.asarray(x)
    if activation == "relu":
        return np.asarray(np.maximum(x, 0))
    if activation == "tanh":
        return np.asarray(np.tanh(x))
    return np.asarray(np.logaddexp(x, 0) if activation == "softplus" else 1 / (1 + np.exp(-x)))


class Parameters(NamedTuple):
    """Weights of a stack of networks; rows receive.

    Parameters
    ----------
    W_rec
        Shape (network, unit, unit).
    bias
        Shape (network, unit).
    W_in
        Shape (network, input unit, input channel).
    W_out
        Shape (network, output channel, output unit).
    bias_out
        Shape (network, output channel).
    """

    W_rec: Array
    bias: Array
    W_in: Array
    W_out: Array
    bias_out: Array

    @property
    def networks(self) -> int:
        """Number of networks."""
        return int(self.W_rec.shape[0])

    def select(self, which: Sequence[int] | slice | NDArray[Any]) -> Parameters:
        """Return some of the networks."""
        return Parameters(*(values[which] for values in self))


@dataclass(frozen=True, kw_only=True)
class Network:
    r"""A leaky recurrent network.

    In the rate form r is the state; in the current form it is r = f(x):

    .. math::

        \tau \frac{dr}{dt} &= -r + f(W_{rec} r + b + W_{in} u + \sigma \eta) \quad \text{("rate")} \\
        \tau \frac{dx}{dt} &= -x + W_{rec} f(x) + b + W_{in} u + \sigma \eta \quad \text{("current")} \\
        y &= g(W_{out} r + b_{out}) ,

    by Euler's method with step dt; eta is Ornstein-Uhlenbeck noise of unit variance and time constant `tau_noise`, one
    for each unit, trial and network. With dt = tau and white noise (tau_noise = dt) the rate form is an Elman network.

    Parameters
    ----------
    inputs, outputs
        Channels.
    units
        Number of units.
    form
        "rate" or "current".
    activation
        f: "relu", "tanh", "softplus" or "sigmoid".
    readout
        g: "sigmoid", "linear" or "softmax".
    dt
        Time step in ms.
    tau
        Time constant in ms, of all units or of each; at least dt.
    input_units, output_units
        First unit and the one past the last of those that receive inputs, and of those that are read; None: all.
    noise
        sigma; 0 leaves the noise out.
    tau_noise
        In ms; at least dt.
    output_bias
        Whether b_out is trained; if not, it is 0.
    autapses
        Whether units connect to themselves.
    inhibitory
        Dale's law: first unit and the one past the last of those whose outgoing weights are <= 0, while those of all
        others are >= 0. None: weights of either sign. Weights that would change sign become 0: a projection, which
        leaves the gradient as it is.
    blocks
        Sizes of groups of units that `density` tells apart, with the sum `units`; empty: one group.
    density
        Share of the connections that exist, one number or (target block, source block). With blocks of one unit it is
        the mask itself.
    mask_seed
        Which connections exist where the density is neither 0 nor 1.
    """

    inputs: int
    outputs: int
    units: int = 50
    form: Form = "rate"
    activation: Activation = "relu"
    readout: Readout = "sigmoid"
    dt: float = 5.0
    tau: float | tuple[float, ...] = 100.0
    input_units: tuple[int, int] | None = None
    output_units: tuple[int, int] | None = None
    noise: float = 0.1
    tau_noise: float = 100.0
    output_bias: bool = False
    autapses: bool = True
    inhibitory: tuple[int, int] | None = None
    blocks: tuple[int, ...] = ()
    density: float | tuple[tuple[float, ...], ...] = 1.0
    mask_seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("inputs", 0), ("outputs", 0), ("units", 1)):
            self._set(name, _checks.check_count(name, getattr(self, name), least=least))
        for name, known in (("form", FORMS), ("activation", ACTIVATIONS), ("readout", READOUTS)):
            _checks.check_known(getattr(self, name), known, what=name, where="Network")
        self._set("dt", _checks.check_positive("dt", self.dt, "ms"))
        self._set("noise", _checks.check_not_negative("noise", self.noise))
        self._set("tau_noise", self._check_slow("tau_noise", self.tau_noise))
        self._set("mask_seed", _checks.check_count("mask_seed", self.mask_seed, least=0))
        if np.ndim(self.tau):
            tau = tuple(self._check_slow("tau", t) for t in self.tau)  # type: ignore[union-attr]
            if len(tau) != self.units:
                raise ValueError(f"Argument `tau` must have one value, or {self.units}, but has {len(tau)}.")
            self._set("tau", tau)
        else:
            self._set("tau", self._check_slow("tau", self.tau))  # type: ignore[arg-type]
        for name in ("input_units", "output_units", "inhibitory"):
            if getattr(self, name) is not None:
                self._set(name, self._check_range(name, getattr(self, name)))
        self._check_blocks()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_slow(self, name: str, value: float) -> float:
        if _checks.check_positive(name, value, "ms") < self.dt:
            raise ValueError(f"Argument `{name}` must be at least dt = {self.dt:g} ms, but is {value} ms; shorten dt.")
        return float(value)

    def _check_range(self, name: str, value: tuple[int, int]) -> tuple[int, int]:
        first, last = (_checks.check_count(name, v, least=0) for v in value)
        if not first < last <= self.units:
            raise ValueError(
                f"Argument `{name}` must be the first unit and the one past the last, within 0 and {self.units}, "
                f"but is {value}."
            )
        return first, last

    def _check_blocks(self) -> None:
        blocks = tuple(_checks.check_count("blocks", size) for size in self.blocks)
        if blocks and sum(blocks) != self.units:
            raise ValueError(f"Argument `blocks` must add up to {self.units} units, but adds up to {sum(blocks)}.")
        density = np.asarray(self.density, dtype=float)
        if density.shape not in ((), (len(blocks), len(blocks))):
            raise ValueError(
                f"Argument `density` must be one number, or one for each of {len(blocks)} x {len(blocks)} blocks, "
                f"but has the shape {density.shape}."
            )
        if not ((density >= 0) & (density <= 1)).all():
            raise ValueError(f"Argument `density` must lie between 0 and 1, but is {self.density}.")
        self._set("blocks", blocks)
        self._set("density", tuple(map(tuple, density.tolist())) if density.ndim else float(density))

    @classmethod
    def for_task(cls, task: Task, *, units: int = 50, released: bool = False, **changes: Any) -> Network:
        """Return a network for a task, with the populations of Soo, Goudar and Wang.

        Of the units 40 % receive inputs, the next 40 % are read, 20 % are auxiliary.

        Parameters
        ----------
        task
            Which gives the number of channels, and whether outputs are sigmoid or softmax.
        units
            Number of units.
        released
            As in the authors' program: the auxiliary units have half the time constant, and a task whose outputs are a
            softmax gets a network without populations.
        **changes
            Other arguments of `Network`.

        Returns
        -------
        Network
        """
        classes = task.loss == "cross_entropy"
        first, last = round(0.4 * units), round(0.8 * units)
        arguments: dict[str, Any] = {"inputs": len(task.inputs), "outputs": len(task.outputs), "units": units}
        arguments["readout"] = "softmax" if classes else "sigmoid"
        if not (classes and released):
            arguments |= {"input_units": (0, first), "output_units": (first, last)}
        if released:
            arguments["tau"] = (100.0,) * last + (50.0,) * (units - last)
        return cls(**(arguments | changes))

    @property
    def receiving(self) -> slice:
        """Units that receive inputs."""
        return slice(*(self.input_units or (0, self.units)))

    @property
    def read(self) -> slice:
        """Units that are read."""
        return slice(*(self.output_units or (0, self.units)))

    def mask(self) -> NDArray[np.bool_]:
        """Return which connections exist, (unit, unit): autapses, blocks and density."""
        sizes = self.blocks or (self.units,)
        density = np.broadcast_to(self.density, (len(sizes), len(sizes)))
        share = np.repeat(np.repeat(density, sizes, axis=0), sizes, axis=1)
        drawn = np.random.Generator(np.random.Philox(key=self.mask_seed)).random((self.units, self.units))
        exists = drawn < share
        if not self.autapses:
            np.fill_diagonal(exists, False)
        return exists

    @property
    def constrained(self) -> bool:
        """Whether `project` changes weights at all."""
        return self.inhibitory is not None or not self.autapses or bool(np.any(np.asarray(self.density) < 1))

    def signs(self) -> Array | None:
        """Return the sign of the outgoing weights of each unit, 1 or -1; None without Dale's law."""
        if self.inhibitory is None:
            return None
        signs = np.ones(self.units)
        signs[slice(*self.inhibitory)] = -1
        return signs

    def project(self, W_rec: ArrayLike) -> Array:
        """Return recurrent weights (..., unit, unit) with those at 0 that the mask or Dale's law forbids."""
        weights = np.asarray(W_rec)
        allowed = self.mask() if self.inhibitory is None else self.mask() & (weights * self.signs() >= 0)
        return np.where(allowed, weights, weights.dtype.type(0))

    def settled(self, parameters: Parameters) -> Parameters:
        """Return the parameters nearest to these that the mask and Dale's law allow."""
        return parameters._replace(W_rec=self.project(parameters.W_rec))

    def leak(self, dt: float) -> Array:
        """Return a = dt / tau of each unit, shape (unit,)."""
        return np.broadcast_to(dt / np.asarray(self.tau), (self.units,))

    def check(self, parameters: Parameters) -> None:
        """Raise ValueError unless parameters fit."""
        n, units = parameters.W_rec.shape[0], self.units
        into, out = (s.stop - s.start for s in (self.receiving, self.read))
        expected = ((n, units, units), (n, units), (n, into, self.inputs), (n, self.outputs, out), (n, self.outputs))
        for name, value, shape in zip(Parameters._fields, parameters, expected, strict=True):
            if value.shape != shape:
                raise ValueError(f"Parameter `{name}` must have the shape {shape}, but has {value.shape}.")

    def check_task(self, task: Task) -> None:
        """Raise ValueError unless channels and readout are those of the task."""
        check_channels(self.inputs, self.outputs, task, "make it by Network.for_task(task)")
        check_readout(self.readout, task)

    def passes(self, dtype: Any = "float32", threads: int | None = None, credit: str | None = None) -> Passes:
        """Return compiled passes of the network; see `Passes`. `credit` is for networks within a cortex alone."""
        from cortexsim.rnn.passes import Passes

        if credit is not None:
            raise ValueError(
                f"Argument `credit` is for areas of a hybrid, and a network alone takes None, not {credit!r}."
            )
        return Passes(self, dtype, threads)


def check_channels(inputs: int, outputs: int, task: Task, way_out: str) -> None:
    """Raise ValueError unless a network has as many inputs and outputs as a task."""
    for what, channels, wanted in (("inputs", inputs, task.inputs), ("outputs", outputs, task.outputs)):
        if channels != len(wanted):
            raise ValueError(
                f"Network must have the {len(wanted)} {what} of {task.name!r}, but has {channels}; {way_out}."
            )


def check_readout(readout: Readout, task: Task) -> None:
    """Raise ValueError unless a softmax is read where the task's loss is the cross-entropy, and only there."""
    if (readout == "softmax") != (task.loss == "cross_entropy"):
        raise ValueError(
            f"Readout of the network must be 'softmax' for a task with cross-entropy, and only for such, but is "
            f"{readout!r} for {task.name!r} with {task.loss!r}."
        )
