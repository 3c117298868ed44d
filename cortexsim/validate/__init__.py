"""Claims of papers and experiments, checked against a simulated result."""

from cortexsim.validate.persistence import Persistence, persistence, persistence_by_trial

__all__ = ["Persistence", "persistence", "persistence_by_trial"]
