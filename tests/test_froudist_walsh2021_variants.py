"""The variants of Froudist-Walsh et al. 2021 against the numbers of the authors' program."""

import dataclasses

import numpy as np


def graded(model, **parameters):
    """Return the parameters per area, of one trial."""
    circuit = dataclasses.replace(model.circuit, **parameters)
    return dataclasses.replace(model, circuit=circuit).parameters(1)[1]


def test_without_D1_receptors_all_actions_of_dopamine_are_held_at_occupancy_0(model):
    blocked, held = graded(model, D1_availability=0), graded(model, without_dopamine=("NMDA", "PV", "SST", "M"))
    assert blocked.keys() == held.keys()
    assert all(np.array_equal(blocked[name], held[name]) for name in held)


def test_NMDA_availability_scales_the_gain_of_every_NMDA_current_and_nothing_else(model):
    half, whole = graded(model, NMDA_availability=0.5), graded(model)
    assert [name for name in whole if not np.array_equal(half[name], whole[name])] == ["m"]
    assert np.array_equal(half["m"], 0.5 * whole["m"])
