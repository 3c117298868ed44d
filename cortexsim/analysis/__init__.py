"""What models and their results tell: stability, timescales, propagation, connectivity, spectra, BOLD, memory."""

from cortexsim.analysis.attractors import attractors, random_cues, random_states
from cortexsim.analysis.bold import BalloonWindkessel, bold
from cortexsim.analysis.continuation import continuation
from cortexsim.analysis.decisions import decision, psychometric
from cortexsim.analysis.fixed_points import NoFixedPoint, fixed_point, fixed_points
from cortexsim.analysis.functional_connectivity import functional_connectivity
from cortexsim.analysis.ignition import ignition
from cortexsim.analysis.lesions import lesion_atlas
from cortexsim.analysis.memory import decoded_item, held_item, held_since, memory_areas, ping_readout
from cortexsim.analysis.outcomes import distractor_resistance, n_back_outcomes, performance, trial_outcomes
from cortexsim.analysis.propagation import propagation
from cortexsim.analysis.spectra import power_spectrum
from cortexsim.analysis.stability import derivative, eigenmodes, eigenvalues, jacobian
from cortexsim.analysis.thresholds import distractor_threshold, threshold
from cortexsim.analysis.timescales import autocorrelation, timescales

__all__ = [
    "BalloonWindkessel",
    "NoFixedPoint",
    "attractors",
    "autocorrelation",
    "bold",
    "continuation",
    "decision",
    "decoded_item",
    "derivative",
    "distractor_resistance",
    "distractor_threshold",
    "eigenmodes",
    "eigenvalues",
    "fixed_point",
    "fixed_points",
    "functional_connectivity",
    "held_item",
    "held_since",
    "ignition",
    "jacobian",
    "lesion_atlas",
    "memory_areas",
    "n_back_outcomes",
    "performance",
    "ping_readout",
    "power_spectrum",
    "propagation",
    "psychometric",
    "random_cues",
    "random_states",
    "threshold",
    "timescales",
    "trial_outcomes",
]
