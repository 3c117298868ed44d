"""Delayed match: whether the test item is the sample, after a delay and whatever came in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortexsim import _checks
from cortexsim.tasks.task import Draw, Floats, Task, TaskEpoch


@dataclass(frozen=True, kw_only=True)
class DelayedMatch(Task):
    """Tell, after a delay, whether a test item is the sample; distractors may come in between.

    The epochs are fixation, sample, delay, then a distractor and another delay as often as asked for, test and
    response. The fixation input is on until the response.

    Parameters
    ----------
    items
        Number of different items, each an input of its own.
    distractors
        Items that come between sample and test; they differ from the sample.
    match_probability
        That the test is the sample.
    fixation, stimulus, delay, response
        Durations in ms: `stimulus` of each item, `delay` of each delay. All but the response are jittered.
    warmup, grace, jitter
        See `Task`.

    Examples
    --------
    >>> task = DelayedMatch(items=4, distractors=1, delay=800)
    >>> [epoch.name for epoch in task.epochs]
    ['fixation', 'sample', 'delay 1', 'distractor 1', 'delay 2', 'test', 'response']
    """

    items: int = 8
    distractors: int = 0
    match_probability: float = 0.5
    fixation: float = 500.0
    stimulus: float = 500.0
    delay: float = 1000.0
    response: float = 500.0

    name = "delayed_match"
    loss = "cross_entropy"
    outputs = ("fixation", "match", "no match")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("items", _checks.check_count("items", self.items, least=2))
        self._set("distractors", _checks.check_count("distractors", self.distractors, least=0))
        for duration in ("fixation", "stimulus", "delay", "response"):
            self._set(duration, _checks.check_positive(duration, getattr(self, duration), "ms"))
        self._set("match_probability", _checks.check_fraction("match_probability", self.match_probability))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Fixation, and one for each item."""
        return ("fixation", *(f"item {k + 1}" for k in range(self.items)))

    @property
    def draws(self) -> int:
        """Sample, match, the other item for the test, the distractors."""
        return 3 + self.distractors

    @property
    def epochs(self) -> tuple[TaskEpoch, ...]:
        """One after the other."""
        between = [
            epoch
            for k in range(1, self.distractors + 1)
            for epoch in (
                TaskEpoch(f"distractor {k}", self.stimulus, self.jitter),
                TaskEpoch(f"delay {k + 1}", self.delay, self.jitter),
            )
        ]
        return (
            TaskEpoch("fixation", self.fixation, self.jitter),
            TaskEpoch("sample", self.stimulus, self.jitter),
            TaskEpoch("delay 1" if self.distractors else "delay", self.delay, self.jitter),
            *between,
            TaskEpoch("test", self.stimulus, self.jitter),
            TaskEpoch("response", self.response),
        )

    def draw(self, u: Floats) -> Draw:
        """Return the trials that random numbers give; see `Task.draw`."""
        n, rows, epochs = u.shape[1], np.arange(u.shape[1]), 5 + 2 * self.distractors
        sample, match = np.floor(u[0] * self.items).astype(np.int64), u[1] < self.match_probability
        # Never the sample: 1 to items - 1 places further round
        others = (sample + 1 + np.floor(u[2:] * (self.items - 1)).astype(np.int64)) % self.items
        test = np.where(match, sample, others[0])
        inputs = np.zeros((epochs, n, 1 + self.items))
        inputs[:-1, :, 0] = 1.0
        for epoch, item in zip((1, *range(3, epochs - 2, 2), epochs - 2), (sample, *others[1:], test), strict=True):
            inputs[epoch, rows, 1 + item] = 1.0
        targets = np.zeros((2, n, 3))
        targets[0, :, 0] = 1.0
        targets[1, rows, np.where(match, 1, 2)] = 1.0
        return Draw(inputs, targets, {"sample": sample + 1, "test": test + 1, "match": match})
