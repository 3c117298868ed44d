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

from cortexsim import _checks
from cortexsim.rnn import loss
from cortexsim.rnn.buffers import Batch, Desk, Layout, Sums, Weights
from cortexsim.rnn.learner import Stack
from cortexsim.rnn.network import ACTIVATIONS, READOUTS, Array, Network, Parameters

if TYPE_CHECKING:
    from cortexsim.rnn.rules import Rule
    from cortexsim.tasks.task import Trials

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
        self.network: Any = network
        self.dtype = np.dtype(dtype)
        _checks.check_known(str(self.dtype), ("float32", "float64"), what="precision", where="the parameters")
        self.threads = processors() if threads is None else _checks.check_count("threads", threads)
        self._loops = self._compiled_loops()
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
        parameters: Stack,
        trials: Trials,
        rule: Rule,
        *,
        penalties: loss.Penalties | None = None,
        seed: int = 0,
        step: int = 0,
        parts: int = 1,
        noise: bool = True,
    ) -> tuple[Array, Stack]:
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
        self.network.check(parameters)
        if trials.n % parts:
            raise ValueError(f"Argument `parts` must divide the {trials.n} trials, but is {parts}.")
        penalties = penalties or loss.Penalties(0.0, 0.0)
        layout = self._layout(trials.n // parts)
        weights = self._padded(layout, parameters)
        batch = self._batch(layout, trials, rule, penalties)
        sums = self._sums(layout, parameters.networks * parts)
        key = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, step, TRAINING)

        def work(desk: Desk, job: int) -> None:
            k, part = divmod(job, parts)
            passage = self._passage(layout, batch, desk, noise)
            passage.forward(weights.select(k), part * layout.trials, k, key)
            passage.backward(weights.select(k), part * layout.trials, sums, job)

        self._each(work, parameters.networks * parts, layout, batch)
        return self._collect(parameters, layout, sums, parts, penalties)

    def outputs(
        self,
        parameters: Stack,
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
        self.network.check(parameters)
        layout = self._layout(min(tile, trials.n))
        weights = self._padded(layout, parameters)
        batch = self._batch(layout, trials, rule, loss.Penalties(0.0, 0.0))
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
                passage = self._passage(layout, batch, desk, noise)
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
            desk = self._desks[key] = self._new_desk(layout, batch)
        return desk

    def _collect(
        self, parameters: Stack, layout: Layout, sums: Sums, parts: int, penalties: loss.Penalties
    ) -> tuple[Array, Stack]:
        def together(values: Array) -> Array:
            return values.reshape(-1, parts, *values.shape[1:]).sum(axis=1) if parts > 1 else values

        losses = together(sums.losses).sum(axis=1, dtype=np.float64)
        gradient = self._gradient(sums, together)
        if penalties.weights > 0:
            share = penalties.weights / parameters.W_rec[0].size
            gradient = gradient._replace(W_rec=gradient.W_rec + self.dtype.type(share) * np.sign(parameters.W_rec))
            losses = losses + share * np.abs(parameters.W_rec).sum(axis=(1, 2), dtype=np.float64)
        return losses, gradient

    # What differs between kinds of networks

    def _compiled_loops(self) -> Any:
        from cortexsim.rnn.kernel.build import loops

        return loops(str(self.dtype))

    def _padded(self, layout: Layout, parameters: Stack) -> Any:
        return Weights.padded(layout, parameters)

    def _batch(self, layout: Layout, trials: Trials, rule: Rule, penalties: loss.Penalties) -> Batch:
        return Batch(layout, trials, rule, penalties)

    def _sums(self, layout: Layout, jobs: int) -> Sums:
        return Sums(layout, jobs)

    def _new_desk(self, layout: Layout, batch: Batch) -> Desk:
        return Desk(layout, batch.steps, batch.epochs, self.network.form == "current")

    def _passage(self, layout: Layout, batch: Batch, desk: Any, noise: bool) -> Passage:
        return Passage(self._loops, self.network, layout, batch, desk, noise)

    def _gradient(self, sums: Any, together: Callable[[Array], Array]) -> Stack:
        """Return the gradient without padding and penalties; `together` adds up the parts of a batch."""
        network = self.network
        units, into, out = network.units, network.receiving, network.read
        return Parameters(
            together(sums.W_rec)[:, :units, :units],
            together(sums.bias)[:, :units],
            together(sums.W_in)[:, : into.stop - into.start, : network.inputs],
            together(sums.W_out)[:, : network.outputs, : out.stop - out.start],
            together(sums.bias_out)[:, : network.outputs] * self.dtype.type(network.output_bias),
        )


class Passage:
    """One network's way through one tile of a batch."""

    def __init__(self, loops: Any, network: Any, layout: Layout, batch: Batch, desk: Any, noise: bool) -> None:
        self.loops, self.network, self.layout, self.batch, self.desk = loops, network, layout, batch, desk
        self.sigma = network.noise if noise else 0.0
        self.kind = READOUTS.index(network.readout)

    @property
    def form(self) -> tuple[bool, int]:
        """Whether it is the rate form, and the number of the activation."""
        return self.network.form == "rate", ACTIVATIONS.index(self.network.activation)

    def forward(self, weights: Any, first_trial: int, k: int, key: tuple[int, int, int, int]) -> None:
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
            self._advance(weights, batch.warmup_inputs[tile].ravel(), batch.warmup, 0, 1, 0, 0, False)
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

    def _until(self, weights: Any, first: int, last: int, t: int) -> int:
        batch = self.batch
        return self._advance(weights, self.desk.inputs, batch.lengths, first, last, t, int(batch.warmup[0]), True)

    def _feed_back(self, weights: Any, epoch: int, t: int, first_trial: int) -> None:
        """Put the input that the answer brings into the epoch."""
        layout, channels = self.layout, self.network.inputs
        answer = self.read_out(weights, t - 1, t)[0].argmax(axis=1)
        shown = self.batch.which[first_trial : first_trial + layout.trials]
        size = layout.trials * layout.channels
        inputs = self.desk.inputs[epoch * size : (epoch + 1) * size].reshape(layout.trials, layout.channels)
        inputs[:, :channels] = self.batch.trials.feedback_inputs[epoch][answer, shown]

    def _advance(
        self,
        weights: Any,
        inputs: Array,
        lengths: NDArray[np.int64],
        first: int,
        last: int,
        t: int,
        warmup: int,
        stored: bool,
    ) -> int:
        batch, desk, layout = self.batch, self.desk, self.layout
        every, beta, lead, stale, strategic = batch.skips
        real = self.layout.dtype.type
        return int(
            self.loops.forward(
                inputs, weights.W_in_t, weights.bias, layout.channels, layout.into, self.network.receiving.start,
                desk.scratch, desk.states, desk.rates, desk.targets, weights.W_rec_t, desk.drive, batch.leak,
                desk.noise, desk.keys, desk.ahead, desk.trial_start,
                lengths, batch.ends_trial, first, last, t, t + warmup, stored,
                self.network.units, layout.line, layout.trials, *self.form,
                real(self.sigma), real(batch.keep), real(batch.kick),
                every, real(beta), real(lead), stale, real(strategic if stored else 1.0),
            )
        )  # fmt: skip

    def backward(self, weights: Any, first_trial: int, sums: Sums, job: int) -> None:
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
            desk.inputs, layout.channels, layout.into, network.receiving.start, sums.W_in[job].ravel(), sums.bias[job],
        )  # fmt: skip

    def read_out(self, weights: Any, first: int, last: int) -> Array:
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
        return np.asarray(rows[:, :, : self.network.units])
