"""What a task is: epochs, the random draw of its trials, and how well a network does; and the trials it makes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks

Floats = NDArray[np.float64]
Loss = Literal["squared_error", "cross_entropy"]


class TaskEpoch(NamedTuple):
    """A stretch of a trial in which the input is constant.

    Parameters
    ----------
    name
        "fixation", "stimulus", "delay", "response", ...
    duration
        In ms.
    jitter
        In training the length is uniform in [duration - jitter, duration + jitter), in whole steps; ms.
    """

    name: str
    duration: float
    jitter: float = 0.0


class TaskWindow(NamedTuple):
    """Where outputs are compared with a target: from `Task.grace` after the start of one epoch to the end of another.

    Parameters
    ----------
    name
        "pre", "post", ...
    first, last
        Positions of the epochs in `Task.epochs`; both may be the same.
    weight
        Of the window's mean in the loss.
    """

    name: str
    first: int
    last: int
    weight: float = 1.0


class Draw(NamedTuple):
    """What one random draw gives; see `Task.draw`.

    Parameters
    ----------
    inputs
        Shape (epoch, trial, input).
    targets
        Shape (window, trial, output).
    labels
        What happened in each trial: arrays (trial,) or (trial, window), by name.
    warmup
        Input during the warm-up, shape (trial, input); zero by default.
    feedback
        Inputs that depend on what the network answered, by position of the epoch they belong to: shape
        (output, trial, input). See `Trials.feedback`.
    """

    inputs: Floats
    targets: Floats
    labels: Mapping[str, NDArray[Any]]
    warmup: Floats | None = None
    feedback: Mapping[int, Floats] | None = None


@dataclass(frozen=True, eq=False)
class Window:
    """Steps [start, stop), counted from the end of the warm-up, in which the outputs have a target (trial, output)."""

    name: str
    start: int
    stop: int
    target: Floats
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Trials:
    """A batch of trials: all of the same length, each with its own input.

    Parameters
    ----------
    task
        Where they come from.
    dt
        Time step in ms.
    epochs
        Their names.
    lengths
        Steps of each epoch, shape (epoch,).
    inputs_by_epoch
        Constant within an epoch, shape (epoch, trial, input).
    warmup
        Steps before the first epoch; no loss counts there.
    warmup_inputs
        Shape (trial, input).
    windows
        Where the outputs are compared with targets, in order of time, without overlap. The loss is
        sum_w weight_w mean_{t in w, trial, output} (y - target)^2, or the same with the cross-entropy
        -sum_output target log softmax(y) in place of the squared error and no mean over outputs: see `Task.loss`.
    labels
        What happened in each trial: arrays (trial,) or (trial, window), by name.
    feedback_inputs
        For tasks whose input depends on the network's own answer: by position of the epoch, the input after each
        possible answer, shape (output, trial, input). Empty for all others. The answer is the largest output at the
        last step of the epoch before; no gradient flows through this choice. `inputs_by_epoch` is zero there.
    """

    task: Task
    dt: float
    epochs: tuple[str, ...]
    lengths: NDArray[np.int64]
    inputs_by_epoch: Floats
    warmup: int
    warmup_inputs: Floats
    windows: tuple[Window, ...]
    labels: Mapping[str, NDArray[Any]]
    feedback_inputs: Mapping[int, Floats] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of trials."""
        return int(self.inputs_by_epoch.shape[1])

    @property
    def steps(self) -> int:
        """Steps of a trial, without the warm-up."""
        return int(self.lengths.sum())

    @property
    def borders(self) -> NDArray[np.int64]:
        """Step at which each epoch starts, and the end of the last, shape (epoch + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def penalised(self) -> NDArray[np.bool_]:
        """Whether a penalty on the activity counts in each epoch, shape (epoch,)."""
        return np.array(self.task.penalised)

    def feedback(self, epoch: int, outputs: NDArray[np.floating[Any]]) -> Floats:
        """Return the input of a feedback epoch, given the outputs at the last step of the epoch before.

        Parameters
        ----------
        epoch
            Position of an epoch in `feedback_inputs`.
        outputs
            Shape (network, trial, output).

        Returns
        -------
        inputs
            Shape (network, trial, input).

        Raises
        ------
        ValueError
            If the epoch has no feedback, or the outputs another shape.
        """
        if epoch not in self.feedback_inputs:
            raise ValueError(
                f"Epoch {epoch} of {self.task.name!r} must give feedback, but those that do are "
                f"{list(self.feedback_inputs)}."
            )
        choices = self.feedback_inputs[epoch]
        if outputs.ndim != 3 or outputs.shape[1:] != (self.n, len(choices)):
            raise ValueError(
                f"Argument `outputs` must have the shape (network, {self.n}, {len(choices)}), but has {outputs.shape}."
            )
        return np.asarray(choices[outputs.argmax(axis=2), np.arange(self.n)])

    def to_dataset(self, which: Sequence[int] | None = None) -> xr.Dataset:
        """Return the trials as labelled arrays over time, without the warm-up.

        Parameters
        ----------
        which
            Positions of the trials; by default all.

        Returns
        -------
        Dataset (trial, time, input, output)
            `inputs` (trial, time, input); `targets` (trial, time, output), NaN outside the windows; `mask` (time), the
            weight of a step in the loss, which sums up to the weights of the windows; `warmup_inputs` (trial, input).
            `time` is in ms from the end of the warm-up, `epoch` names the epoch of each step; the labels are
            coordinates along `trial`.
        """
        task, number = self.task, np.arange(self.n)[slice(None) if which is None else list(which)]
        inputs = np.repeat(self.inputs_by_epoch[:, number], self.lengths, axis=0).transpose(1, 0, 2)
        targets = np.full((len(number), self.steps, len(task.outputs)), np.nan)
        mask = np.zeros(self.steps)
        for window in self.windows:
            targets[:, window.start : window.stop] = window.target[number, np.newaxis]
            mask[window.start : window.stop] = window.weight / (window.stop - window.start)
        warmup = self.warmup_inputs[number]
        labels = {
            name: (
                ("trial", "window")[: np.ndim(label)],
                label[number],
                {"units": task.label_units.get(name, "1"), "long_name": name.replace("_", " ")},
            )
            for name, label in self.labels.items()
        }
        return xr.Dataset(
            {
                "inputs": (("trial", "time", "input"), inputs, {"units": "1", "long_name": "input"}),
                "targets": (("trial", "time", "output"), targets, {"units": "1", "long_name": "target"}),
                "mask": ("time", mask, {"units": "1", "long_name": "weight in the loss"}),
                "warmup_inputs": (("trial", "input"), warmup, {"units": "1", "long_name": "input"}),
            },
            coords={
                "trial": number,
                "time": ("time", np.arange(self.steps) * self.dt, {"units": "ms", "long_name": "time"}),
                "input": list(task.inputs),
                "output": list(task.outputs),
                "epoch": ("time", np.repeat(self.epochs, self.lengths)),
                "window": [w.name for w in self.windows],
                **labels,
            },
            attrs={"task": task.name, "loss": task.loss, "dt_ms": self.dt, "warmup_ms": self.warmup * self.dt},
        )


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A task that a network can learn: a choice of durations and parameters, from which trials are drawn.

    A trial is a warm-up without loss, then epochs of constant input. In windows of time the outputs are compared with
    targets. A task of your own gives the names of its `inputs` and `outputs`, its `epochs`, the number of random
    numbers that a trial takes (`draws`) and the function `draw`; `windows` and `performance` where the default does not
    fit.

    Parameters
    ----------
    warmup
        Time before the first epoch, in ms.
    grace
        Time after the start of a window's first epoch that does not count, in ms.
    jitter
        Half of the range of the lengths of epochs in training, in ms.

    Examples
    --------
    Press the lever if a faint stimulus was there. The response epoch is the last one; before it, the lever must rest.

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Detection(Task):
    ...     name = "detection"
    ...     inputs = ("fixation", "stimulus")
    ...     outputs = ("lever",)
    ...     draws = 1
    ...     strength: float = 0.5
    ...
    ...     @property
    ...     def epochs(self):
    ...         return (
    ...             TaskEpoch("fixation", 500.0, self.jitter),
    ...             TaskEpoch("stimulus", 500.0, self.jitter),
    ...             TaskEpoch("response", 500.0),
    ...         )
    ...
    ...     def draw(self, u):
    ...         present = u[0] < 0.5
    ...         inputs = np.zeros((3, len(present), 2))
    ...         inputs[:2, :, 0] = 1.0
    ...         inputs[1, :, 1] = self.strength * present
    ...         targets = np.zeros((2, len(present), 1))
    ...         targets[1, :, 0] = present
    ...         return Draw(inputs, targets, {"present": present})
    >>> trials = Detection(strength=0.8).trials(4, seed=1, jitter=False)
    >>> trials.labels["present"].tolist()
    [True, False, True, False]
    >>> [(w.name, w.start, w.stop) for w in trials.windows]
    [('pre', 40, 200), ('post', 240, 300)]
    >>> trials.to_dataset().sizes["time"]
    300
    """

    warmup: float = 1000.0
    grace: float = 200.0
    jitter: float = 100.0

    loss: ClassVar[Loss] = "squared_error"
    """Mean squared error of outputs between 0 and 1, or cross-entropy of a softmax over the outputs."""

    def __post_init__(self) -> None:
        for duration in ("warmup", "grace", "jitter"):
            self._set(duration, _checks.check_not_negative(duration, getattr(self, duration), "ms"))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    @abstractmethod
    def name(self) -> str:
        """Abbreviation, as in the literature."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Names of the input channels."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the output channels."""

    @property
    @abstractmethod
    def epochs(self) -> tuple[TaskEpoch, ...]:
        """The epochs after the warm-up."""

    @property
    @abstractmethod
    def draws(self) -> int:
        """Random numbers that a trial takes."""

    @abstractmethod
    def draw(self, u: Floats) -> Draw:
        """Return the trials that random numbers give; a pure function, trial by trial.

        Parameters
        ----------
        u
            Uniform in [0, 1), shape (draws, trial).

        Returns
        -------
        Draw
            Inputs by epoch, targets by window and labels.
        """

    @property
    def windows(self) -> tuple[TaskWindow, ...]:
        """Where outputs have a target: by default "pre", all epochs but the last, and "post", the last."""
        last = len(self.epochs) - 1
        return TaskWindow("pre", 0, last - 1), TaskWindow("post", last, last)

    @property
    def penalised(self) -> tuple[bool, ...]:
        """Whether a penalty on the activity counts in each epoch; by default in all."""
        return (True,) * len(self.epochs)

    @property
    def input_bounds(self) -> tuple[float, float]:
        """Bounds of all inputs, which the space of observations of an environment states; 0 and 1 by default."""
        return 0.0, 1.0

    @property
    def label_units(self) -> Mapping[str, str]:
        """Units of the labels that have one."""
        return {}

    @property
    def task_trials(self) -> tuple[int, ...]:
        """Positions of the epochs with which a trial within the trial starts; by default the first alone."""
        return (0,)

    def trials(self, n: int, seed: int = 0, step: int = 0, dt: float = 5.0, jitter: bool = True) -> Trials:
        """Return a batch of trials; the same numbers for the same seed and step.

        Trial k of n is trial k of m, with or without jitter. The jitter of an epoch is the same for the whole batch.

        Parameters
        ----------
        n
            Number of trials.
        seed
            Of the whole training.
        step
            Number of the training step; each has its own trials.
        dt
            Time step in ms. An epoch has floor(duration / dt) steps.
        jitter
            Whether lengths of epochs vary, as in training; in evaluation they do not.

        Returns
        -------
        Trials

        Raises
        ------
        TypeError, ValueError
            If an argument is not a number as it must be, or an epoch or window has no step left.
        """
        n = _checks.check_count("n", n)
        seed = _checks.check_count("seed", seed, least=0)
        step = _checks.check_count("step", step, least=0)
        dt = _checks.check_positive("dt", dt, "ms")
        epochs = self.epochs
        # Counter-based, keyed by (seed, step). The lengths come first, drawn or not, so the trials are the same.
        random = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, step, 0]))
        u = random.random(len(epochs))
        lengths = self._lengths(epochs, dt, u if jitter else None)
        drawn = self.draw(random.random((n, self.draws)).T)
        windows = self.windows
        self._check_shapes(drawn, n, len(epochs), len(windows))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        grace = _steps(self.grace, dt)
        placed: list[Window] = []
        for window, target in zip(windows, drawn.targets, strict=True):
            start, stop = int(starts[window.first]) + grace, int(starts[window.last + 1])
            if placed and start < placed[-1].stop:
                raise ValueError(
                    f"Windows of {self.name!r} must come in order of time and not overlap, but {window.name!r} starts "
                    f"before {placed[-1].name!r} ends."
                )
            if start >= stop:
                raise ValueError(
                    f"Window {window.name!r} of {self.name!r} must be longer than `grace` = {self.grace:g} ms, but "
                    f"lasts {(stop - start + grace) * dt:g} ms; shorten `grace` or lengthen its epochs."
                )
            placed.append(Window(window.name, start, stop, target, window.weight))
        return Trials(
            task=self,
            dt=dt,
            epochs=tuple(e.name for e in epochs),
            lengths=lengths,
            inputs_by_epoch=drawn.inputs,
            warmup=_steps(self.warmup, dt),
            warmup_inputs=np.zeros((n, len(self.inputs))) if drawn.warmup is None else drawn.warmup,
            windows=tuple(placed),
            labels=drawn.labels,
            feedback_inputs=drawn.feedback or {},
        )

    def performance(self, outputs: NDArray[np.floating[Any]], trials: Trials) -> Floats:
        """Return how well each network does: the fraction of time and trials at which it is right, as `right` says.

        Windows count by their weight.

        Parameters
        ----------
        outputs
            Shape (network, time, trial, output): over all steps after the warm-up, or those within the windows only.
        trials
            What the networks were shown.

        Returns
        -------
        performance
            Shape (network,), 0 to 1.

        Raises
        ------
        ValueError
            If the shape does not fit.
        """
        total = np.zeros(outputs.shape[0])
        for window, y in zip(trials.windows, self.within(outputs, trials), strict=True):
            total += window.weight * self.right(y, window.target).mean(axis=(1, 2))
        return total / sum(w.weight for w in trials.windows)

    def right(self, outputs: NDArray[np.floating[Any]], target: Floats) -> NDArray[np.bool_]:
        """Return whether outputs are the right answer.

        By default they are where the largest one is the target's (cross-entropy), or where all lie on their target's
        side of 1/2 (squared error).

        Parameters
        ----------
        outputs
            Shape (..., trial, output).
        target
            Of a window, shape (trial, output).

        Returns
        -------
        right
            Shape (..., trial).
        """
        if self.loss == "cross_entropy":
            return np.asarray(outputs.argmax(axis=-1) == target.argmax(axis=-1))
        return np.asarray(((outputs > 0.5) == (target > 0.5)).all(axis=-1))

    def within(self, outputs: NDArray[np.floating[Any]], trials: Trials) -> list[NDArray[np.floating[Any]]]:
        """Return the outputs (network, time, trial, output) of each window, from those of all steps or of the windows.

        Raises
        ------
        ValueError
            If the shape does not fit.
        """
        counts = [w.stop - w.start for w in trials.windows]
        expected = (trials.n, len(self.outputs))
        if outputs.ndim != 4 or outputs.shape[2:] != expected or outputs.shape[1] not in (trials.steps, sum(counts)):
            raise ValueError(
                f"Argument `outputs` must have the shape (network, time, {expected[0]}, {expected[1]}) with "
                f"{trials.steps} steps in time, or the {sum(counts)} within the windows, but has {outputs.shape}."
            )
        if outputs.shape[1] == trials.steps:
            return [outputs[:, w.start : w.stop] for w in trials.windows]
        return np.split(outputs, np.cumsum(counts)[:-1], axis=1)

    def _lengths(self, epochs: Sequence[TaskEpoch], dt: float, u: Floats | None) -> NDArray[np.int64]:
        lengths = np.empty(len(epochs), dtype=np.int64)
        for k, (name, duration, jitter) in enumerate(epochs):
            half = _steps(jitter, dt)
            lengths[k] = _steps(duration, dt)
            if lengths[k] - (half if u is not None else 0) < 1:
                raise ValueError(
                    f"Epoch {name!r} of {self.name!r} must last at least one step of dt = {dt:g} ms, but its duration "
                    f"is {duration:g} ms and its jitter {jitter:g} ms; lengthen it, or shorten dt or the jitter."
                )
            if u is not None:
                lengths[k] += math.floor(2 * half * u[k]) - half
        return lengths

    def _check_shapes(self, drawn: Draw, n: int, epochs: int, windows: int) -> None:
        inputs, outputs = len(self.inputs), len(self.outputs)
        expected: dict[str, tuple[int, ...]] = {"inputs": (epochs, n, inputs), "targets": (windows, n, outputs)}
        if drawn.warmup is not None:
            expected["warmup"] = (n, inputs)
        for name, shape in expected.items():
            if np.shape(getattr(drawn, name)) != shape:
                raise ValueError(
                    f"`draw` of {self.name!r} must return `{name}` of shape {shape}, but returned "
                    f"{np.shape(getattr(drawn, name))}."
                )
        for name, label in drawn.labels.items():
            if np.shape(label) not in ((n,), (n, windows)):
                raise ValueError(
                    f"Label {name!r} of {self.name!r} must have the shape {(n,)} or {(n, windows)}, but has "
                    f"{np.shape(label)}."
                )
        for epoch, choices in (drawn.feedback or {}).items():
            if not 0 < epoch < epochs or np.shape(choices) != (outputs, n, inputs):
                raise ValueError(
                    f"Feedback of {self.name!r} must belong to an epoch from 1 to {epochs - 1} and have the shape "
                    f"{(outputs, n, inputs)}, but that of epoch {epoch} has {np.shape(choices)}."
                )


def _steps(duration: float, dt: float) -> int:
    """Return the whole steps in a duration; rounding of duration / dt takes none away."""
    return math.floor(duration / dt + 1e-6)
