"""n-back: whether an item matches the one n places before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortexsim import _checks
from cortexsim.tasks.task import Draw, Floats, Task, TaskEpoch, TaskWindow


@dataclass(frozen=True, kw_only=True)
class NBack(Task):
    """Tell after each item of a sequence whether it is the item that came n places before.

    Each item is shown for a while and followed by an interval, in which the answer is due. The first n items match
    none.

    Parameters
    ----------
    n
        How many places before.
    items
        Number of different items, each an input of its own.
    length
        Items in a sequence.
    match_probability
        That an item after the first n matches.
    stimulus, interval
        Durations in ms, both jittered.
    warmup, grace, jitter
        See `Task`.

    References
    ----------
    Kirchner 1958, "Age differences in short-term retention of rapidly changing information", doi 10.1037/h0043688.

    Examples
    --------
    >>> trials = NBack(n=2, items=3, length=6).trials(1, seed=2)
    >>> trials.labels["item"].tolist()
    [[1, 3, 2, 3, 1, 2]]
    >>> trials.labels["match"].tolist()
    [[False, False, False, True, False, False]]
    """

    n: int = 2
    items: int = 6
    length: int = 10
    match_probability: float = 0.3
    stimulus: float = 500.0
    interval: float = 500.0

    name = "n_back"
    loss = "cross_entropy"
    outputs = ("match", "no match")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("n", _checks.check_count("n", self.n))
        self._set("items", _checks.check_count("items", self.items, least=2))
        self._set("length", _checks.check_count("length", self.length, least=self.n + 1))
        for duration in ("stimulus", "interval"):
            self._set(duration, _checks.check_positive(duration, getattr(self, duration), "ms"))
        self._set("match_probability", _checks.check_fraction("match_probability", self.match_probability))

    @property
    def inputs(self) -> tuple[str, ...]:
        """One for each item."""
        return tuple(f"item {k + 1}" for k in range(self.items))

    @property
    def draws(self) -> int:
        """Whether each item matches, and which other one it is."""
        return 2 * self.length

    @property
    def epochs(self) -> tuple[TaskEpoch, ...]:
        """Stimulus and interval of each item."""
        return tuple(
            TaskEpoch(f"{name} {k + 1}", getattr(self, name), self.jitter)
            for k in range(self.length)
            for name in ("stimulus", "interval")
        )

    @property
    def windows(self) -> tuple[TaskWindow, ...]:
        """The intervals; the loss is their mean."""
        return tuple(TaskWindow(f"answer {k + 1}", 2 * k + 1, 2 * k + 1, 1 / self.length) for k in range(self.length))

    def draw(self, u: Floats) -> Draw:
        """Return the sequences that random numbers give; see `Task.draw`."""
        trials, rows = u.shape[1], np.arange(u.shape[1])
        match = u[: self.length] < self.match_probability
        match[: self.n] = False
        chosen = u[self.length :]
        item = np.floor(chosen * self.items).astype(np.int64)
        for k in range(self.n, self.length):
            other = (item[k - self.n] + 1 + np.floor(chosen[k] * (self.items - 1)).astype(np.int64)) % self.items
            item[k] = np.where(match[k], item[k - self.n], other)
        inputs = np.zeros((2 * self.length, trials, self.items))
        inputs[2 * np.arange(self.length)[:, np.newaxis], rows, item] = 1.0
        targets = np.stack([match, ~match], axis=2).astype(np.float64)
        return Draw(inputs, targets, {"item": item.T + 1, "match": match.T})
