"""The forward and backward pass of a stack of gated networks through a batch of trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cortexsim.rnn import loss
from cortexsim.rnn.buffers import Batch, Desk, Layout, Sums, padded_readout
from cortexsim.rnn.gated import GatedNetwork, GatedParameters
from cortexsim.rnn.network import Array
from cortexsim.rnn.passes import Passage, Passes

if TYPE_CHECKING:
    from cortexsim.rnn.rules import Rule
    from cortexsim.tasks.task import Trials


class GatedPasses(Passes):
    """Compiled passes of one gated network through batches of trials.

    Parameters
    ----------
    network
        The network.
    dtype
        "float32" or "float64".
    threads
        How many; None: one for each processor.
    """

    def __init__(self, network: GatedNetwork, dtype: Any = "float32", threads: int | None = None) -> None:
        super().__init__(network, dtype, threads)  # type: ignore[arg-type]

    def _compiled_loops(self) -> Any:
        from cortexsim.rnn.kernel.build import gated_loops

        return gated_loops(str(self.dtype))

    def _padded(self, layout: Layout, parameters: GatedParameters) -> GatedWeights:
        return GatedWeights.padded(layout, parameters, len(self.network.gates))

    def _batch(self, layout: Layout, trials: Trials, rule: Rule, penalties: loss.Penalties) -> Batch:
        self.network.check_rule(rule)
        return super()._batch(layout, trials, rule, penalties)

    def _sums(self, layout: Layout, jobs: int) -> GatedSums:
        return GatedSums(layout, jobs, len(self.network.gates))

    def _new_desk(self, layout: Layout, batch: Batch) -> GatedDesk:
        return GatedDesk(layout, batch.steps, batch.epochs, self.network)

    def _passage(self, layout: Layout, batch: Batch, desk: Any, noise: bool) -> GatedPassage:
        return GatedPassage(self._loops, self.network, layout, batch, desk, noise)

    def _gradient(self, sums: GatedSums, together: Callable[[Array], Array]) -> GatedParameters:
        network = self.network
        units = network.units

        def rows(values: Array) -> Array:
            """Put the units of all gates one behind the other."""
            units_of_gates = together(values)[:, :, :units]
            return units_of_gates.reshape(len(units_of_gates), -1, *units_of_gates.shape[3:])

        return GatedParameters(
            rows(sums.W_rec)[:, :, :units],
            rows(sums.bias),
            together(sums.bias_rec.sum(axis=1))[:, : units if network.cell == "gru" else 0],
            rows(sums.W_in)[:, :, : network.inputs],
            together(sums.W_out)[:, : network.outputs, :units],
            together(sums.bias_out)[:, : network.outputs] * self.dtype.type(network.output_bias),
        )


class GatedWeights(NamedTuple):
    """Weights of a stack, gate by gate, padded with zeros, and transposed for the products that read them so."""

    W_rec: Array
    W_rec_t: Array
    bias: Array
    bias_rec: Array
    W_in_t: Array
    W_out: Array
    W_out_t: Array
    bias_out: Array

    @classmethod
    def padded(cls, layout: Layout, parameters: GatedParameters, gates: int) -> GatedWeights:
        """Return the weights as the passes take them."""
        n, units, inputs = parameters.networks, layout.network.units, layout.network.inputs
        W_rec = np.zeros((n, gates, layout.line, layout.line), layout.dtype)
        W_rec[:, :, :units, :units] = parameters.W_rec.reshape(n, gates, units, units)
        bias = np.zeros((n, gates, layout.line), layout.dtype)
        bias[:, :, :units] = parameters.bias.reshape(n, gates, units)
        bias_rec = np.zeros((n, layout.trials, layout.line), layout.dtype)
        bias_rec[:, :, : parameters.bias_rec.shape[1]] = parameters.bias_rec[:, np.newaxis]
        W_in_t = np.zeros((n, gates, layout.channels, layout.into), layout.dtype)
        W_in_t[:, :, :inputs, :units] = parameters.W_in.reshape(n, gates, units, inputs).swapaxes(2, 3)
        readout = padded_readout(layout, parameters.W_out, parameters.bias_out)
        return cls(W_rec, np.ascontiguousarray(W_rec.swapaxes(2, 3)), bias, bias_rec, W_in_t, *readout)

    def select(self, k: int) -> GatedWeights:
        """Return those of one network, flat."""
        return GatedWeights(*(values[k].ravel() for values in self))


class GatedSums(Sums):
    """Gradients and losses of each job, to be added to."""

    def __init__(self, layout: Layout, jobs: int, gates: int) -> None:
        super().__init__(layout, jobs)
        self.W_rec = np.zeros((jobs, gates, layout.line, layout.line), layout.dtype)
        self.bias = np.zeros((jobs, gates, layout.line), layout.dtype)
        self.bias_rec = np.zeros((jobs, layout.trials, layout.line), layout.dtype)
        self.W_in = np.zeros((jobs, gates, layout.into, layout.channels), layout.dtype)


class GatedDesk(Desk):
    """The buffers of one thread. `states` are the cells: those of the LSTM, and for the GRU just the rates."""

    def __init__(self, layout: Layout, steps: int, epochs: int, network: GatedNetwork) -> None:
        super().__init__(layout, steps, epochs, network.cell == "lstm")
        zeros, row, gates = layout.zeros, layout.row, len(network.gates)
        # A step of the LSTM keeps tanh(c'), too, and one of the GRU W_n h + b_n
        self.slots = gates + 1
        self.targets = zeros(max(steps, 1) * self.slots * row)
        self.drive, self.d_drive = zeros(gates * epochs * row), zeros(gates * epochs * row)
        self.deltas = zeros(gates * layout.block * row)
        self.ahead_cells, self.trial_start_cells, self.carry_cells, self.waiting_cells, self.waiting_trial_cells = (
            zeros(row) for _ in range(5)
        )


class GatedPassage(Passage):
    """One gated network's way through one tile of a batch."""

    def _rest(self) -> None:
        self.desk.rates[: self.layout.row] = 0

    def _advance(
        self,
        weights: GatedWeights,
        inputs: Array,
        lengths: NDArray[np.int64],
        first: int,
        last: int,
        t: int,
        warmup: int,
        stored: bool,
    ) -> int:
        batch, desk, layout = self.batch, self.desk, self.layout
        every, beta, _, _, strategic = batch.skips
        real = layout.dtype.type
        return int(
            self.loops.forward(
                inputs, weights.W_in_t, weights.bias, weights.bias_rec, layout.channels, layout.into, desk.scratch,
                desk.states, desk.rates, desk.targets, weights.W_rec_t, desk.drive, batch.leak, desk.noise, desk.keys,
                desk.ahead, desk.ahead_cells, desk.trial_start, desk.trial_start_cells,
                lengths, batch.ends_trial, desk.epochs, first, last, t, t + warmup, stored,
                self.network.units, layout.line, layout.trials, *self._cell,
                real(self.sigma), real(batch.keep), real(batch.kick),
                every, real(beta), real(strategic if stored else 1.0),
            )
        )  # fmt: skip

    def backward(self, weights: GatedWeights, first_trial: int, sums: GatedSums, job: int) -> None:  # type: ignore[override]
        """Add loss and gradients to the sums of a job."""
        batch, desk, layout, network = self.batch, self.desk, self.layout, self.network
        every, beta, _, _, strategic = batch.skips
        real = layout.dtype.type
        tile = first_trial // layout.trials
        for buffer in (
            desk.carry, desk.carry_cells, desk.into, desk.waiting, desk.waiting_cells, desk.waiting_trial,
            desk.waiting_trial_cells, desk.by_output, desk.d_drive,
        ):  # fmt: skip
            buffer[:] = 0
        self.loops.backward(
            desk.states, desk.rates, desk.targets, weights.W_rec, desk.carry, desk.carry_cells, desk.into,
            desk.by_output, desk.deltas,
            desk.waiting, desk.waiting_cells, desk.waiting_trial, desk.waiting_trial_cells,
            batch.lengths, batch.ends_trial, batch.epochs, batch.steps, layout.block,
            network.units, layout.line, layout.trials, *self._cell,
            batch.starts, batch.stops, batch.target[tile].ravel(), batch.weight[tile].ravel(), len(batch.starts),
            weights.W_out, weights.W_out_t, weights.bias_out, desk.read, desk.logits, desk.by_read,
            layout.out, network.outputs, layout.pad_out, self.kind, network.output_bias,
            batch.penalties, every, real(beta), real(strategic),
            sums.W_rec[job].ravel(), desk.d_drive, sums.bias_rec[job].ravel(), sums.W_out[job].ravel(),
            sums.bias_out[job], sums.losses[job],
            desk.inputs, layout.channels, layout.into, sums.W_in[job].ravel(), sums.bias[job].ravel(),
        )  # fmt: skip

    @property
    def _cell(self) -> tuple[int, int, bool]:
        return len(self.network.gates), self.desk.slots, self.network.cell == "lstm"
