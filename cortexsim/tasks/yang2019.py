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
        Durations of the epochs in ms: `stimulus` of each stimulus, or of the wait for it in a reaction-time task; a
        task without a delay makes no use of `delay`. All but the response are jittered.
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

    def _set_range(self, name: str) -> None:
        bounds = getattr(self, name)
        if not isinstance(bounds, Sequence) or len(bounds) != 2 or not bounds[0] <= bounds[1]:
            raise ValueError(f"Argument `{name}` must be (low, high), but is {bounds!r}.")
        low, high = (_checks.check_not_negative(name, bound) for bound in bounds)
        self._set(name, (low, high))

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
    def label_units(self) -> dict[str, str]:
        """Angles are in rad."""
        return dict.fromkeys(("angle", "angle_1", "angle_2", "answer"), "rad")

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

    def right(self, outputs: NDArray[np.floating[Any]], target: Floats) -> NDArray[np.bool_]:
        """Return whether outputs fixate where the target does, and point within .2 pi of it where it does not.

        Parameters and shapes are those of `Task.right`.
        """
        near = np.abs(_around(self.decode(outputs) - self.decode(target))) < _TOLERANCE
        fixates = target[..., 0] > 0.5
        return np.asarray(((outputs[..., 0] > 0.5) == fixates) & (near | fixates))

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


@dataclass(frozen=True, kw_only=True)
class _Comparison(RingTask):
    """Two stimuli at least a quarter of a circle apart; the response goes to the stronger one.

    Parameters
    ----------
    coherence, delta
        Ranges of c and delta: the strengths are c + delta and c - delta.
    """

    coherence: tuple[float, float] = (0.8, 1.2)
    delta: tuple[float, float] = (0.1, 0.2)

    _second: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("coherence", "delta"):
            self._set_range(name)

    @property
    def input_bounds(self) -> tuple[float, float]:
        """From 0 to twice the strongest stimulus, since two may overlap."""
        return 0.0, max(1.0, 2 * _PEAK * (self.coherence[1] + self.delta[1]))

    def evidence(self, trials: Trials) -> Floats:
        """Return by how much the first stimulus is the stronger one, shape (trial,)."""
        return np.asarray(trials.labels["strength_1"] - trials.labels["strength_2"])

    def choices(self, outputs: NDArray[np.floating[Any]], trials: Trials) -> Floats:
        """Return what each network chooses in each trial: 1 the first stimulus, 0 the second, NaN to fixate still.

        It is the stimulus nearer to the angle of `answers`; shape (network, trial).
        """
        answers = self.answers(outputs, trials)
        distances = (np.abs(_around(answers - trials.labels[f"angle_{j}"])) for j in (1, 2))
        return np.where(np.isnan(answers), np.nan, np.less(*distances))

    def _angles(self, u: Floats) -> tuple[Floats, Floats]:
        first = 2 * np.pi * u[0]
        return first, _apart(first, u[1])

    def _strengths(self, u: Floats) -> tuple[Floats, Floats]:
        c, delta = _uniform(self.coherence, u[0]), _uniform(self.delta, u[1])
        delta = np.where(_coin(u[2]) == 0, delta, -delta)
        return c + delta, c - delta


@dataclass(frozen=True, kw_only=True)
class _OneModality(_Comparison):
    """The comparison in one modality.

    Parameters
    ----------
    modality
        1 or 2, the one that counts.
    """

    modality: int = 1

    _short: ClassVar[str]
    _distracted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modality not in (1, 2):
            raise ValueError(f"Argument `modality` must be 1 or 2, but is {self.modality!r}.")

    @property
    def name(self) -> str:
        """Abbreviation; that of modality 2 ends in 2."""
        return self._short if self.modality == 1 else f"{self._short}2"

    @property
    def draws(self) -> int:
        """Angle, distance, and three for the strengths in each modality."""
        return 8 if self._distracted else 5

    def draw(self, u: Floats) -> Draw:
        """Return the trials that random numbers give; see `Task.draw`."""
        angles = self._angles(u)
        attended = np.full(u.shape[1], self.modality - 1)
        strengths = self._strengths(u[2:5])
        labels = {
            "angle_1": angles[0],
            "angle_2": angles[1],
            "strength_1": strengths[0],
            "strength_2": strengths[1],
        }
        bumps = [Bump(1, attended, angles[0], strengths[0]), Bump(self._second, attended, angles[1], strengths[1])]
        if self._distracted:
            others = self._strengths(u[5:8])
            labels |= {"distractor_strength_1": others[0], "distractor_strength_2": others[1]}
            bumps += [Bump(b.epoch, 1 - attended, b.angle, other) for b, other in zip(bumps, others, strict=True)]
        return self._compose(bumps, np.where(strengths[0] > strengths[1], *angles), labels)


@dataclass(frozen=True, kw_only=True)
class DecisionMaking(_OneModality):
    """dm: two stimuli at once in one modality; respond to the stronger.

    Parameters
    ----------
    modality
        1 (dm) or 2 (dm2).
    coherence, delta
        Ranges of c and delta: the strengths are c + delta and c - delta.
    """

    _short = "dm"
    _plan = _ONE


@dataclass(frozen=True, kw_only=True)
class ContextDecisionMaking(_OneModality):
    """ctxdm: as dm, while the other modality shows two stimuli of independent strengths at the same angles."""

    _short = "ctxdm"
    _plan = _ONE
    _distracted = True


@dataclass(frozen=True, kw_only=True)
class DelayedDecisionMaking(_OneModality):
    """ddm: two stimuli with a delay between them; respond to the stronger."""

    _short = "ddm"
    _plan = _TWO
    _second = 3


@dataclass(frozen=True, kw_only=True)
class DelayedDecisionMakingWithDistractors(_OneModality):
    """ddmd: as ddm, while the other modality shows stimuli of independent strengths at the same angles."""

    _short = "ddmd"
    _plan = _TWO
    _second = 3
    _distracted = True


@dataclass(frozen=True, kw_only=True)
class _TwoModalities(_Comparison):
    """The comparison over both modalities: each stimulus is k times as strong in one and 2 - k times in the other.

    The factor k and the modality are drawn for each stimulus by itself, so that no modality alone tells the answer.

    Parameters
    ----------
    mix
        Range of k.
    """

    mix: tuple[float, float] = (1.2, 1.4)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_range("mix")

    @property
    def input_bounds(self) -> tuple[float, float]:
        """From 0, or below if k may be above 2, to twice the strongest stimulus, since two may overlap."""
        low, high = super().input_bounds
        return min(low, (2 - self.mix[1]) * high), self.mix[1] * high

    @property
    def draws(self) -> int:
        """Angle, distance, three for the strengths, two for each mixture."""
        return 9

    def draw(self, u: Floats) -> Draw:
        """Return the trials that random numbers give; see `Task.draw`."""
        angles, strengths = self._angles(u), self._strengths(u[2:5])
        bumps: list[Bump] = []
        labels: dict[str, NDArray[Any]] = {}
        for j, epoch in enumerate((1, self._second)):
            k, modality = _uniform(self.mix, u[5 + 2 * j]), _coin(u[6 + 2 * j])
            bumps += [
                Bump(epoch, modality, angles[j], k * strengths[j]),
                Bump(epoch, 1 - modality, angles[j], (2 - k) * strengths[j]),
            ]
            labels |= {f"angle_{j + 1}": angles[j], f"strength_{j + 1}": strengths[j]}
        return self._compose(bumps, np.where(strengths[0] > strengths[1], *angles), labels)


@dataclass(frozen=True, kw_only=True)
class MultiSensoryDecisionMaking(_TwoModalities):
    """msdm: two stimuli at once, each in both modalities; respond to the one that is stronger over both.

    Parameters
    ----------
    coherence, delta
        Ranges of c and delta: the strengths, as means over the modalities, are c + delta and c - delta.
    mix
        Range of k: a stimulus is k times as strong in one modality, 2 - k times in the other.
    """

    name = "msdm"
    _plan = _ONE


@dataclass(frozen=True, kw_only=True)
class MultiSensoryDelayedDecisionMaking(_TwoModalities):
    """msddm: as msdm, with a delay between the two stimuli."""

    name = "msddm"
    _plan = _TWO
    _second = 3


@dataclass(frozen=True, kw_only=True)
class _Match(RingTask):
    """Two stimuli with a delay between them, each in a random modality; they match in half of the trials.

    The response goes to the second stimulus, or fixation holds.

    Parameters
    ----------
    released
        Take the trials of the authors' program, where the ring has the target 0 instead of .05 while fixation holds,
        dnms and dnmc ask for a response to a match, as dms and dmc do, and stimuli of different categories come in one
        order only.
    """

    released: bool = False

    _plan = _TWO
    _answers_match: ClassVar[bool] = True

    def evidence(self, trials: Trials) -> Floats:
        """Return how far apart the two stimuli are, 0 to pi, shape (trial,)."""
        return np.abs(_around(trials.labels["angle_2"] - trials.labels["angle_1"]))

    def choices(self, outputs: NDArray[np.floating[Any]], trials: Trials) -> Floats:
        """Return what each network does in each trial: 1 for a response, 0 for holding; shape (network, trial)."""
        return np.where(np.isnan(self.answers(outputs, trials)), 0.0, 1.0)

    def _trials(self, u: Floats, first: Floats, second: Floats, match: Bools, labels: dict[str, NDArray[Any]]) -> Draw:
        modalities = _coin(u[0]), _coin(u[1])
        one = np.ones_like(first)
        goes = match if self._answers_match or self.released else ~match
        return self._compose(
            [Bump(1, modalities[0], first, one), Bump(3, modalities[1], second, one)],
            np.where(goes, second, np.nan),
            {
                "angle_1": first,
                "angle_2": second,
                "modality_1": modalities[0] + 1,
                "modality_2": modalities[1] + 1,
                "match": match,
                **labels,
            },
            hold_ring=0.0 if self.released else _LOW,
        )


@dataclass(frozen=True, kw_only=True)
class _SampleMatch(_Match):
    """Angles match if they differ by at most pi/18; else they are at least a quarter of a circle apart."""

    @property
    def draws(self) -> int:
        """Angle, match, difference, modalities."""
        return 5

    def draw(self, u: Floats) -> Draw:
        """Return the trials that random numbers give; see `Task.draw`."""
        first, match = 2 * np.pi * u[0], u[1] < 0.5
        near = (first + _uniform((-np.pi / 18, np.pi / 18), u[2])) % (2 * np.pi)
        return self._trials(u[3:5], first, np.where(match, near, _apart(first, u[2])), match, {})


@dataclass(frozen=True, kw_only=True)
class _CategoryMatch(_Match):
    """Angles match if they are of the same category: 0 is [0, pi/2), 1 is [pi, 3 pi/2)."""

    @property
    def draws(self) -> int:
        """Category, match, two angles, modalities."""
        return 6

    def draw(self, u: Floats) -> Draw:
        """Return the trials that random numbers give; see `Task.draw`."""
        category, match = _coin(u[0]), u[1] < 0.5
        if self.released:
            category = np.where(match, category, 0)
        other = np.where(match, category, 1 - category)
        first, second = (np.pi * c + np.pi / 2 * x for c, x in ((category, u[2]), (other, u[3])))
        return self._trials(u[4:6], first, second, match, {"category_1": category, "category_2": other})


@dataclass(frozen=True, kw_only=True)
class DelayedMatchToSample(_SampleMatch):
    """dms: respond to the second stimulus if its angle matches the first; else hold fixation.

    Parameters
    ----------
    released
        Take the target 0 instead of .05 on the ring while fixation holds, as the authors' program does.
    """

    name = "dms"


@dataclass(frozen=True, kw_only=True)
class DelayedNonMatchToSample(_SampleMatch):
    """dnms: respond to the second stimulus unless its angle matches the first; else hold fixation.

    Parameters
    ----------
    released
        Take the authors' program, in which only the rule input tells this task from dms.
    """

    name = "dnms"
    _answers_match = False


@dataclass(frozen=True, kw_only=True)
class DelayedMatchToCategory(_CategoryMatch):
    """dmc: respond to the second stimulus if it is of the first one's category; else hold fixation.

    Parameters
    ----------
    released
        Take the authors' program: stimuli of different categories come in one order only, and the ring has the target
        0 instead of .05 while fixation holds.
    """

    name = "dmc"


@dataclass(frozen=True, kw_only=True)
class DelayedNonMatchToCategory(_CategoryMatch):
    """dnmc: respond to the second stimulus unless it is of the first one's category; else hold fixation.

    Parameters
    ----------
    released
        Take the authors' program, in which only the rule input tells this task from dmc.
    """

    name = "dnmc"
    _answers_match = False


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


def _uniform(bounds: tuple[float, float], u: Floats) -> Floats:
    low, high = bounds
    return low + (high - low) * u


def _apart(angle: Floats, u: Floats) -> Floats:
    """Return an angle between a quarter and three quarters of a circle away."""
    return (angle + _uniform((np.pi / 2, 3 * np.pi / 2), u)) % (2 * np.pi)
