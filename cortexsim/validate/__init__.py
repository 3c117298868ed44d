"""Claims of papers and experiments, checked against a simulated result."""

from cortexsim.validate.persistence import Persistence, persistence

__all__ = ["Persistence", "persistence"]
