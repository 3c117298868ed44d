"""Training methods: each changes the dynamics that training differentiates, and gives way to the true ones."""

from cortexsim.rnn.rules.annealing import Annealing
from cortexsim.rnn.rules.bptt import BPTT
from cortexsim.rnn.rules.cd import CD
from cortexsim.rnn.rules.dasc import DASC
from cortexsim.rnn.rules.rule import Rule, Skips
from cortexsim.rnn.rules.sctt import SCTT
from cortexsim.rnn.rules.strategic import Strategic

ALL: dict[str, type[Rule]] = {"bptt": BPTT, "cd": CD, "sctt": SCTT, "dasc": DASC, "strategic": Strategic}
"""The methods, by name."""

__all__ = ["ALL", "BPTT", "CD", "DASC", "SCTT", "Annealing", "Rule", "Skips", "Strategic"]
