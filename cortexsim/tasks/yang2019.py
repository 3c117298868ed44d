"""The 20 tasks of Yang et al. 2019, with the times, targets and scores of Soo, Goudar and Wang 2023.

A fixation input, two rings of stimulus inputs (modalities 1 and 2) and one rule input per task; a fixation output and a
ring of responses. Unit i of a ring prefers the angle psi_i = 2 pi i / ring; a stimulus of strength g at theta is to it

    g bump_i(theta),   bump_i(theta) = .8 exp(-(8 d(psi_i, theta) / pi)^2 / 2),   d the circular distance.

Targets: while fixating .85 for fixation and .05 on the ring; in a response .05 for fixation and .05 + bump on the ring.

Sources: Yang, Joglekar, Song, Newsome & Wang 2019, doi 10.1038/s41593-018-0310-2 (the tasks); Soo, Goudar & Wang,
"Training biologically plausible recurrent neural networks on cognitive tasks with long-term dependencies", NeurIPS 2023
(times, strengths, windows, performance), and its authors' program (what `released` brings back).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.tasks.task import Draw, Floats, Task, TaskEpoch, Trials

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

RULES = (
    *("go", "rtgo", "dgo", "anti", "rtanti", "danti"),
    *("dm", "dm2", "ctxdm", "ctxdm2", "msdm"),
    *("ddm", "ddm2", "ddmd", "ddmd2", "msddm"),
    *("dms", "dnms", "dmc", "dnmc"),
)
"""The 20 tasks in the order of their rule inputs."""

_LOW, _HIGH, _PEAK = 0.05, 0.85, 0.8
_TOLERANCE = 0.2 * np.pi

# Epochs of the four types of trials: name, and the field that holds the duration
_Plan = tuple[tuple[str, str], ...]
_REACTION: _Plan = (("fixation", "fixation"), ("waiting", "stimulus"), ("response", "response"))
_ONE: _Plan = (("fixation", "fixation"), ("stimulus", "stimulus"), ("response", "response"))
_ONE_DELAYED: _Plan = (*_ONE[:2], ("delay", "delay"), _ONE[2])
_TWO: _Plan = (_ONE[0], ("stimulus 1", "stimulus"), ("delay", "delay"), ("stimulus 2", "stimulus"), _ONE[2])


class Bump(NamedTuple):
    """A stimulus: position of its epoch, modality (0 or 1), angle (radians) and strength, each of shape (trial,)."""

    epoch: int
    modality: Ints
    angle: Floats
    strength: Floats


@dataclass(frozen=True, kw_only=True)
class RingTask(Task):
    """What the 20 tasks share: channels, the code of angles, and the score.

    Parameters
    ----------
    fixation, stimulus, delay, response
        Durations of the epochs in ms, `stimulus` of each stimulus; a task without a delay makes no use of `delay`. All
        but the response are jittered.
    ring
        Units in each ring.
    warmup, grace, jitter
        See `Task`. During the warm-up the rule input is on and nothing else.
    """

    fixation: float = 500.0
    stimulus: float = 500.0
    delay: float = 1000.0
    response: float = 500.0
    ring: int = 32

    _plan: ClassVar[_Plan]
    _fixates_in_response: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for duration in ("fixation", "stimulus", "delay", "response"):
            self._set(duration, _checks.check_positive(duration, getattr(self, duration), "ms"))
        self._set("ring", _checks.check_count("ring", self.ring, least=3))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Fixation, the two rings, the rules: 1 + 2 ring + 20."""
        return _inputs(self.ring)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Fixation and the ring: 1 + ring."""
        return _outputs(self.ring)

    @property
    def epochs(self) -> tuple[TaskEpoch, ...]:
        """One after the other, all but the response jittered."""
        return tuple(
            TaskEpoch(name, getattr(self, duration), 0.0 if name == "response" else self.jitter)
            for name, duration in self._plan
        )

    @property
    def preferred(self) -> Floats:
        """Preferred angle of each unit of a ring, in radians."""
        return 2 * np.pi * np.arange(self.ring) / self.ring

    def bump(self, angle: Floats) -> Floats:
        """Return how a ring takes a stimulus of strength 1 at each angle (radians), shape (trial, ring)."""
        return np.asarray(_PEAK * np.exp(-0.5 * (8 / np.pi * _around(angle[:, np.newaxis] - self.preferred)) ** 2))

    def decode(self, outputs: NDArray[np.floating[Any]]) -> Floats:
        """Return the angle of the population vector of the ring, in [-pi, pi].

        Parameters
        ----------
        outputs
            Shape (..., output).
        """
        ring = outputs[..., 1:]
        return np.asarray(np.arctan2(ring @ np.sin(self.preferred), ring @ np.cos(self.preferred)), dtype=np.float64)

    def answers(self, outputs: NDArray[np.floating[Any]], trials: Trials) -> Floats:
        """Return the angle that each network answers in each trial, decoded from its mean output after the grace time.

        Returns
        -------
        angle
            In [0, 2 pi), shape (network, trial); NaN where the network still fixates.
        """
        mean = self.within(outputs, trials)[1].mean(axis=1)
        return np.where(mean[..., 0] < 0.5, self.decode(mean) % (2 * np.pi), np.nan)

    def scores(self, outputs: NDArray[np.floating[Any]], trials: Trials) -> dict[str, Floats]:
        """Return how well each network does, and in what.

        With the fractions over time and trials: fixation, of outputs with the fixation above 1/2 before the response;
        hold and release, of outputs that rightly have it above or below 1/2 in the response; direction, of ring outputs
        within .2 pi of the target in trials with a response,

            performance = c fixation + (1 - c) (hold + release direction),

        where c is the share of the mean trial before the response: 2/3, 4/5 or 5/6 with the times of the paper.

        Parameters
        ----------
        outputs, trials
            See `Task.performance`.

        Returns
        -------
        dict
            "performance", "fixation", "hold", "release", "direction", each of shape (network,).

        Raises
        ------
        ValueError
            If the shape does not fit.
        """
        before, after = self.within(outputs, trials)
        answer = trials.labels["answer"]
        goes = ~np.isnan(answer)
        released = after[..., 0] < 0.5
        fixation = (before[..., 0] > 0.5).mean(axis=(1, 2))
        hold = ((after[..., 0] > 0.5) & ~goes).mean(axis=(1, 2))
        release = (released & goes).mean(axis=(1, 2))
        near = np.abs(_around(self.decode(after[:, :, goes]) - answer[goes])) < _TOLERANCE
        direction = near.mean(axis=(1, 2)) if goes.any() else np.ones(len(outputs))
        durations = [e.duration for e in self.epochs]
        c = 1 - durations[-1] / sum(durations)
        performance = c * fixation + (1 - c) * (hold + release * direction)
        return {
            "performance": performance,
            "fixation": fixation,
            "hold": hold,
            "release": release,
            "direction": direction,
        }

    def performance(self, outputs: NDArray[np.floating[Any]], trials: Trials) -> Floats:
        """Return how well each network does, 0 to 1, shape (network,); see `scores`."""
        return self.scores(outputs, trials)["performance"]

    def _compose(
        self, bumps: Sequence[Bump], answer: Floats, labels: dict[str, NDArray[Any]], hold_ring: float = _LOW
    ) -> Draw:
        """Return the trials with these stimuli; `answer` is the angle of the response, NaN where fixation holds."""
        n, epochs, ring = len(answer), len(self._plan), self.ring
        rule = np.zeros((n, len(RULES)))
        rule[:, RULES.index(self.name)] = 1.0
        rings = np.zeros((epochs, n, 2, ring))
        for epoch, modality, angle, strength in bumps:
            rings[epoch, np.arange(n), modality] += strength[:, np.newaxis] * self.bump(angle)
        inputs = np.zeros((epochs, n, 1 + 2 * ring + len(RULES)))
        inputs[: epochs if self._fixates_in_response else epochs - 1, :, 0] = 1.0
        inputs[:, :, 1 : 1 + 2 * ring] = rings.reshape(epochs, n, 2 * ring)
        inputs[:, :, 1 + 2 * ring :] = rule
        warmup = np.zeros(inputs.shape[1:])
        warmup[:, 1 + 2 * ring :] = rule
        hold = np.isnan(answer)
        targets = np.full((2, n, 1 + ring), _LOW)
        targets[0, :, 0] = _HIGH
        targets[1, :, 0] = np.where(hold, _HIGH, _LOW)
        targets[1, :, 1:] = np.where(hold[:, np.newaxis], hold_ring, _LOW + self.bump(np.nan_to_num(answer)))
        return Draw(inputs, targets, {**labels, "answer": answer}, warmup)


@dataclass(frozen=True, kw_only=True)
class _Saccade(RingTask):
    """One stimulus in a random modality; the response goes to its angle, or opposite to it."""

    _shown: ClassVar[int] = 1
    _turn: ClassVar[float] = 0.0

    @property
    def draws(self) -> int:
        """Angle and modality."""
        return 2

    def draw(self, u: Floats) -> Draw:
        """Return the trials that random numbers give; see `Task.draw`."""
        angle, modality = 2 * np.pi * u[0], _coin(u[1])
        answer = (angle + self._turn) % (2 * np.pi)
        bump = Bump(self._shown, modality, angle, np.ones_like(angle))
        return self._compose([bump], answer, {"angle": angle, "modality": modality + 1})


@dataclass(frozen=True, kw_only=True)
class Go(_Saccade):
    """go: respond towards a stimulus that is gone when the fixation input ends."""

    name = "go"
    _plan = _ONE


@dataclass(frozen=True, kw_only=True)
class Anti(_Saccade):
    """anti: respond opposite to a stimulus that is gone when the fixation input ends."""

    name = "anti"
    _plan = _ONE
    _turn = np.pi


@dataclass(frozen=True, kw_only=True)
class ReactionTimeGo(_Saccade):
    """rtgo: respond towards a stimulus as soon as it comes; the fixation input stays on."""

    name = "rtgo"
    _plan = _REACTION
    _shown = 2
    _fixates_in_response = True


@dataclass(frozen=True, kw_only=True)
class ReactionTimeAnti(_Saccade):
    """rtanti: respond opposite to a stimulus as soon as it comes; the fixation input stays on."""

    name = "rtanti"
    _plan = _REACTION
    _shown = 2
    _turn = np.pi
    _fixates_in_response = True


@dataclass(frozen=True, kw_only=True)
class DelayedGo(_Saccade):
    """dgo: respond, after a delay, towards a stimulus.

    Examples
    --------
    >>> trials = DelayedGo().trials(20, seed=0, jitter=False)
    >>> trials.inputs_by_epoch.shape, trials.steps, trials.warmup
    ((4, 20, 85), 500, 200)
    """

    name = "dgo"
    _plan = _ONE_DELAYED


@dataclass(frozen=True, kw_only=True)
class DelayedAnti(_Saccade):
    """danti: respond, after a delay, opposite to a stimulus."""

    name = "danti"
    _plan = _ONE_DELAYED
    _turn = np.pi


@functools.cache
def _inputs(ring: int) -> tuple[str, ...]:
    rings = (f"modality {m}, {k}" for m in (1, 2) for k in range(ring))
    return ("fixation", *rings, *(f"rule {rule}" for rule in RULES))


@functools.cache
def _outputs(ring: int) -> tuple[str, ...]:
    return ("fixation", *(f"response {k}" for k in range(ring)))


def _around(angle: Floats) -> Floats:
    """Return the angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _coin(u: Floats) -> Ints:
    """Return 0 or 1, each with probability 1/2."""
    return (u >= 0.5).astype(np.int64)
