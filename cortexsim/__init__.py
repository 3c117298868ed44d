"""Whole-cortex dynamics: published large-scale models on the macaque connectome."""

__version__ = "0.1.0"

from cortexsim import (
    analysis,
    circuits,
    connectome,
    datasets,
    fitting,
    gradients,
    hybrid,
    learning,
    plot,
    protocols,
    rnn,
    sweeps,
    tasks,
    validate,
)
from cortexsim.connectome import (
    Connectome,
    load_connectome,
    read_connectome,
    single_area,
    sln_from_hierarchy,
    synthetic_connectome,
    synthetic_gradients,
    write_connectome,
)
from cortexsim.fitting import fit
from cortexsim.hybrid import Drive, Embedding, Hybrid, embed, transplant
from cortexsim.model import Model
from cortexsim.paired import compare, paired
from cortexsim.protocols import working_memory
from cortexsim.results import load, save
from cortexsim.simulate import SimulationDiverged, memory_estimate, simulate
from cortexsim.stimulus import (
    Change,
    Course,
    Epoch,
    Lesion,
    Pulse,
    Ramp,
    Schedule,
    Sine,
    Step,
    Stimulus,
    blockade,
    optogenetics,
)
from cortexsim.sweeps import Simulation, failed_points, sweep

__all__ = [
    "Change",
    "Connectome",
    "Course",
    "Drive",
    "Embedding",
    "Epoch",
    "Hybrid",
    "Lesion",
    "Model",
    "Pulse",
    "Ramp",
    "Schedule",
    "Simulation",
    "SimulationDiverged",
    "Sine",
    "Step",
    "Stimulus",
    "analysis",
    "blockade",
    "circuits",
    "compare",
    "connectome",
    "datasets",
    "embed",
    "failed_points",
    "fit",
    "fitting",
    "gradients",
    "hybrid",
    "learning",
    "load",
    "load_connectome",
    "memory_estimate",
    "optogenetics",
    "paired",
    "plot",
    "protocols",
    "read_connectome",
    "rnn",
    "save",
    "simulate",
    "single_area",
    "sln_from_hierarchy",
    "sweep",
    "sweeps",
    "synthetic_connectome",
    "synthetic_gradients",
    "tasks",
    "transplant",
    "validate",
    "working_memory",
    "write_connectome",
]
