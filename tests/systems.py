"""Small circuits with exact answers, to test the engine on."""

from dataclasses import dataclass
from typing import Any, ClassVar

from cortexsim.circuits.circuit import Circuit, Pathway, Variable, parameter


def relax(x, longrange, stimulus, p):
    """Return dr/dt = (-r + g W r + I) / tau: linear, so that everything is known."""
    return ((-x.r + p.g * longrange.r + stimulus.I) / p.tau,)


@dataclass(frozen=True)
class Linear(Circuit):
    """Linear areas, coupled by FLN."""

    tau: Any = parameter(10.0, "ms", "time constant")
    g: Any = parameter(0.5, "1", "gain of long-range input")

    state: ClassVar = (Variable("r", "Hz", "rate", initial=1.0),)
    inputs: ClassVar = (Variable("I", "Hz", "drive"),)
    pathways: ClassVar = (Pathway("r", source="r", weights="fln"),)
    recorded: ClassVar = ("r",)
    citation: ClassVar = "none"
    derivative = staticmethod(relax)

    def weights(self, connectome):
        """Return FLN as it is."""
        return {"fln": connectome.matrix("fln")}
