"""The circuits: one file and one line in `ALL` each."""

from cortexsim.circuits.circuit import Circuit, Pathway, Variable, option, parameter
from cortexsim.circuits.froudist_walsh2021 import FroudistWalsh2021

ALL: dict[str, type[Circuit]] = {c.__name__: c for c in (FroudistWalsh2021,)}

__all__ = ["ALL", "Circuit", "FroudistWalsh2021", "Pathway", "Variable", "option", "parameter"]
