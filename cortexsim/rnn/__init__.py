"""Recurrent networks, leaky and gated, that learn cognitive tasks: what they are, how they learn, and files of them."""

from cortexsim.rnn import rules
from cortexsim.rnn.feedforward import Layer, propagate, unroll
from cortexsim.rnn.files import from_state_dict, load_networks, save_networks, to_state_dict
from cortexsim.rnn.gated import GatedNetwork, GatedParameters
from cortexsim.rnn.initialise import initialise
from cortexsim.rnn.loss import Penalties
from cortexsim.rnn.network import Network, Parameters
from cortexsim.rnn.optimizer import SGD, Adam, Cosine, Exponential, LearningRate, Optimizer, Piecewise
from cortexsim.rnn.rules import BPTT, CD, DASC, SCTT, Annealing, Rule, Strategic
from cortexsim.rnn.train import Progress, Training, TrainingDiverged, evaluate, run, train, trimmed_mean

__all__ = [
    "BPTT",
    "CD",
    "DASC",
    "SCTT",
    "SGD",
    "Adam",
    "Annealing",
    "Cosine",
    "Exponential",
    "GatedNetwork",
    "GatedParameters",
    "Layer",
    "LearningRate",
    "Network",
    "Optimizer",
    "Parameters",
    "Penalties",
    "Piecewise",
    "Progress",
    "Rule",
    "Strategic",
    "Training",
    "TrainingDiverged",
    "evaluate",
    "from_state_dict",
    "initialise",
    "load_networks",
    "propagate",
    "rules",
    "run",
    "save_networks",
    "to_state_dict",
    "train",
    "trimmed_mean",
    "unroll",
]
