"""The rule-reversal task of Soo, Goudar and Wang 2023: several trials in one sequence, with feedback in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortexsim import _checks
from cortexsim.tasks.task import Draw, Floats, Task, TaskEpoch, TaskWindow

PATTERNS = ("00000", "01100", "00011", "01111", "10000", "11100", "10011", "11111")


@dataclass(frozen=True, kw_only=True)
class RuleReversal(Task):
    """Answer one of two stimuli by a rule that changes without notice; feedback tells whether the answer was right.

    A sequence holds several trials, each of a stimulus, the response, the feedback and a wait. Under rule 1 the answer
    to stimulus k is k, under rule 2 the other one. The input "right" or "wrong" in the feedback epoch follows from the
    network's own answer, its largest output at the last step of the response, and the rule that holds: see
    `Trials.feedback_inputs`. The target is the best that one can do: the answer by the rule of the trial before (rule 1
    before the first), so one error after each change is expected.

    Parameters
    ----------
    stimulus, response, feedback, wait
        Durations of the epochs in ms, all of them jittered.
    patterns
        The rules of a sequence, one digit per trial: 0 for rule 1, 1 for rule 2. The sequences of a batch take them in
        turn, from a random one on, so that a batch of 40 holds each of the eight five times.
    warmup, grace, jitter
        See `Task`.

    References
    ----------
    Soo, Goudar & Wang, "Training biologically plausible recurrent neural networks on cognitive tasks with long-term
    dependencies", NeurIPS 2023, Table 2.

    Examples
    --------
    A network that gives the first answer always is told so at the end of the first response, epoch 1:

    >>> import numpy as np
    >>> trials = RuleReversal().trials(3, seed=1, jitter=False)
    >>> trials.labels["rule"][:, 0].tolist(), trials.labels["stimulus"][:, 0].tolist()
    ([1, 1, 2], [2, 1, 2])
    >>> outputs = np.broadcast_to([1.0, 0.0], (1, 3, 2))
    >>> trials.feedback(2, outputs)[0, :, 2:].tolist()
    [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]
    """

    stimulus: float = 500.0
    response: float = 500.0
    feedback: float = 500.0
    wait: float = 500.0
    patterns: tuple[str, ...] = PATTERNS
    grace: float = 100.0

    name = "rule_reversal"
    loss = "cross_entropy"
    inputs = ("stimulus 1", "stimulus 2", "right", "wrong")
    outputs = ("answer 1", "answer 2")

    def __post_init__(self) -> None:
        super().__post_init__()
        for duration in ("stimulus", "response", "feedback", "wait"):
            self._set(duration, _checks.check_positive(duration, getattr(self, duration), "ms"))
        self._set("patterns", tuple(self.patterns))
        if (
            len({len(p) for p in self.patterns}) != 1
            or not self.patterns[0]
            or not set("".join(self.patterns)) <= {*"01"}
        ):
            raise ValueError(
                f"Argument `patterns` must be strings of 0 and 1, all of the same length, but is {self.patterns}."
            )

    @property
    def draws(self) -> int:
        """The stimulus of each trial, and the pattern of the first sequence."""
        return self._trials + 1

    @property
    def _trials(self) -> int:
        return len(self.patterns[0])

    @property
    def epochs(self) -> tuple[TaskEpoch, ...]:
        """Stimulus, response, feedback and wait of each trial."""
        names = ("stimulus", "response", "feedback", "wait")
        return tuple(TaskEpoch(name, getattr(self, name), self.jitter) for name in names) * self._trials

    @property
    def windows(self) -> tuple[TaskWindow, ...]:
        """The responses; the loss is their mean."""
        return tuple(
            TaskWindow(f"response {k + 1}", 4 * k + 1, 4 * k + 1, 1 / self._trials) for k in range(self._trials)
        )

    @property
    def penalised(self) -> tuple[bool, ...]:
        """The responses."""
        return (False, True, False, False) * self._trials

    @property
    def task_trials(self) -> tuple[int, ...]:
        """The stimuli."""
        return tuple(range(0, 4 * self._trials, 4))

    def draw(self, u: Floats) -> Draw:
        """Return the sequences that random numbers give; see `Task.draw`."""
        trials, rows = self._trials, np.arange(u.shape[1])
        n, known = len(rows), np.array([[int(digit) for digit in pattern] for pattern in self.patterns])
        rules = known[(rows + int(u[-1, 0] * len(known))) % len(known)].T
        stimuli = (u[:-1] >= 0.5).astype(np.int64)
        before = np.concatenate([np.zeros((1, n), dtype=np.int64), rules[:-1]])
        correct, expected = stimuli ^ rules, stimuli ^ before
        inputs = np.zeros((4 * trials, n, 4))
        targets = np.zeros((trials, n, 2))
        feedback = {}
        for k in range(trials):
            inputs[4 * k, rows, stimuli[k]] = 1.0
            targets[k, rows, expected[k]] = 1.0
            told = np.zeros((2, n, 4))
            told[correct[k], rows, 2] = 1.0
            told[1 - correct[k], rows, 3] = 1.0
            feedback[4 * k + 2] = told
        labels = {
            "rule": rules.T + 1,
            "stimulus": stimuli.T + 1,
            "correct": correct.T + 1,
            "answer": expected.T + 1,
        }
        return Draw(inputs, targets, labels, feedback=feedback)
