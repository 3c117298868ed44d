"""Forward and backward pass of trials through cortex and networks: what training a hybrid takes.

The outputs are read, and the gradient of the loss with respect to what they are read from is taken, between the two
compiled passes. A tile of trials is worked off by one thread.
"""

# mypy: ignore-errors
from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from cortexsim import _checks
from cortexsim.hybrid.kernel import TOLD, build_loops
from cortexsim.hybrid.lanes import TrialLanes, put_rates
from cortexsim.hybrid.model import CREDITS, READ_RATE, Hybrid
from cortexsim.hybrid.nets import SLACK, Desk, Nets
from cortexsim.rnn import loss
from cortexsim.rnn.passes import EVALUATION, TRAINING, processors


class _Time(NamedTuple):
    """The steps of the networks in a trial: epoch of each, its number within it, and how many."""

    epochs: np.ndarray
    local: np.ndarray
    steps: int


class HybridPasses:
    """Compiled passes of a hybrid through batches of trials.

    Parameters
    ----------
    hybrid
        The hybrid; its weights come with each call.
    dtype
        "float32" or "float64".
    threads
        How many; None: one for each processor.
    credit
        Through what the gradient goes: "area", the networks alone; "open_loop", from the networks through the cortex to
        the read-out, while what the networks receive is taken as given; "full", through all.

    Raises
    ------
    ValueError
        If the credit is unknown; or it is "area" and a trainable network is not read, whose gradient is zero.
    """

    def __init__(self, hybrid: Hybrid, dtype="float32", threads=None, credit="open_loop"):
        self.hybrid, self.dtype = hybrid, np.dtype(dtype)
        _checks.check_known(str(self.dtype), ("float32", "float64"), what="precision", where="the parameters")
        _checks.check_known(credit, CREDITS, what="credit", where="`train`")
        unread = [area for area, e in hybrid.embedded.items() if area not in hybrid.readout and e.trained]
        if credit == "area" and unread:
            raise ValueError(
                f"With credit='area' the read-out must be at each trainable network, but {unread[0]!r} is not read: "
                f"its gradient would be exactly zero. Take credit='open_loop' or 'full', or read it out."
            )
        self.credit = credit
        self.threads = processors() if threads is None else _checks.check_count("threads", threads)
        by_area = tuple(sorted(hybrid.parameters(1)[1]))
        self._module, self.layout = build_loops(type(hybrid.circuit), by_area, str(self.dtype))
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="cortexsim") if self.threads > 1 else None
        self._desks, self._cortices, self._nets = threading.local(), {}, {}
        # Whether rates of areas without a network are read, and whether the gradient has to pass the cortex at all
        self.far = any(area not in hybrid.embedded for area in hybrid.readout)
        self.cortical = credit == "full" or (credit == "open_loop" and self.far)
        # Evaluation, to which credit is nothing, must not fail for networks that no gradient reaches
        self.lost = unread if credit == "open_loop" and not self.far else []

    @property
    def compiled(self) -> bool:
        """Whether the machine code is in memory or on disk already."""
        from cortexsim.kernel.build import compiled_before

        return bool(compiled_before(self._module.backward))

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- What training asks for

    def gradients(
        self, parameters, trials, rule, *, penalties=None, seed=0, step=0, parts=1, noise=True
    ):  # `parts` is for networks alone
        """Return the loss of each network, and its gradient; see `Passes.gradients`."""
        if self.lost:
            raise ValueError(
                f"With credit='open_loop' what a network receives is taken as given, and here only networks are read: "
                f"the gradient of {self.lost[0]!r}, which is not, would be exactly zero. Take credit='full', or read "
                f"it out."
            )
        batch = self._batch(parameters, trials, rule, seed, step, TRAINING, noise, penalties)
        n = parameters.networks
        losses, sums = np.zeros((n, batch.tiles)), [[None] * batch.tiles for _ in range(n)]

        def work(job):
            k, tile = divmod(job, batch.tiles)
            losses[k, tile], sums[k][tile] = batch.back(k, tile)

        self._each(work, n * batch.tiles)
        gradient = {name: np.zeros(value.shape, self.dtype) for name, value in parameters._asdict().items()}
        for k, of_network in enumerate(sums):
            for of_tile in of_network:
                for name, value in of_tile.items():
                    gradient[name][k] += value
        total = losses.sum(axis=1)
        if penalties is not None and penalties.weights > 0:
            for area, embedding in self.hybrid.embedded.items():
                share = penalties.weights / embedding.network.units**2
                W = parameters.of(f"W_rec {area}")
                gradient[f"W_rec {area}"] += self.dtype.type(share) * np.sign(W)
                total = total + share * np.abs(W).sum(axis=(1, 2), dtype=np.float64)
        for area, embedding in self.hybrid.embedded.items():
            for name in ("W_rec", "bias", "W_in", "into", "omega"):
                if name not in embedding.trained:
                    gradient[f"{name} {area}"][:] = 0
        return total, parameters._make(gradient.values())

    def outputs(self, parameters, trials, rule, *, seed=0, step=0, noise=True, steps=None, rates=False):
        """Yield the outputs (time, trial, output) of one network after the other, and its units' rates."""
        batch = self._batch(parameters, trials, rule, seed, step, EVALUATION, noise, None)
        keep = np.arange(trials.steps) if steps is None else steps
        for k in range(parameters.networks):
            y = np.empty((len(keep), batch.tiles * self.layout.width, len(self.hybrid.outputs)), self.dtype)
            r = np.empty((len(keep), y.shape[1], self.hybrid.units), self.dtype) if rates else None

            def work(tile, k=k, y=y, r=r):
                at = slice(tile * self.layout.width, (tile + 1) * self.layout.width)
                run = batch.forward(k, tile)
                y[:, at] = batch.read(k, batch.features(run)[keep])
                if r is not None:
                    r[:, at] = batch.unit_rates(run)[keep]

            self._each(work, batch.tiles)
            yield y[:, : trials.n], None if r is None else r[:, : trials.n]

    def _each(self, work, jobs):
        if self._pool is None or jobs == 1:
            for job in range(jobs):
                work(job)
            return
        counter = itertools.count()

        def worker(_):
            while (job := next(counter)) < jobs:
                work(job)

        list(self._pool.map(worker, range(min(self.threads, jobs))))

    def _batch(self, parameters, trials, rule, seed, step, kind, noise, penalties):
        self.hybrid.check(parameters)
        if trials.feedback_inputs:
            raise ValueError(
                f"Task {trials.task.name!r} feeds answers back into the input, which a hybrid can't do yet; train a "
                f"network alone on it."
            )
        if rule.skips.strategic < 1:
            raise ValueError("Strategic skips go over trials within a trial, which a hybrid can't do; leave them out.")
        return _Batch(self, parameters, trials, rule, seed, step, kind, noise, penalties)

    def nets(self, dt):
        """Return the tables of the networks for a time step."""
        if dt not in self._nets:
            self._nets[dt] = Nets(self.hybrid, self.layout, dt)
        return self._nets[dt]

    def cortex(self, trials, driven):
        """Return cortical buffers of so many trials at their start, which nobody writes to."""
        if (trials, driven) not in self._cortices:
            self._cortices[trials, driven] = TrialLanes(
                self.hybrid, list(range(trials)), driven, (), self.dtype, self.hybrid.step, 0, None, None, None
            )
        return self._cortices[trials, driven]

    def desk(self, nets, steps):
        """Return this thread's buffers for the networks."""
        desk = getattr(self._desks, "desk", None)
        if desk is None or desk.steps < steps:
            desk = self._desks.desk = _TrainingDesk(nets, steps)
        desk.nets = nets
        return desk


class _TrainingDesk(Desk):
    """The buffers of a thread in training: those of the networks, the trail of the cortex, and the gradients."""

    def __init__(self, nets, steps):
        super().__init__(nets, steps)
        dtype, row = nets.dtype, nets.row
        self.deltas, self.by_rates = np.zeros((2, (steps + 1) * row + SLACK), dtype)
        self.carry, self.into, self.waiting = np.zeros((3, row + SLACK), dtype)
        self.trail = np.zeros(0, dtype)

    def trail_of(self, size):
        """Return room for the trail."""
        if self.trail.size < size:
            self.trail = np.zeros(size, self.nets.dtype)
        return self.trail


class _Batch:
    """A batch of trials, and what one does with it."""

    def __init__(self, passes, parameters, trials, rule, seed, step, kind, noise, penalties):
        hybrid, self.passes, self.parameters, self.trials = passes.hybrid, passes, parameters, trials
        self.hybrid, self.rule, self.seed, self.noise, self.penalties = hybrid, rule, seed, noise, penalties
        self.layout, self.dtype, self.module = passes.layout, passes.dtype, passes._module
        self.width = self.layout.width
        self.tiles = -(-trials.n // self.width)
        self.nets = passes.nets(trials.dt)
        self.reals = self.nets.reals if noise else self.nets.reals * 0
        self.substeps = _checks.whole_steps("network.dt", trials.dt, hybrid.step)
        self.which = np.minimum(np.arange(self.tiles * self.width), trials.n - 1)
        # Numbers that no other step has; evaluation has seeds of its own
        self.numbers = (step * trials.n + np.arange(trials.n)) % 2**32
        self.key = (seed + (2**63 if kind == EVALUATION else 0)) % 2**64
        names = list(trials.task.inputs)
        self.drives = [(d, names.index(d.channel)) for d in hybrid.drives]
        self.direct = [names.index(c) for c in hybrid.direct(trials.task)]
        self.weights = [self.nets.weights(parameters, k) for k in range(parameters.networks)]
        lengths = np.asarray(trials.lengths, np.int64)
        self.time = _Time(
            np.repeat(np.arange(len(lengths)), lengths), np.concatenate([np.arange(n) for n in lengths]), trials.steps
        )
        warmup = np.arange(trials.warmup)
        self.warmup = _Time(0 * warmup, warmup, trials.warmup)
        self._drives()

    def _drives(self):
        """Set what the task's drives give, (trial, epoch, place), in the trials and in their warm-up."""
        driven = tuple(dict.fromkeys((d.area, d.input) for d, _ in self.drives))
        self.cortex = self.passes.cortex(self.trials.n, driven)
        self.keys = self.cortex._noise_keys(self.numbers.astype(np.uint32), self.hybrid.areas)
        self.drive = np.zeros((self.trials.n, len(self.trials.lengths), len(driven)))
        self.warmup_drive = np.zeros((self.trials.n, 1, len(driven)))
        for drive, channel in self.drives:
            at = driven.index((drive.area, drive.input))
            self.drive[:, :, at] += drive.amplitude * self.trials.inputs_by_epoch[:, :, channel].T
            self.warmup_drive[:, 0, at] += drive.amplitude * self.trials.warmup_inputs[:, channel]
        self.drive *= self.cortex.scale
        self.warmup_drive *= self.cortex.scale

    # ---- Forwards

    def forward(self, k, tile):
        """Run a tile of trials under network k; return the buffers it has left behind."""
        lanes, desk = self.cortex, self.passes.desk(self.nets, max(self.time.steps, self.warmup.steps))
        buffer = lanes._buffer[tile : tile + 1].copy()
        trials = self.numbers[self.which[tile * self.width : (tile + 1) * self.width]]
        desk.start(self.module, self.weights[k], trials, self.key, k)
        put_rates(buffer[0], desk, self.nets, self.layout)
        tables = lanes._tables[tile : tile + 1].ravel()
        keys = self.keys[tile : tile + 1].ravel()
        run = _Run(desk, buffer, tables, keys, tile, k)
        if self.warmup.steps:
            ext = self._ext(k, tile, self.trials.warmup_inputs[np.newaxis])
            self._advance(run, self.warmup, ext, self.warmup_drive, 0, 0, False)
            desk.go_on(self.warmup.steps)
        ext = self._ext(k, tile, self.trials.inputs_by_epoch)
        self._advance(run, self.time, ext, self.drive, self.warmup.steps, self.rule.skips.every, True)
        return run

    def _ext(self, k, tile, inputs):
        """Return bias and direct inputs of all networks in each epoch, (epoch, row)."""
        nets = self.nets
        out = np.repeat(self.weights[k]["bias"][np.newaxis], len(inputs), axis=0)
        trial = self.which[tile * self.width : (tile + 1) * self.width]
        for e, (area, embedding) in enumerate(self.hybrid.embedded.items()):
            if embedding.network.inputs:
                W_in = self.parameters.of(f"W_in {area}")[k]
                row = out[:, nets.rows_of(e)].reshape(len(inputs), self.width, -1)
                row[:, :, embedding.network.receiving] += inputs[:, trial][:, :, self.direct] @ W_in.T
        return np.concatenate([out.ravel(), np.zeros(SLACK, self.dtype)])[: out.size].reshape(out.shape)

    def _advance(self, run, time, ext, drive, first, skip, stored):
        lanes, desk, nets, m = self.cortex, run.desk, self.nets, self.substeps
        w, real, beta, lead = self.weights[run.k], self.dtype.type, self.rule.skips.beta, self.rule.skips.lead
        n = time.steps * m
        fields = len(self.layout.state) + len(self.layout.longrange) + self.layout.kept_noise
        keep = stored and (self.passes.cortical or self.passes.far)
        trail = desk.trail_of((n + 1) * lanes.blocks * fields * self.width if keep else 0)
        own = drive[self.which[run.tile * self.width : (run.tile + 1) * self.width]]
        run.row_of = np.repeat(time.epochs, m)
        run.drive = own
        noise_kind = 1 if self.noise and self.layout.noise else 0
        self.module.forward(
            run.buffer.ravel(), run.tables, lanes._weights, run.keys,
            np.uint32(self.key & 0xFFFFFFFF), np.uint32(self.key >> 32), real(self.hybrid.step), self.width,
            lanes.n_areas, lanes.blocks, lanes._draws, 0, first * m, 0, n, noise_kind, np.zeros((1, 0, 0, 0)),
            lanes._driven, own, run.row_of, n + 1, lanes._recorded, np.zeros((0, 0, 0, 0), self.dtype), trail, keep,
            nets.table, self.reals, nets.which, nets.kinds, nets.sources, nets.rows, nets.tables.ravel(),
            desk.collected, w["W_t"], w["P"], w["read"], ext, time.epochs, time.local, desk.streams, desk.pushed,
            desk.states, desk.rates, desk.targets, nets.leak, desk.noise, desk.keys, desk.ahead, desk.held, desk.heard,
            skip, real(beta), real(lead), self.rule.skips.stale, m, 0, first, desk.steps,
        )  # fmt: skip

    def features(self, run):
        """Return what the outputs are read from after each step, (step, trial, feature)."""
        found, steps = [], self.time.steps
        for area in self.hybrid.readout:
            if area in self.hybrid.embedded:
                e = list(self.hybrid.embedded).index(area)
                path = self.nets.path_of(run.desk.rates, e, run.desk.steps + 1)
                found.append(path[1 : steps + 1][:, :, self.hybrid.embedded[area].excitatory])
            else:
                for name in self.hybrid.circuit.excitatory:
                    found.append(self._far_rate(run, area, name)[:, :, np.newaxis] / READ_RATE)
        return np.concatenate(found, axis=2)

    def _far_rate(self, run, area, name):
        """Return a rate of an area that follows the circuit after each step, (step, trial)."""
        lanes, n = self.cortex, self.time.steps
        fields = len(self.layout.state) + len(self.layout.longrange) + self.layout.kept_noise
        trail = run.desk.trail[: (n * self.substeps + 1) * lanes.blocks * fields * self.width]
        trail = trail.reshape(-1, lanes.blocks, fields, self.width)
        return trail[self.substeps :: self.substeps, self.hybrid.areas.index(area), self.layout.state.index(name)]

    def unit_rates(self, run):
        """Return the rates of all units after each step, (step, trial, unit)."""
        found = []
        for e in range(len(self.nets.table)):
            path = self.nets.path_of(run.desk.rates, e, run.desk.steps + 1)
            found.append(path[1 : self.time.steps + 1][:, :, : self.nets.of(e, "UNITS")])
        return np.concatenate(found, axis=2)

    def read(self, k, features):
        """Return the outputs of features (..., feature)."""
        y = features @ self.parameters.of("W_out")[k].T + self.parameters.of("bias_out")[k]
        if self.hybrid.kind == "sigmoid":
            return 1 / (1 + np.exp(-y))
        if self.hybrid.kind == "softmax":
            y = np.exp(y - y.max(axis=-1, keepdims=True))
            return y / y.sum(axis=-1, keepdims=True)
        return y

    # ---- Backwards

    def back(self, k, tile):
        """Return the loss of a tile, and its gradient by name."""
        run = self.forward(k, tile)
        features = self.features(run)
        value, slopes, gradient = self._loss(run, features)
        desk, nets, m = run.desk, self.nets, self.substeps
        steps = self.time.steps
        row = nets.row
        desk.by_rates[: (desk.steps + 1) * row] = 0
        value += self._share_out(run, slopes)
        by_feature, feature_at = self._far_slopes(slopes)
        lanes, dtype = self.cortex, self.dtype
        n_state, width = len(self.layout.state), self.width
        n_epochs = len(self.trials.lengths)
        d_ext = np.zeros(n_epochs * row + SLACK, dtype)[: n_epochs * row].reshape(n_epochs, row)
        dW, dP = (np.zeros(nets.total[name] + SLACK, dtype) for name in ("W_AT", "P_AT"))
        told = np.zeros(steps * len(nets.table) * TOLD * width, dtype)
        for buffer in (desk.carry, desk.into, desk.waiting):
            buffer[:] = 0
        w, real, skips = self.weights[k], dtype.type, self.rule.skips
        back_weights = [np.asarray(self.hybrid.weights()[name]) for name in self.layout.matrices]
        self.module.backward(
            run.buffer.ravel(), run.tables, np.array(back_weights, dtype).ravel(), real(self.hybrid.step), width,
            lanes.n_areas, lanes.blocks, lanes._draws, 0, steps * m, lanes._driven, run.drive, run.row_of, desk.trail,
            self.passes.cortical, self.passes.credit == "full", by_feature, feature_at,
            np.zeros(lanes.blocks * n_state * width, dtype),
            np.zeros(max(len(self.layout.longrange), 1) * lanes.blocks * width, dtype),
            nets.table, nets.which, nets.kinds, nets.sources, nets.rows, nets.tables.ravel(), w["W"],
            w["P_t"], w["read_t"], self.time.epochs, self.time.local, desk.streams, desk.by_rates, desk.rates,
            desk.targets, nets.leak, desk.carry, desk.into, desk.deltas, d_ext, desk.waiting,
            np.zeros(len(nets.table) * TOLD * width, dtype), told, desk.pushed,
            np.zeros(nets.total["FIRST"] * width, dtype), skips.every, real(skips.beta), real(skips.lead), skips.stale,
            m, steps, desk.steps, dW, dP,
        )  # fmt: skip
        return value, gradient | self._of_weights(run, d_ext, dW, dP, told)

    def _loss(self, run, features):
        """Return the loss of a tile, its gradient for the features, and that for the read-out."""
        trials, k, task_loss = self.trials, run.k, self.hybrid.kind
        real = np.arange(run.tile * self.width, (run.tile + 1) * self.width) < trials.n
        which = self.which[run.tile * self.width : (run.tile + 1) * self.width]
        W_out = self.parameters.of("W_out")[k]
        slopes, dW = np.zeros(features.shape, self.dtype), np.zeros(W_out.shape, self.dtype)
        d_bias, value = np.zeros(len(W_out), self.dtype), 0.0
        for window, share in zip(trials.windows, loss.window_weights(self.as_network, trials), strict=True):
            z = features[window.start : window.stop]
            y, target = self.read(k, z), window.target[which].astype(self.dtype)
            if task_loss == "softmax":
                value -= share * float(
                    (target * np.log(np.maximum(y, np.finfo(self.dtype).tiny)) * real[:, None]).sum()
                )
                error = share * (y - target)
            else:
                error = share * (y - target)
                value += 0.5 * float((error * (y - target) * real[:, None]).sum(dtype=np.float64))
                if task_loss == "sigmoid":
                    error = error * y * (1 - y)
            error = (error * real[:, None]).astype(self.dtype)
            slopes[window.start : window.stop] = error @ W_out
            flat = error.reshape(-1, error.shape[2])
            dW += flat.T @ z.reshape(-1, z.shape[2])
            d_bias += flat.sum(axis=0)
        return value, slopes, {"W_out": dW, "bias_out": d_bias}

    @property
    def as_network(self):
        """What `loss.window_weights` asks of a network."""
        return _Readout(self.hybrid.kind, len(self.hybrid.outputs), self.hybrid.units)

    def _share_out(self, run, slopes):
        """Give the units' rates their gradient, that of the penalty on activity too; return the penalty."""
        first, paid, steps = 0, 0.0, self.time.steps
        real = np.arange(run.tile * self.width, (run.tile + 1) * self.width) < self.trials.n
        for area in self.hybrid.readout:
            if area in self.hybrid.embedded:
                e, units = list(self.hybrid.embedded).index(area), self.hybrid.embedded[area].excitatory
                path = self.nets.path_of(run.desk.by_rates, e, run.desk.steps + 1)
                path[:steps, :, units] = slopes[:, :, first : first + len(units)]
                first += len(units)
            else:
                first += len(self.hybrid.circuit.excitatory)
        if self.penalties is not None and self.penalties.activity > 0:
            prices = loss.activity_penalties(self.as_network, self.trials, self.penalties)
            each = prices[self.time.epochs][:, np.newaxis, np.newaxis] * real[:, np.newaxis]
            for e in range(len(self.nets.table)):
                units = self.nets.of(e, "UNITS")
                r = self.nets.path_of(run.desk.rates, e, run.desk.steps + 1)[1 : steps + 1][:, :, :units]
                path = self.nets.path_of(run.desk.by_rates, e, run.desk.steps + 1)
                path[:steps, :, :units] += each * np.sign(r)
                paid += float((each * np.abs(r)).sum())
        return paid

    def _far_slopes(self, slopes):
        """Return the gradient for the rates of areas that follow the circuit, and where these rates lie."""
        first, found, at = 0, [], []
        n_state, width = len(self.layout.state), self.width
        for area in self.hybrid.readout:
            if area in self.hybrid.embedded:
                first += len(self.hybrid.embedded[area].excitatory)
                continue
            block = self.hybrid.areas.index(area)
            for name in self.hybrid.circuit.excitatory:
                found.append(slopes[:, :, first] / READ_RATE)
                at.append((block * n_state + self.layout.state.index(name)) * width)
                first += 1
        values = np.stack(found, axis=1) if found else np.zeros((len(slopes), 0, width))
        return np.ascontiguousarray(values, self.dtype).ravel(), np.array(at, np.int64)

    def _of_weights(self, run, d_ext, dW, dP, told):
        """Return the gradients for the weights of the networks, by name."""
        out, nets, steps = {}, self.nets, self.time.steps
        trial = self.which[run.tile * self.width : (run.tile + 1) * self.width]
        told = told.reshape(steps, len(nets.table), TOLD, self.width)
        for e, (area, embedding) in enumerate(self.hybrid.embedded.items()):
            units = nets.of(e, "UNITS")
            out[f"W_rec {area}"] = nets.part_of(dW, e, "W")[:units, :units]
            out[f"into {area}"] = nets.part_of(dP, e, "P")[: nets.of(e, "CHANNELS"), :units].T
            drive = d_ext[:, nets.rows_of(e)].reshape(len(d_ext), self.width, -1)[:, :, :units]
            out[f"bias {area}"] = drive.sum(axis=(0, 1))
            if embedding.network.inputs:
                u = self.trials.inputs_by_epoch[:, trial][:, :, self.direct].astype(self.dtype)
                out[f"W_in {area}"] = np.einsum("eti,etc->ic", drive[:, :, embedding.network.receiving], u)
            if "omega" in embedding.trained:
                r = nets.path_of(run.desk.rates, e, run.desk.steps + 1)[1 : steps + 1][:, :, :units]
                n = len(self.hybrid.circuit.excitatory)
                out[f"omega {area}"] = embedding.rate * np.einsum("sqt,stu->qu", told[:, e, :n], r)
        return out


class _Run:
    """What a forward pass has left behind."""

    def __init__(self, desk, buffer, tables, keys, tile, k):
        self.desk, self.buffer, self.tables, self.keys, self.tile, self.k = desk, buffer, tables, keys, tile, k


class _Readout(NamedTuple):
    readout: str
    outputs: int
    units: int
