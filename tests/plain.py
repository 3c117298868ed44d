"""The slow, obviously right twin of the kernel: a circuit's own function on NumPy arrays, one step after the other."""

from collections import namedtuple

import numpy as np

from cortexsim.stimulus import sample


def simulate(model, stimulus=None, *, steps, dt, noise=None, start=None):
    """Return the state (step, state, area) before each step, and the last one; `noise` is (step, area, variable)."""
    circuit, areas = model.circuit, model.areas
    by_trial, by_area = model.parameters(1)
    numbers = {k: v[0] for k, v in {**by_trial, **by_area}.items()}
    p = namedtuple("P", numbers)(**numbers)
    weights = model.weights()
    kinds = [namedtuple(k, names) for k, names in _names(circuit).items()]
    channels = [(a, v.name) for a in areas for v in circuit.inputs]
    scale = np.array([v.scale for v in circuit.inputs])
    drive = sample([stimulus], channels, np.arange(steps) * dt)[0].reshape(steps, len(areas), -1) * scale
    x = np.array([np.full(len(areas), v.initial) for v in circuit.state]) if start is None else np.array(start, float)
    out = [x]
    for n in range(steps):
        state = kinds[0](*x)
        longrange = kinds[1](*(weights[w.weights] @ getattr(state, w.source) for w in circuit.pathways))
        normals = np.zeros((len(areas), len(circuit.noise))) if noise is None else noise[n]
        arguments = (state, longrange, kinds[2](*drive[n].T))
        if circuit.step:
            x = np.array(circuit.step(*arguments, kinds[3](*normals.T), p, dt))
        else:
            x = x + dt * np.array(circuit.derivative(*arguments, p))
        out.append(x)
    return np.array(out)


def _names(circuit):
    return {
        "X": circuit.state_names(),
        "Longrange": [w.name for w in circuit.pathways],
        "Stimulus": [v.name for v in circuit.inputs],
        "Noise": circuit.noise,
    }
