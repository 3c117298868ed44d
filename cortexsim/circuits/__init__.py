"""The circuits: one file and one line in `ALL` each."""

from cortexsim.circuits.chaudhuri2015 import Chaudhuri2015, Chaudhuri2015Nonlinear
from cortexsim.circuits.circuit import Circuit, Pathway, Variable, option, parameter
from cortexsim.circuits.froudist_walsh2021 import FroudistWalsh2021
from cortexsim.circuits.froudist_walsh2021_learning import FroudistWalsh2021Learning
from cortexsim.circuits.froudist_walsh2021_plasticity import FroudistWalsh2021Plasticity
from cortexsim.circuits.joglekar2018 import Joglekar2018
from cortexsim.circuits.mejias_wang2022 import MejiasWang2022
from cortexsim.circuits.reduced_wong_wang import ReducedWongWang
from cortexsim.circuits.wilson_cowan import WilsonCowan
from cortexsim.circuits.wong_wang2006 import WongWang2006

ALL: dict[str, type[Circuit]] = {
    c.__name__: c
    for c in (
        Chaudhuri2015,
        Chaudhuri2015Nonlinear,
        FroudistWalsh2021,
        FroudistWalsh2021Learning,
        FroudistWalsh2021Plasticity,
        Joglekar2018,
        MejiasWang2022,
        ReducedWongWang,
        WilsonCowan,
        WongWang2006,
    )
}

__all__ = [
    "ALL",
    "Chaudhuri2015",
    "Chaudhuri2015Nonlinear",
    "Circuit",
    "FroudistWalsh2021",
    "FroudistWalsh2021Learning",
    "FroudistWalsh2021Plasticity",
    "Joglekar2018",
    "MejiasWang2022",
    "Pathway",
    "ReducedWongWang",
    "Variable",
    "WilsonCowan",
    "WongWang2006",
    "option",
    "parameter",
]
