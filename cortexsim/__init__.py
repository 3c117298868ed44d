"""Whole-cortex dynamics: published large-scale models on the macaque connectome."""

__version__ = "0.1.0"
