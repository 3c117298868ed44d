"""Delayed response: which of two alternatives was cued, after a delay and a distractor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.tasks.task import Draw, Floats, Task, TaskEpoch, TaskWindow, Trials

DistractorChoice = Literal["other", "random"]


@dataclass(frozen=True, kw_only=True)
class DelayedResponse(Task):
    """Tell, when the go signal comes, which of two alternatives was cued before a delay; a distractor may come between.

    The epochs are fixation, cue, delay, then the distractor and a second delay if there is one, and response. Each
    alternative, A or B, has an input of its own, which the cue and the distractor share: only their order tells them
    apart. The input "go" is 1 during the response. The target is the cued alternative in the response, from `grace` on;
    the outputs are free at all other times.

    Parameters
    ----------
    fixation, cue, delay, response
        Durations in ms. Only delays are jittered.
    distractor
        Duration of the distractor in ms; 0: none.
    second_delay
        Delay between distractor and response in ms, if there is a distractor.
    strength
        Of the cue; at 0 nothing tells what the answer is, and an unbiased guess has the performance 1/2.
    distractor_strength
        Of the distractor. At 0 trials are the same, with the same times, but for the distractor.
    distractor_choice
        Which alternative the distractor is: "other", the one that was not cued, or "random", either.
    warmup, grace, jitter
        See `Task`.

    Notes
    -----
    The labels of a trial are `cue` (1 is A, 2 is B), `distractor` (the same; 0 is none), and `distracted`, whether the
    distractor is the alternative that was not cued.

    References
    ----------
    Funahashi, Bruce & Goldman-Rakic 1989, "Mnemonic coding of visual space in the monkey's dorsolateral prefrontal
    cortex", doi 10.1152/jn.1989.61.2.331, for the delayed response; Mejias & Wang 2022, "Mechanisms of distributed
    working memory in a large-scale network of macaque neocortex", doi 10.7554/eLife.72136, for two alternatives and
    a distractor. The times are not theirs but short ones, for training.

    Examples
    --------
    >>> task = DelayedResponse(distractor=250)
    >>> [epoch.name for epoch in task.epochs]
    ['fixation', 'cue', 'delay', 'distractor', 'second delay', 'response']
    >>> trials = task.trials(4, seed=0)
    >>> trials.labels["cue"].tolist(), trials.labels["distractor"].tolist()
    ([2, 1, 2, 2], [1, 2, 1, 1])
    """

    fixation: float = 250.0
    cue: float = 250.0
    delay: float = 750.0
    distractor: float = 0.0
    second_delay: float = 500.0
    response: float = 250.0
    strength: float = 1.0
    distractor_strength: float = 1.0
    distractor_choice: DistractorChoice = "other"
    warmup: float = 500.0
    grace: float = 50.0

    name = "delayed_response"
    loss = "cross_entropy"
    inputs = ("cue_A", "cue_B", "go")
    outputs = ("A", "B")

    def __post_init__(self) -> None:
        super().__post_init__()
        for duration in ("fixation", "cue", "delay", "second_delay", "response"):
            self._set(duration, _checks.check_positive(duration, getattr(self, duration), "ms"))
        self._set("distractor", _checks.check_not_negative("distractor", self.distractor, "ms"))
        for strength in ("strength", "distractor_strength"):
            self._set(strength, _checks.check_not_negative(strength, getattr(self, strength)))
        _checks.check_known(
            self.distractor_choice, ("other", "random"), what="distractor_choice", where="DelayedResponse"
        )

    @property
    def draws(self) -> int:
        """The alternative that is cued, and the one that distracts."""
        return 2

    @property
    def epochs(self) -> tuple[TaskEpoch, ...]:
        """One after the other; distractor and second delay are left out where the distractor lasts 0 ms."""
        between = (
            TaskEpoch("distractor", self.distractor),
            TaskEpoch("second delay", self.second_delay, self.jitter),
        )
        return (
            TaskEpoch("fixation", self.fixation),
            TaskEpoch("cue", self.cue),
            TaskEpoch("delay", self.delay, self.jitter),
            *(between if self.distractor else ()),
            TaskEpoch("response", self.response),
        )

    @property
    def windows(self) -> tuple[TaskWindow, ...]:
        """The response alone."""
        last = len(self.epochs) - 1
        return (TaskWindow("response", last, last),)

    @property
    def input_bounds(self) -> tuple[float, float]:
        """From 0 to the go signal, or to the stronger of cue and distractor."""
        return 0.0, max(1.0, self.strength, self.distractor_strength)

    def draw(self, u: Floats) -> Draw:
        """Return the trials that random numbers give; see `Task.draw`."""
        n, rows = u.shape[1], np.arange(u.shape[1])
        cue = (u[0] >= 0.5).astype(np.int64)
        distractor = 1 - cue if self.distractor_choice == "other" else (u[1] >= 0.5).astype(np.int64)
        shown = self.distractor > 0 and self.distractor_strength > 0
        inputs = np.zeros((len(self.epochs), n, 3))
        inputs[1, rows, cue] = self.strength
        if shown:
            inputs[3, rows, distractor] = self.distractor_strength
        inputs[-1, :, 2] = 1.0
        labels = {
            "cue": cue + 1,
            "distractor": distractor + 1 if shown else np.zeros_like(cue),
            "distracted": (distractor != cue) & shown,
        }
        return Draw(inputs, np.eye(2)[cue][np.newaxis], labels)

    def performance(self, outputs: NDArray[np.floating[Any]], trials: Trials) -> Floats:
        """Return in which share of the trials the mean output over the response is larger for the cued alternative.

        Parameters
        ----------
        outputs
            Shape (network, time, trial, output): over all steps after the warm-up, or those of the response that count.
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
        (response,) = self.within(outputs, trials)
        sides = 2 * trials.windows[0].target - 1
        return np.asarray(((response.mean(axis=1) * sides).sum(axis=2) > 0).mean(axis=1), dtype=np.float64)
