"""Parameters that make a model do what is measured: the search, ready targets, and how well the data tell them."""

from cortexsim.fitting.identifiability import profile, sensitivity
from cortexsim.fitting.search import METHODS, Fit, NoFiniteLoss, fit
from cortexsim.fitting.targets import DelayActivity, Timescales, murray2014, vary

__all__ = [
    "METHODS",
    "DelayActivity",
    "Fit",
    "NoFiniteLoss",
    "Timescales",
    "fit",
    "murray2014",
    "profile",
    "sensitivity",
    "vary",
]
