"""Sweeps: a function or a simulation at each point of a grid, resumable, on one processor or a cluster."""

from cortexsim.sweeps.run import collect, failed_points, prepare, resume, run_chunk, status, sweep
from cortexsim.sweeps.simulation import Simulation

__all__ = ["Simulation", "collect", "failed_points", "prepare", "resume", "run_chunk", "status", "sweep"]
