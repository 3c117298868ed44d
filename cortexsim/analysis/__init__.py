"""What models and their results tell: stability, branches, timescales, propagation, connectivity, spectra, BOLD."""

from cortexsim.analysis.attractors import attractors, random_cues, random_states
from cortexsim.analysis.bold import BalloonWindkessel, bold
from cortexsim.analysis.continuation import continuation
from cortexsim.analysis.fixed_points import NoFixedPoint, fixed_point, fixed_points
from cortexsim.analysis.functional_connectivity import functional_connectivity
from cortexsim.analysis.ignition import ignition
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
    "derivative",
    "distractor_threshold",
    "eigenmodes",
    "eigenvalues",
    "fixed_point",
    "fixed_points",
    "functional_connectivity",
    "ignition",
    "jacobian",
    "power_spectrum",
    "propagation",
    "random_cues",
    "random_states",
    "threshold",
    "timescales",
]
