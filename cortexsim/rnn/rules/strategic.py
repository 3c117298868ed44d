"""Strategic skip connections, from the start to the end of a task-trial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cortexsim import _checks
from cortexsim.rnn.rules.bptt import BPTT
from cortexsim.rnn.rules.rule import Rule, Skips


@dataclass(frozen=True)
class Strategic(Rule):
    r"""Strategic skip connections, besides what another rule does: over each task-trial of a longer sequence.

    With v the state at the start of task-trial j, after its last step

    .. math:: x \leftarrow \beta x + (1 - \beta) v, \qquad v \leftarrow x .

    Backwards as in `SCTT`, with a waiting gradient of its own. Trials of one task-trial have no such skip.

    Parameters
    ----------
    rule
        What happens within the task-trials.
    beta
        Share of the ordinary state, 0 to 1; 1 gives no skip. The authors' program takes that of the rule's own
        schedule, so that it has no strategic skip in their control and CD runs.

    References
    ----------
    Soo, Goudar & Wang, NeurIPS 2023, section 5.
    """

    rule: Rule = field(default_factory=BPTT)
    beta: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule) or isinstance(self.rule, Strategic):
            raise TypeError(f"Argument `rule` must be another rule, but is {self.rule!r}.")
        object.__setattr__(self, "beta", _checks.check_fraction("beta", self.beta))

    @property
    def skips(self) -> Skips:
        """Those of the rule, and one over each task-trial."""
        return self.rule.skips._replace(strategic=self.beta)

    @property
    def time_scale(self) -> int:
        """Factor of the time step."""
        return self.rule.time_scale

    def annealed(self, share: float) -> Strategic:
        """Return the rule with both skips a share of their way to the true dynamics."""
        return replace(self, rule=self.rule.annealed(share), beta=self.beta + (1 - self.beta) * share)
