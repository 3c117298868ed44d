"""Training: one loop for all methods."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.rnn import checkpoint as checkpoints
from cortexsim.rnn.learner import Learner, Runner, Stack
from cortexsim.rnn.loss import Penalties
from cortexsim.rnn.network import Array
from cortexsim.rnn.optimizer import Adam, Optimizer, norms
from cortexsim.rnn.passes import parts_of
from cortexsim.rnn.rules import BPTT, Annealing, Rule

if TYPE_CHECKING:
    from cortexsim.tasks.task import Task, Trials

_FRESH = 2**64  # between the seeds of the trials of training and of evaluation, which would else be the same


class TrainingDiverged(FloatingPointError):
    """Loss or gradient of a network became infinite or NaN; where diverged networks are dropped, that of the last one.

    Attributes
    ----------
    network, step
        Where and when.
    norm
        Length of the network's gradient in the last step at which all was well.
    """

    def __init__(self, network: int, step: int, norm: float, rate: float, kept: str) -> None:
        self.network, self.step, self.norm = network, step, norm
        super().__init__(
            f"The gradient of network {network} became non-finite at step {step}, after a norm of {norm:.3g}; clip it "
            f"(`clip_norm` of the optimizer), or lower the learning rate of {rate:g}.{kept}"
        )


class Progress(NamedTuple):
    """How training goes, at an evaluation.

    Parameters
    ----------
    step
        Training steps done.
    loss
        Mean over the steps since the last evaluation, (network,).
    performance
        Under the true dynamics, (network,).
    norm
        Of the gradient of the last step, (network,). As loss and performance it is NaN for networks that diverged.
    rule
        Of the last step.
    parameters
        Of the stack.
    """

    step: int
    loss: Array
    performance: Array
    norm: Array
    rule: Rule
    parameters: Stack


@dataclass(frozen=True, eq=False)
class Training:
    """What training gave.

    Parameters
    ----------
    network
        The network.
    parameters
        Of the stack, after the last step.
    history
        Dataset (step, network): `loss` (mean since the record before), `performance` under the true dynamics and `norm`
        of the gradient, all NaN once a network has diverged; `beta` (step), the share of the ordinary state in a mix,
        and `time_scale` (step); `diverged` (network), the step at which it did, NaN for all others.
    step
        Training steps done.
    stopped
        Why: "goal", "steps" or "callback".
    """

    network: Learner
    parameters: Stack
    history: xr.Dataset
    step: int
    stopped: Literal["goal", "steps", "callback"]


def train(
    network: Learner,
    task: Task,
    parameters: Stack,
    rule: Rule | Annealing | None = None,
    *,
    steps: int = 40_000,
    trials: int = 20,
    optimizer: Optimizer | None = None,
    penalties: Penalties | None = None,
    credit: str | None = None,
    seed: int = 0,
    evaluate_every: int = 100,
    evaluation_trials: int = 200,
    goal: float | None = 0.99,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 500,
    callbacks: Sequence[Callable[[Progress], object]] = (),
    diverged: Literal["stop", "drop"] = "stop",
    progress: bool = False,
    threads: int | None = None,
) -> Training:
    """Train a stack of networks on a task.

    All networks see the same trials, new ones in each step; their weights and their noise are their own. The same
    arguments give the same weights, whether training runs through or goes on from a checkpoint.

    Parameters
    ----------
    network, parameters
        The stack to start from, see `initialise`; its precision, float32 or float64, is that of training.
    task
        Draws the trials and judges the outputs.
    rule
        Method, or `Annealing` of one; None: BPTT().
    steps
        At most so many training steps.
    trials
        In each step.
    optimizer
        None: Adam() with the paper's learning rate, .1 / units.
    penalties
        None: Penalties().
    credit
        For areas of a `Hybrid`, through what the gradient goes: "area", "open_loop" or "full"; see there.
    seed
        Of trials and noise.
    evaluate_every, evaluation_trials
        After so many steps so many fresh trials, without jitter, are run under the true dynamics with noise.
    goal
        Training stops when the mean performance of the networks that rank from 10 to 90 percent reaches it; None:
        never.
    checkpoint
        A file. If it exists, training goes on from there; it is written every `checkpoint_every` steps and at the end.
    callbacks
        Called with a `Progress` at each evaluation; training stops if one returns True.
    diverged
        When the loss or gradient of a network is not finite, "stop", or "drop" the network and go on with the others:
        its weights stay as they are at that step, and its performance counts as 0 for the goal. A training that
        stopped goes on from its checkpoint with "drop".
    progress
        Whether to show steps, loss, performance and beta in a bar.
    threads
        None: one for each processor.

    Returns
    -------
    Training

    Raises
    ------
    TrainingDiverged
        If a loss or gradient is not finite, with "drop" those of all networks; a checkpoint written before stays.
    FileNotFoundError
        If the folder of the checkpoint does not exist.
    ValueError, TypeError
        If arguments do not fit each other, or the checkpoint is of another training.

    References
    ----------
    Soo, Goudar & Wang, NeurIPS 2023: the defaults, but for the evaluation, there every 10 steps.
    """
    from tqdm import tqdm

    _check_fit(network, task, parameters)
    run = _Run(
        network=network,
        task=task,
        schedule=_schedule(rule),
        trials=_checks.check_count("trials", trials),
        optimizer=Adam(learning_rate=0.1 / network.units) if optimizer is None else optimizer,
        penalties=Penalties() if penalties is None else penalties,
        credit=credit,
        seed=_checks.check_count("seed", seed, least=0),
        evaluate_every=_checks.check_count("evaluate_every", evaluate_every),
        evaluation_trials=_checks.check_count("evaluation_trials", evaluation_trials),
    )
    _checks.check_known(diverged, ("stop", "drop"), what="way to go on", where="`diverged`")
    steps = _checks.check_count("steps", steps)
    checkpoint_every = _checks.check_count("checkpoint_every", checkpoint_every)
    settings = run.settings(parameters)
    if checkpoint is not None and not Path(checkpoint).parent.is_dir():
        raise FileNotFoundError(
            f"The folder of checkpoint {os.fspath(checkpoint)!r} must exist, but does not; make it."
        )
    found = None if checkpoint is None else checkpoints.load(checkpoint, settings, parameters)
    kept = "" if checkpoint is None else f" What was reached before is kept in {os.fspath(checkpoint)!r}."
    stopped: Literal["goal", "steps", "callback"] = "steps"
    with (
        network.passes(parameters[0].dtype, threads, credit) as passes,
        tqdm(total=steps, unit="step", disable=not progress) as bar,
    ):
        state = found or run.start(parameters, parts_of(run.trials, len(parameters[0]), passes.threads))
        bar.update(state.step)
        bar.set_description(None if passes.compiled else "compiling, once")
        norm = np.full(len(parameters[0]), np.nan)
        if run.reached(state, goal):
            stopped = "goal"
        while state.step < steps and stopped == "steps":
            state, norm = run.step(passes, state, norm, diverged == "drop", kept)
            bar.set_description(None, refresh=False)
            bar.update()
            if state.step % run.evaluate_every == 0:
                now = run.evaluate(passes, state, norm)
                state = run.record(state, now)
                bar.set_postfix(_summary(now))
                for callback in callbacks:
                    if callback(now) is True:
                        stopped = "callback"
                if run.reached(state, goal):
                    stopped = "goal"
            last = state.step == steps or stopped != "steps"
            if checkpoint is not None and (last or state.step % checkpoint_every == 0):
                checkpoints.save(checkpoint, state, settings)
    return Training(network, state.parameters, run.history(state), state.step, stopped)


def evaluate(
    network: Learner,
    task: Task,
    parameters: Stack,
    rule: Rule | None = None,
    *,
    trials: int = 200,
    seed: int = 0,
    step: int = 0,
    noise: bool = True,
    threads: int | None = None,
) -> Array:
    """Return how well each network does on fresh trials without jitter.

    Parameters
    ----------
    network, task, parameters
        The stack and what it is to do.
    rule
        Under whose dynamics; None: the true ones.
    trials
        How many.
    seed, step
        Of trials and noise; with those of a training, the trials are those of its evaluation after that step.
    noise
        Whether there is noise, if the network has any.
    threads
        None: one for each processor.

    Returns
    -------
    performance
        See the task; shape (network,).
    """
    _check_fit(network, task, parameters)
    with network.passes(parameters[0].dtype, threads, None) as passes:
        return _performance(
            network.dt, passes, task, parameters, BPTT() if rule is None else rule, trials, seed, step, noise
        )


def run(
    network: Learner,
    parameters: Stack,
    trials: Trials,
    rule: Rule | None = None,
    *,
    seed: int = 0,
    noise: bool = True,
    threads: int | None = None,
) -> xr.Dataset:
    """Return what networks do in given trials.

    Parameters
    ----------
    network, parameters
        The stack.
    trials
        Drawn from a task, with the network's time step, or under CD with `skip` times that.
    rule
        Under whose dynamics; None: the true ones.
    seed
        Of the noise.
    noise
        Whether there is noise, if the network has any.
    threads
        None: one for each processor.

    Returns
    -------
    Dataset (network, trial, time, output, unit)
        `outputs` (network, trial, time, output) and `rates` (network, trial, time, unit) after each step; `time` in ms
        from the end of the warm-up; `epoch` names the epoch of each step.
    """
    rule = BPTT() if rule is None else rule
    _check_fit(network, trials.task, parameters)
    wanted = network.dt * rule.time_scale
    if not math.isclose(trials.dt, wanted):
        raise ValueError(
            f"Trials must have the time step {wanted:g} ms, but have {trials.dt:g} ms; draw them with dt=."
        )
    with network.passes(parameters[0].dtype, threads, None) as passes:
        found = list(passes.outputs(parameters, trials, rule, seed=seed, noise=noise, rates=True))
    outputs = np.stack([y for y, _ in found]).swapaxes(1, 2)
    rates = np.stack([r for _, r in found if r is not None]).swapaxes(1, 2)
    return xr.Dataset(
        {
            "outputs": (("network", "trial", "time", "output"), outputs, {"units": "1", "long_name": "output"}),
            "rates": (("network", "trial", "time", "unit"), rates, {"units": "1", "long_name": "rate"}),
        },
        coords={
            "network": np.arange(len(parameters[0])),
            "trial": np.arange(trials.n),
            "time": ("time", (np.arange(trials.steps) + 1) * trials.dt, {"units": "ms", "long_name": "time"}),
            "output": list(trials.task.outputs),
            "unit": np.arange(network.units),
            "epoch": ("time", np.repeat(trials.epochs, trials.lengths)),
        },
        attrs={"task": trials.task.name, "dt_ms": trials.dt, "rule": repr(rule), "seed": seed, "noise": int(noise)},
    )


def trimmed_mean(performance: Array) -> float:
    """Return the mean `performance` of the networks that rank from 10 to 90 percent; a tenth at either end is out.

    NaN, of a network that diverged, counts as 0.
    """
    ranked = np.sort(np.nan_to_num(performance, nan=0.0))
    out = len(ranked) // 10
    return float(ranked[out : len(ranked) - out].mean())


@dataclass(frozen=True)
class _Run:
    """The settings of a training, and what one does with them."""

    network: Learner
    task: Task
    schedule: Rule | Annealing
    trials: int
    optimizer: Optimizer
    penalties: Penalties
    credit: str | None
    seed: int
    evaluate_every: int
    evaluation_trials: int

    def settings(self, parameters: Stack) -> dict[str, Any]:
        """Return what must be the same when training goes on."""
        digest = hashlib.sha256()
        for values in parameters:
            digest.update(repr((values.shape, values.dtype.str)).encode() + np.ascontiguousarray(values).tobytes())
        return {f.name: repr(getattr(self, f.name)) for f in fields(self)} | {"parameters": digest.hexdigest()}

    def rule_at(self, step: int) -> Rule:
        """Return the rule of a training step."""
        return self.schedule.at(step) if isinstance(self.schedule, Annealing) else self.schedule

    def start(self, parameters: Stack, parts: int) -> checkpoints.State:
        """Return the state before the first step."""
        n = len(parameters[0])
        records: dict[str, Array] = {name: np.zeros((0, n)) for name in ("loss", "performance", "norm")}
        records |= {name: np.zeros(0) for name in ("step", "beta", "time_scale")}
        settled = self.network.settled(parameters)
        return checkpoints.State(
            0, settled, self.optimizer.start(settled), records, np.zeros(n), parts, np.full(n, np.nan)
        )

    def step(
        self, passes: Runner, state: checkpoints.State, norm: Array, drop: bool, kept: str
    ) -> tuple[checkpoints.State, Array]:
        """Return the state after one more step, and the norm of its gradient."""
        k, rule = state.step, self.rule_at(state.step)
        batch = self.task.trials(self.trials, seed=self.seed, step=k, dt=self.network.dt * rule.time_scale)
        losses, gradient = passes.gradients(
            state.parameters, batch, rule, penalties=self.penalties, seed=self.seed, step=k, parts=state.parts
        )
        found = norms(gradient)
        before = np.isfinite(state.diverged)
        bad = ~(np.isfinite(losses) & np.isfinite(found)) & ~before
        out = before | bad
        rate = self.optimizer.rate(k)
        if bad.any() and (out.all() or not drop):
            which = int(bad.argmax())
            raise TrainingDiverged(which, k, float(norm[which]), rate, kept)
        moments = state.moments
        if isinstance(self.schedule, Annealing) and self.schedule.starts_anew(k):
            moments = self.optimizer.start(state.parameters)
        if out.any():
            losses, found = np.where(out, np.nan, losses), np.where(out, np.nan, found)
            gradient = _without(gradient, out)
            moments = moments._replace(first=_without(moments.first, out), second=_without(moments.second, out))
        parameters, moments = self.optimizer.update(
            state.parameters, self.optimizer.clipped(gradient, np.nan_to_num(found)), moments, rate
        )
        if self.network.constrained:
            parameters = self.network.settled(parameters)
        return replace(
            state,
            step=k + 1,
            parameters=parameters,
            moments=moments,
            losses=state.losses + losses,
            diverged=np.where(bad, k, state.diverged),
        ), found

    def evaluate(self, passes: Runner, state: checkpoints.State, norm: Array) -> Progress:
        """Return how training goes."""
        performance = _performance(
            self.network.dt,
            passes,
            self.task,
            state.parameters,
            BPTT(),
            self.evaluation_trials,
            self.seed,
            state.step,
            True,
            np.isfinite(state.diverged),
        )
        rule = self.rule_at(state.step - 1)
        return Progress(state.step, state.losses / self.evaluate_every, performance, norm, rule, state.parameters)

    def record(self, state: checkpoints.State, now: Progress) -> checkpoints.State:
        """Return the state with one more record."""
        skips = now.rule.skips
        row = {
            "step": now.step,
            "loss": now.loss,
            "performance": now.performance,
            "norm": now.norm,
            "beta": skips.beta,
            "time_scale": now.rule.time_scale,
        }
        records = {name: np.concatenate([values, [row[name]]]) for name, values in state.records.items()}
        return replace(state, records=records, losses=np.zeros_like(state.losses))

    def reached(self, state: checkpoints.State, goal: float | None) -> bool:
        """Return whether the networks do as well as they should."""
        performance = state.records["performance"]
        return goal is not None and len(performance) > 0 and trimmed_mean(performance[-1]) >= goal

    def history(self, state: checkpoints.State) -> xr.Dataset:
        """Return what was recorded."""
        about = {
            "loss": "mean loss since the last record",
            "performance": "performance under the true dynamics",
            "norm": "norm of the gradient",
            "beta": "share of the ordinary state in a mix",
            "time_scale": "factor of the time step",
        }
        records = state.records
        said: dict[str, Any] = {
            name: (("step", "network")[: records[name].ndim], records[name], {"units": "1", "long_name": text})
            for name, text in about.items()
        }
        said["diverged"] = ("network", state.diverged, {"units": "1", "long_name": "step at which it diverged"})
        return xr.Dataset(
            said,
            coords={"step": records["step"].astype(int), "network": np.arange(len(state.parameters[0]))},
            attrs={"task": self.task.name, "rule": repr(self.schedule), "seed": self.seed},
        )


def _performance(
    dt: float,
    passes: Runner,
    task: Task,
    parameters: Stack,
    rule: Rule,
    n: int,
    seed: int,
    step: int,
    noise: bool,
    without: NDArray[np.bool_] | None = None,
) -> Array:
    """Return how well each network does, NaN for those to do without."""
    scale = dt * rule.time_scale
    trials = task.trials(n, seed=seed + _FRESH, step=step, dt=scale, jitter=False)
    # What lies outside of the windows does not count
    steps = np.concatenate([np.arange(w.start, w.stop) for w in trials.windows])
    outputs = passes.outputs(parameters, trials, rule, seed=seed, step=step, noise=noise, steps=steps)
    skipped = np.zeros(len(parameters[0]), np.bool_) if without is None else without
    return np.array(
        [
            np.nan if skip else task.performance(y[np.newaxis], trials)[0]
            for skip, (y, _) in zip(skipped, outputs, strict=True)
        ]
    )


def _without(values: Stack, out: NDArray[np.bool_]) -> Stack:
    """Return values of a stack with 0 for the networks that are out."""
    return values._make(np.where(out.reshape(-1, *(1,) * (v.ndim - 1)), v.dtype.type(0), v) for v in values)


def _schedule(rule: Rule | Annealing | None) -> Rule | Annealing:
    if rule is None:
        return BPTT()
    if not isinstance(rule, Rule | Annealing):
        raise TypeError(
            f"Argument `rule` must be one of the rules, or Annealing of one, but is {rule!r}; see `rules.ALL`."
        )
    return rule


def _check_fit(network: Learner, task: Task, parameters: Stack) -> None:
    if not hasattr(network, "passes"):
        raise TypeError(
            f"Argument `network` must be a Network, a GatedNetwork or a Hybrid, but is {network!r}; embed networks in "
            f"a model by cortexsim.embed."
        )
    network.check(parameters)
    network.check_task(task)


def _summary(now: Progress) -> dict[str, str]:
    out = {"loss": f"{np.nanmean(now.loss):.4f}", "performance": f"{trimmed_mean(now.performance):.3f}"}
    if now.rule.skips.every:
        out["beta"] = f"{now.rule.skips.beta:.2f}"
    if now.rule.time_scale > 1:
        out["dt"] = f"x {now.rule.time_scale}"
    return out
