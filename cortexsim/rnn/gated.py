"""Gated recurrent networks, GRU and LSTM: what one is, and the parameters of a stack of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.rnn.network import READOUTS, Array, Readout, check_channels, check_readout

if TYPE_CHECKING:
    from cortexsim.rnn.gated_passes import GatedPasses
    from cortexsim.rnn.rules import Rule
    from cortexsim.tasks.task import Task

Cell = Literal["gru", "lstm"]
GATES: dict[Cell, tuple[str, ...]] = {
    "gru": ("reset", "update", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
}
"""The gates of a cell, in the order of the rows of their weights: that of PyTorch."""


class GatedParameters(NamedTuple):
    """Weights of a stack of gated networks; rows receive, gate by gate in the order of `GATES`.

    Parameters
    ----------
    W_rec
        Shape (network, gate * unit, unit).
    bias
        Shape (network, gate * unit).
    bias_rec
        b_q, shape (network, unit); (network, 0) for the LSTM, which has none.
    W_in
        Shape (network, gate * unit, input channel).
    W_out
        Shape (network, output channel, unit).
    bias_out
        Shape (network, output channel).
    """

    W_rec: Array
    bias: Array
    bias_rec: Array
    W_in: Array
    W_out: Array
    bias_out: Array

    @property
    def networks(self) -> int:
        """Number of networks."""
        return int(self.W_rec.shape[0])

    def select(self, which: Sequence[int] | slice | NDArray[Any]) -> GatedParameters:
        """Return some of the networks."""
        return GatedParameters(*(values[which] for values in self))


@dataclass(frozen=True, kw_only=True)
class GatedNetwork:
    r"""A recurrent network of gated units, to compare leaky ones with.

    With s the logistic function, u the input and h the rates, the GRU is

    .. math::

        r &= s(W_r h + V_r u + b_r) \\
        z &= s(W_z h + V_z u + b_z) \\
        n &= \tanh(V_n u + b_n + r \, (W_n h + b_q) + \sigma \eta) \\
        h' &= (1 - z) \, n + z \, h ,

    and the LSTM, with cells c,

    .. math::

        i &= s(W_i h + V_i u + b_i), \quad f = s(W_f h + V_f u + b_f), \quad o = s(W_o h + V_o u + b_o) \\
        g &= \tanh(W_g h + V_g u + b_g + \sigma \eta) \\
        c' &= f c + i g, \quad h' = o \tanh(c') .

    Outputs are :math:`y = g(W_{out} h + b_{out})`. Equations and order of the gates are those of torch.nn.GRU and
    torch.nn.LSTM, where the sum of the two biases of a gate is ours. All units receive inputs, and all are read.

    The cell has no time constant: a step is a step, whatever dt is, which says how often it sees the input. With a
    coarser dt (`CD`) a trial is fewer steps, and the same weights are another network in time.

    Parameters
    ----------
    inputs, outputs
        Channels.
    units
        Number of units.
    cell
        "gru" or "lstm".
    readout
        "sigmoid", "linear" or "softmax".
    dt
        Time step in ms.
    noise
        sigma; eta is the noise of `Network`, which enters the candidate. 0 leaves it out.
    tau_noise
        In ms; at least dt.
    output_bias
        Whether b_out is trained; if not, it is 0.

    References
    ----------
    GRU: Cho et al. 2014, arXiv 1406.1078, with the reset gate behind the recurrent weights, as in PyTorch. LSTM:
    Hochreiter & Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735, with the forget gate of Gers, Schmidhuber & Cummins
    2000, doi 10.1162/089976600300015015.
    """

    inputs: int
    outputs: int
    units: int = 50
    cell: Cell = "gru"
    readout: Readout = "sigmoid"
    dt: float = 5.0
    noise: float = 0.1
    tau_noise: float = 100.0
    output_bias: bool = False

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "units"):
            self._set(name, _checks.check_count(name, getattr(self, name)))
        _checks.check_known(self.cell, GATES, what="cell", where="GatedNetwork")
        _checks.check_known(self.readout, READOUTS, what="readout", where="GatedNetwork")
        self._set("dt", _checks.check_positive("dt", self.dt, "ms"))
        self._set("noise", _checks.check_not_negative("noise", self.noise))
        self._set("tau_noise", _checks.check_positive("tau_noise", self.tau_noise, "ms"))
        if self.tau_noise < self.dt:
            raise ValueError(
                f"Argument `tau_noise` must be at least dt = {self.dt:g} ms, but is {self.tau_noise:g} ms; shorten dt."
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def for_task(cls, task: Task, *, units: int = 50, **changes: Any) -> GatedNetwork:
        """Return a network for a task.

        Parameters
        ----------
        task
            Which gives the number of channels, and whether outputs are sigmoid or softmax.
        units
            Number of units.
        **changes
            Other arguments of `GatedNetwork`.

        Returns
        -------
        GatedNetwork
        """
        arguments: dict[str, Any] = {"inputs": len(task.inputs), "outputs": len(task.outputs), "units": units}
        arguments["readout"] = "softmax" if task.loss == "cross_entropy" else "sigmoid"
        return cls(**(arguments | changes))

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates, in the order of their weights."""
        return GATES[self.cell]

    @property
    def receiving(self) -> slice:
        """Units that receive inputs: all."""
        return slice(0, self.units)

    @property
    def read(self) -> slice:
        """Units that are read: all."""
        return slice(0, self.units)

    @property
    def constrained(self) -> bool:
        """Whether `settled` changes weights at all: it does not."""
        return False

    def settled(self, parameters: GatedParameters) -> GatedParameters:
        """Return the parameters: no constraint holds."""
        return parameters

    def leak(self, dt: float) -> Array:
        """Return 1 for each unit, shape (unit,): its state is new in each step, whatever dt is."""
        return np.ones(self.units)

    def check(self, parameters: GatedParameters) -> None:
        """Raise ValueError or TypeError unless parameters fit."""
        if not isinstance(parameters, GatedParameters):
            raise TypeError(
                f"Parameters of a GatedNetwork must be GatedParameters, but are {type(parameters).__name__}; make them "
                f"by `initialise(network)`."
            )
        n, units, rows = parameters.networks, self.units, len(self.gates) * self.units
        expected = {
            "W_rec": (n, rows, units),
            "bias": (n, rows),
            "bias_rec": (n, units if self.cell == "gru" else 0),
            "W_in": (n, rows, self.inputs),
            "W_out": (n, self.outputs, units),
            "bias_out": (n, self.outputs),
        }
        for name, shape in expected.items():
            if getattr(parameters, name).shape != shape:
                found = getattr(parameters, name).shape
                raise ValueError(f"Parameter `{name}` must have the shape {shape}, but has {found}.")

    def check_task(self, task: Task) -> None:
        """Raise ValueError unless channels and readout are those of the task."""
        check_channels(self.inputs, self.outputs, task, "make it by GatedNetwork.for_task(task)")
        check_readout(self.readout, task)

    def check_rule(self, rule: Rule) -> None:
        """Raise ValueError if a training method needs what a gated network lacks: DASC, a derivative in time."""
        if rule.skips.lead:
            raise ValueError(
                f"Training method must do without dx/dt, which a gated network has none of, but is {rule!r}; train it "
                f"by BPTT, CD or SCTT."
            )

    def passes(self, dtype: Any = "float32", threads: int | None = None, credit: str | None = None) -> GatedPasses:
        """Return compiled passes of the network. `credit` is for networks within a cortex alone."""
        from cortexsim.rnn.gated_passes import GatedPasses

        if credit is not None:
            raise ValueError(
                f"Argument `credit` is for areas of a hybrid, and a network alone takes None, not {credit!r}."
            )
        return GatedPasses(self, dtype, threads)
