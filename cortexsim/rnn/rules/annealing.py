"""The way from a modified to the true dynamics while training goes on."""

from __future__ import annotations

from dataclasses import dataclass

from cortexsim import _checks
from cortexsim.rnn.rules.rule import Rule


@dataclass(frozen=True)
class Annealing:
    """A rule that gives way to the true dynamics in equal stages.

    Stage k = 0 ... stages has the rule k / stages of its way: beta + k (1 - beta) / stages for SCTT and DASC, and
    skip (1 - k / stages), at least 1, for CD. Each lasts `hold` steps; after the last, the true dynamics go on.

    Parameters
    ----------
    rule
        Where to start from.
    stages
        Number n of changes.
    hold
        Training steps of a stage; None: 10 floor(2000 / (n + 1)), as in the paper, so that the last stage ends near
        step 20,000.
    anew
        Whether the optimizer forgets its moments at each change, as the authors' program has it for CD.

    References
    ----------
    Soo, Goudar & Wang, NeurIPS 2023, section 4, and its authors' program.

    Examples
    --------
    >>> from cortexsim.rnn.rules import Annealing, SCTT
    >>> schedule = Annealing(SCTT(skip=10, beta=0.5), stages=5)
    >>> schedule.hold
    3330
    >>> [round(schedule.at(step).beta, 2) for step in (0, 3329, 3330, 9990, 16650)]
    [0.5, 0.5, 0.6, 0.8, 1.0]
    """

    rule: Rule
    stages: int = 1
    hold: int | None = None
    anew: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule):
            raise TypeError(f"Argument `rule` must be one of the rules, but is {self.rule!r}.")
        stages = _checks.check_count("stages", self.stages)
        hold = 10 * (2000 // (stages + 1)) if self.hold is None else _checks.check_count("hold", self.hold)
        object.__setattr__(self, "stages", stages)
        object.__setattr__(self, "hold", hold)

    def stage(self, step: int) -> int:
        """Return the stage of a training step, 0 ... stages."""
        return min(step // (self.hold or 1), self.stages)

    def at(self, step: int) -> Rule:
        """Return the rule of a training step."""
        return self.rule.annealed(self.stage(step) / self.stages)

    def starts_anew(self, step: int) -> bool:
        """Return whether the optimizer forgets its moments before a training step."""
        return self.anew and step > 0 and self.stage(step) != self.stage(step - 1)
