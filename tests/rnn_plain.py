"""The slow, obviously right twin of the compiled passes: one network, NumPy, one step after the other.

It takes complex parameters, so that its derivative in a direction d is Im L(p + i h d) / h, exact to the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cortexsim.rnn.buffers import Layout, ends_of_task_trials
from cortexsim.rnn.passes import EVALUATION, TRAINING
from cortexsim.tasks import Draw, Task, TaskEpoch, TaskWindow


def activate(x, name):
    if name == "relu":
        return np.where(x.real > 0, x, 0)
    if name == "tanh":
        return np.tanh(x)
    if name == "softplus":
        return np.log(1 + np.exp(x))
    return 1 / (1 + np.exp(-x))


def magnitude(x):
    """|x|, differentiable off 0 for complex steps."""
    return np.where(x.real < 0, -x, x)


def random_step(keys, tick):
    """The numbers of the compiled noise, from two words (2, trial, unit)."""
    x = (keys[0] + keys[1] * np.uint32(tick)).astype(np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> np.uint32(shift))) * np.uint32(factor)).astype(np.uint32)
    x = x ^ (x >> np.uint32(16))
    total = sum((x >> np.uint32(4 * k)) & np.uint32(15) for k in range(8))
    return (total.astype(float) - 60) * 0.07669649888473704


def start_noise(passes, trials, k, seed, step, purpose):
    """eta_0 (trial, unit) and the words of the noise of network k."""
    layout = Layout(passes.network, trials, passes.dtype)
    eta, keys = layout.zeros(layout.row), np.zeros(2 * layout.row, np.uint32)
    words = (np.uint32(step), np.uint32(k | purpose << 28), np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32))
    passes._loops.start_noise(eta, keys, layout.row, layout.lines, *words)
    units = passes.network.units
    return (
        eta.reshape(trials, -1)[:, :units].astype(float),
        keys.reshape(2, trials, -1)[:, :, :units],
    )


def run(network, p, trials, rule, noise=None):
    """Rates (time, trial, unit) and outputs (time, trial, output) of one network; p without the network axis."""
    skips, dt = rule.skips, trials.dt
    a = network.leak(dt)
    keep, kick = 1 - dt / network.tau_noise, np.sqrt(2 * dt / network.tau_noise)
    eta, keys = noise if noise is not None else (0.0, None)
    into, read_units, rate_form = network.receiving, network.read, network.form == "rate"
    tick = 0

    def rate(x):
        return x if rate_form else activate(x, network.activation)

    def logits_of(x):
        return rate(x)[:, read_units] @ p.W_out.T + p.bias_out

    def epoch(x, inputs, length, last_of_trial, v):
        nonlocal eta, tick
        drive = np.zeros((trials.n, network.units), dtype=p.W_rec.dtype) + p.bias
        drive[:, into] += inputs @ p.W_in.T
        u, states = None, []
        for local in range(length):
            y = rate(x) @ p.W_rec.T + drive
            if keys is not None:
                y = y + network.noise * eta
                eta = keep * eta + kick * random_step(keys, tick)
            if rate_form:
                y = activate(y, network.activation)
            du = a * (y - x)
            if u is None:
                u = x + skips.lead * du
            x = x + du
            if skips.every and (local + 1) % skips.every == 0:
                x = skips.beta * x + (1 - skips.beta) * u
                u = x + skips.lead * du if skips.stale else None
            if last_of_trial and local == length - 1:
                x = skips.strategic * x + (1 - skips.strategic) * v
            states.append(x)
            tick += 1
        return states

    x = np.zeros((trials.n, network.units), dtype=p.W_rec.dtype)
    if trials.warmup:
        # No gradient: what came from the warm-up is a constant
        x = epoch(x, trials.warmup_inputs, trials.warmup, False, None)[-1]
        x = x.real.astype(x.dtype)
    states, v, ends = [], x, ends_of_task_trials(trials)
    for k, length in enumerate(trials.lengths):
        inputs = trials.inputs_by_epoch[k]
        if k in trials.feedback_inputs:
            answer = logits_of(states[-1]).real.argmax(axis=1)
            inputs = trials.feedback_inputs[k][answer, np.arange(trials.n)]
        states += epoch(x, inputs, length, bool(ends[k]) and skips.strategic < 1, v)
        x = states[-1]
        if ends[k]:
            v = x
    return np.array([rate(x) for x in states]), read(network, np.array([logits_of(x) for x in states]))


def read(network, logits):
    """Outputs (time, trial, output)."""
    if network.readout == "sigmoid":
        return 1 / (1 + np.exp(-logits))
    if network.readout == "softmax":
        e = np.exp(logits - logits.real.max(axis=2, keepdims=True))
        return e / e.sum(axis=2, keepdims=True)
    return logits


def loss(network, p, trials, rule, penalties, noise=None, run=run):
    rates, y = run(network, p, trials, rule, noise)
    total = 0.0
    for w in trials.windows:
        inside = y[w.start : w.stop]
        if network.readout == "softmax":
            total = total - w.weight * (w.target * np.log(inside)).sum(axis=2).mean()
        else:
            total = total + w.weight * ((inside - w.target) ** 2).mean()
    counted = np.repeat(
        trials.penalised if trials.penalised.size else np.ones(len(trials.lengths), bool), trials.lengths
    )
    if counted.any():
        total = total + penalties.activity * magnitude(rates[counted]).mean()
    return total + penalties.weights * magnitude(p.W_rec).mean()


@dataclass(frozen=True, kw_only=True)
class Tiny(Task):
    """Two task-trials of three short epochs each; whatever the numbers are, they are the task."""

    warmup: float = 35.0
    grace: float = 10.0
    jitter: float = 15.0
    classes: bool = False
    answers_back: bool = False

    name: ClassVar[str] = "tiny"
    inputs: ClassVar = ("a", "b", "c")
    outputs: ClassVar = ("x", "y", "z")
    draws: ClassVar = 1 + 18 + 9

    @property
    def loss(self):
        return "cross_entropy" if self.classes else "squared_error"

    @property
    def epochs(self):
        one = (TaskEpoch("look", 60.0, self.jitter), TaskEpoch("wait", 115.0), TaskEpoch("act", 45.0))
        return one + one

    @property
    def task_trials(self):
        return (0, 3)

    @property
    def windows(self):
        return (TaskWindow("pre", 0, 1), TaskWindow("post", 2, 2, 2.0), TaskWindow("end", 4, 5, 0.5))

    @property
    def penalised(self):
        return (True, True, False, True, True, True)

    def draw(self, u):
        n = u.shape[1]
        inputs = u[1:19].T.reshape(n, 6, 3).swapaxes(0, 1) * 2 - 1
        targets = u[19:].T.reshape(n, 3, 3).swapaxes(0, 1)
        if self.classes:
            targets = np.eye(3)[targets.argmax(axis=2)]
        feedback = {}
        if self.answers_back:
            inputs = inputs.copy()
            inputs[[1, 4]] = 0
            choices = np.repeat(np.eye(3)[:, np.newaxis] * 2, n, axis=1)
            feedback = {1: choices, 4: -choices}
        return Draw(inputs, targets, {}, warmup=u[1:4].T.copy(), feedback=feedback)


__all__ = ["EVALUATION", "TRAINING", "Tiny", "loss", "random_step", "read", "run", "start_noise"]
