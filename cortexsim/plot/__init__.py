"""Pictures of results: each function draws with matplotlib's objects and returns the Figure it drew on.

Each takes Axes of your own as `ax`; made within `styled()`, they have the package's style in full.
"""

from cortexsim.plot.activity import activity, traces
from cortexsim.plot.attractors import attractor_states, ignition_latencies, thresholds
from cortexsim.plot.cortex_map import cortex_map
from cortexsim.plot.fit import fit_history, fit_profile, fit_sensitivity
from cortexsim.plot.hierarchy import hierarchy
from cortexsim.plot.matrix import matrix
from cortexsim.plot.memory import decision, decoded_item, performance, ping_readout, psychometric
from cortexsim.plot.style import styled
from cortexsim.plot.summary import summary
from cortexsim.plot.tasks import task

__all__ = [
    "activity",
    "attractor_states",
    "cortex_map",
    "decision",
    "decoded_item",
    "fit_history",
    "fit_profile",
    "fit_sensitivity",
    "hierarchy",
    "ignition_latencies",
    "matrix",
    "performance",
    "ping_readout",
    "psychometric",
    "styled",
    "summary",
    "task",
    "thresholds",
    "traces",
]
