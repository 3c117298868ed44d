"""The forward and backward pass of a stack of networks through a batch of trials: arrays in, arrays out.

Networks, and where there are fewer of them than threads also parts of the batch, are worked off one by one by threads;
each thread has buffers of its own. The result does not depend on the number of threads, but in its last bits on that of
the parts.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cortexsim.rnn import loss
from cortexsim.rnn.network import ACTIVATIONS, READOUTS, Array, Network, Parameters

if TYPE_CHECKING:
    from cortexsim.rnn.rules import Rule
    from cortexsim.tasks.task import Trials

_SLACK = 64  # numbers that a register may read past the end of a buffer
_NEAR = 16384  # bytes of the steps whose gradients are summed up together
TRAINING, EVALUATION = 0, 1


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parts_of(trials: int, networks: int, threads: int) -> int:
    """Return into how many equal parts to cut a batch, so that all threads have work."""
    wanted = -(-threads // networks)
    return max(k for k in range(1, min(wanted, trials) + 1) if trials % k == 0)


class Passes:
    """Compiled passes of one network through batches of trials.

    Parameters
    ----------
    network
        The network.
    dtype
        "float32" or "float64".
    threads
        How many; None: one for each processor.
    """

    def __init__(self, network: Network, dtype: Any = "float32", threads: int | None = None) -> None:
        from cortexsim.rnn.kernel.build import loops

        self.network, self.dtype = network, np.dtype(dtype)
        self.threads = processors() if threads is None else threads
        self._loops = loops(str(self.dtype))
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="cortexsim") if self.threads > 1 else None
        self._desks: dict[tuple[int, int], Desk] = {}
        self._layouts: dict[int, Layout] = {}

    @property
    def compiled(self) -> bool:
        """Whether the machine code is in memory or on disk already."""
        from cortexsim.kernel.build import compiled_before

        return bool(compiled_before(self._loops.backward))

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown()

    def __enter__(self) -> Passes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def gradients(
        self,
        parameters: Parameters,
        trials: Trials,
        rule: Rule,
        *,
        penalties: loss.Penalties | None = None,
        seed: int = 0,
        step: int = 0,
        parts: int = 1,
        noise: bool = True,
    ) -> tuple[Array, Parameters]:
        """Return the loss of each network, and its gradient.

        Parameters
        ----------
        parameters
            Of the stack.
        trials
            The batch, the same for all networks, drawn with the rule's time step.
        rule
            Whose dynamics to differentiate.
        penalties
            None: no penalties.
        seed, step
            Key of the noise.
        parts
            Into how many parts the batch is cut; see `parts_of`.
        noise
            Whether there is noise, if the network has any.

        Returns
        -------
        loss
            Shape (network,), float64.
        gradient
            Shapes as those of the parameters.
        """
        penalties = penalties or loss.Penalties(0.0, 0.0)
        layout = self._layout(trials.n // parts)
        weights = layout.pad(parameters)
        batch = Batch(layout, trials, rule, penalties)
        sums = layout.sums(parameters.networks, parts, len(trials.lengths))
        key = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, step, TRAINING)

        def work(desk: Desk, job: int) -> None:
            k, part = divmod(job, parts)
            passage = Passage(self._loops, self.network, layout, batch, desk, noise)
            passage.forward(weights.select(k), part * layout.trials, k, key)
            passage.backward(weights.select(k), part * layout.trials, sums, job)

        self._each(work, parameters.networks * parts, layout, batch)
        return self._collect(parameters, layout, sums, parts, penalties)

    def outputs(
        self,
        parameters: Parameters,
        trials: Trials,
        rule: Rule,
        *,
        seed: int = 0,
        step: int = 0,
        noise: bool = True,
        steps: NDArray[np.int64] | None = None,
        rates: bool = False,
        tile: int = 20,
    ) -> Iterator[tuple[Array, Array | None]]:
        """Yield the outputs (time, trial, output) of one network after the other, and its rates.

        Parameters
        ----------
        parameters, trials, rule, seed, step, noise
            See `gradients`; the noise is another than in training.
        steps
            Those to keep; None: all.
        rates
            Whether to yield the rates (time, trial, unit), too; else None.
        tile
            Trials that run together.
        """
        layout = self._layout(min(tile, trials.n))
        weights = layout.pad(parameters)
        batch = Batch(layout, trials, rule, loss.Penalties(0.0, 0.0))
        keep = np.arange(trials.steps) if steps is None else steps
        key = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, step, EVALUATION)
        tiles = -(-trials.n // layout.trials)
        group = max(1, self.threads)
        for first in range(0, parameters.networks, group):
            last = min(first + group, parameters.networks)
            y = np.empty((last - first, len(keep), tiles * layout.trials, self.network.outputs), self.dtype)
            r = (
                np.empty((last - first, len(keep), tiles * layout.trials, self.network.units), self.dtype)
                if rates
                else None
            )

            def work(desk: Desk, job: int, first: int = first, y: Array = y, r: Array | None = r) -> None:
                k, piece = divmod(job, tiles)
                at = slice(piece * layout.trials, (piece + 1) * layout.trials)
                passage = Passage(self._loops, self.network, layout, batch, desk, noise)
                passage.forward(weights.select(first + k), at.start, first + k, key)
                y[k, :, at] = passage.read_out(weights.select(first + k), 0, trials.steps)[keep]
                if r is not None:
                    r[k, :, at] = passage.rates()[keep]

            self._each(work, (last - first) * tiles, layout, batch)
            for k in range(last - first):
                yield y[k, :, : trials.n], None if r is None else r[k, :, : trials.n]

    def _each(self, work: Callable[[Desk, int], None], jobs: int, layout: Layout, batch: Batch) -> None:
        counter = itertools.count()

        def worker(k: int) -> None:
            desk = self._desk(k, layout, batch)
            while (job := next(counter)) < jobs:
                work(desk, job)

        workers = min(self.threads, jobs)
        if workers == 1 or self._pool is None:
            worker(0)
        else:
            list(self._pool.map(worker, range(workers)))

    def _layout(self, trials: int) -> Layout:
        if trials not in self._layouts:
            self._layouts[trials] = Layout(self.network, trials, self.dtype)
        return self._layouts[trials]

    def _desk(self, k: int, layout: Layout, batch: Batch) -> Desk:
        key = (k, layout.trials)
        desk = self._desks.get(key)
        if desk is None or desk.steps < batch.steps or desk.epochs < batch.epochs:
            desk = self._desks[key] = Desk(layout, batch.steps, batch.epochs, self.network.form == "current")
        return desk

    def _collect(
        self, parameters: Parameters, layout: Layout, sums: Sums, parts: int, penalties: loss.Penalties
    ) -> tuple[Array, Parameters]:
        network = self.network
        n, units, into, out = parameters.networks, network.units, network.receiving, network.read

        def together(values: Array) -> Array:
            return values.reshape(n, parts, *values.shape[1:]).sum(axis=1) if parts > 1 else values

        W_rec = together(sums.W_rec)[:, :units, :units]
        losses = together(sums.losses).sum(axis=1)
        if penalties.weights > 0:
            share = penalties.weights / units**2
            W_rec = W_rec + self.dtype.type(share) * np.sign(parameters.W_rec)
            losses = losses + share * np.abs(parameters.W_rec).sum(axis=(1, 2), dtype=np.float64)
        gradient = Parameters(
            W_rec,
            together(sums.bias)[:, :units],
            together(sums.W_in)[:, : into.stop - into.start, : network.inputs],
            together(sums.W_out)[:, : network.outputs, : out.stop - out.start],
            together(sums.bias_out)[:, : network.outputs] * self.dtype.type(network.output_bias),
        )
        return losses, gradient


def _four(n: int) -> int:
    return -(-n // 4) * 4


class Layout:
    """Where rows and lines of a batch of trials begin: see `kernel.loops`."""

    def __init__(self, network: Network, trials: int, dtype: np.dtype[Any]) -> None:
        self.network, self.trials, self.dtype = network, trials, dtype
        self.line = self._line(network.units)
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

    def pad(self, parameters: Parameters) -> Weights:
        """Return the weights as the passes take them."""
        return Weights(self, parameters)

    def sums(self, networks: int, parts: int, epochs: int) -> Sums:
        """Return zeros to add gradients to."""
        return Sums(self, networks * parts)


class Weights:
    """Weights of a stack of networks, padded, and transposed for the products that read them so."""

    def __init__(self, layout: Layout, parameters: Parameters | None) -> None:
        if parameters is None:
            return
        n, units = parameters.networks, layout.network.units
        W_rec, bias, W_in, W_out, bias_out = parameters
        into, outputs, out = W_in.shape[1], *W_out.shape[1:]
        self.W_rec, self.W_rec_t = np.zeros((2, n, layout.line, layout.line), layout.dtype)
        self.W_rec[:, :units, :units] = W_rec
        self.W_rec_t[:, :units, :units] = W_rec.swapaxes(1, 2)
        self.bias = np.zeros((n, layout.line), layout.dtype)
        self.bias[:, :units] = bias
        self.W_in_t = np.zeros((n, layout.channels, layout.into), layout.dtype)
        self.W_in_t[:, : W_in.shape[2], :into] = W_in.swapaxes(1, 2)
        self.W_out = np.zeros((n, layout.pad_out, layout.out), layout.dtype)
        self.W_out[:, :outputs, :out] = W_out
        self.W_out_t = np.ascontiguousarray(self.W_out.swapaxes(1, 2))
        self.bias_out = np.zeros((n, layout.trials, layout.pad_out), layout.dtype)
        self.bias_out[:, :, :outputs] = bias_out[:, np.newaxis]

    def select(self, k: int) -> Weights:
        """Return those of one network, flat."""
        one = Weights.__new__(Weights)
        for name, values in vars(self).items():
            setattr(one, name, values[k].ravel())
        return one


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
    """Return at which epochs a task-trial ends and another follows: where the names of the epochs begin anew."""
    names = trials.epochs
    ends = np.zeros(len(names), np.bool_)
    ends[:-1] = [name == names[0] for name in names[1:]]
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


class Passage:
    """One network's way through one tile of a batch."""

    def __init__(self, loops: Any, network: Network, layout: Layout, batch: Batch, desk: Desk, noise: bool) -> None:
        self.loops, self.network, self.layout, self.batch, self.desk = loops, network, layout, batch, desk
        self.sigma = network.noise if noise else 0.0
        self.form = (network.form == "rate", ACTIVATIONS.index(network.activation))
        self.kind = READOUTS.index(network.readout)

    def forward(self, weights: Weights, first_trial: int, k: int, key: tuple[int, int, int, int]) -> None:
        """Run warm-up and trials."""
        batch, desk, layout, trials = self.batch, self.desk, self.layout, self.batch.trials
        tile = first_trial // layout.trials
        keys = (np.uint32(key[2]), np.uint32(k | key[3] << 28), np.uint32(key[0]), np.uint32(key[1]))
        lines = layout.lines + np.uint32(first_trial << 16)
        row = layout.row
        if self.sigma > 0:
            self.loops.start_noise(desk.noise, desk.keys, row, lines, *keys)
        desk.states[:row] = 0
        self._rest()
        warmup = int(batch.warmup[0])
        if warmup:
            self._drives(batch.warmup_inputs[tile].ravel(), weights, 1)
            self._advance(weights, batch.warmup, 0, 1, 0, 0, False)
            if warmup & 1:
                desk.states[:row] = desk.states[row : 2 * row]
                desk.rates[:row] = desk.rates[row : 2 * row]
        desk.inputs[: batch.inputs[tile].size] = batch.inputs[tile].ravel()
        epoch, t = 0, 0
        for border in (*sorted(trials.feedback_inputs), batch.epochs):
            if border in trials.feedback_inputs:
                t = self._until(weights, epoch, border, t)
                self._feed_back(weights, border, t, first_trial)
                epoch = border
        self._until(weights, epoch, batch.epochs, t)

    def _rest(self) -> None:
        desk, row = self.desk, self.layout.row
        if not self.form[0]:
            at_rest = {"relu": 0.0, "tanh": 0.0, "softplus": np.log(2.0), "sigmoid": 0.5}[self.network.activation]
            desk.rates[:row] = at_rest

    def _until(self, weights: Weights, first: int, last: int, t: int) -> int:
        self._drives(self.desk.inputs, weights, self.batch.epochs)
        return self._advance(weights, self.batch.lengths, first, last, t, int(self.batch.warmup[0]), True)

    def _feed_back(self, weights: Weights, epoch: int, t: int, first_trial: int) -> None:
        """Put the input that the answer brings into the epoch."""
        layout, channels = self.layout, self.network.inputs
        answer = self.read_out(weights, t - 1, t)[0].argmax(axis=1)
        shown = self.batch.which[first_trial : first_trial + layout.trials]
        size = layout.trials * layout.channels
        inputs = self.desk.inputs[epoch * size : (epoch + 1) * size].reshape(layout.trials, layout.channels)
        inputs[:, :channels] = self.batch.trials.feedback_inputs[epoch][answer, shown]

    def _drives(self, inputs: Array, weights: Weights, epochs: int) -> None:
        layout, desk = self.layout, self.desk
        self.loops.drives(
            inputs, weights.W_in_t, weights.bias, epochs, layout.trials, layout.channels, layout.into,
            self.network.receiving.start, layout.line, desk.scratch, desk.drive,
        )  # fmt: skip

    def _advance(self, weights: Weights, lengths: Any, first: int, last: int, t: int, warmup: int, stored: bool) -> int:
        batch, desk, layout = self.batch, self.desk, self.layout
        every, beta, lead, stale, strategic = batch.skips
        real = self.layout.dtype.type
        return int(
            self.loops.forward(
                desk.states, desk.rates, desk.targets, weights.W_rec_t, desk.drive, batch.leak,
                desk.noise, desk.keys, desk.ahead, desk.trial_start,
                lengths, batch.ends_trial, first, last, t, t + warmup, stored,
                self.network.units, layout.line, layout.trials, *self.form,
                real(self.sigma), real(batch.keep), real(batch.kick),
                every, real(beta), real(lead), stale, real(strategic if stored else 1.0),
            )
        )  # fmt: skip

    def backward(self, weights: Weights, first_trial: int, sums: Sums, job: int) -> None:
        """Add loss and gradients to the sums of a job."""
        batch, desk, layout, network = self.batch, self.desk, self.layout, self.network
        every, beta, lead, stale, strategic = batch.skips
        real = layout.dtype.type
        tile = first_trial // layout.trials
        for buffer in (desk.carry, desk.into, desk.waiting, desk.waiting_trial, desk.by_output):
            buffer[:] = 0
        d_drive = desk.d_drive[: batch.epochs * layout.row]
        d_drive[:] = 0
        self.loops.backward(
            desk.rates, desk.targets, weights.W_rec, batch.leak, desk.carry, desk.into, desk.by_output, desk.deltas,
            desk.waiting, desk.waiting_trial,
            batch.lengths, batch.ends_trial, batch.epochs, batch.steps, layout.block,
            network.units, layout.line, layout.trials, *self.form,
            batch.starts, batch.stops, batch.target[tile].ravel(), batch.weight[tile].ravel(), len(batch.starts),
            weights.W_out, weights.W_out_t, weights.bias_out, desk.read, desk.logits, desk.by_read,
            network.read.start, layout.out, network.outputs, layout.pad_out, self.kind, network.output_bias,
            batch.penalties, every, real(beta), real(lead), stale, real(strategic),
            sums.W_rec[job].ravel(), d_drive, sums.W_out[job].ravel(), sums.bias_out[job], sums.losses[job],
        )  # fmt: skip
        self.loops.input_gradients(
            desk.inputs, d_drive, batch.epochs, layout.trials, layout.channels, layout.into, network.receiving.start,
            layout.line, sums.W_in[job].ravel(), sums.bias[job],
        )  # fmt: skip

    def read_out(self, weights: Weights, first: int, last: int) -> Array:
        """Return the outputs (time, trial, output) of the steps first ... last - 1."""
        layout, desk, network = self.layout, self.desk, self.network
        outputs = np.empty((last - first, layout.trials, network.outputs), layout.dtype)
        self.loops.read_out(
            desk.rates, first, last, weights.W_out_t, weights.bias_out, desk.read, desk.logits, layout.trials,
            layout.line, network.read.start, layout.out, network.outputs, layout.pad_out, self.kind, outputs,
        )  # fmt: skip
        return outputs

    def rates(self) -> Array:
        """Return the rates (time, trial, unit) after each step."""
        layout, steps = self.layout, self.batch.steps
        rows = self.desk.rates[layout.row : (steps + 1) * layout.row].reshape(steps, layout.trials, layout.line)
        return rows[:, :, : self.network.units]
