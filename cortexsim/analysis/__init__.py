"""What models and their results tell: stability, branches, timescales, propagation, connectivity, spectra, BOLD."""

from cortexsim.analysis.bold import BalloonWindkessel, bold
from cortexsim.analysis.continuation import continuation
from cortexsim.analysis.fixed_points import NoFixedPoint, fixed_point, fixed_points
from cortexsim.analysis.functional_connectivity import functional_connectivity
from cortexsim.analysis.propagation import propagation
from cortexsim.analysis.spectra import power_spectrum
from cortexsim.analysis.stability import derivative, eigenmodes, eigenvalues, jacobian
from cortexsim.analysis.timescales import autocorrelation, timescales

__all__ = [
    "BalloonWindkessel",
    "NoFixedPoint",
    "autocorrelation",
    "bold",
    "continuation",
    "derivative",
    "eigenmodes",
    "eigenvalues",
    "fixed_point",
    "fixed_points",
    "functional_connectivity",
    "jacobian",
    "power_spectrum",
    "propagation",
    "timescales",
]
