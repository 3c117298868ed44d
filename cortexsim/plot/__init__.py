"""Pictures of results: each function draws with matplotlib's objects and returns the Figure it drew on.

Each takes Axes of your own as `ax`; made within `styled()`, they have the package's style in full.
"""

from cortexsim.plot.activity import activity, traces
from cortexsim.plot.attractors import attractor_states, ignition_latencies, thresholds
from cortexsim.plot.cortex_map import cortex_map
from cortexsim.plot.experiments import ablations, dose_response, fractions, lesion_atlas, phase_diagram
from cortexsim.plot.fit import fit_history, fit_profile, fit_sensitivity
from cortexsim.plot.hierarchy import hierarchy
from cortexsim.plot.hybrids import unit_rates
from cortexsim.plot.matrix import matrix
from cortexsim.plot.memory import decision, decoded_item, performance, ping_readout, psychometric
from cortexsim.plot.networks import linearisation, psychometric_curves, state_space
from cortexsim.plot.style import styled
from cortexsim.plot.summary import summary
from cortexsim.plot.tasks import task
from cortexsim.plot.training import training_curves, training_report

__all__ = [
    "ablations",
    "activity",
    "attractor_states",
    "cortex_map",
    "decision",
    "decoded_item",
    "dose_response",
    "fit_history",
    "fit_profile",
    "fit_sensitivity",
    "fractions",
    "hierarchy",
    "ignition_latencies",
    "lesion_atlas",
    "linearisation",
    "matrix",
    "performance",
    "phase_diagram",
    "ping_readout",
    "psychometric",
    "psychometric_curves",
    "state_space",
    "styled",
    "summary",
    "task",
    "thresholds",
    "traces",
    "training_curves",
    "training_report",
    "unit_rates",
]
