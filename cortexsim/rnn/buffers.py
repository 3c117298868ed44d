"""Where the compiled passes find what they need: padded weights, a batch of trials as numbers, a thread's buffers.

The passes write without checking bounds: shapes are fixed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cortexsim.rnn import loss
from cortexsim.rnn.network import Array, Network, Parameters

if TYPE_CHECKING:
    from cortexsim.rnn.gated import GatedNetwork
    from cortexsim.rnn.rules import Rule
    from cortexsim.tasks.task import Trials

_SLACK = 64  # numbers that a register may read past the end of a buffer
_NEAR = 16384  # bytes of the steps whose gradients are summed up together


def _four(n: int) -> int:
    return -(-n // 4) * 4


class Layout:
    """Where rows and lines of a batch of trials begin: see `kernel.loops`."""

    def __init__(self, network: Network | GatedNetwork, trials: int, dtype: np.dtype[Any]) -> None:
        self.network, self.trials, self.dtype = network, trials, dtype
        self.line = self._line(network.units)
        # Lines at powers of two share few places of the cache: 256 units take a quarter less time with 8 more
        if self.line * dtype.itemsize % 1024 == 0:
            self.line = self._line(self.line + 8)
        self.pad_out = self._line(network.outputs)
        self.row = trials * self.line
        self.channels = _four(network.inputs)
        self.into = _four(network.receiving.stop - network.receiving.start)
        self.out = -(-(network.read.stop - network.read.start) // 8) * 8
        self.block = max(1, min(8, _NEAR // (self.row * dtype.itemsize)))
        trial, unit = np.divmod(np.arange(self.row), self.line)
        self.lines = (trial << 16 | unit).astype(np.uint32)

    def _line(self, n: int) -> int:
        n = _four(n)
        while n * self.trials % 16:
            n += 4
        return n

    def zeros(self, *shape: int) -> Array:
        """Return zeros of the precision, with slack behind."""
        size = int(np.prod(shape))
        return np.zeros(size + _SLACK, self.dtype)[:size].reshape(shape)


class Weights(NamedTuple):
    """Weights of a stack of networks, padded with zeros, and transposed for the products that read them so."""

    W_rec: Array
    W_rec_t: Array
    bias: Array
    W_in_t: Array
    W_out: Array
    W_out_t: Array
    bias_out: Array

    @classmethod
    def padded(cls, layout: Layout, parameters: Parameters) -> Weights:
        """Return the weights as the passes take them."""
        n, units = parameters.networks, layout.network.units
        W_rec, bias, W_in, W_out, bias_out = parameters
        into = W_in.shape[1]
        dtype = layout.dtype
        found = cls(
            np.zeros((n, layout.line, layout.line), dtype),
            np.zeros((n, layout.line, layout.line), dtype),
            np.zeros((n, layout.line), dtype),
            np.zeros((n, layout.channels, layout.into), dtype),
            *padded_readout(layout, W_out, bias_out),
        )
        found.W_rec[:, :units, :units] = W_rec
        found.W_rec_t[:, :units, :units] = W_rec.swapaxes(1, 2)
        found.bias[:, :units] = bias
        found.W_in_t[:, : W_in.shape[2], :into] = W_in.swapaxes(1, 2)
        return found

    def select(self, k: int) -> Weights:
        """Return those of one network, flat."""
        return Weights(*(values[k].ravel() for values in self))


def padded_readout(layout: Layout, W_out: Array, bias_out: Array) -> tuple[Array, Array, Array]:
    """Return W_out, its transpose, and the bias of each trial as the passes take them."""
    n, outputs, out = W_out.shape
    padded = np.zeros((n, layout.pad_out, layout.out), layout.dtype)
    padded[:, :outputs, :out] = W_out
    bias = np.zeros((n, layout.trials, layout.pad_out), layout.dtype)
    bias[:, :, :outputs] = bias_out[:, np.newaxis]
    return padded, np.ascontiguousarray(padded.swapaxes(1, 2)), bias


class Sums:
    """Gradients and losses of each job, to be added to."""

    def __init__(self, layout: Layout, jobs: int) -> None:
        self.W_rec = np.zeros((jobs, layout.line, layout.line), layout.dtype)
        self.bias = np.zeros((jobs, layout.line), layout.dtype)
        self.W_in = np.zeros((jobs, layout.into, layout.channels), layout.dtype)
        self.W_out = np.zeros((jobs, layout.pad_out, layout.out), layout.dtype)
        self.bias_out = np.zeros((jobs, layout.pad_out), layout.dtype)
        self.losses = np.zeros((jobs, 64), layout.dtype)


class Batch:
    """A batch of trials in tiles, as numbers: inputs, windows and targets, and the constants of the dynamics."""

    def __init__(self, layout: Layout, trials: Trials, rule: Rule, penalties: loss.Penalties) -> None:
        network, dtype = layout.network, layout.dtype
        tiles = -(-trials.n // layout.trials)
        # The last tile is filled up with the last trial
        which = np.minimum(np.arange(tiles * layout.trials), trials.n - 1)
        self.which, self.trials = which, trials
        self.steps, self.epochs = trials.steps, len(trials.lengths)
        self.lengths = np.asarray(trials.lengths, np.int64)
        self.warmup = np.array([trials.warmup], np.int64)
        channels = network.inputs
        self.inputs = np.zeros((tiles, self.epochs, layout.trials, layout.channels), dtype)
        self.inputs[..., :channels] = (
            trials.inputs_by_epoch[:, which].reshape(self.epochs, tiles, layout.trials, channels).swapaxes(0, 1)
        )
        self.warmup_inputs = np.zeros((tiles, 1, layout.trials, layout.channels), dtype)
        self.warmup_inputs[..., :channels] = trials.warmup_inputs[which].reshape(tiles, 1, layout.trials, channels)
        self.starts = np.array([w.start for w in trials.windows], np.int64)
        self.stops = np.array([w.stop for w in trials.windows], np.int64)
        borders = np.stack([self.starts, self.stops], axis=1).ravel()
        if borders.min() < 0 or borders.max() > self.steps or (np.diff(borders) < 0).any():
            raise ValueError(
                f"Windows of {trials.task.name!r} must follow each other without overlap within {self.steps} steps, "
                f"but are {', '.join(f'{w.name} {w.start}-{w.stop}' for w in trials.windows)}."
            )
        windows = len(trials.windows)
        self.target, self.weight = np.zeros((2, tiles, windows, layout.trials, layout.pad_out), dtype)
        target = np.stack([w.target for w in trials.windows])[:, which]
        self.target[..., : network.outputs] = target.reshape(windows, tiles, layout.trials, -1).swapaxes(0, 1)
        self.weight[..., : network.outputs] = loss.window_weights(network, trials)[:, np.newaxis, np.newaxis]
        self.penalties = loss.activity_penalties(network, trials, penalties).astype(dtype)
        self.ends_trial = ends_of_task_trials(trials)
        self.dt = trials.dt
        leak = np.zeros(layout.line)
        leak[: network.units] = network.leak(self.dt)
        self.leak = np.tile(leak, layout.trials).astype(dtype)
        decay = self.dt / network.tau_noise
        self.keep, self.kick = 1 - decay, float(np.sqrt(2 * decay))
        self.skips = rule.skips


def ends_of_task_trials(trials: Trials) -> NDArray[np.bool_]:
    """Return at which epochs a task-trial ends and another follows, as the task says."""
    ends = np.zeros(len(trials.epochs), np.bool_)
    ends[[start - 1 for start in trials.task.task_trials if start > 0]] = True
    return ends


class Desk:
    """The buffers of one thread."""

    def __init__(self, layout: Layout, steps: int, epochs: int, with_states: bool) -> None:
        self.steps, self.epochs = steps, epochs
        zeros, row = layout.zeros, layout.row
        lines = layout.block * layout.trials
        self.rates = zeros((max(steps, 1) + 1) * row)
        self.states = zeros((max(steps, 1) + 1) * row) if with_states else self.rates
        self.targets = zeros(max(steps, 1) * row)
        self.noise, self.ahead, self.trial_start, self.carry, self.into, self.waiting, self.waiting_trial = (
            zeros(row) for _ in range(7)
        )
        self.keys = np.zeros(2 * row + _SLACK, np.uint32)
        self.by_output, self.deltas = zeros(layout.block * row), zeros(layout.block * row)
        self.drive, self.d_drive = zeros(epochs * row), zeros(epochs * row)
        self.inputs = zeros(epochs * layout.trials * layout.channels)
        self.scratch = zeros(epochs * layout.trials * layout.into)
        self.read, self.by_read = zeros(lines * layout.out), zeros(lines * layout.out)
        self.logits = zeros(lines * layout.pad_out)
